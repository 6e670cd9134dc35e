// Arithmetic of files in chunks, and the check of what somebody says of a file before anything is opened for it.
import { CHUNK_BYTES, CHUNK_BYTES_MAX, CHUNKS_MAX } from '../limits.ts';
import { corrupt } from './disk-error.ts';
import type { ChunkDigests, FileHolding, FileToFetch } from './stored-file.ts';

const SHA256 = /^[0-9a-f]{64}$/;

/** True for 64 hex digits, and nothing else: it becomes a file's name. */
export const isSha256 = (text: string): boolean => SHA256.test(text);

/** Number of chunks of a file. */
export const chunkCount = (sizeBytes: number, chunkBytes: number): number => Math.ceil(sizeBytes / chunkBytes);

/** Bytes of one chunk: the last one is shorter. */
export const chunkLength = (sizeBytes: number, chunkBytes: number, index: number): number =>
  Math.min(chunkBytes, sizeBytes - index * chunkBytes);

/** True when so many digests are those of a file of this size, and chunks of this size can be held in memory. */
export function chunksFit(sizeBytes: number, chunks: ChunkDigests): boolean {
  return (
    Number.isSafeInteger(chunks.sizeBytes) &&
    chunks.sizeBytes > 0 &&
    chunks.sizeBytes <= CHUNK_BYTES_MAX &&
    chunks.sha256.length === chunkCount(sizeBytes, chunks.sizeBytes) &&
    chunks.sha256.length <= CHUNKS_MAX
  );
}

/**
 * Checks a file that somebody says there is.
 * @throws WeftError `model_corrupt` when digest, size or chunks can't be those of a file
 */
export function checkFileToFetch({ sha256, sizeBytes, chunks }: FileToFetch): void {
  if (!isSha256(sha256)) throw corrupt('The digest of a file is no sha256.');
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) throw corrupt('The size of a file is no number of bytes.');
  if (chunkCount(sizeBytes, chunks?.sizeBytes ?? CHUNK_BYTES) > CHUNKS_MAX) throw corrupt('A file is too large.');
  const sound = chunks === undefined || (chunksFit(sizeBytes, chunks) && chunks.sha256.every(isSha256));
  if (!sound) throw corrupt('The chunks of a file do not fit its size.');
}

/** What of a file is left without some chunks. */
export function withoutChunks(holding: FileHolding, chunks: ReadonlySet<number>): FileHolding {
  const { sizeBytes, chunkBytes, chunks: here } = holding;
  const has = (index: number): boolean => here === 'all' || (((here[index >> 3] ?? 0) >> (index & 7)) & 1) === 1;
  const left = bitmapOf(chunkCount(sizeBytes, chunkBytes), (index) => has(index) && !chunks.has(index));
  return { sizeBytes, chunkBytes, chunks: left };
}

/** Bit i of byte i / 8, lowest first. */
export function bitmapOf(count: number, has: (index: number) => boolean): Uint8Array<ArrayBuffer> {
  const bits = new Uint8Array(Math.ceil(count / 8));
  for (let index = 0; index < count; index++) {
    if (has(index)) bits[index >> 3] = (bits[index >> 3] ?? 0) | (1 << (index & 7));
  }
  return bits;
}
