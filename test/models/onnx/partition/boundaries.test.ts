import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Boundary, undominated } from '../../../../models/onnx/partition/boundaries.ts';
import { CUT_SEGMENTS_MAX } from '../../../../protocol/cut-table.ts';
import { runs } from '../../../support/property.ts';

/** Places at even distances. */
const evenly = (...bytes: number[]): Boundary[] =>
  bytes.map((each, index) => ({
    after: index + 1,
    time: (index + 1) / (bytes.length + 1),
    weights: (index + 1) / (bytes.length + 1),
    bytes: each,
  }));

const places = (boundaries: readonly Boundary[]) => boundaries.map(({ after }) => after);

describe('places worth a cut', () => {
  it('are the narrow ones, and all of a plateau that are apart', () => {
    expect(places(undominated(evenly(5, 5, 5, 5)))).toEqual([1, 2, 3, 4]);
    // A block whose inside is wide.
    expect(places(undominated(evenly(...Array.from({ length: 41 }, (_, index) => (index % 4 === 0 ? 1 : 6)))))).toEqual(
      Array.from({ length: 11 }, (_, index) => 4 * index + 1),
    );
  });

  it('leave out what has as much work before it as its neighbour, and more bytes', () => {
    const hill = evenly(4, 3, 3, 2, 4).map((boundary) => ({ ...boundary, time: 0.5, weights: 0.5 }));
    expect(places(undominated(hill))).toEqual([4]);
    // The weights of a table that takes no time to look into count as well.
    const heavy = hill.map((boundary, index) => ({ ...boundary, weights: index / 5 }));
    expect(places(undominated(heavy))).toEqual([1, 2, 3, 4, 5]);
  });

  it('are few, in order, and hold the narrowest', () => {
    const boundaries = fc
      .array(fc.record({ time: fc.nat(9), weights: fc.nat(9), bytes: fc.nat(20) }), { maxLength: 400 })
      .map((steps): Boundary[] => {
        const total = (of: 'time' | 'weights') => steps.reduce((sum, step) => sum + step[of], 1);
        let [time, weights] = [0, 0];
        return steps.map((step, index) => {
          time += step.time / total('time');
          weights += step.weights / total('weights');
          return { after: index + 1, time, weights, bytes: step.bytes };
        });
      });
    fc.assert(
      fc.property(boundaries, (all) => {
        const kept = undominated(all);
        expect(kept.length).toBeLessThan(CUT_SEGMENTS_MAX);
        expect(places(kept)).toEqual(places(kept).toSorted((a, b) => a - b));
        expect(new Set(kept).size).toBe(kept.length);
        for (const boundary of kept) expect(all).toContain(boundary);
        if (all.length > 0 && all.length < CUT_SEGMENTS_MAX) {
          const least = Math.min(...all.map(({ bytes }) => bytes));
          expect(Math.min(...kept.map(({ bytes }) => bytes))).toBe(least);
        }
      }),
      runs(300),
    );
  });
});
