// The file that is moved by `transfer`: bytes that nothing can compress, and what its manifest says of it.
import { createHash, randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';

export const CHUNK_BYTES = 4 << 20;

/** A file on the disk, in chunks as a manifest lists them. */
export interface BenchFile {
  readonly path: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly chunks: { readonly sizeBytes: number; readonly sha256: readonly string[] };
}

export async function writeBenchFile(path: string, sizeBytes: number): Promise<BenchFile> {
  const whole = createHash('sha256');
  const digests: string[] = [];
  await using handle = await open(path, 'wx');
  for (let left = sizeBytes; left > 0; left -= CHUNK_BYTES) {
    const chunk = randomBytes(Math.min(left, CHUNK_BYTES));
    whole.update(chunk);
    digests.push(createHash('sha256').update(chunk).digest('hex'));
    await handle.write(chunk);
  }
  await handle.sync();
  return { path, sha256: whole.digest('hex'), sizeBytes, chunks: { sizeBytes: CHUNK_BYTES, sha256: digests } };
}
