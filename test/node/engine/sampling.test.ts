// Drawing tokens: what each setting keeps, that a draw depends on (seed, index) alone, and that bad logits are refused.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sample, uniform } from '../../../node/engine/sampling.ts';
import type { Sampling } from '../../../protocol/infer.ts';
import { runs } from '../../support/property.ts';

const settings = (overrides: Partial<Sampling> = {}): Sampling => ({
  temperature: 1,
  topP: 1,
  topK: 0,
  seed: 1n,
  ...overrides,
});
/** Probabilities 1/2, 1/4, 1/8, 1/16, 1/16, in another order. */
const LOGITS = Float32Array.from([1 / 8, 1 / 2, 1 / 16, 1 / 4, 1 / 16], Math.log);

/** Shares of each token over many positions. */
function shares(logits: Float32Array, sampling: Sampling, draws = 4_000): number[] {
  const counts = new Array<number>(logits.length).fill(0);
  for (let index = 0; index < draws; index++) {
    const token = sample(logits, sampling, index);
    counts[token] = (counts[token] ?? 0) + 1;
  }
  return counts.map((count) => count / draws);
}

describe('uniform', () => {
  it('gives the same number for the same seed and index, and fixed ones for ever', () => {
    // Recorded: a stream that is resumed by another version must repeat itself.
    expect([0, 1, 2].map((index) => uniform(0n, index))).toEqual([
      0.8833108082136426, 0.43152799704850997, 0.026433771592597743,
    ]);
    expect(uniform(2n ** 64n - 1n, 8_191)).toBe(0.4397363521563732);
  });

  it('is uniform over positions and over neighbouring seeds', () => {
    for (const draw of [(n: number) => uniform(7n, n), (n: number) => uniform(BigInt(n), 0)]) {
      const bins = new Array<number>(10).fill(0);
      for (let n = 0; n < 10_000; n++) {
        const bin = Math.floor(draw(n) * 10);
        bins[bin] = (bins[bin] ?? 0) + 1;
      }
      for (const bin of bins) expect(Math.abs(bin - 1_000)).toBeLessThan(150);
    }
  });

  it('does not give one seed the stream of the next one', () => {
    const stream = (seed: bigint): Set<number> => new Set(Array.from({ length: 100 }, (_, n) => uniform(seed, n)));
    expect([...stream(5n)].filter((value) => stream(5n + 0x9e3779b97f4a7c15n).has(value))).toEqual([]);
  });
});

describe('sample', () => {
  it('takes the likeliest token at temperature 0, the first of equals', () => {
    expect(sample(LOGITS, settings({ temperature: 0 }), 0)).toBe(1);
    expect(sample(Float32Array.from([0, 3, 3, 1]), settings({ temperature: 0 }), 0)).toBe(1);
    expect(sample(LOGITS, settings({ topK: 1 }), 5)).toBe(1);
  });

  it('draws in proportion to the probabilities', () => {
    const drawn = shares(LOGITS, settings());
    for (const [token, share] of [1 / 8, 1 / 2, 1 / 16, 1 / 4, 1 / 16].entries()) {
      expect(Math.abs((drawn[token] ?? 0) - share)).toBeLessThan(0.03);
    }
  });

  it('flattens with the temperature', () => {
    const drawn = shares(LOGITS, settings({ temperature: 2 }));
    const weights = [1 / 8, 1 / 2, 1 / 16, 1 / 4, 1 / 16].map(Math.sqrt);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (const [token, weight] of weights.entries()) {
      expect(Math.abs((drawn[token] ?? 0) - weight / total)).toBeLessThan(0.03);
    }
  });

  it('keeps the k likeliest', () => {
    expect(shares(LOGITS, settings({ topK: 2 }), 500).map((share) => share > 0)).toEqual([
      false,
      true,
      false,
      true,
      false,
    ]);
    expect(shares(LOGITS, settings({ topK: 99 }), 500).every((share) => share > 0)).toBe(true);
  });

  it('keeps the smallest set that reaches top-p', () => {
    const kept = (topP: number): number => shares(LOGITS, settings({ topP }), 500).filter((share) => share > 0).length;
    expect(kept(0.01)).toBe(1);
    expect(kept(0.49)).toBe(1);
    expect(kept(0.7)).toBe(2);
    expect(kept(0.8)).toBe(3);
    expect(kept(0.99)).toBe(5);
  });

  it('drops what is less likely than a share of the likeliest', () => {
    const kept = (minP: number, overrides: Partial<Sampling> = {}): number =>
      shares(LOGITS, settings({ minP, ...overrides }), 500).filter((share) => share > 0).length;
    expect([0, 0.12, 0.13, 0.26, 0.51, 1].map((minP) => kept(minP))).toEqual([5, 5, 3, 2, 1, 1]);
    // At temperature 2 the shares of the likeliest are their square roots.
    expect(kept(0.36, { temperature: 2 })).toBe(3);
    expect(kept(0.13, { topK: 2 })).toBe(2);
    expect(kept(0.13, { topP: 0.5 })).toBe(1);
  });

  it('never draws an excluded token', () => {
    const logits = Float32Array.from([Number.NEGATIVE_INFINITY, 0, Number.NEGATIVE_INFINITY, 0]);
    for (const topP of [1, 0.9]) {
      const drawn = shares(logits, settings({ topP, temperature: 100 }), 300);
      expect(drawn[0]).toBe(0);
      expect(drawn[2]).toBe(0);
    }
  });

  it('agrees with a plain sort-and-sum for any logits and settings', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -20, max: 20, noNaN: true }), { minLength: 1, maxLength: 40 }),
        fc.double({ min: 0.05, max: 5, noNaN: true }),
        fc.double({ min: 0.05, max: 1, noNaN: true }),
        fc.nat(50),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        (values, temperature, topP, topK, minP, seed) => {
          const logits = Float32Array.from(values);
          const token = sample(logits, { temperature, topP, topK, minP, seed }, 3);
          const ranked = [...logits].map((logit, index) => ({ logit, index })).sort((a, b) => b.logit - a.logit);
          const floor = topK > 0 ? (ranked[topK - 1]?.logit ?? Number.NEGATIVE_INFINITY) : Number.NEGATIVE_INFINITY;
          const weigh = (logit: number): number => Math.exp((logit - (ranked[0]?.logit ?? 0)) / temperature);
          const left = ranked.filter(({ logit }) => logit >= floor && weigh(logit) >= minP);
          const weights = left.map(({ logit }) => weigh(logit));
          const total = weights.reduce((sum, weight) => sum + weight, 0);
          const rank = left.findIndex(({ index }) => index === token);
          // It is in the top k, likely enough, and in the nucleus: what is likelier doesn't reach top-p without it.
          expect(rank).toBeGreaterThanOrEqual(0);
          const likelier = weights.filter((weight) => weight > (weights[rank] ?? 0)).reduce((sum, w) => sum + w, 0);
          expect(likelier).toBeLessThan(topP * total * (1 + 1e-6) + 1e-9);
        },
      ),
      runs(500),
    );
  });

  it('refuses logits that are no distribution', () => {
    for (const bad of [
      [0, Number.NaN, 1],
      [Number.POSITIVE_INFINITY, 0],
      [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
      [],
    ]) {
      for (const temperature of [0, 1]) {
        expect(() => sample(Float32Array.from(bad), settings({ temperature }), 0)).toThrow(
          expect.objectContaining({ code: 'internal', facts: { reason: 'logits_invalid' } }),
        );
      }
    }
  });
});
