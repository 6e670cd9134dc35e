// Which texts share a batch, and in which order.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BatchCost } from '../../../node/engine/batch-curve.ts';
import { type Row, RowQueue } from '../../../node/engine/batching.ts';
import { lengthClass } from '../../../node/engine/length-class.ts';
import { runs } from '../../support/property.ts';

interface Job {
  readonly name: string;
  wanted: boolean;
}
const isWanted = (job: Job): boolean => job.wanted;
const rows = (job: Job, lengths: readonly number[]): Row<Job>[] =>
  lengths.map((length, index) => ({ job, index, length }));

/** A run costs nothing by itself: nobody is padded. */
const FREE_RUNS: BatchCost = { fixed: 0.5, perToken: 1, perPair: 0 };
/** A run costs as much as 50 tokens. */
const DEAR_RUNS: BatchCost = { fixed: 50, perToken: 1, perPair: 0 };

describe('lengthClass', () => {
  it('bounds padding to 7 tokens for short texts and an eighth for long ones', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), (length) => {
        const longest = lengthClass(length);
        expect(longest).toBeGreaterThanOrEqual(length);
        expect(longest - length).toBeLessThan(Math.max(8, length / 8));
        expect(lengthClass(longest)).toBe(longest);
      }),
      runs(200),
    );
  });
});

