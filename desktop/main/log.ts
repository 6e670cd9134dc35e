// What the main process says of itself: facts as lines of JSON, in one file beside the node's output. Bounded: the file is
// begun anew when it is full, and the last one is kept.
import { appendFileSync, copyFileSync, mkdirSync, renameSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { LOG_BYTES_MAX } from './limits.ts';

type Facts = Readonly<Record<string, unknown>>;

export interface Log {
  info(facts: Facts, message: string): void;
  warn(facts: Facts, message: string): void;
}

/** Says nothing. */
export const SILENT: Log = { info: () => undefined, warn: () => undefined };

/** @param folder is made if need be; what can't be written is left out, as nobody could be told */
export function openLog(init: { readonly folder: string; readonly now: () => number }): Log {
  const path = join(init.folder, 'desktop.log');
  const write = (level: string, facts: Facts, message: string): void => {
    const line = `${JSON.stringify({ time: new Date(init.now()).toISOString(), level, ...plain(facts), msg: message })}\n`;
    try {
      mkdirSync(init.folder, { recursive: true });
      rotate(path, LOG_BYTES_MAX);
      appendFileSync(path, line, { mode: 0o600 });
    } catch {
      return; // A full disk, say.
    }
  };
  return {
    info: (facts, message) => write('info', facts, message),
    warn: (facts, message) => write('warn', facts, message),
  };
}

/** Puts a full file aside, over the one before it. @throws the system's error */
export function rotate(path: string, bytesMax: number): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size >= bytesMax) renameSync(path, `${path}.1`);
}

/**
 * The same for a file that another process goes on to append to: its content is put aside, and the file begins anew.
 * @throws the system's error
 */
export function cutBack(path: string, bytesMax: number): void {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) < bytesMax) return;
  copyFileSync(path, `${path}.1`);
  truncateSync(path, 0);
}

function plain(facts: Facts): Facts {
  return Object.fromEntries(
    Object.entries(facts).map(([name, value]) => [name, value instanceof Error ? value.message : value]),
  );
}
