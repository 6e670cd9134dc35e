// The token loop with everything that a request can ask of a draw: resumed streams repeat themselves, constraints see each
// token once and are closed, reports say what the model thought. On a generator whose logits follow from the ids alone.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TokenConstraint } from '../../../../node/engine/runner/constraint.ts';
import { generate } from '../../../../node/engine/runner/generate.ts';
import type { TextGenerator } from '../../../../node/engine/runner/generator.ts';
import { Turns } from '../../../../node/engine/runner/turns.ts';
import type { TokenRun } from '../../../../protocol/codec.ts';
import { WeftError } from '../../../../protocol/errors.ts';
import type { GenerateRequest, Sampling, TokenLogprob } from '../../../../protocol/infer.ts';
import { generateRequest, resumedAfter } from '../../../compliance/engine-requests.ts';
import { runs } from '../../../support/property.ts';

const model = { id: 'a/b', digest: '' };
const VOCABULARY = 24;
const never = new AbortController().signal;

/** Logits between -4 and 4 that depend on every id so far, and on their order. */
class HashingGenerator implements TextGenerator {
  length = 0;
  #state = 1;

  async prefill(ids: Int32Array): Promise<void> {
    this.length += ids.length;
    for (const id of ids) this.#state = Math.imul(this.#state ^ (id + 1), 0x01000193) >>> 0;
  }

  async step(ids: Int32Array): Promise<Float32Array> {
    await this.prefill(ids);
    return this.logits();
  }

  logits(): Float32Array {
    let state = this.#state;
    return Float32Array.from({ length: VOCABULARY }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return (state / 2 ** 32) * 8 - 4;
    });
  }

  close(): void {
    /* it has no cache */
  }
}

/** The model's own logits behind these ids. */
async function logitsBehind(ids: readonly number[]): Promise<Float32Array> {
  const generator = new HashingGenerator();
  return generator.step(Int32Array.from(ids));
}

/** Forbids the ids whose remainder by 3 is that of the sum so far: what it has accepted decides what may come. */
class SumConstraint implements TokenConstraint {
  sum = 0;
  accepted = 0;
  masks = 0;
  closed = 0;

  async mask(logits: Float32Array): Promise<void> {
    expect(this.closed).toBe(0);
    await Promise.resolve();
    this.masks++;
    for (let id = this.sum % 3; id < logits.length; id += 3) logits[id] = Number.NEGATIVE_INFINITY;
  }

  accept(id: number): void {
    if (id % 3 === this.sum % 3) throw new WeftError({ code: 'bad_request', message: 'Not that one.' });
    this.sum += id;
    this.accepted++;
  }

  close(): void {
    this.closed++;
  }
}

async function run(request: GenerateRequest, constraint?: TokenConstraint, signal = never) {
  const tokens: number[] = [];
  const logprobs: (TokenLogprob | undefined)[] = [];
  const turns = new Turns({ flushed: () => undefined });
  const item = (value: TokenRun): undefined => {
    tokens.push(...value.ids);
    logprobs.push(...(value.logprobs ?? value.ids.map(() => undefined)));
  };
  const generator = new HashingGenerator();
  const result = await generate(request, 10_000, generator, turns, { signal, item }, constraint);
  return { tokens, logprobs, result };
}

const greedy: Sampling = { temperature: 0, topP: 1, topK: 0, seed: 0n };
const request = (overrides: Partial<GenerateRequest> = {}): GenerateRequest =>
  generateRequest(model, [3, 1, 4, 1, 5], { sampling: greedy, maxNewTokens: 12, ...overrides });

describe('a stream', () => {
  const id = fc.nat(VOCABULARY - 1);
  const samplings: fc.Arbitrary<Sampling> = fc.record({
    temperature: fc.oneof(fc.constant(0), fc.double({ min: 0.1, max: 3, noNaN: true })),
    topP: fc.double({ min: 0.1, max: 1, noNaN: true }),
    topK: fc.nat(VOCABULARY),
    minP: fc.double({ min: 0, max: 0.5, noNaN: true }),
    repetitionPenalty: fc.double({ min: 0.5, max: 2, noNaN: true }),
    presencePenalty: fc.double({ min: -2, max: 2, noNaN: true }),
    frequencyPenalty: fc.double({ min: -2, max: 2, noNaN: true }),
    logitBias: fc.uniqueArray(fc.record({ id, bias: fc.double({ min: -8, max: 8, noNaN: true }) }), {
      selector: (bias) => bias.id,
    }),
    seed: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  });

  it('that goes on elsewhere repeats what it would have been, wherever it was cut, with every sampler on', async () => {
    await fc.assert(
      fc.asyncProperty(
        samplings,
        fc.array(id, { minLength: 1, maxLength: 200 }),
        fc.integer({ min: 1, max: 40 }),
        fc.nat(),
        fc.boolean(),
        async (sampling, prompt, maxNewTokens, at, constrained) => {
          const constraint = (): SumConstraint | undefined => (constrained ? new SumConstraint() : undefined);
          const asked = generateRequest(model, prompt, { sampling, maxNewTokens, logprobs: 3 });
          const whole = await run(asked, constraint());
          expect(whole.tokens).toHaveLength(maxNewTokens);
          const cut = at % (maxNewTokens + 1);
          const rest = await run(resumedAfter(asked, whole.tokens.slice(0, cut)), constraint());
          expect(rest.tokens).toEqual(whole.tokens.slice(cut));
          expect(rest.logprobs).toEqual(whole.logprobs.slice(cut));
          expect(rest.result).toMatchObject({ finish: 'length', generated: maxNewTokens });
        },
      ),
      runs(200),
    );
  });

  it('would not repeat itself if its history began where it was taken up', async () => {
    const sampling = { ...greedy, frequencyPenalty: 2, presencePenalty: 2, logitBias: [{ id: 7, bias: 9 }] };
    const whole = await run(request({ sampling }));
    const cut = whole.tokens.slice(0, 6);
    const forgotten = generateRequest(model, [3, 1, 4, 1, 5, ...cut], { sampling, maxNewTokens: 6 });
    expect((await run(forgotten)).tokens).not.toEqual(whole.tokens.slice(6));
  });

  it('takes no token that is banned, and none but a forced one', async () => {
    const free = await run(request());
    const banned = free.tokens[0] as number;
    const without = await run(request({ sampling: { ...greedy, logitBias: [{ id: banned, bias: -100 }] } }));
    expect(without.tokens).not.toContain(banned);
    const forced = await run(request({ sampling: { ...greedy, logitBias: [{ id: 7, bias: 100 }] } }));
    expect(new Set(forced.tokens)).toEqual(new Set([7]));
  });

  it('repeats a token less often with the penalties on', async () => {
    const repeating = { ...greedy, logitBias: [{ id: 7, bias: 9 }] };
    const sevens = async (sampling: Sampling): Promise<number> =>
      (await run(request({ sampling }))).tokens.filter((token) => token === 7).length;
    expect(await sevens(repeating)).toBe(12);
    for (const penalty of [{ repetitionPenalty: 10 }, { presencePenalty: 2, frequencyPenalty: 2 }]) {
      expect(await sevens({ ...repeating, ...penalty })).toBeLessThan(9);
    }
  });
});

