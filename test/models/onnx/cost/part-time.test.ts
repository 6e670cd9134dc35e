// What parts cost beside their share: found again from what parts with such costs would take.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type CutSample,
  calibrate,
  fitCosts,
  type PartCosts,
  partLoad,
  predictPartMs,
  refresh,
} from '../../../../models/onnx/cost/part-time.ts';
import type { CutTable } from '../../../../protocol/cut-table.ts';
import { runs } from '../../../support/property.ts';

const positive = (max: number) => fc.double({ min: max / 1000, max, noNaN: true });
const Costs = fc.record<PartCosts>({ wholeMs: fc.constant(100), partFixedMs: positive(5), partMsPerMb: positive(3) });

/** Both parts of cuts, at these shares and megabytes that cross. */
function cutsOf(costs: PartCosts, shares: readonly number[], crossing: readonly number[]): CutSample[] {
  let before = 0;
  return shares.slice(0, -1).map((share, index) => {
    before += share;
    const mb = crossing[index] ?? 0;
    const of = (part: number) => ({ mb: mb + 0.5, ms: predictPartMs(costs, { share: part, mb: mb + 0.5 }) });
    return { at: index + 1, before: of(before), after: of(1 - before) };
  });
}

const table: CutTable = {
  model: { id: 'test/table', digest: 'sha256:00' },
  shapes: 'x:float32[1]',
  segments: [0.25, 0.25, 0.5].map((share) => ({ share, weightBytes: 10, nodes: 2 })),
  shared: [],
  tensors: [
    { name: 'x', type: 'float32', bytes: 1e6, from: -1, to: [0, 2] },
    { name: 'a', type: 'float32', bytes: 2e6, from: 0, to: [1, 2] },
    { name: 'b', type: 'float32', bytes: 4e6, from: 1, to: [2] },
    { name: 'y', type: 'float32', bytes: 8e6, from: 2, to: [], output: true },
  ],
  wholeMs: 100,
  partFixedMs: 1,
  partMsPerMb: 0.5,
  device: 'cpu',
  version: '1',
  measuredAtMs: 0,
};

describe('partLoad', () => {
  it('counts each tensor that a part takes or gives once', () => {
    expect(partLoad(table, 0, 1)).toEqual({ share: 0.25, mb: 3 });
    expect(partLoad(table, 1, 2)).toEqual({ share: 0.25, mb: 6 });
    expect(partLoad(table, 1, 3)).toEqual({ share: 0.75, mb: 11 });
    expect(partLoad(table, 0, 3)).toEqual({ share: 1, mb: 9 });
  });

  it.each([
    [0, 0],
    [2, 1],
    [-1, 2],
    [0, 4],
    [Number.NaN, 1],
  ])('refuses %s to %s', (from, to) => {
    expect(() => partLoad(table, from, to)).toThrow(RangeError);
  });
});

describe('fitCosts', () => {
  const trust = { wholeMs: 1e6, partFixedMs: 1e-6, partMsPerMb: 1e-6 };

  it('finds the costs that the samples were made with', () => {
    fc.assert(
      fc.property(
        Costs,
        fc.array(fc.tuple(positive(1), positive(20)), { minLength: 8, maxLength: 20 }),
        (costs, points) => {
          fc.pre(new Set(points.map(([, mb]) => mb.toFixed(1))).size > 4);
          const samples = points.map(([share, mb]) => ({ share, mb, ms: predictPartMs(costs, { share, mb }) }));
          const found = fitCosts(samples, { wholeMs: 100, partFixedMs: 0, partMsPerMb: 0 }, trust);
          for (const sample of samples) expect(predictPartMs(found, sample) / sample.ms).toBeCloseTo(1, 1);
        },
      ),
      runs(200),
    );
  });

  it('never gives less than nothing, whatever it is told', () => {
    const sample = fc.record({ share: positive(1), mb: positive(50), ms: positive(1000) });
    fc.assert(
      fc.property(fc.array(sample, { maxLength: 12 }), Costs, (samples, before) => {
        for (const value of Object.values(fitCosts(samples, before, trust))) {
          expect(value).toBeGreaterThanOrEqual(0);
          expect(Number.isFinite(value)).toBe(true);
        }
      }),
      runs(300),
    );
  });

  it('keeps what was known where there are no samples', () => {
    const before = { wholeMs: 7, partFixedMs: 0.3, partMsPerMb: 0.2 };
    const found = fitCosts([], before, trust);
    for (const key of ['wholeMs', 'partFixedMs', 'partMsPerMb'] as const)
      expect(found[key]).toBeCloseTo(before[key], 9);
  });
});

