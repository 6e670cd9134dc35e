// The cheapest way to run all that waits, against every way there is.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BatchCost, batchMs } from '../../../node/engine/batch-curve.ts';
import { type BatchLimits, cheapestBatch, type Range } from '../../../node/engine/forming.ts';
import { runs } from '../../support/property.ts';

const limits: BatchLimits = { rowsMax: 3, tokensMax: 100 };
const cost = fc.record({
  fixed: fc.double({ min: 0.01, max: 100, noNaN: true }),
  perToken: fc.double({ min: 0.01, max: 2, noNaN: true }),
  perPair: fc.double({ min: 0, max: 0.1, noNaN: true }),
});
const lengthsOf = (maxLength: number) =>
  fc
    .array(fc.integer({ min: 1, max: 120 }), { minLength: 1, maxLength })
    .map((lengths) => lengths.sort((a, b) => a - b));

const msOf = (lengths: readonly number[], measured: BatchCost, { from, to }: Range): number =>
  batchMs(measured, to - from, lengths[to - 1] as number);

/** The split that is made when each batch is formed around the first row that is left, of those that are left. */
function split(lengths: readonly number[], measured: BatchCost): Range[] {
  const ranges: Range[] = [];
  for (let from = 0; from < lengths.length; from = ranges.at(-1)?.to ?? lengths.length) {
    const next = cheapestBatch(lengths.slice(from), 0, measured, limits);
    ranges.push({ from: from + next.from, to: from + next.to });
  }
  return ranges;
}

/** Least time over all ways to put rows into groups, neighbours or not. */
function leastMs(lengths: readonly number[], measured: BatchCost): number {
  const [first, ...rest] = lengths;
  if (first === undefined) return 0;
  let least = Number.POSITIVE_INFINITY;
  for (let mask = 0; mask < 2 ** rest.length; mask++) {
    const group = [first, ...rest.filter((_, index) => mask & (1 << index))];
    const width = Math.max(...group);
    if (group.length > limits.rowsMax || (group.length > 1 && group.length * width > limits.tokensMax)) continue;
    const others = rest.filter((_, index) => !(mask & (1 << index)));
    least = Math.min(least, batchMs(measured, group.length, width) + leastMs(others, measured));
  }
  return least;
}

describe('cheapestBatch', () => {
  it('splits into batches that take as little time as any grouping could', () => {
    fc.assert(
      fc.property(lengthsOf(7), cost, (lengths, measured) => {
        const ranges = split(lengths, measured);
        expect(ranges.map(({ from }) => from)).toEqual([0, ...ranges.slice(0, -1).map(({ to }) => to)]);
        const ms = ranges.reduce((sum, range) => sum + msOf(lengths, measured, range), 0);
        expect(ms).toBeLessThanOrEqual(leastMs(lengths, measured) * (1 + 1e-6));
      }),
      runs(60),
    );
  });

  it('has the row that it was asked for, within the limits', () => {
    fc.assert(
      fc.property(lengthsOf(60), cost, fc.nat(), (lengths, measured, pick) => {
        const seed = pick % lengths.length;
        const { from, to } = cheapestBatch(lengths, seed, measured, limits);
        expect(from).toBeLessThanOrEqual(seed);
        expect(to).toBeGreaterThan(seed);
        expect(to - from).toBeLessThanOrEqual(limits.rowsMax);
        if (to - from > 1) expect((to - from) * (lengths[to - 1] as number)).toBeLessThanOrEqual(limits.tokensMax);
      }),
      runs(200),
    );
  });

  it('merges neighbours when the padding costs less than a run of their own', () => {
    const at = (fixed: number) => cheapestBatch([10, 14], 0, { fixed, perToken: 1, perPair: 0 }, limits);
    expect(at(5)).toEqual({ from: 0, to: 2 });
    expect(at(3)).toEqual({ from: 0, to: 1 });
    // A call costs something too, whatever the runtime says.
    expect(cheapestBatch([10, 14], 0, { fixed: 3, perToken: 1, perPair: 0 }, limits, 2)).toEqual({ from: 0, to: 2 });
  });
});
