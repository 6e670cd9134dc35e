// How much of the disk models take, and whether there is room for more.
import { lstat, opendir, readdir, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { WeftError } from '../../protocol/errors.ts';
import { DISK_RESERVE_BYTES } from '../limits.ts';
import { missing } from './durable.ts';
import type { StorageUse } from './reports.ts';

/** Bytes of the files below a folder: each once, however many names it has; of one with holes, what is there. */
export async function usedBytes(folder: string): Promise<number> {
  const seen = new Set<string>();
  let sum = 0;
  const walk = async (path: string): Promise<void> => {
    const entries = await opendir(path).catch(hidden);
    if (entries === undefined) return;
    for await (const entry of entries) {
      const inner = join(path, entry.name);
      if (entry.isDirectory()) await walk(inner);
      // One that is deleted meanwhile takes nothing.
      const stat = entry.isFile() ? await lstat(inner).catch(missing) : undefined;
      if (stat === undefined || seen.has(`${stat.dev}:${stat.ino}`)) continue;
      seen.add(`${stat.dev}:${stat.ino}`);
      sum += Math.min(stat.size, (stat.blocks ?? Number.POSITIVE_INFINITY) * 512);
    }
  };
  await walk(folder);
  return sum;
}

/** What this user may not read is none of the models': a disk's own lost+found. */
function hidden(error: NodeJS.ErrnoException): undefined {
  return error.code === 'EACCES' || error.code === 'EPERM' ? undefined : missing(error);
}

/** What the deletion of a file or a folder frees: files that have other names stay. */
export async function ownBytes(path: string): Promise<number> {
  const stat = await lstat(path).catch(missing);
  if (stat === undefined) return 0;
  if (!stat.isDirectory()) return stat.nlink > 1 ? 0 : stat.size;
  let sum = 0;
  for (const name of await readdir(path)) sum += await ownBytes(join(path, name));
  return sum;
}

/** Free bytes of the disk that a folder is on, or will be. */
export async function freeBytes(folder: string): Promise<number> {
  const stats = await statfs(folder).catch(missing);
  if (stats !== undefined) return stats.bavail * stats.bsize;
  const parent = dirname(folder);
  return parent === folder ? 0 : freeBytes(parent);
}

/**
 * Checks that there is room.
 * @param wanted bytes that are to come
 * @param promised bytes that are to come of what has been begun
 * @throws WeftError `disk_full` with the numbers
 */
export function checkRoom(use: StorageUse, wanted: number, promised: number): void {
  const free = Math.max(0, use.freeBytes - DISK_RESERVE_BYTES - promised);
  if (wanted > free) throw full(`The disk has room for ${text(free)}, and ${text(wanted)} are to come.`, wanted, free);
  if (use.quotaBytes === undefined) return;
  const left = Math.max(0, use.quotaBytes - use.usedBytes - promised);
  if (wanted <= left) return;
  throw full(
    `Models may take ${text(use.quotaBytes)}: ${text(left)} are left, ${text(wanted)} are to come.`,
    wanted,
    left,
  );
}

const full = (message: string, wanted: number, free: number): WeftError =>
  new WeftError({ code: 'disk_full', message, facts: { wantedBytes: String(wanted), freeBytes: String(free) } });

const text = (bytes: number): string =>
  bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
