// What batches take, learned from those that were run.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BatchCurve, batchMs, fitCost, UNMEASURED_COST } from '../../../node/engine/batch-curve.ts';
import { CURVE_CELLS_MAX } from '../../../node/engine/limits.ts';
import { runs } from '../../support/property.ts';

const SHAPES = [1, 2, 4, 8, 16].flatMap((rows) => [8, 16, 32, 64, 128, 256].map((width) => ({ rows, width })));
const cost = fc.record({
  fixed: fc.double({ min: 0.1, max: 20, noNaN: true }),
  perToken: fc.double({ min: 0.01, max: 1, noNaN: true }),
  perPair: fc.double({ min: 0, max: 0.002, noNaN: true }),
});

describe('BatchCurve', () => {
  it('predicts what it has seen, within a few percent, whatever the machine', () => {
    fc.assert(
      fc.property(cost, (real) => {
        const curve = new BatchCurve();
        for (let round = 0; round < 3; round++) {
          for (const { rows, width } of SHAPES) curve.worked(rows, width, batchMs(real, rows, width));
        }
        for (const { rows, width } of SHAPES) {
          const off = (curve.predictMs(rows, width) ?? 0) / batchMs(real, rows, width);
          expect(Math.abs(off - 1)).toBeLessThan(0.05);
        }
      }),
      runs(100),
    );
  });

  it('is not moved by a run in ten that was disturbed', () => {
    const real = { fixed: 1.5, perToken: 0.17, perPair: 0.0008 };
    const curve = new BatchCurve();
    let count = 0;
    for (let round = 0; round < 8; round++) {
      for (const { rows, width } of SHAPES) {
        curve.worked(rows, width, batchMs(real, rows, width) * (count++ % 10 === 9 ? 20 : 1));
      }
    }
    for (const { rows, width } of SHAPES) {
      expect((curve.predictMs(rows, width) ?? 0) / batchMs(real, rows, width)).toBeCloseTo(1, 1);
    }
  });

  it('follows a machine that has become slower', () => {
    const curve = new BatchCurve();
    for (let round = 0; round < 40; round++) {
      for (const { rows, width } of SHAPES) curve.worked(rows, width, (round < 20 ? 1 : 3) * rows * width * 0.1);
    }
    expect((curve.predictMs(8, 64) ?? 0) / (8 * 64 * 0.3)).toBeCloseTo(1, 1);
  });

  it('says nothing before the first batch, and after it has proportions for shapes that it never saw', () => {
    const curve = new BatchCurve();
    expect(curve.predictMs(1, 16)).toBeUndefined();
    expect(curve.cost).toEqual(UNMEASURED_COST);
    expect(curve.points(16, 32)).toEqual([]);
    curve.worked(4, 32, 25);
    expect((curve.predictMs(4, 32) ?? 0) / 25).toBeCloseTo(1, 1);
    const more = curve.predictMs(16, 32) ?? 0;
    expect(more).toBeGreaterThan(2 * 25);
    expect(more).toBeLessThan(4.5 * 25);
    expect(curve.points(32, 4).map(({ size }) => size)).toEqual([1, 2, 4]);
    expect(curve.points(32, 4).at(-1)?.ms).toBeCloseTo(curve.predictMs(4, 32) ?? 0);
  });

  it('holds no more shapes than it may, and forgets those that come no more', () => {
    const curve = new BatchCurve();
    for (let width = 1; width <= 8 * CURVE_CELLS_MAX; width += 8) curve.worked(3, width, 10_000);
    for (let round = 0; round < 8; round++) {
      for (let width = 1; width <= 8 * CURVE_CELLS_MAX; width += 8) curve.worked(1, width, 0.5 * width);
    }
    expect((curve.predictMs(1, 512) ?? 0) / 256).toBeCloseTo(1, 0);
  });
});

describe('fitCost', () => {
  it('never has a negative part', () => {
    const sample = fc.record({
      rows: fc.integer({ min: 1, max: 32 }),
      width: fc.integer({ min: 1, max: 600 }),
      ms: fc.double({ min: 0.001, max: 10_000, noNaN: true }),
      weight: fc.double({ min: 0.01, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(sample, { minLength: 1, maxLength: 40 }), (samples) => {
        const { fixed, perToken, perPair } = fitCost(samples);
        for (const part of [fixed, perToken, perPair]) {
          expect(part).toBeGreaterThanOrEqual(0);
          expect(Number.isFinite(part)).toBe(true);
        }
        expect(fixed + perToken + perPair).toBeGreaterThan(0);
      }),
      runs(200),
    );
  });
});
