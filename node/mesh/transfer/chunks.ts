// Arithmetic of files in chunks.
import { WeftError } from '../../../protocol/errors.ts';
import type { ChunkedFile, Download } from '../../core/transfer.ts';
import type { MeshLimits } from '../limits.ts';

type FileShape = Pick<ChunkedFile, 'sizeBytes'> & { readonly chunks: { readonly sizeBytes: number } };

/** Chunks of a file; none of an empty one. */
export const chunkCount = ({ sizeBytes, chunks }: FileShape): number => Math.ceil(sizeBytes / chunks.sizeBytes);

/** Where a chunk lies in its file, in bytes. */
export function chunkRange(file: FileShape, index: number): { readonly offset: number; readonly length: number } {
  const offset = index * file.chunks.sizeBytes;
  return { offset, length: Math.min(file.chunks.sizeBytes, file.sizeBytes - offset) };
}

/**
 * Refuses what no honest manifest asks for, before memory is taken for it.
 * @throws WeftError `model_corrupt`
 */
export function checkDownloads(downloads: readonly Download[], limits: MeshLimits['transfer']): void {
  let chunks = 0;
  for (const { file } of downloads) {
    const { sizeBytes } = file.chunks;
    if (!(Number.isSafeInteger(sizeBytes) && sizeBytes > 0 && sizeBytes <= limits.chunkBytesMax)) {
      throw corrupt(`Chunks of ${sizeBytes} bytes are out of bounds.`);
    }
    chunks += chunkCount(file);
    if (!(chunks <= limits.chunksMax)) throw corrupt('The files have too many chunks.');
  }
}

/** What a source sent, or a manifest asks for, is not what it should be. */
export const corrupt = (message: string): WeftError => new WeftError({ code: 'model_corrupt', message });
