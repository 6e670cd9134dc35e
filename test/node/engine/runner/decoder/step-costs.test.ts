// What a run is expected to take: lines between medians of what runs took.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StepCosts } from '../../../../../node/engine/runner/decoder/step-costs.ts';
import { runs } from '../../../../support/property.ts';
import { SeededRandom } from '../../../../support/seeded.ts';

const plain = (rows: number, context: number): number => 8 + 2 * rows + rows * context * 0.004;

/** Measured at all of these, with noise of some hundredths and every tenth run disturbed. */
function measured(rows: readonly number[], contexts: readonly number[], seed = 1): StepCosts {
  const costs = new StepCosts();
  const random = new SeededRandom(seed);
  for (let round = 0; round < 10; round++) {
    for (const row of rows) {
      for (const context of contexts) {
        const disturbed = random.next() < 0.1 ? 5 : 1;
        costs.add(row, context, plain(row, context) * (0.98 + 0.04 * random.next()) * disturbed);
      }
    }
  }
  return costs;
}

describe('StepCosts', () => {
  it('knows nothing before it has measured anything, and nothing of what is no time', () => {
    const costs = new StepCosts();
    costs.add(0, 10, 5);
    costs.add(1, 10, 0);
    costs.add(1, 10, Number.NaN);
    costs.add(1, -1, 5);
    expect(costs.stepMs(1, 100)).toBe(0);
    expect(costs.line()).toBeUndefined();
  });

  it('takes time as proportional where it knows one size', () => {
    const costs = new StepCosts();
    costs.add(4, 100, 20);
    expect([1, 4, 8].map((rows) => costs.stepMs(rows, 100))).toEqual([5, 20, 40]);
    expect(costs.line()).toBeUndefined();
  });

  it('comes close between and beyond what it has seen, a disturbed run in ten or not', () => {
    const costs = measured([1, 2, 4, 8, 32, 128], [40, 100, 500, 1_000]);
    for (const rows of [1, 2, 3, 5, 8, 20, 64, 128, 200]) {
      for (const context of [10, 200, 700, 2_000]) {
        const share = costs.stepMs(rows, context) / plain(rows, context);
        expect(share, `${rows} rows at ${context}`).toBeGreaterThan(0.8);
        expect(share, `${rows} rows at ${context}`).toBeLessThan(1.25);
      }
    }
    const { fixedMs, perRowMs, perCellMs } = costs.line() ?? { fixedMs: 0, perRowMs: 0, perCellMs: 0 };
    expect(fixedMs).toBeCloseTo(8, -0.5);
    expect(perRowMs).toBeCloseTo(2, 0);
    expect(perCellMs).toBeCloseTo(0.004, 2);
  });

  it('draws its line through steps, not through prompts, whose tokens are cheaper', () => {
    const costs = new StepCosts();
    for (const rows of [1, 4]) costs.add(rows, 0, 10 + 3 * rows);
    for (const rows of [64, 96, 128]) costs.add(rows, 0, rows);
    expect(costs.line()).toEqual({ fixedMs: 10, perRowMs: 3, perCellMs: 0 });
  });

  describe('of a model that has another form for many rows', () => {
    /** As SmolLM2 is: few rows on rounded activations, 32 and more in float. */
    const taken = (rows: number): number => (rows < 32 ? 8.5 + 2.6 * rows : 50 + 1.4 * rows);
    const known = (rows: readonly number[], bendRows?: number): StepCosts => {
      const costs = new StepCosts(bendRows);
      for (const row of rows) for (let sample = 0; sample < 4; sample++) costs.add(row, 100, taken(row));
      return costs;
    };

    it('is not led by pieces of prompts to expect too little of few rows, as one form would be', () => {
      for (const rows of [8, 16, 24, 31]) {
        expect(known([1, 4, 128], 32).stepMs(rows, 100) / taken(rows), `${rows} rows`).toBeCloseTo(1, 1);
      }
      expect(known([1, 4, 128]).stepMs(16, 100) / taken(16)).toBeLessThan(0.85);
    });

    it('comes close on either side, and tells runs of 31 and of 32 rows apart', () => {
      const costs = known([1, 4, 16, 31, 32, 64, 128], 32);
      for (const rows of [2, 12, 24, 31, 32, 48, 100, 128]) {
        expect(costs.stepMs(rows, 100) / taken(rows), `${rows} rows`).toBeCloseTo(1, 1);
      }
      expect(costs.line()?.perRowMs).toBeCloseTo(2.6, 1);
    });

    it('draws the line of steps through few rows only', () => {
      expect(known([1, 4, 16, 32], 32).line()?.perRowMs).toBeCloseTo(2.6, 1);
      expect(known([1, 32], 32).line()).toBeUndefined();
    });

    it('expects no less of many rows than of few', () => {
      const costs = new StepCosts(32);
      for (const [rows, ms] of [
        [1, 10],
        [8, 80],
        [40, 90],
        [128, 200],
      ] as const)
        costs.add(rows, 100, ms);
      expect([24, 31, 32, 40].map((rows) => costs.stepMs(rows, 100))).toEqual([expect.any(Number), 90, 90, 90]);
    });
  });

  it('takes from other sizes how times grow with the context, where a size has been seen at one only', () => {
    const costs = measured([1], [100, 1_000]);
    for (let sample = 0; sample < 8; sample++) costs.add(8, 100, plain(8, 100));
    expect(costs.stepMs(8, 1_000) / plain(8, 1_000)).toBeGreaterThan(0.85);
    expect(costs.stepMs(8, 1_000) / plain(8, 1_000)).toBeLessThan(1.15);
  });

  it('follows a machine that has become slower, at the context at which it works', () => {
    const costs = measured([1, 4], [100, 500]);
    for (let sample = 0; sample < 8; sample++) costs.add(1, 520, 3 * plain(1, 520));
    expect(costs.stepMs(1, 530) / (3 * plain(1, 530))).toBeCloseTo(1, 1);
  });

  it('is a positive time that never falls with more rows, whatever was measured', () => {
    const sample = fc.record({
      rows: fc.integer({ min: 1, max: 300 }),
      context: fc.nat(140_000),
      ms: fc.double({ min: 0.01, max: 10_000, noNaN: true }),
    });
    fc.assert(
      fc.property(
        fc.array(sample, { minLength: 1, maxLength: 120, size: 'max' }),
        fc.nat(200_000),
        fc.constantFrom(undefined, 16, 32, 64),
        (samples, context, bendRows) => {
          const costs = new StepCosts(bendRows);
          for (const { rows, context: at, ms } of samples) costs.add(rows, at, ms);
          let before = 0;
          for (let rows = 1; rows <= 400; rows += 7) {
            const ms = costs.stepMs(rows, context);
            expect(Number.isFinite(ms)).toBe(true);
            expect(ms).toBeGreaterThan(0);
            expect(ms).toBeGreaterThanOrEqual(before * (1 - 1e-9));
            before = ms;
          }
          const line = costs.line();
          if (line !== undefined)
            expect(Math.min(line.fixedMs, line.perRowMs, line.perCellMs)).toBeGreaterThanOrEqual(0);
        },
      ),
      runs(200),
    );
  });
});
