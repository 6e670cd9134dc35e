import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { silentLog } from '../../../node/core/log.ts';
import { type Scattered, type ScatterOptions, scatter } from '../../../node/dispatch/scatter.ts';
import { levelOf } from '../../../node/scheduler/scatter.ts';
import { toWeftError, type WeftError } from '../../../protocol/errors.ts';
import { runs } from '../../support/property.ts';
import { type Behaviour, ScatterWorld } from './scatter-world.ts';

const never = new AbortController().signal;
const items = (count: number, weight = 1): number[] => Array.from({ length: count }, () => weight);

interface Ran {
  readonly world: ScatterWorld;
  readonly result: Scattered | undefined;
  readonly error: WeftError | undefined;
  readonly tookMs: number;
}

/** Does a batch to its end on the virtual clock, and checks what must hold of every one. */
async function ran(
  weights: readonly number[],
  behaviours: Readonly<Record<string, Behaviour>>,
  options: Partial<ScatterOptions> = {},
  before?: (world: ScatterWorld) => void,
): Promise<Ran> {
  const world = new ScatterWorld(weights, behaviours);
  before?.(world);
  const outcome = scatter({ clock: world.clock, log: silentLog }, world.batch, {
    signal: never,
    onProgress: (done, total, byNode) => {
      expect(total).toBe(weights.length);
      expect([...byNode.values()].reduce((sum, items) => sum + items, 0)).toBe(done);
      world.progress.push(done);
    },
    ...options,
  }).then(
    (result) => ({ result, error: undefined }),
    (error: unknown) => ({ result: undefined, error: toWeftError(error) }),
  );
  const { result, error } = await world.clock.until(outcome);
  const tookMs = world.clock.now();
  expect(world.mostHolders).toBeLessThanOrEqual(2);
  expect(world.mostChunks).toBeLessThanOrEqual(2);
  // Whatever was not wanted any more has been told so.
  for (const worker of world.workers) expect(worker.wanted).toBe(0);
  if (result !== undefined) {
    expect(world.taken.every((times) => times === 1)).toBe(true);
    expect(world.progress.at(-1) ?? 0).toBe(weights.length);
    expect([...world.progress].sort((a, b) => a - b)).toEqual(world.progress);
    expect(result.parts.reduce((sum, part) => sum + part.items, 0)).toBe(weights.length);
    expect(Object.fromEntries(result.parts.map((part) => [part.node, part.items]))).toEqual(
      Object.fromEntries(world.takenFrom),
    );
  }
  return { world, result, error, tookMs };
}

describe('spreading', () => {
  it('gives each worker as much as it can do, so that all end together', async () => {
    const { world, result, tookMs } = await ran(items(512), {
      slow: { rate: 0.02 },
      middle: { rate: 0.04 },
      fast: { rate: 0.08 },
    });
    const idealMs = 512 / 0.14;
    expect(tookMs).toBeLessThan(idealMs / 0.96);
    expect(result?.failures).toEqual([]);
    const shares = result?.parts.map((part) => part.items / 512) ?? [];
    for (const [index, expected] of [1 / 7, 2 / 7, 4 / 7].entries()) expect(shares[index]).toBeCloseTo(expected, 1);
    // 200 ms by a rate that was only claimed, 500 by one that was seen, less towards the end.
    const sizes = world.worker('fast').asked.map(({ from, to }) => to - from);
    expect(sizes[0]).toBe(16);
    expect(Math.max(...sizes)).toBe(40);
    expect(sizes.at(-1)).toBeLessThan(10);
  });

  it('finds out who is fast when every claim is wrong', async () => {
    const { tookMs } = await ran(items(512), {
      boaster: { rate: 0.02, claim: 0.4 },
      modest: { rate: 0.08, claim: 0.01 },
      silent: { rate: 0.04, claim: 0 },
    });
    expect(tookMs).toBeLessThan(512 / 0.14 / 0.85);
  });

  it('hides the link behind computing', async () => {
    const far: Behaviour = { rate: 0.05, linkMs: 80 };
    const { tookMs } = await ran(items(400), { a: far, b: far });
    // Without the second chunk each of at least eight would cost 160 ms more.
    expect(tookMs).toBeLessThan(400 / 0.1 + 500);
  });

  it('leaves a node alone that would begin too late', async () => {
    const { world, tookMs } = await ran(items(100), { here: { rate: 0.1 }, cold: { rate: 10, startsInMs: 5_000 } });
    expect(world.worker('cold').asked).toEqual([]);
    expect(tookMs).toBeCloseTo(1_000);
  });

  it('does a batch of nothing, and one of one item', async () => {
    expect((await ran([], { a: { rate: 1 } })).result?.parts).toEqual([]);
    const one = await ran([50], { slow: { rate: 0.1 }, fast: { rate: 1 } });
    expect(one.result?.parts.map(({ node }) => node)).toEqual(['fast']);
  });
});

