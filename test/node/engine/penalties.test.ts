// Biases and penalties: what each does to which logits, in which order, and that it costs nothing where it is off.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Penalties } from '../../../node/engine/penalties.ts';
import type { Sampling } from '../../../protocol/infer.ts';
import { runs } from '../../support/property.ts';

const settings = (overrides: Partial<Sampling> = {}): Sampling => ({
  temperature: 1,
  topP: 1,
  topK: 0,
  seed: 1n,
  ...overrides,
});
const SIZE = 8;

/** Logits after these ids. */
function applied(
  sampling: Partial<Sampling>,
  prompt: readonly number[],
  generated: readonly number[],
  logits: readonly number[] = [4, -4, 2, 0, 1, 1, 1, 1],
): number[] {
  const penalties = new Penalties(settings(sampling), Int32Array.from(prompt), prompt.length);
  for (const id of generated) penalties.accept(id);
  const changed = Float32Array.from(logits);
  penalties.apply(changed);
  return [...changed];
}

describe('Penalties', () => {
  it('leave everything as it is where nothing is asked for', () => {
    const off = { repetitionPenalty: 1, presencePenalty: 0, frequencyPenalty: 0, logitBias: [] };
    for (const sampling of [{}, off]) expect(applied(sampling, [0, 1], [2, 2])).toEqual([4, -4, 2, 0, 1, 1, 1, 1]);
  });

  it('divide positive and multiply negative logits of all that was seen, the prompt included, once each', () => {
    expect(applied({ repetitionPenalty: 2 }, [0, 1, 0], [3, 4, 4])).toEqual([2, -8, 2, 0, 0.5, 1, 1, 1]);
    // Below 1 it favours what was there.
    expect(applied({ repetitionPenalty: 0.5 }, [0, 1], [])).toEqual([8, -2, 2, 0, 1, 1, 1, 1]);
  });

  it('take presence once and frequency each time, of what was generated and never of the prompt', () => {
    expect(applied({ presencePenalty: 0.5 }, [0, 1], [2, 4, 4])).toEqual([4, -4, 1.5, 0, 0.5, 1, 1, 1]);
    expect(applied({ frequencyPenalty: 0.5 }, [0, 1], [2, 4, 4])).toEqual([4, -4, 1.5, 0, 0, 1, 1, 1]);
    expect(applied({ presencePenalty: -1, frequencyPenalty: 0.25 }, [], [4, 4])[4]).toBe(1.5);
  });

  it('add biases first, so that the repetition penalty sees the biased logit', () => {
    const logitBias = [
      { id: 0, bias: -6 },
      { id: 5, bias: 100 },
    ];
    expect(applied({ logitBias }, [], [])).toEqual([-2, -4, 2, 0, 1, 101, 1, 1]);
    expect(applied({ logitBias, repetitionPenalty: 2, presencePenalty: 1 }, [], [0])[0]).toBe(-5);
  });

  it('leave excluded tokens excluded', () => {
    const none = Number.NEGATIVE_INFINITY;
    const all = { repetitionPenalty: 2, presencePenalty: -2, frequencyPenalty: -2, logitBias: [{ id: 1, bias: 100 }] };
    expect(applied(all, [0, 1], [0, 1], [none, none, 1])).toEqual([none, none, 1]);
  });

  it('are those of a plain count over all ids, wherever a stream was taken up again', () => {
    const id = fc.nat(SIZE - 1);
    const sampling = fc.record({
      repetitionPenalty: fc.double({ min: 0.1, max: 10, noNaN: true }),
      presencePenalty: fc.double({ min: -2, max: 2, noNaN: true }),
      frequencyPenalty: fc.double({ min: -2, max: 2, noNaN: true }),
      logitBias: fc.uniqueArray(fc.record({ id, bias: fc.double({ min: -100, max: 100, noNaN: true }) }), {
        selector: (bias) => bias.id,
      }),
    });
    const logits = fc.array(fc.float({ min: -50, max: 50, noNaN: true }), { minLength: SIZE, maxLength: SIZE });
    const plain = (over: Partial<Sampling>, prompt: number[], generated: number[], row: number[]): number[] =>
      row.map((logit, token) => {
        let value = Math.fround(logit + (over.logitBias?.find((bias) => bias.id === token)?.bias ?? 0));
        const penalty = over.repetitionPenalty ?? 1;
        if ([...prompt, ...generated].includes(token))
          value = Math.fround(value > 0 ? value / penalty : value * penalty);
        const count = generated.filter((other) => other === token).length;
        if (count === 0) return value;
        return Math.fround(value - (over.presencePenalty ?? 0) - count * (over.frequencyPenalty ?? 0));
      });
    fc.assert(
      fc.property(sampling, fc.array(id), fc.array(id), fc.nat(), logits, (over, prompt, generated, cut, row) => {
        const at = cut % (generated.length + 1);
        const ids = Int32Array.from([...prompt, ...generated.slice(0, at)]);
        const resumed = new Penalties(settings(over), ids, prompt.length);
        for (const later of generated.slice(at)) resumed.accept(later);
        const changed = Float32Array.from(row);
        resumed.apply(changed);
        // Minus zero is as likely as zero.
        const same = (values: Iterable<number>): number[] => Array.from(values, (value) => value + 0);
        expect(same(changed)).toEqual(same(plain(over, prompt, generated, row)));
      }),
      runs(500),
    );
  });
});
