// Whether the files of a model are what its manifest says. Called by the runner before it makes a session, by the
// tasks when they read a tokenizer, and by the store when it scans. No link is ever followed.
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import { WeftError } from '../protocol/errors.ts';
import { SMALL_FILE_BYTES_MAX } from '../protocol/limits.ts';
import { READ_BYTES } from './limits.ts';
import type { Manifest, ManifestFile } from './manifest.ts';

const corrupt = (path: string, what: string, cause?: unknown): WeftError =>
  new WeftError(
    {
      code: 'model_corrupt',
      message: `"${path}" ${what}.`,
      remedy: 'Put the original file back, or install the model again.',
      facts: { file: path },
    },
    { cause },
  );

/**
 * Checks that the file is there, a plain file of the right size, and reached without a link.
 * @param options.anySize leaves the size to the caller
 * @throws WeftError `model_corrupt` that names the relative path
 */
export async function checkFilePresent(
  folder: string,
  file: ManifestFile,
  options: { readonly anySize?: boolean } = {},
): Promise<void> {
  let path = folder;
  const parts = file.path.split('/');
  for (const [index, part] of parts.entries()) {
    path = join(path, part);
    const stat = await lstat(path).catch((cause: unknown) => {
      throw corrupt(file.path, 'is missing or cannot be read', cause);
    });
    if (stat.isSymbolicLink()) throw corrupt(file.path, 'is a link, or lies behind one');
    const last = index === parts.length - 1;
    if (last ? !stat.isFile() : !stat.isDirectory()) throw corrupt(file.path, 'is not a plain file');
    if (last && options.anySize !== true && stat.size !== file.sizeBytes) {
      throw corrupt(file.path, `has ${stat.size} bytes where its manifest says ${file.sizeBytes}`);
    }
  }
}

/** Opens a checked file; the last part of the path may not have become a link since. */
async function openChecked(folder: string, file: ManifestFile): Promise<FileHandle> {
  await checkFilePresent(folder, file);
  // Windows has no O_NOFOLLOW, there the check above has to do.
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0);
  return open(join(folder, ...file.path.split('/')), flags).catch((cause: unknown) => {
    throw corrupt(file.path, 'cannot be opened', cause);
  });
}

/**
 * Gives every piece of the file to `onPiece`, in order, until the end or until more than `bytesMax` were read; the
 * piece's memory is used again. Returns the bytes read.
 */
export async function readPieces(
  handle: FileHandle,
  bytesMax: number,
  onPiece: (piece: Uint8Array) => void,
): Promise<number> {
  const buffer = new Uint8Array(READ_BYTES);
  let total = 0;
  while (total <= bytesMax) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.byteLength, total);
    if (bytesRead === 0) return total;
    onPiece(buffer.subarray(0, bytesRead));
    total += bytesRead;
  }
  return total;
}

/**
 * Streams one file through sha256.
 * @param onBytes told of every piece that was read
 * @throws WeftError `model_corrupt` that names the relative path when size or digest differ, or a link is in the way
 */
export async function verifyFile(folder: string, file: ManifestFile, onBytes?: (bytes: number) => void): Promise<void> {
  await using handle = await openChecked(folder, file);
  const hash = createHash('sha256');
  const sizeBytes = await readPieces(handle, file.sizeBytes, (piece) => {
    hash.update(piece);
    onBytes?.(piece.byteLength);
  });
  if (sizeBytes !== file.sizeBytes || hash.digest('hex') !== file.sha256) {
    throw corrupt(file.path, 'is not what its manifest says: its digest differs');
  }
}

/**
 * Verifies the files of a model, one after the other.
 * @param which `small`: what is verified at every load; `all`: the weights as well, at first use
 * @param onFraction told how much of their bytes was read, 0 to 1
 * @throws WeftError `model_corrupt` that names the first file at fault
 */
export async function verifyFiles(
  folder: string,
  manifest: Manifest,
  which: 'small' | 'all',
  onFraction?: (fraction: number) => void,
): Promise<void> {
  const files = manifest.files.filter(({ kind }) => which === 'all' || kind === 'small');
  const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let read = 0;
  for (const file of files) {
    await verifyFile(folder, file, (count) => {
      read += count;
      onFraction?.(Math.min(1, read / bytes));
    });
  }
}

/**
 * The bytes of a file that is small enough to be held: those that were verified, not those that a second read gives.
 * @throws WeftError `model_corrupt` when the manifest doesn't list it, or it isn't what the manifest says
 */
export async function readVerified(folder: string, manifest: Manifest, path: string): Promise<Uint8Array> {
  const file = manifest.files.find((candidate) => candidate.path === path);
  if (file === undefined) throw corrupt(path, 'is not among the files of the manifest');
  if (file.sizeBytes > SMALL_FILE_BYTES_MAX) throw corrupt(path, `has ${file.sizeBytes} bytes, too many to be read`);
  await using handle = await openChecked(folder, file);
  // One byte more than expected, so that a file that has grown is noticed and one that grows without end is not read.
  const bytes = new Uint8Array(file.sizeBytes + 1);
  let length = 0;
  while (length < bytes.byteLength) {
    const { bytesRead } = await handle.read(bytes, length, bytes.byteLength - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  const content = bytes.subarray(0, length);
  checkBytes(file, content);
  return content;
}

/** Checks bytes that are in memory. @throws WeftError `model_corrupt` that names the relative path */
export function checkBytes(file: ManifestFile, bytes: Uint8Array): void {
  if (bytes.byteLength !== file.sizeBytes || createHash('sha256').update(bytes).digest('hex') !== file.sha256) {
    throw corrupt(file.path, 'is not what its manifest says: its digest differs');
  }
}
