// Everything that a store does, once, on files of a seed: for a process that is killed in the middle of it, and for the
// test that goes on where that one stopped.
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { modelRef } from '../../../models/manifest.ts';
import type { ModelStore } from '../../../models/store.ts';
import { SeededRandom } from '../../support/seeded.ts';
import { installModel, manifestOf, type SampleFile, sample } from './samples.ts';

const CHUNK = 8 << 10;

/** Writes of one file that are under way at once. */
export const STREAMS = 3;

/** The files, by what becomes of them. */
export interface LifeFiles {
  /** Chunk digests known; in both models; damaged and repaired. */
  readonly known: SampleFile;
  /** Only its own digest is known. */
  readonly unknown: SampleFile;
  /** From memory. */
  readonly small: SampleFile;
}

export function lifeFiles(seed: number): LifeFiles {
  return {
    known: sample(seed, 12 * CHUNK + 77, CHUNK),
    unknown: sample(seed + 1, (8 << 20) + 77, 4 << 20),
    small: sample(seed + 2, 500, CHUNK),
  };
}

/** What happens, as it happens. */
export type Say = (line: string) => void;

/**
 * Fetches, installs two models, repairs one and removes it, cleans up. It can be stopped anywhere and be called again.
 * @param say told of every chunk before and after it is written (`try`, `kept`), and before the disk is damaged (`flip`)
 */
export async function live(store: ModelStore, seed: number, say: Say): Promise<void> {
  const files = lifeFiles(seed);
  const random = new SeededRandom(seed);
  await fetchIn(store, files.known, true, random, say);
  await fetchIn(store, files.unknown, false, random, say);
  if (!store.has(files.small.sha256)) await store.put(files.small.bytes);

  const kept = await installModel(store, { 'a/model.onnx': files.known, b: files.unknown }, { id: 'owner/kept' });
  const goingFiles = { 'a/model.onnx': files.known, c: files.small };
  const going = await installModel(store, goingFiles, { id: 'owner/going' });
  await store.addSignatures(kept.ref.digest, ['one']);

  say('flip');
  const index = random.between(0, 12);
  await damage(join(going.folder, 'a', 'model.onnx'), files.known, index * CHUNK);
  for (const { path, bad } of await store.damage(going.ref.digest, { signal: new AbortController().signal })) {
    const partial = await store.repairing(going.ref.digest, path, bad);
    for (const chunk of bad) await partial.write(chunk, files.known.chunk(chunk));
    await partial.finish();
  }
  await store.remove(modelRef(manifestOf(goingFiles, { id: 'owner/going' })).digest);
  await store.cleanUp({ dryRun: false, partial: true });
  await store.close();
}

async function fetchIn(
  store: ModelStore,
  file: SampleFile,
  known: boolean,
  random: SeededRandom,
  say: Say,
): Promise<void> {
  const partial = await store.partial(known ? file.known : file.unknown);
  const order = [...file.known.chunks.sha256.keys()].map((index) => ({ index, at: random.next() }));
  const missing = order.filter(({ index }) => !partial.has(index)).sort((a, b) => a.at - b.at);
  const stream = async (): Promise<void> => {
    for (let next = missing.shift(); next !== undefined; next = missing.shift()) {
      say(`try ${file.sha256} ${next.index}`);
      await partial.write(next.index, file.chunk(next.index));
      say(`kept ${file.sha256} ${next.index}`);
    }
  };
  await Promise.all(Array.from({ length: STREAMS }, stream));
  await partial.finish();
}

/** In place, under all its names: as a disk rots. */
async function damage(path: string, file: SampleFile, at: number): Promise<void> {
  const handle: FileHandle = await open(path, 'r+');
  await handle.write(Buffer.of((file.bytes[at] ?? 0) ^ 1), 0, 1, at);
  await handle.close();
}
