// Which texts share a batch, and in which order.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lengthClass, type Row, RowQueue } from '../../../node/engine/batching.ts';
import { runs } from '../../support/property.ts';

interface Job {
  readonly name: string;
  wanted: boolean;
}
const isWanted = (job: Job): boolean => job.wanted;
const rows = (job: Job, lengths: readonly number[]): Row<Job>[] =>
  lengths.map((length, index) => ({ job, index, length }));

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
  it('puts texts of similar length together, whoever sent them, oldest first', () => {
    const queue = new RowQueue<Job>({ rowsMax: 4, tokensMax: 1_000 });
    const [a, b] = [
      { name: 'a', wanted: true },
      { name: 'b', wanted: true },
    ];
    queue.add(rows(a, [5, 100, 7]), 0, 'mean');
    queue.add(rows(b, [6, 99, 8, 3]), 1, 'mean');
    const batches = [queue.take(isWanted), queue.take(isWanted), queue.take(isWanted), queue.take(isWanted)];
    expect(batches.map((batch) => batch.map(({ job, length }) => `${job.name}${length}`))).toEqual([
      ['a5', 'a7', 'b6', 'b8'],
      ['a100', 'b99'],
      ['b3'],
      [],
    ]);
  });

  it('keeps the tokens of a batch under the limit, and sends a longer text alone', () => {
    const queue = new RowQueue<Job>({ rowsMax: 16, tokensMax: 64 });
    const job = { name: 'a', wanted: true };
    queue.add(rows(job, [16, 16, 16, 16, 16, 300, 290]), 0, 'mean');
    const sizes = [1, 2, 3, 4].map(() => queue.take(isWanted).map(({ length }) => length));
    expect(sizes).toEqual([[16, 16, 16, 16], [16], [300], [290]]);
  });

  it('never mixes kinds', () => {
    const queue = new RowQueue<Job>();
    const job = { name: 'a', wanted: true };
    queue.add(rows(job, [5]), 0, 'mean');
    queue.add(rows(job, [5]), 1, 'cls');
    expect(queue.take(isWanted)).toHaveLength(1);
    expect(queue.take(isWanted)).toHaveLength(1);
  });

  it('drops what nobody waits for any more', () => {
    const queue = new RowQueue<Job>();
    const [gone, kept] = [
      { name: 'gone', wanted: true },
      { name: 'kept', wanted: true },
    ];
    queue.add(rows(gone, [5, 80]), 0, 'mean');
    queue.add(rows(kept, [5]), 1, 'mean');
    expect(queue.oldest(isWanted)).toBe(0);
    gone.wanted = false;
    expect(queue.oldest(isWanted)).toBe(1);
    expect(queue.take(isWanted).map(({ job }) => job.name)).toEqual(['kept']);
    expect(queue.oldest(isWanted)).toBeUndefined();
  });

  it('gives every text exactly once, in batches within the limits', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 600 }), { maxLength: 900 }), (lengths) => {
        const queue = new RowQueue<Job>({ rowsMax: 16, tokensMax: 512 });
        const job = { name: 'a', wanted: true };
        queue.add(rows(job, lengths), 0, 'mean');
        const seen: number[] = [];
        for (let batch = queue.take(isWanted); batch.length > 0; batch = queue.take(isWanted)) {
          const longest = Math.max(...batch.map(({ length }) => length));
          expect(batch.length).toBeLessThanOrEqual(16);
          if (batch.length > 1) expect(batch.length * longest).toBeLessThanOrEqual(512);
          seen.push(...batch.map(({ index }) => index));
        }
        expect(seen.sort((a, b) => a - b)).toEqual(lengths.map((_, index) => index));
      }),
      runs(200),
    );
  });
});
