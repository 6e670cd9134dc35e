// Small files that are either the old or the new one after a crash, and readable by their owner only.
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { WeftError } from '../../protocol/errors.ts';

/** Only the owner may read or write. */
export const PRIVATE_FILE_MODE = 0o600;
export const PRIVATE_FOLDER_MODE = 0o700;

/** Names of files that {@link writeWhole} has not renamed yet: what a crash may leave. */
export const UNFINISHED = /^\..+\.[0-9a-f]{12}\.tmp$/;

/** The code that the operating system gave, such as ENOENT. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** What is said when the data folder can't be written. Names no path: it may travel to a client of the API. */
export function unwritable(error: unknown): WeftError {
  const code = systemCode(error);
  const message =
    code === 'ENOSPC' || code === 'EDQUOT'
      ? 'The disk of the data folder is full.'
      : `The data folder can't be written${code === undefined ? '' : ` (${code})`}.`;
  const remedy = code === 'ENOSPC' || code === 'EDQUOT' ? { remedy: 'Free some space on that disk.' } : {};
  return new WeftError({ code: 'home_unwritable', message, ...remedy }, { cause: error });
}

/**
 * Makes a folder for its owner only, and those above it, where they aren't there. Node's own `recursive` never ends where a
 * file system says of every folder that the one above it is missing, as /proc does.
 * @throws the system's error
 */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: PRIVATE_FOLDER_MODE });
  } catch (error) {
    const code = systemCode(error);
    const above = dirname(folder);
    if (code === 'ENOENT' && above !== folder && !(await isFolder(above))) {
      await makeFolder(above);
      await mkdir(folder, { mode: PRIVATE_FOLDER_MODE });
    } else if (!(await isFolder(folder))) {
      throw error;
    }
  }
}

async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() === true;
}

/**
 * Replaces a file whole: a new file beside it, flushed, renamed over it, and the folder flushed, so that after a crash or
 * a power cut it is either the old or the new one.
 * @throws WeftError `home_unwritable`
 */
export async function writeWhole(path: string, bytes: Uint8Array | string): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const file = await open(temporary, 'wx', PRIVATE_FILE_MODE);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await flushFolder(folder);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined); // The first failure is the one to tell.
    throw unwritable(error);
  }
}

/** Without this, a power cut may undo the rename. Windows can't open folders, and journals renames itself. */
async function flushFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The bytes of a file, or undefined when there is none. @throws WeftError `home_unwritable` when it can't be read */
export async function readBounded(path: string, bytesMax: number): Promise<Uint8Array | undefined> {
  let detail: string | undefined;
  let cause: unknown;
  try {
    const { size } = await stat(path);
    if (size <= bytesMax) return new Uint8Array(await readFile(path));
    detail = `${size} bytes`;
  } catch (error) {
    detail = systemCode(error);
    if (detail === 'ENOENT') return undefined;
    cause = error;
  }
  throw new WeftError(
    {
      code: 'home_unwritable',
      message: `The file "${basename(path)}" in the data folder can't be read (${detail ?? 'unknown error'}).`,
      remedy: 'Make the data folder readable for this user, or choose another one (WEFT_HOME).',
    },
    { cause },
  );
}
