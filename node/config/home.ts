// The data folder of a node: where it is, that it can be written, and that no other daemon uses it. The daemon opens it
// first of all, and closes it last; commands only look where it is.
import { readdir, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { WeftError } from '../../protocol/errors.ts';
import type { Store } from '../core/store.ts';
import { readDaemonRecord, removeDaemonRecord } from './daemon-record.ts';
import { FileStore } from './file-store.ts';
import { makeFolder, readBounded, systemCode, UNFINISHED, writeWhole } from './files.ts';
import { acquireLock } from './home-lock.ts';
import { SMALL_FILE_BYTES_MAX, UNFINISHED_MS_MAX } from './limits.ts';

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A data folder that this process holds. */
export interface Home extends AsyncDisposable {
  /** Absolute path. */
  readonly folder: string;
  readonly store: Store;
  /** A path inside the folder. */
  path(...segments: readonly string[]): string;
  /** Ends the writes under way, takes the daemon's record away, and gives the folder free. */
  close(): Promise<void>;
}

/**
 * Where the data folder is: what was asked for, else WEFT_HOME, else the platform's place for such data. Creates nothing.
 * @param init.asked from a flag; relative paths are taken from the working directory
 */
export function homeFolder(init: {
  readonly env: Environment;
  readonly asked?: string | undefined;
  readonly platform?: NodeJS.Platform;
  readonly userFolder?: string;
}): string {
  const { env, asked, platform = process.platform, userFolder = homedir() } = init;
  const chosen = asked || env.WEFT_HOME;
  if (chosen) return resolve(chosen);
  if (platform === 'win32') return join(env.LOCALAPPDATA || join(userFolder, 'AppData', 'Local'), 'Weft');
  if (platform === 'darwin') return join(userFolder, 'Library', 'Application Support', 'Weft');
  // The specification says to ignore relative paths.
  const data = env.XDG_DATA_HOME;
  return join(data !== undefined && isAbsolute(data) ? data : join(userFolder, '.local', 'share'), 'weft');
}

/** Who holds the lock. It can't be read from the lock itself, so the holder writes it beside. */
const HOLDER_FILE = 'lock.pid';

/**
 * Makes the folder if need be (for its owner only), and takes it for this process.
 * @throws WeftError `home_unwritable`, or `home_locked` with the process and address of the daemon that has it
 */
export async function openHome(init: { readonly folder: string; readonly lockWaitMs?: number }): Promise<Home> {
  const folder = resolve(init.folder);
  try {
    await makeFolder(folder);
    const lock = await acquireLock({ folder, waitMs: init.lockWaitMs });
    if (lock === undefined) throw await lockedBy(folder);
    try {
      await writeWhole(join(folder, HOLDER_FILE), `${process.pid}\n`);
      // Of a daemon that was killed: nobody shall look for it.
      await removeDaemonRecord(folder);
      await sweep(folder);
      const store = await FileStore.open({ folder: join(folder, 'state') });
      return new OpenHome(folder, store, lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  } catch (error) {
    if (error instanceof WeftError && error.code === 'home_locked') throw error;
    throw named(folder, error);
  }
}

/** Takes away what killed processes have left unfinished: files of minutes ago, since a command may be writing one now. */
async function sweep(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!UNFINISHED.test(name)) continue;
    const path = join(folder, name);
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY })); // Gone by itself.
    if (mtimeMs < Date.now() - UNFINISHED_MS_MAX) await rm(path, { force: true });
  }
}

class OpenHome implements Home {
  readonly folder: string;
  readonly store: FileStore;
  readonly #lock: { release(): void };
  #closing: Promise<void> | undefined;

  constructor(folder: string, store: FileStore, lock: { release(): void }) {
    this.folder = folder;
    this.store = store;
    this.#lock = lock;
  }

  path(...segments: readonly string[]): string {
    return join(this.folder, ...segments);
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    try {
      await this.store.idle();
      await removeDaemonRecord(this.folder);
      await rm(this.path(HOLDER_FILE), { force: true });
    } finally {
      this.#lock.release();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** At the start the path is the point; the reader is the owner. */
function named(folder: string, error: unknown): WeftError {
  const detail = error instanceof WeftError ? error.cause : error;
  const code = systemCode(detail);
  const message = `The data folder ${folder} can't be created or written${code === undefined ? '' : ` (${code})`}.`;
  return new WeftError({ code: 'home_unwritable', message, facts: { home: folder } }, { cause: error });
}

async function lockedBy(folder: string): Promise<WeftError> {
  const record = await readDaemonRecord(folder);
  const pid = await holderOf(folder);
  // A record of another process is a leftover, or not yet replaced.
  const api = record !== undefined && record.pid === pid ? record.api : undefined;
  const who = [pid === undefined ? undefined : `process ${pid}`, api].filter((part) => part !== undefined).join(', ');
  return new WeftError({
    code: 'home_locked',
    message: `Another daemon${who === '' ? '' : ` (${who})`} uses the data folder ${folder}.`,
    facts: { home: folder, ...(pid === undefined ? {} : { pid: String(pid) }), ...(api === undefined ? {} : { api }) },
  });
}

/** The process that took the lock last; undefined when it has not written its number yet. */
async function holderOf(folder: string): Promise<number | undefined> {
  const bytes = await readBounded(join(folder, HOLDER_FILE), SMALL_FILE_BYTES_MAX);
  const pid = Number(Buffer.from(bytes ?? []).toString('utf8'));
  return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
}
