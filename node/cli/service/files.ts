// Puts service files in place and takes them away, without touching what a person has written.
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { WeftError } from '../../../protocol/errors.ts';
import { systemCode } from '../../config/files.ts';
import { authorship } from './seal.ts';

/** A service file is read by the system: nothing in it is secret. */
const FILE_MODE = 0o644;

/** A file on the disk against the one that would be written now. */
export type FileState = 'absent' | 'current' | 'outdated' | 'changed';

/** @throws WeftError `forbidden` when it can't be read */
export async function fileState(path: string, wanted: string, encoding: BufferEncoding): Promise<FileState> {
  const text = await readText(path, encoding);
  if (text === undefined) return 'absent';
  if (text === wanted) return 'current';
  return authorship(text) === 'ours' ? 'outdated' : 'changed';
}

/**
 * Writes the file whole, or leaves the one that is the same.
 * @returns what was there before
 * @throws WeftError `forbidden` without the rights, or when a person has changed the file and `force` is not set
 */
export async function putFile(
  path: string,
  text: string,
  init: { readonly encoding: BufferEncoding; readonly force: boolean },
): Promise<FileState> {
  const before = await fileState(path, text, init.encoding);
  if (before === 'current') return before;
  if (before === 'changed' && !init.force) throw changedByHand(path);
  await withRights(path, async () => {
    await mkdir(dirname(path), { recursive: true });
    const temporary = `${path}.${process.pid}.tmp`;
    try {
      const file = await open(temporary, 'w', FILE_MODE);
      try {
        await file.writeFile(toBytes(text, init.encoding));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined); // the first failure is the one to tell
      throw error;
    }
  });
  return before;
}

/** @throws WeftError `forbidden` without the rights */
export function removeFile(path: string): Promise<void> {
  return withRights(path, () => rm(path));
}

const BYTE_ORDER_MARK = '\u{feff}';

/** UTF-16 begins with its byte order mark: the task scheduler takes it for nothing else. */
function toBytes(text: string, encoding: BufferEncoding): Buffer {
  return Buffer.from(encoding === 'utf16le' ? BYTE_ORDER_MARK + text : text, encoding);
}

async function readText(path: string, encoding: BufferEncoding): Promise<string | undefined> {
  let text: string | undefined;
  await withRights(path, async () => {
    try {
      text = (await readFile(path)).toString(encoding);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
    }
  });
  return text?.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
}

/** The refusal to overwrite or remove what a person has written. */
export function changedByHand(path: string): WeftError {
  return new WeftError({
    code: 'forbidden',
    message: `The file ${path} has been changed by hand, and stays as it is.`,
    remedy: 'Repeat it with --force to overwrite or remove the file; `weft service print` shows what would be written.',
  });
}

async function withRights(path: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const code = systemCode(error);
    if (code !== 'EACCES' && code !== 'EPERM' && code !== 'EROFS') throw error;
    throw new WeftError(
      {
        code: 'forbidden',
        message: `This user may not write ${path} (${code}).`,
        remedy: 'Run it as administrator (sudo), or install for yourself with --user.',
      },
      { cause: error },
    );
  }
}