describe('failures', () => {
  it('loses nothing with a node that dies', async () => {
    for (const code of ['peer_lost', 'runner_lost'] as const) {
      const { result, world } = await ran(items(512), {
        a: { rate: 0.05 },
        b: { rate: 0.1, dies: { atMs: 1_700, code } },
      });
      expect(result?.failures.map(({ node }) => node)).toContain('b');
      expect(world.takenFrom.get('b')).toBeGreaterThan(100);
    }
  });

  it('asks a node again after one failure, and no more after two in a row', async () => {
    const once = await ran(items(300), {
      a: { rate: 0.05 },
      b: { rate: 0.05, fails: { chunks: (n) => n === 1, code: 'runner_lost' } },
    });
    expect(once.world.takenFrom.get('b')).toBeGreaterThan(100);
    const always = await ran(items(300), {
      a: { rate: 0.05 },
      b: { rate: 0.05, fails: { chunks: () => true, code: 'overloaded' } },
    });
    expect(always.world.takenFrom.get('b')).toBeUndefined();
    expect(always.world.worker('b').asked.length).toBe(2);
  });

  it('waits for as long as a full node says, within bounds', async () => {
    const { world } = await ran(items(400), {
      a: { rate: 0.05 },
      b: { rate: 0.05, fails: { chunks: (n) => n === 0, code: 'overloaded', retryAfterMs: 2_000 } },
    });
    const [first, second] = world.worker('b').asked;
    expect(second?.atMs).toBeGreaterThanOrEqual((first?.atMs ?? 0) + 2_000);
  });

  it('notices a node that accepts and never answers, and goes on without it', async () => {
    for (const deaf of [false, true]) {
      const deafNodes: string[] = [];
      const { result, tookMs, world } = await ran(
        items(200),
        { a: { rate: 0.05 }, b: { rate: 0.05, hangs: { atMs: 500, deaf } } },
        { onDeaf: (node) => deafNodes.push(node) },
      );
      expect(result).toBeDefined();
      // What it took with it was doubled at the end, if it was not noticed before.
      expect(tookMs).toBeLessThan(5_000);
      await world.clock.run(world.clock.now() + 20_000);
      expect(deafNodes).toEqual(deaf ? ['b'] : []);
      expect(world.clock.pending).toBe(0);
    }
  });

  it('would wait for ever for that node if it did not notice', async () => {
    const hung = (): Promise<Ran> =>
      ran(items(50), { a: { rate: 0.05, hangs: { atMs: 100 } } }, { stallFactor: Infinity });
    await expect(hung()).rejects.toThrow('It waits for ever');
  });

  it('gives up when nobody is left, with what says most', async () => {
    const gone = await ran(items(50), { a: { rate: 0.05, dies: { atMs: 100, code: 'peer_lost' } } });
    expect(gone.error).toMatchObject({ code: 'no_capable_node' });
    const full = await ran(items(50), {
      a: { rate: 0.05, fails: { chunks: () => true, code: 'overloaded', retryAfterMs: 50 } },
    });
    expect(full.error).toMatchObject({ code: 'overloaded' });
    const none = await ran(items(50), {});
    expect(none.error).toMatchObject({ code: 'no_capable_node' });
    const silent = await ran(items(50), { a: { rate: 0.05, hangs: { atMs: 0 } } });
    expect(silent.error).toMatchObject({ code: 'no_capable_node', cause: { code: 'peer_timeout' } });
  });

  it('fails at once when the items themselves are at fault', async () => {
    const { error, world } = await ran(items(500), {
      a: { rate: 0.05 },
      b: { rate: 0.05, fails: { chunks: () => true, code: 'bad_request' } },
    });
    expect(error).toMatchObject({ code: 'bad_request' });
    await world.clock.run(world.clock.now());
    expect(world.clock.pending).toBe(0);
  });

  it('stops when items kill every runner that gets them', async () => {
    const poison: Behaviour = { rate: 0.05, fails: { chunks: () => true, code: 'runner_lost' } };
    const { error, world } = await ran(items(4), { a: poison, b: poison, c: poison, d: poison });
    expect(error).toMatchObject({ code: 'runner_lost' });
    expect(world.workers.reduce((sum, { asked }) => sum + asked.length, 0)).toBeLessThanOrEqual(12);
  });

  it('takes an answer that can not be true for a failure of its node', async () => {
    const world = new ScatterWorld(items(200), { liar: { rate: 0.1 }, honest: { rate: 0.05 } });
    const { take, ...batch } = world.batch;
    const outcome = scatter(
      { clock: world.clock, log: silentLog },
      {
        ...batch,
        take: (result, range, node) => {
          if (node === 'liar') throw toWeftError(new Error('unexpected'));
          take(result, range, node);
        },
      },
      { signal: never },
    );
    await expect(world.clock.until(outcome)).rejects.toMatchObject({ code: 'internal' });
  });
});

