import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { likenAlike } from '../../../node/scheduler/alike.ts';
import { runs } from '../../support/property.ts';

function likened(times: readonly number[], noise: number): number[] {
  const changed = Float64Array.from(times);
  likenAlike(changed, noise);
  return [...changed];
}

describe('nodes that are alike', () => {
  it('get the same time, and those that stand apart keep theirs', () => {
    const times = likened([11, 12, 13, 48, 1.5], 0.1);
    expect(times.slice(0, 3)).toEqual([12, 12, 12]);
    expect(times.slice(3)).toEqual([48, 1.5]);
  });

  it('are none without noise, and none alone', () => {
    expect(likened([11, 12, 13], 0)).toEqual([11, 12, 13]);
    expect(likened([11], 1)).toEqual([11]);
  });

  it('keep their order and stay within the reach of the noise, whatever the times are', () => {
    const time = fc.double({ min: 0.01, max: 1e9, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(time, { minLength: 1, maxLength: 60 }),
        fc.double({ min: 0, max: 0.5, noNaN: true }),
        (times, noise) => {
          const changed = likened(times, noise);
          // Twice the noise, and the width of a bin on each side.
          const reach = Math.exp(2 * noise) * 1.125 ** 2;
          for (const [at, before] of times.entries()) {
            const after = changed[at] as number;
            expect(after).toBeGreaterThanOrEqual(before / reach);
            expect(after).toBeLessThanOrEqual(before * reach);
          }
          const order = times.map((_, at) => at).toSorted((a, b) => (times[a] as number) - (times[b] as number));
          for (let at = 1; at < order.length; at++) {
            expect(changed[order[at] as number]).toBeGreaterThanOrEqual(
              (changed[order[at - 1] as number] as number) * (1 - 1e-9),
            );
          }
        },
      ),
      runs(300),
    );
  });
});
