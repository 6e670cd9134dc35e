// Files that become part of a model: each a plain one, reached without a link, and what a manifest says of it.
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import { WeftError } from '../../protocol/errors.ts';
import { CHUNK_BYTES, SMALL_FILE_BYTES } from '../limits.ts';
import type { ManifestFile } from '../manifest.ts';
import { readPieces } from '../verify.ts';

/** An error for files that are no model. */
export const refuse = (message: string, remedy: string): WeftError =>
  new WeftError({ code: 'model_corrupt', message, remedy });

/** True when something has this path, whatever it is. */
export const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

/**
 * Where a file of a folder lies, and its size.
 * @param path below the folder, with forward slashes
 * @param linksRefused less than that is for tests
 * @throws WeftError `model_corrupt` when it is missing, no plain file, or behind a link
 */
export async function plainFile(
  root: string,
  path: string,
  linksRefused: boolean,
): Promise<{ readonly from: string; readonly sizeBytes: number }> {
  const parts = path.split('/');
  let from = root;
  for (const [index, part] of parts.entries()) {
    from = join(from, part);
    const stat = await lstat(from).catch(() => undefined);
    const last = index === parts.length - 1;
    if (stat === undefined || (stat.isSymbolicLink() ? linksRefused : last ? !stat.isFile() : !stat.isDirectory())) {
      throw refuse(`"${path}" is missing, a link, or no plain file.`, 'Put the file itself there.');
    }
    if (last) return { from, sizeBytes: stat.size };
  }
  throw refuse('A file has no name.', 'Put the file itself there.');
}

/**
 * Size, digest and chunk digests of one file, in one pass over it.
 * @param path in the manifest
 * @param from where it lies, checked
 * @param linksRefused less than that is for tests
 * @param onBytes told of every piece that was read
 */
export async function describeFile(
  path: string,
  from: string,
  linksRefused: boolean,
  onBytes?: (bytes: number) => void,
): Promise<ManifestFile> {
  // It may have become a link, or a pipe, since it was looked at. Windows has neither of these flags.
  const { O_RDONLY, O_NONBLOCK = 0, O_NOFOLLOW = 0 } = constants;
  await using handle = await open(from, O_RDONLY | O_NONBLOCK | (linksRefused ? O_NOFOLLOW : 0));
  if (!(await handle.stat()).isFile()) throw refuse(`"${path}" is no plain file.`, 'Put the file itself there.');
  const whole = createHash('sha256');
  const chunks: string[] = [];
  let chunk = createHash('sha256');
  let chunkBytes = 0;
  const sizeBytes = await readPieces(handle, Number.POSITIVE_INFINITY, (piece) => {
    whole.update(piece);
    for (let offset = 0; offset < piece.byteLength; ) {
      const part = piece.subarray(offset, offset + CHUNK_BYTES - chunkBytes);
      chunk.update(part);
      chunkBytes += part.byteLength;
      offset += part.byteLength;
      if (chunkBytes === CHUNK_BYTES) {
        chunks.push(chunk.digest('hex'));
        chunk = createHash('sha256');
        chunkBytes = 0;
      }
    }
    onBytes?.(piece.byteLength);
  });
  if (chunkBytes > 0) chunks.push(chunk.digest('hex'));
  return {
    path,
    sizeBytes,
    sha256: whole.digest('hex'),
    kind: sizeBytes <= SMALL_FILE_BYTES ? 'small' : 'large',
    chunks: { sizeBytes: CHUNK_BYTES, sha256: chunks },
  };
}
