// A file that is here already, for who wanted to fetch it.
import { corrupt } from './disk-error.ts';
import type { FilePlaces } from './file-places.ts';
import type { ChunkDigests, PartialFile } from './stored-file.ts';

/** @param chunksOf computes the digests of its chunks where nobody has said them */
export function wholeFile(places: FilePlaces, chunksOf: () => Promise<ChunkDigests | undefined>): PartialFile {
  const { sha256, sizeBytes, chunkBytes, chunks } = places;
  return {
    file: { sha256, sizeBytes, chunks: { sizeBytes: chunkBytes, sha256: chunks?.sha256 } },
    heldBytes: sizeBytes,
    has: () => true,
    write: async () => true,
    finish: async () => {
      const digests = await chunksOf();
      if (digests === undefined) throw corrupt('A file that is here is not what its digest says.');
      return { sha256, chunks: digests };
    },
    close: async () => undefined,
    discard: async () => undefined,
  };
}
