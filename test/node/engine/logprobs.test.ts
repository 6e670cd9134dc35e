// Log probabilities: against the plain formula, and in an order that does not depend on chance.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tokenLogprob } from '../../../node/engine/logprobs.ts';
import { runs } from '../../support/property.ts';

/** Probabilities 1/8, 1/2, 1/16, 1/4, 1/16. */
const LOGITS = Float32Array.from([1 / 8, 1 / 2, 1 / 16, 1 / 4, 1 / 16], (share) => Math.log(share) + 7);

describe('tokenLogprob', () => {
  it('is the natural logarithm of the softmax, best first, of equal ones the first token', () => {
    const { logprob, top } = tokenLogprob(LOGITS, 0, 4);
    expect(logprob).toBeCloseTo(Math.log(1 / 8), 5);
    expect(top.map(({ id }) => id)).toEqual([1, 3, 0, 2]);
    for (const [at, share] of [1 / 2, 1 / 4, 1 / 8, 1 / 16].entries()) {
      expect(top[at]?.logprob).toBeCloseTo(Math.log(share), 5);
    }
    expect(tokenLogprob(new Float32Array(6), 2, 3).top.map(({ id }) => id)).toEqual([0, 1, 2]);
  });

  it('gives no alternatives where none are asked for, and all where there are not as many', () => {
    expect(tokenLogprob(LOGITS, 1, 0).top).toEqual([]);
    expect(tokenLogprob(LOGITS, 1, 20).top).toHaveLength(5);
  });

  it('stays finite, and never above 0, whatever the logits', () => {
    const none = Number.NEGATIVE_INFINITY;
    expect(tokenLogprob(Float32Array.of(none, 3e38, none), 0, 3)).toEqual({
      logprob: -9999,
      top: [
        { id: 1, logprob: 0 },
        { id: 0, logprob: -9999 },
        { id: 2, logprob: -9999 },
      ],
    });
  });

  it('agrees with a plain sort of any logits', () => {
    const logits = fc.array(fc.oneof(fc.float({ min: -40, max: 40, noNaN: true }), fc.constantFrom(-1, 0, 1)), {
      minLength: 1,
      maxLength: 60,
    });
    fc.assert(
      fc.property(logits, fc.nat(), fc.nat(20), (values, at, count) => {
        const id = at % values.length;
        const { logprob, top } = tokenLogprob(Float32Array.from(values), id, count);
        const total = values.reduce((sum, value) => sum + Math.exp(value), 0);
        expect(logprob).toBeCloseTo((values[id] as number) - Math.log(total), 6);
        // A stable sort: equal ones in the order of their ids.
        const ranked = values.map((value, token) => ({ value, token })).sort((a, b) => b.value - a.value);
        expect(top.map((one) => one.id)).toEqual(ranked.slice(0, count).map(({ token }) => token));
        const all = [logprob, ...top.map((one) => one.logprob)];
        expect(all.every((value) => value <= 0 && value >= -9999)).toBe(true);
      }),
      runs(1_000),
    );
  });
});