describe('the end', () => {
  it('doubles what would end last onto idle nodes, and stops the loser', async () => {
    const { world, result, tookMs } = await ran(items(100), {
      a: { rate: 0.1 },
      b: { rate: 0.1, slows: { atMs: 150, factor: 40 } },
    });
    expect(result?.doubled).toBeGreaterThan(0);
    expect(world.worker('b').stopped).toBeGreaterThan(0);
    // Alone the slow node's chunk would have taken 8 s.
    expect(tookMs).toBeLessThan(1_700);
  });

  it('ends when the caller does, and tells everyone', async () => {
    const controller = new AbortController();
    const { error, world } = await ran(
      items(500),
      { a: { rate: 0.05 }, b: { rate: 0.05 } },
      { signal: controller.signal },
      ({ clock }) => clock.after(700, () => controller.abort()),
    );
    expect(error).toMatchObject({ code: 'cancelled' });
    expect(world.clock.now()).toBe(700);
    expect(world.workers.every(({ stopped }) => stopped > 0)).toBe(true);
    await world.clock.run(world.clock.now());
    expect(world.clock.pending).toBe(0);
    const before = await ran(items(5), { a: { rate: 1 } }, { signal: AbortSignal.abort() });
    expect(before.error).toMatchObject({ code: 'cancelled' });
    expect(before.world.worker('a').asked).toEqual([]);
  });

  it('ends at its deadline', async () => {
    const { error, tookMs } = await ran(items(500), { a: { rate: 0.05 } }, { budgetMs: 1_000 });
    expect(error).toMatchObject({ code: 'deadline_exceeded' });
    expect(tookMs).toBe(1_000);
  });

  it('does not mind who looks on', async () => {
    const world = new ScatterWorld(items(20), { a: { rate: 1 } });
    const onProgress = (): void => {
      throw new Error('It only looks on.');
    };
    await world.clock.until(
      scatter({ clock: world.clock, log: silentLog }, world.batch, { signal: never, onProgress }),
    );
    expect(world.taken.every((times) => times === 1)).toBe(true);
  });
});

