// Finds what of a model's files is not what its manifest says, chunk by chunk, in the store's thread.
import type { InstalledModel } from '../installed.ts';
import { CHUNK_BYTES } from '../limits.ts';
import type { ManifestFile } from '../manifest.ts';
import { checkFilePresent } from '../verify.ts';
import { chunkCount, chunksFit } from './chunks.ts';
import type { DiskQueue, RunOptions } from './disk-queue.ts';
import { below, openPlain } from './durable.ts';
import type { DamagedFile } from './reports.ts';

/** Hashes the files of a model, one after the other. @returns those that aren't right; none: the model is whole */
export async function findDamage(
  queue: DiskQueue,
  { folder, manifest }: InstalledModel,
  options: RunOptions,
): Promise<readonly DamagedFile[]> {
  const damaged: DamagedFile[] = [];
  for (const file of manifest.files) {
    const bad = await badChunks(queue, folder, file, options);
    if (bad !== undefined) damaged.push({ path: file.path, bad });
  }
  return damaged;
}

/** @returns undefined for a file that is right */
async function badChunks(
  queue: DiskQueue,
  folder: string,
  file: ManifestFile,
  options: RunOptions,
): Promise<readonly number[] | undefined> {
  // Digests that can't be those of its chunks say nothing: the whole decides.
  const fit = chunksFit(file.sizeBytes, file.chunks);
  const chunkBytes = fit ? file.chunks.sizeBytes : CHUNK_BYTES;
  const all = [...Array(chunkCount(file.sizeBytes, chunkBytes)).keys()];
  if (!(await reachedPlainly(folder, file))) return all;
  await using handle = await openPlain(below(folder, file.path));
  if (handle === undefined) return all;
  const job = { kind: 'hash', data: handle.fd, chunkBytes, sizeBytesMax: file.sizeBytes } as const;
  const found = await queue.run<'hash'>(job, options);
  if (found.sha256 === file.sha256 && found.sizeBytes === file.sizeBytes) return undefined;
  const bad = fit ? all.filter((index) => found.chunks[index] !== file.chunks.sha256[index]) : all;
  // Each chunk is right and the whole is not: then it is too long, or the manifest's chunks are not those of the file.
  return bad.length > 0 || found.sizeBytes !== file.sizeBytes ? bad : all;
}

/** True when no link is in the way; its size may be wrong. */
async function reachedPlainly(folder: string, file: ManifestFile): Promise<boolean> {
  try {
    await checkFilePresent(folder, file, { anySize: true });
    return true;
  } catch {
    return false;
  }
}