describe('RowQueue', () => {
  it('puts texts of similar length together, whoever sent them, around the oldest', () => {
    const queue = new RowQueue<Job>({ rowsMax: 4, tokensMax: 1_000 });
    const [a, b] = [
      { name: 'a', wanted: true },
      { name: 'b', wanted: true },
    ];
    queue.add(rows(a, [5, 100, 7]), 0, 'mean');
    queue.add(rows(b, [6, 99, 8, 3]), 1, 'mean');
    const batches = [0, 1, 2, 3].map(() => queue.take());
    expect(batches.map((batch) => batch.map(({ job, length }) => `${job.name}${length}`).sort())).toEqual([
      ['a5', 'a7', 'b6', 'b8'],
      ['a100', 'b99'],
      ['b3'],
      [],
    ]);
  });

  it('pads a text where that costs less than a run of its own, and only there', () => {
    for (const [cost, expected] of [
      [FREE_RUNS, [[20], [40]]],
      [DEAR_RUNS, [[20, 40]]],
    ] as const) {
      const queue = new RowQueue<Job>();
      queue.add(rows({ name: 'a', wanted: true }, [20, 40]), 0, 'mean');
      const batches = [queue.take({ cost }), queue.take({ cost })].filter((batch) => batch.length > 0);
      expect(batches.map((batch) => batch.map(({ length }) => length))).toEqual(expected);
    }
  });

  it('begins with whoever is asked for, whatever is older', () => {
    const queue = new RowQueue<Job>();
    const [old, urgent] = [
      { name: 'old', wanted: true },
      { name: 'urgent', wanted: true },
    ];
    queue.add(rows(old, [200]), 0, 'mean');
    queue.add(rows(urgent, [8, 200]), 1, 'mean');
    expect(queue.take({ cost: FREE_RUNS, seed: urgent }).map(({ job }) => job.name)).toEqual(['urgent']);
    expect(queue.take({ cost: FREE_RUNS }).map(({ job }) => job.name)).toEqual(['old', 'urgent']);
  });

  it('takes nothing until it is told to', () => {
    const queue = new RowQueue<Job>();
    const job = { name: 'a', wanted: true };
    queue.add(rows(job, [5, 6]), 0, 'mean');
    const formed = queue.form();
    expect(formed).toMatchObject({ width: 6, full: false });
    expect(queue.form()?.rows).toEqual(formed?.rows);
    queue.remove(formed?.rows ?? []);
    expect(queue.form()).toBeUndefined();
    expect(queue.jobs(isWanted)).toEqual([]);
  });

  it('calls a batch full only when it has neither room nor padding', () => {
    const full = (lengths: readonly number[]): boolean | undefined => {
      const queue = new RowQueue<Job>({ rowsMax: 4, tokensMax: 400 });
      queue.add(rows({ name: 'a', wanted: true }, lengths), 0, 'mean');
      return queue.form({ cost: DEAR_RUNS })?.full;
    };
    expect(full([9, 9, 9])).toBe(false);
    expect(full([9, 9, 9, 9])).toBe(true);
    expect(full([2, 2, 9, 9])).toBe(false);
    expect(full([200, 200])).toBe(true);
  });

  it('keeps the tokens of a batch under the limit, and sends a longer text alone', () => {
    const queue = new RowQueue<Job>({ rowsMax: 16, tokensMax: 64 });
    const job = { name: 'a', wanted: true };
    queue.add(rows(job, [16, 16, 16, 16, 16, 300, 290]), 0, 'mean');
    const sizes = [1, 2, 3, 4].map(() => queue.take().map(({ length }) => length));
    expect(sizes).toEqual([[16, 16, 16, 16], [16], [300], [290]]);
  });

  it('never mixes kinds', () => {
    const queue = new RowQueue<Job>();
    const job = { name: 'a', wanted: true };
    queue.add(rows(job, [5]), 0, 'mean');
    queue.add(rows(job, [5]), 1, 'cls');
    expect(queue.take()).toHaveLength(1);
    expect(queue.take()).toHaveLength(1);
  });

  it('drops what nobody waits for any more, in every class and kind', () => {
    const queue = new RowQueue<Job>();
    const [gone, kept] = [
      { name: 'gone', wanted: true },
      { name: 'kept', wanted: true },
    ];
    queue.add(rows(gone, [5, 80]), 0, 'mean');
    queue.add(rows(gone, [5]), 0, 'cls');
    queue.add(rows(kept, [5]), 1, 'mean');
    expect(queue.jobs(isWanted)).toEqual([gone, kept]);
    gone.wanted = false;
    expect(queue.jobs(isWanted)).toEqual([kept]);
    expect(queue.take().map(({ job }) => job.name)).toEqual(['kept']);
    expect(queue.take()).toEqual([]);
  });

  it('holds no job whose texts were taken', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const queue = new RowQueue<object>();
    const taken = ((): WeakRef<object> => {
      const job = { embeddings: new Float32Array(1024) };
      queue.add([{ job, index: 0, length: 5 }], 0, 'mean');
      queue.take();
      return new WeakRef(job);
    })();
    // A reference is held until the end of the turn in which it was made.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    expect(taken.deref()).toBeUndefined();
  });

  it('gives every text exactly once, in batches within the limits, the oldest in each', () => {
    const requests = fc.array(
      fc.record({
        lengths: fc.array(fc.integer({ min: 1, max: 600 }), { minLength: 1, maxLength: 40 }),
        wanted: fc.boolean(),
        cls: fc.boolean(),
      }),
      { maxLength: 40 },
    );
    const cost = fc.record({
      fixed: fc.double({ min: 0, max: 100, noNaN: true }),
      perToken: fc.double({ min: 0, max: 2, noNaN: true }),
      perPair: fc.double({ min: 0, max: 0.1, noNaN: true }),
    });
    fc.assert(
      fc.property(requests, cost, (all, measured) => {
        const queue = new RowQueue<Job>({ rowsMax: 16, tokensMax: 512 });
        const jobs = all.map(({ wanted }, index) => ({ name: `${index}`, wanted }));
        const waiting = new Set<string>();
        for (const [index, { lengths, cls }] of all.entries()) {
          const job = jobs[index] as Job;
          queue.add(rows(job, lengths), index, cls ? 'cls' : 'mean');
          if (job.wanted) for (const text of lengths.keys()) waiting.add(`${index}/${text}`);
        }
        queue.jobs(isWanted);
        for (let batch = queue.take({ cost: measured }); batch.length > 0; batch = queue.take({ cost: measured })) {
          const longest = Math.max(...batch.map(({ length }) => length));
          expect(batch.length).toBeLessThanOrEqual(16);
          if (batch.length > 1) expect(batch.length * longest).toBeLessThanOrEqual(512);
          expect(new Set(batch.map(({ job }) => all[Number(job.name)]?.cls)).size).toBe(1);
          const oldest = Math.min(...[...waiting].map((key) => Number(key.split('/')[0])));
          expect(batch.some(({ job }) => Number(job.name) === oldest)).toBe(true);
          for (const { job, index } of batch) expect(waiting.delete(`${job.name}/${index}`)).toBe(true);
        }
        expect(waiting.size).toBe(0);
        expect(queue.jobs(isWanted)).toEqual([]);
      }),
      runs(100),
    );
  });
});
