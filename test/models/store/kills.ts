// Kills a process in the middle of a store's life, and checks what is left: nothing corrupt, nothing served that is wrong,
// at most one chunk per stream to be fetched again, and everything can go on. For a short test and a long one.
import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { ModelStore } from '../../../models/store.ts';
import type { SeededRandom } from '../../support/seeded.ts';
import { type LifeFiles, lifeFiles, live, STREAMS } from './life.ts';
import { type SampleFile, sha256 } from './samples.ts';

const CHILD = fileURLToPath(new URL('child.ts', import.meta.url));

/** Of the store's thread: two writes for each of the 16 chunks that come and the 13 of the repair, three steps each. */
const THREAD_STEPS = 3 * 2 * (16 + 13);

interface Ended {
  readonly lines: readonly string[];
  readonly signal: NodeJS.Signals | null;
}

/** Runs the child until it ends, by itself or by its own hand. */
function childEnds(args: readonly string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CHILD, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let [out, err] = ['', ''];
    child.stdout.on('data', (data) => {
      out += data;
    });
    child.stderr.on('data', (data) => {
      err += data;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0 || signal === 'SIGKILL') resolve({ lines: out.split('\n').filter(Boolean), signal });
      else reject(new Error(`The child ended with ${code ?? signal}:\n${err}`));
    });
  });
}

/** How many steps a life has in the child's own thread. */
export async function countSteps(folder: string): Promise<number> {
  const { lines } = await childEnds([join(folder, 'models'), '1', '', '0']);
  const steps = lines.find((line) => line.startsWith('steps '));
  return Number(steps?.split(' ')[1]);
}

/**
 * One kill at a random step, and what must hold afterwards.
 * @returns false when the life ended before that step: lives differ by a few
 */
export async function storeKillRun(folder: string, mainSteps: number, random: SeededRandom): Promise<boolean> {
  const seed = random.between(1, 2 ** 30);
  const where = random.pick(['main', 'thread'] as const);
  const at = random.between(1, where === 'main' ? mainSteps : THREAD_STEPS);
  const context = `seed ${random.seed}: life ${seed} killed at step ${at} of the ${where}`;
  const root = join(folder, `${seed}-${at}`, 'models');
  const { lines, signal } = await childEnds([root, String(seed), where, String(at)]);
  expect(
    lines.filter((line) => line.startsWith('log ') && !line.includes('weft verify')),
    context,
  ).toEqual([]);

  const files = lifeFiles(seed);
  const log: string[] = [];
  const store = new ModelStore(
    { log: { warn: (_fields, message) => void log.push(message) } },
    { roots: [root], cacheFolder: join(root, '..', 'cache') },
  );
  await store.open();
  expect([store.problems(), log], context).toEqual([[], []]);
  await checkServed(store, files, context);
  await checkDisk(root, files, lines.includes('flip'), context);
  await checkResumed(store, files, lines, context);

  // What the first life left, the second one brings to its end.
  await store.open();
  await live(store, seed, () => undefined);
  const last = new ModelStore(
    { log: { warn: () => undefined } },
    { roots: [root], cacheFolder: join(root, '..', 'cache') },
  );
  await last.open();
  const [model] = last.list();
  expect([last.list().length, model?.ref.id], context).toEqual([1, 'owner/kept']);
  expect(await last.damage(model?.ref.digest ?? '', { signal: AbortSignal.timeout(60_000) }), context).toEqual([]);
  await last.close();
  expect((await readdir(join(root, '.blobs'))).sort(), context).toEqual(
    [files.known.sha256, files.unknown.sha256].sort(),
  );
  for (const name of ['.partial', '.staged']) expect(await readdir(join(root, name)), context).toEqual([]);
  expect((await readdir(join(root, 'owner', 'kept'))).sort(), context).toEqual([
    'a',
    'b',
    'weft-manifest.json',
    'weft-origin.json',
    'weft-signatures.json',
  ]);
  return signal !== null;
}

/** Whatever is given is right. */
async function checkServed(store: ModelStore, files: LifeFiles, context: string): Promise<void> {
  for (const file of Object.values(files) as SampleFile[]) {
    const size = file.bytes.byteLength;
    for (let offset = 0; offset < size; offset += 4096) {
      const piece = await store.read(file.sha256, offset, 4096);
      if (piece === undefined) continue;
      const right = Buffer.compare(piece.bytes, file.bytes.subarray(offset, offset + piece.bytes.byteLength)) === 0;
      expect(right && piece.sizeBytes === size, `${context}: bytes at ${offset}`).toBe(true);
    }
  }
}

/** Whatever has a digest for a name has that digest, but for the one file that was damaged on purpose. */
async function checkDisk(root: string, files: LifeFiles, flipped: boolean, context: string): Promise<void> {
  for (const name of await readdir(join(root, '.blobs')).catch(() => [])) {
    const digest = sha256(await readFile(join(root, '.blobs', name)));
    if (digest !== name) expect([flipped, name], context).toEqual([true, files.known.sha256]);
  }
}

/** No chunk that the child was told is kept is lost, and no more are to come again than were under way. */
async function checkResumed(
  store: ModelStore,
  files: LifeFiles,
  lines: readonly string[],
  context: string,
): Promise<void> {
  for (const [file, isKnown] of [
    [files.known, true],
    [files.unknown, false],
  ] as const) {
    // A later line than a chunk's may be of a file that is gone again, with its model.
    if (lines.includes('flip') && !store.has(file.sha256)) continue;
    const partial = await store.partial(isKnown ? file.known : file.unknown);
    const said = (what: string): number[] =>
      lines.filter((line) => line.startsWith(`${what} ${file.sha256} `)).map((line) => Number(line.split(' ')[2]));
    expect(
      said('kept').filter((index) => !partial.has(index)),
      `${context}: kept and lost`,
    ).toEqual([]);
    const again = said('try').filter((index) => !partial.has(index)).length;
    expect(again, `${context}: chunks to come again`).toBeLessThanOrEqual(STREAMS);
    await partial.close();
  }
}
