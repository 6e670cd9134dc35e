// Where a whole file lies on this disk, and what is known of its chunks.
import { CHUNK_BYTES } from '../limits.ts';
import type { Blobs } from './blobs.ts';
import type { CachedMetadata } from './cached-metadata.ts';
import { chunksFit } from './chunks.ts';
import type { InstalledModels } from './installed-models.ts';
import type { ChunkDigests } from './stored-file.ts';

export interface FilePlaces {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly chunkBytes: number;
  /** Undefined where nobody has said them. */
  readonly chunks: ChunkDigests | undefined;
  readonly paths: readonly string[];
}

/** @returns undefined when the whole file isn't here */
export function placesOf(
  sha256: string,
  blobs: Blobs,
  installed: InstalledModels,
  cached: CachedMetadata,
): FilePlaces | undefined {
  const blobBytes = blobs.sizeOf(sha256);
  const copy = cached.file(sha256);
  const inModels = [...installed.files(sha256), ...(copy === undefined ? [] : [copy])];
  const sizeBytes = blobBytes ?? inModels[0]?.file.sizeBytes;
  if (sizeBytes === undefined) return undefined;
  // What was computed here is right; what a manifest says is only as good as that.
  const chunks =
    blobs.chunksOf(sha256) ?? inModels.map(({ file }) => file.chunks).find((said) => chunksFit(sizeBytes, said));
  const paths = [...(blobBytes === undefined ? [] : [blobs.path(sha256)]), ...inModels.map(({ path }) => path)];
  return { sha256, sizeBytes, chunkBytes: chunks?.sizeBytes ?? CHUNK_BYTES, chunks, paths };
}
