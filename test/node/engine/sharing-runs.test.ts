// Requests on any graph that share a run, in real runners: same answers as alone, each its own fault, and no graph that
// can't take it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InstalledModel } from '../../../models/installed.ts';
import type { SupervisedEngine } from '../../../node/engine/supervised-engine.ts';
import type { RunRequest, RunResult } from '../../../protocol/infer.ts';
import { float32Elements, tensorNamed, tensorOf } from '../../../protocol/tensor.ts';
import { failure } from '../../compliance/engine.ts';
import { workOptions } from '../../compliance/engine-requests.ts';
import { SeededRandom } from '../../support/seeded.ts';
import { centringGraph, installGraph, lookupGraph, pictureGraph } from './small-graphs.ts';
import { startEngine, temporaryFolder } from './support.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let started: Awaited<ReturnType<typeof startEngine>>;
let engine: SupervisedEngine;
let picture: InstalledModel;
let centring: InstalledModel;
let lookup: InstalledModel;
beforeAll(async () => {
  folder = await temporaryFolder();
  picture = await installGraph(folder.path, 'picture', pictureGraph());
  centring = await installGraph(folder.path, 'centring', centringGraph());
  lookup = await installGraph(folder.path, 'lookup', lookupGraph());
  started = await startEngine([picture, centring, lookup]);
  engine = started.engine;
});
afterAll(async () => {
  await started?.[Symbol.asyncDispose]();
  await folder?.[Symbol.asyncDispose]();
});

const run = (request: RunRequest): Promise<RunResult> => engine.run(request, workOptions());

function pictures(seed: number, count: number, height: number, width: number): RunRequest {
  const random = new SeededRandom(seed);
  const pixels = Float32Array.from({ length: count * 3 * height * width }, () => random.next());
  const inputs = [tensorOf('pixels', 'float32', [count, 3, height, width], pixels)];
  return { model: picture.ref, inputs, outputs: [] };
}

const rowsFor = (model: InstalledModel, ...values: number[]): RunRequest => ({
  model: model.ref,
  inputs: [tensorOf('x', 'float32', [values.length / 4, 4], Float32Array.from(values))],
  outputs: [],
});

const idsFor = (...values: number[]): RunRequest => ({
  model: lookup.ref,
  inputs: [tensorOf('ids', 'int64', [values.length / 2, 2], BigInt64Array.from(values, BigInt))],
  outputs: [],
});

const floats = ({ outputs }: RunResult, name: string): number[] => [...float32Elements(tensorNamed(outputs, name))];

/** Requests of one run have its time, to the last digit. */
const shared = (a: RunResult, b: RunResult): boolean => a.timing.computeMs === b.timing.computeMs;

/** Two runs, so that times are warm, and two at once, which are compared: by a run of both, which comes before the next. */
async function prepare(request: (seed: number) => RunRequest): Promise<void> {
  await run(request(1));
  await run(request(2));
  await Promise.all([run(request(3)), run(request(4))]);
  await run(request(1));
  await run(request(2));
}