describe('calibrate', () => {
  it('finds the shares that the parts were made with, whatever the profile says of them', () => {
    const shares = fc.array(positive(1), { minLength: 3, maxLength: 8 });
    fc.assert(
      fc.property(Costs, shares, fc.array(positive(1), { minLength: 8, maxLength: 8 }), (costs, drawn, wrong) => {
        const sum = drawn.reduce((total, share) => total + share, 0);
        const truth = drawn.map((share) => share / sum);
        fc.pre(truth.every((share) => share > 0.02));
        const cuts = cutsOf(costs, truth, [0.1, 3, 1, 6, 0.5, 2, 4]);
        const found = calibrate(wrong.slice(0, truth.length), 100, cuts);
        for (const [index, share] of found.shares.entries()) {
          expect(Math.abs(share - (truth[index] as number))).toBeLessThan(0.005);
        }
        for (const { before, at } of cuts) {
          const share = found.shares.slice(0, at).reduce((total, each) => total + each, 0);
          expect(Math.abs(predictPartMs(found.costs, { share, mb: before.mb }) - before.ms)).toBeLessThan(1);
        }
      }),
      runs(200),
    );
  });

  it('stretches the profile between the cuts that were run', () => {
    const costs = { wholeMs: 100, partFixedMs: 0, partMsPerMb: 0 };
    const part = (share: number) => ({ mb: 1, ms: predictPartMs(costs, { share, mb: 1 }) });
    const found = calibrate([0.3, 0.1, 0.2, 0.4], 100, [{ at: 2, before: part(0.8), after: part(0.2) }]);
    for (const [index, share] of [0.6, 0.2, 0.2 / 3, 0.4 / 3].entries())
      expect(found.shares[index]).toBeCloseTo(share, 3);
  });

  it('keeps the profile where nothing was run, and where all of it is nothing', () => {
    expect(calibrate([0.5, 0.5], 10, []).shares).toEqual([0.5, 0.5]);
    expect(calibrate([1], 10, []).shares).toEqual([1]);
    expect(calibrate([0, 0], 10, []).shares).toEqual([0.5, 0.5]);
  });

  it('leaves out a cut that contradicts an earlier one', () => {
    const part = (ms: number) => ({ mb: 0, ms });
    const cuts = [
      { at: 1, before: part(80), after: part(20) },
      { at: 2, before: part(30), after: part(70) },
    ];
    const { shares } = calibrate([0.4, 0.3, 0.3], 100, cuts);
    expect(shares[0]).toBeCloseTo(0.8, 3);
    expect(shares.every((share) => share >= 0)).toBe(true);
    expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 9);
  });
});

describe('refresh', () => {
  const off = (found: CutTable, truth: PartCosts, from: number, to: number): number => {
    const load = partLoad(table, from, to);
    return Math.abs(predictPartMs(found, load) / predictPartMs(truth, load) - 1);
  };

  it('comes closer to what real runs show', () => {
    const truth = { wholeMs: 130, partFixedMs: 4, partMsPerMb: 2 };
    const observed = Array.from({ length: 20 }, () => [
      { from: 0, to: 1, ms: predictPartMs(truth, partLoad(table, 0, 1)) },
      { from: 1, to: 3, ms: predictPartMs(truth, partLoad(table, 1, 3)) },
      { from: 0, to: 3, ms: truth.wholeMs },
    ]).flat();
    let found = table;
    for (let time = 0; time < 5; time++) found = refresh(found, observed);
    for (const [from, to] of [
      [0, 1],
      [1, 3],
      [1, 2],
    ] as const) {
      expect(off(found, truth, from, to)).toBeLessThan(0.5 * off(table, truth, from, to));
    }
    expect(found.wholeMs).toBeGreaterThan(120);
  });

  it('changes little by one run, and nothing by none', () => {
    const found = refresh(table, [{ from: 0, to: 1, ms: 300 }]);
    expect(found.wholeMs).toBeLessThan(115);
    const same = refresh(table, []);
    expect(same.wholeMs).toBeCloseTo(table.wholeMs, 6);
    expect(same.segments).toEqual(table.segments);
  });
});
