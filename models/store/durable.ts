// Changes to the disk that are there after a crash, or not at all. No link is ever followed: what is opened is a plain
// file, and a folder that is made or taken is one.
import { constants } from 'node:fs';
import { copyFile, type FileHandle, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { WeftError } from '../../protocol/errors.ts';

/** Nothing waits for who writes into a pipe. Windows has neither flag; there the check of what was opened has to do. */
const PLAIN_ONLY = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** What a file system answers that can't link this file (any more). */
const NO_LINK: ReadonlySet<string> = new Set(['EPERM', 'EXDEV', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/** True for the error of a disk that can't link a file. */
export const isNoLink = (error: unknown): boolean => NO_LINK.has((error as NodeJS.ErrnoException).code ?? '');

/** Waits until the names in a folder are on the disk. */
export async function syncFolder(path: string): Promise<void> {
  // A folder can't be opened there, and NTFS keeps a journal of its names.
  if (process.platform === 'win32') return;
  await using handle = await open(path, 'r');
  await handle.sync();
}

/**
 * Makes a folder, and those above it, where it doesn't exist.
 * @throws WeftError `forbidden` when a link or a file has its name
 */
export async function ensureFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  if ((await lstat(path)).isDirectory()) return;
  throw new WeftError({
    code: 'forbidden',
    message: 'A folder of the models is a link or a file.',
    remedy: 'Remove it; the node makes the folder anew.',
  });
}

/** True when something has this name, a broken link included. */
export async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(missing)) !== undefined;
}

/** For `catch`: what isn't there is undefined. */
export function missing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
  throw error;
}

/**
 * Opens a plain file without following a link in the last part of its path.
 * @returns undefined when it isn't there, or is something else
 */
export async function openPlain(path: string, write = false): Promise<FileHandle | undefined> {
  const handle = await open(path, (write ? constants.O_RDWR : constants.O_RDONLY) | PLAIN_ONLY).catch(
    (error: NodeJS.ErrnoException) => {
      // ELOOP: a link. EISDIR: a folder that was to be written. ENXIO: a socket, a device that is gone.
      if (['ELOOP', 'EISDIR', 'ENXIO'].includes(error.code ?? '')) return undefined;
      return missing(error);
    },
  );
  if (handle === undefined || (await handle.stat()).isFile()) return handle;
  await handle.close();
  return undefined;
}

/** Writes a file that isn't there yet, and waits until it is on the disk. */
export async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await using handle = await open(path, 'wx');
  await handle.writeFile(bytes);
  await handle.sync();
}

/** Puts a file in the place of another at once: a new one, so that whoever else has a link to the old one keeps that. */
export async function replaceDurably(path: string, bytes: Uint8Array): Promise<void> {
  const fresh = `${path}.new`;
  // A crash may have left one.
  await rm(fresh, { force: true });
  try {
    await writeDurably(fresh, bytes);
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true }).catch(() => undefined);
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Gives a file a second name. */
export type Link = (from: string, to: string) => Promise<void>;

/** Copies a file to a name that isn't taken yet, and waits until it is on the disk. */
export async function copyDurably(from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    await using handle = await open(to, 'r+');
    await handle.sync();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') await rm(to, { force: true });
    throw error;
  }
}

/**
 * Gives a file a second name, or copies it where the disk can't do that.
 * @param to isn't there yet
 * @returns true for a second name, false for a copy
 */
export async function linkOrCopy(from: string, to: string, link: Link): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (!isNoLink(error)) throw error;
  }
  await copyDurably(from, to);
  return false;
}

/** A path of a model's file, below its folder. */
export const below = (folder: string, path: string): string => join(folder, ...path.split('/'));