describe('requests on one graph', () => {
  it('share a run where their tensors fit, with the answers that each has alone', async () => {
    await prepare((seed) => pictures(seed, 1, 9, 7));
    const requests = [pictures(11, 1, 9, 7), pictures(12, 1, 9, 7)];
    const together = await Promise.all(requests.map(run));
    expect(shared(together[0] as RunResult, together[1] as RunResult)).toBe(true);
    for (const [index, request] of requests.entries()) {
      const alone = await run(request);
      expect(together[index]?.outputs.map(({ name, type, dims }) => [name, type, dims])).toEqual([
        ['scores', 'float32', [1, 5]],
      ]);
      for (const [at, score] of floats(together[index] as RunResult, 'scores').entries()) {
        expect(score).toBeCloseTo(floats(alone, 'scores')[at] as number, 5);
      }
    }
  });

  it('go apart where they do not fit, whatever their order', async () => {
    const requests = [pictures(21, 1, 9, 7), pictures(22, 1, 7, 9), pictures(23, 2, 9, 7), pictures(24, 1, 8, 8)];
    const together = await Promise.all(requests.map(run));
    const [tall, wide, two, square] = together as [RunResult, RunResult, RunResult, RunResult];
    expect([shared(tall, wide), shared(tall, square), shared(wide, square)]).toEqual([false, false, false]);
    expect(two.outputs[0]?.dims).toEqual([2, 5]);
    for (const [index, request] of requests.entries()) {
      const [answer, alone] = [floats(together[index] as RunResult, 'scores'), floats(await run(request), 'scores')];
      for (const [at, score] of answer.entries()) expect(score).toBeCloseTo(alone[at] as number, 5);
    }
  });

  it('fail alone: what one asks for that is not there fails nobody who shared its run', async () => {
    await prepare((seed) => idsFor(seed, seed + 1));
    const both = await Promise.all([run(idsFor(1, 2)), run(idsFor(3, 4))]);
    expect(shared(...(both as [RunResult, RunResult]))).toBe(true);
    const [good, bad, late] = await Promise.allSettled([run(idsFor(5, 6)), run(idsFor(7, 70)), run(idsFor(8, 9))]);
    expect(bad).toMatchObject({ status: 'rejected', reason: { code: 'tensor_invalid' } });
    expect(good.status === 'fulfilled' && floats(good.value, 'vectors')).toEqual([20, 21, 22, 23, 24, 25, 26, 27]);
    expect(late.status === 'fulfilled' && floats(late.value, 'vectors')).toEqual([32, 33, 34, 35, 36, 37, 38, 39]);
  });

  it('leave before they run when nobody waits for them, and the others stay', async () => {
    const abort = new AbortController();
    const gone = engine.run(idsFor(1, 1), workOptions({ signal: abort.signal }));
    const kept = run(idsFor(2, 2));
    abort.abort();
    expect((await failure(gone)).code).toBe('cancelled');
    expect(floats(await kept, 'vectors').slice(0, 4)).toEqual([8, 9, 10, 11]);
  });
});

describe('a runner that dies', () => {
  it('costs each of those that it had one failure, that another engine may mend, and those that waited nothing', async () => {
    await prepare((seed) => idsFor(seed, seed + 1));
    const pid = engine.loaded().find(({ id }) => id === lookup.ref.id)?.runnerPid;
    // It stands still while it is sent the work, so that it dies before it answers.
    process.kill(pid as number, 'SIGSTOP');
    const work = Promise.allSettled([1, 2, 3].map((id) => run(idsFor(id, id))));
    await Promise.resolve();
    process.kill(pid as number, 'SIGKILL');
    const results = await work;
    expect(results[0]?.status).toBe('rejected');
    for (const [index, result] of results.entries()) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'runner_lost', elsewhere: true });
      else expect(floats(result.value, 'vectors')[0]).toBe(4 * (index + 1));
    }
    expect(floats(await run(idsFor(4, 4)), 'vectors').slice(0, 4)).toEqual([16, 17, 18, 19]);
  });
});

describe('a graph whose rows depend on each other', () => {
  const [first, second] = [
    [1, 2, 3, 4, 3, 4, 5, 6],
    [10, 20, 30, 40, 12, 24, 36, 48],
  ] as const;
  const answers = [
    [-1, -1, -1, -1, 1, 1, 1, 1],
    [-1, -2, -3, -4, 1, 2, 3, 4],
  ];

  it('is never shared, so that nobody’s answer depends on who else asked', async () => {
    await prepare((seed) => rowsFor(centring, ...first.map((value) => value * seed * seed)));
    for (let round = 0; round < 3; round++) {
      const results = await Promise.all([run(rowsFor(centring, ...first)), run(rowsFor(centring, ...second))]);
      expect(results.map((result) => floats(result, 'y'))).toEqual(answers);
      expect(shared(...(results as [RunResult, RunResult]))).toBe(false);
    }
  });

  it('would answer wrongly if its requests were put together, as its manifest would allow', async () => {
    const together = floats(await run(rowsFor(centring, ...first, ...second)), 'y');
    expect(together.slice(0, 8)).not.toEqual(answers[0]);
    expect(together.slice(8)).not.toEqual(answers[1]);
  });
});