const seconds = fc.integer({ min: 0, max: 6_000 });
const behaviour = fc.record(
  {
    rate: fc.double({ min: 0.01, max: 0.3, noNaN: true }),
    linkMs: fc.integer({ min: 0, max: 100 }),
    startsInMs: fc.integer({ min: 0, max: 1_000 }),
    stopsAfterMs: fc.integer({ min: 0, max: 400 }),
    claim: fc.double({ min: 0, max: 1, noNaN: true }),
    dies: fc.record({
      atMs: seconds,
      code: fc.constantFrom('peer_lost', 'runner_lost', 'overloaded', 'stopping', 'frame_invalid', 'cancelled'),
    }),
    hangs: fc.record({ atMs: seconds, deaf: fc.boolean() }),
    slows: fc.record({ atMs: seconds, factor: fc.double({ min: 0.2, max: 50, noNaN: true }) }),
    fails: fc.record({
      chunks: fc.integer({ min: 2, max: 9 }).map((every) => (count: number) => count % every === 0),
      code: fc.constantFrom('overloaded', 'quota_exceeded', 'frame_invalid', 'out_of_memory'),
      retryAfterMs: fc.integer({ min: -5, max: 20_000 }),
    }),
    noise: fc
      .array(fc.double({ min: 0.5, max: 2, noNaN: true }), { minLength: 3, maxLength: 9 })
      .map((factors) => (count: number) => factors[count % factors.length] as number),
  },
  { requiredKeys: ['rate'] },
);
const weights = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 250 });

describe('random batches', () => {
  it('answers each item once while one node is left, whatever becomes of the others', async () => {
    await fc.assert(
      fc.asyncProperty(
        weights,
        fc.array(behaviour, { maxLength: 5 }),
        fc.double({ min: 0.02, max: 0.2, noNaN: true }),
        async (batch, others, rate) => {
          const named = Object.fromEntries(others.map((one, index) => [`n${index}`, one as Behaviour]));
          const { result, tookMs, world } = await ran(batch, { ...named, good: { rate } });
          expect(result).toBeDefined();
          // The good one alone, and what it may wait for a claim that is far too good, at most.
          const weight = batch.reduce((sum, one) => sum + one, 0);
          expect(tookMs).toBeLessThan(1.5 * (weight / rate) + 30_000);
          await world.clock.run(world.clock.now() + 60_000);
          expect(world.clock.pending).toBe(0);
        },
      ),
      runs(150),
    );
  });

  it('ends within a tenth of the ideal where nodes are as fast as they seem', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.double({ min: 0.02, max: 0.2, noNaN: true }), { minLength: 1, maxLength: 6 }),
        fc.double({ min: 0.5, max: 2, noNaN: true }),
        async (rates, error) => {
          const batch = items(1_000);
          const behaviours = rates.map(
            (rate, index): Behaviour => ({ rate, claim: index % 2 === 0 ? rate * error : rate / error, linkMs: 5 }),
          );
          const { tookMs } = await ran(batch, Object.fromEntries(behaviours.map((one, index) => [`n${index}`, one])));
          const ideal = levelOf(
            1_000,
            rates.map((ratePerMs) => ({ ratePerMs, freeAtMs: 0 })),
          );
          // One item of the slowest takes 50 ms; ways and looks another 50.
          expect(tookMs).toBeLessThan(ideal * 1.05 + 100);
        },
      ),
      runs(100),
    );
  });

  it('never fails in another way than it may, however many fail', async () => {
    await fc.assert(
      fc.asyncProperty(weights, fc.array(behaviour, { minLength: 1, maxLength: 5 }), async (batch, all) => {
        const named = Object.fromEntries(all.map((one, index) => [`n${index}`, one as Behaviour]));
        const { result, error, world } = await ran(batch, named, { budgetMs: 60_000 });
        if (result === undefined) {
          const codes = [
            'no_capable_node',
            'overloaded',
            'quota_exceeded',
            'out_of_memory',
            'runner_lost',
            'deadline_exceeded',
          ];
          expect(codes).toContain(error?.code);
        }
        expect(world.taken.every((times) => times <= 1)).toBe(true);
        await world.clock.run(world.clock.now() + 120_000);
        expect(world.clock.pending).toBe(0);
      }),
      runs(150),
    );
  });
});