describe('log probabilities', () => {
  it('are those of the model, before bias, penalties, mask and temperature', async () => {
    const sampling: Sampling = {
      temperature: 2,
      topP: 0.9,
      topK: 0,
      minP: 0.01,
      repetitionPenalty: 1.5,
      presencePenalty: 1,
      frequencyPenalty: 1,
      logitBias: [{ id: 7, bias: 5 }],
      seed: 3n,
    };
    const { tokens, logprobs } = await run(request({ sampling, logprobs: 2 }), new SumConstraint());
    const ids = [3, 1, 4, 1, 5];
    for (const [index, token] of tokens.entries()) {
      const logits = [...(await logitsBehind(ids))];
      const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
      expect(logprobs[index]?.logprob).toBeCloseTo((logits[token] as number) - total, 5);
      expect(logprobs[index]?.top.map(({ id }) => logits[id])).toEqual(logits.toSorted((a, b) => b - a).slice(0, 2));
      ids.push(token);
    }
  });

  it('come without alternatives, or not at all, as it was asked', async () => {
    expect((await run(request({ logprobs: 0 }))).logprobs.every((one) => one?.top.length === 0)).toBe(true);
    expect((await run(request())).logprobs.every((one) => one === undefined)).toBe(true);
  });
});

describe('a constraint', () => {
  it('sees every token behind which another is drawn, once and in order, and is closed', async () => {
    const constraint = new SumConstraint();
    const { tokens } = await run(request(), constraint);
    expect(constraint).toMatchObject({ accepted: 11, masks: 12, closed: 1 });
    expect(constraint.sum).toBe(tokens.slice(0, -1).reduce((sum, token) => sum + token, 0));
    const resumed = new SumConstraint();
    await run(resumedAfter(request(), tokens.slice(0, 5)), resumed);
    expect(resumed).toMatchObject({ accepted: 11, masks: 7, closed: 1, sum: constraint.sum });
  });

  it('hears of a token before the graph runs again, so that its mask is made meanwhile', async () => {
    const order: string[] = [];
    const constraint: TokenConstraint = {
      mask: async () => void order.push('mask'),
      accept: () => void order.push('accept'),
      close: () => void order.push('close'),
    };
    const generator = new HashingGenerator();
    const step = generator.step.bind(generator);
    generator.step = (ids) => {
      order.push('step');
      return step(ids);
    };
    const item = (): undefined => void order.push('item');
    const turns = new Turns({ flushed: () => undefined });
    await generate(request({ maxNewTokens: 2 }), 100, generator, turns, { signal: never, item }, constraint);
    expect(order).toEqual(['step', 'mask', 'accept', 'item', 'step', 'mask', 'item', 'close']);
  });

  it('is closed too when the stream had ended, is cancelled, or breaks it', async () => {
    const ended = new SumConstraint();
    const whole = await run(request());
    await run(resumedAfter(request(), whole.tokens), ended);
    expect(ended).toMatchObject({ accepted: 0, masks: 0, closed: 1 });

    const cancelled = new SumConstraint();
    await expect(run(request(), cancelled, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
    expect(cancelled.closed).toBe(1);

    // 3 is forbidden at the start.
    const broken = new SumConstraint();
    await expect(run(resumedAfter(request(), [3]), broken)).rejects.toMatchObject({ code: 'bad_request' });
    expect(broken.closed).toBe(1);
  });

  it('whose mask never comes holds nobody who has cancelled', async () => {
    const abort = new AbortController();
    const reached = Promise.withResolvers<void>();
    let closed = 0;
    const stuck: TokenConstraint = {
      mask: () => {
        reached.resolve();
        return new Promise(() => undefined);
      },
      accept: () => undefined,
      close: () => void closed++,
    };
    const turns = new Turns({ flushed: () => undefined });
    const context = { signal: abort.signal, item: () => undefined };
    const work = generate(request(), 100, new HashingGenerator(), turns, context, stuck);
    await reached.promise;
    abort.abort(new Error('enough'));
    await expect(work).rejects.toThrow('enough');
    expect(closed).toBe(1);
    expect(await turns.take(never, async () => 'free')).toBe('free');
  });
});
