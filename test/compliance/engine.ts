// What every Engine must do, whether it works here or on a peer: one suite for the local and the remote one.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine, WorkOptions } from '../../node/core/engine.ts';
import type { WeftError } from '../../protocol/errors.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import type { GenerateRequest, GenerateResult, Sampling, TokenLogprob } from '../../protocol/infer.ts';
import type { GraphPart } from '../../protocol/part.ts';
import { float32Elements, type NamedTensor, tensorNamed, tensorOf } from '../../protocol/tensor.ts';
import {
  encodeRequest,
  FRANCE,
  generateRequest,
  HELLO,
  resumedAfter,
  textsOf,
  workOptions,
} from './engine-requests.ts';

/** What the suite runs on. The engine offers both bundled models. */
export interface EngineUnderTest {
  readonly engine: Engine;
  /** all-MiniLM-L6-v2. */
  readonly encoder: ModelRef;
  /** SmolLM2-135M-Instruct. */
  readonly generator: ModelRef;
  /** A stream that goes on is what it would have been, to the bit; else only as many tokens as are left. */
  readonly exact: boolean;
  readonly close: () => PromiseLike<void>;
}

/** Generates and collects; fails on a gap or a repetition. */
export async function collect(
  engine: Engine,
  request: GenerateRequest,
  options: WorkOptions = workOptions(),
): Promise<{ readonly tokens: number[]; readonly logprobs: TokenLogprob[]; readonly result: GenerateResult }> {
  const tokens: number[] = [];
  const logprobs: TokenLogprob[] = [];
  const resumed = request.ids.length - request.promptLength;
  const result = await engine.generate(request, options, (firstIndex, ids, reported) => {
    expect(firstIndex).toBe(resumed + tokens.length);
    expect(reported?.length).toBe(request.logprobs === undefined ? undefined : ids.length);
    tokens.push(...ids);
    logprobs.push(...(reported ?? []));
  });
  return { tokens, logprobs, result };
}

/** The WeftError that a promise rejects with. */
export async function failure(promise: Promise<unknown>): Promise<WeftError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(Error);
  return error as WeftError;
}

/** Declares the suite. */
export function engineCompliance(name: string, setup: () => Promise<EngineUnderTest>): void {
  describe(`${name} as an Engine`, () => {
    let under: EngineUnderTest;
    beforeAll(async () => {
      under = await setup();
    });
    afterAll(async () => {
      await under?.close();
    });

    it('encodes a text to the vector that the model is known for', async () => {
      const { embeddings, dimensions, node, timing } = await under.engine.encode(
        encodeRequest(under.encoder, [HELLO]),
        workOptions(),
      );
      expect(dimensions).toBe(384);
      expect(embeddings.length).toBe(384);
      for (const [index, value] of [-0.02238, 0.02364, 0.00426, 0.00983, -0.03595].entries()) {
        expect(embeddings[index]).toBeCloseTo(value, 4);
      }
      expect(node).toBe(under.engine.node);
      expect(timing.computeMs).toBeGreaterThan(0);
    });

    it('encodes ragged texts together as it does one by one', async () => {
      const texts = textsOf([5, 40, 6, 200, 17, 3, 41, 5]);
      const together = await under.engine.encode(encodeRequest(under.encoder, texts), workOptions());
      for (const [index, text] of texts.entries()) {
        const alone = await under.engine.encode(encodeRequest(under.encoder, [text]), workOptions());
        const row = together.embeddings.subarray(index * 384, (index + 1) * 384);
        expect(maxDifference(row, alone.embeddings)).toBeLessThan(1e-4);
      }
    });

    it('leaves vectors as long as they are when it is not to normalise them', async () => {
      const request = { ...encodeRequest(under.encoder, [HELLO]), normalize: false };
      const { embeddings } = await under.engine.encode(request, workOptions());
      expect(Math.hypot(...embeddings)).toBeGreaterThan(1.5);
    });

    it('runs any graph on tensors', async () => {
      const int64 = (name: string, values: readonly number[]) =>
        tensorOf(name, 'int64', [1, values.length], BigInt64Array.from(values, BigInt));
      const inputs = [
        int64('input_ids', HELLO),
        int64(
          'attention_mask',
          HELLO.map(() => 1),
        ),
        int64(
          'token_type_ids',
          HELLO.map(() => 0),
        ),
      ];
      const { outputs, node } = await under.engine.run({ model: under.encoder, inputs, outputs: [] }, workOptions());
      const hidden = tensorNamed(outputs, 'last_hidden_state');
      expect(hidden.dims).toEqual([1, HELLO.length, 384]);
      const elements = float32Elements(hidden);
      expect(elements.length).toBe(HELLO.length * 384);
      expect(elements.every(Number.isFinite)).toBe(true);
      expect(node).toBe(under.engine.node);
    });

    it('refuses tensors that the graph does not take', async () => {
      const tensor = (name: string, dims: number[]) => tensorOf(name, 'int32', dims, new Int32Array(5));
      const run = (inputs: ReturnType<typeof tensor>[]) =>
        failure(under.engine.run({ model: under.encoder, inputs, outputs: [] }, workOptions()));
      expect((await run([])).code).toBe('tensor_invalid');
      expect((await run([tensor('input_ids', [1, 5])])).code).toBe('tensor_invalid');
      expect((await run([tensor('no_such_input', [1, 5])])).code).toBe('tensor_invalid');
    });

    /** The first three of MiniLM's six layers, and the rest. */
    const cut = (): { readonly head: GraphPart; readonly tail: GraphPart; readonly inputs: NamedTensor[] } => {
      const names = ['input_ids', 'attention_mask', 'token_type_ids'];
      const ports = names.map((name) => ({ name, type: 'int64' as const, dims: ['batch', 'tokens'] }));
      const hidden = { name: 'layer_norm_6', type: 'float32' as const, dims: ['batch', 'tokens', 384] };
      const values = [HELLO, HELLO.map(() => 1), HELLO.map(() => 0)];
      return {
        head: { inputs: ports, outputs: [hidden.name] },
        tail: { inputs: [hidden, ...ports.slice(1)], outputs: ['last_hidden_state'] },
        inputs: names.map((name, at) =>
          tensorOf(name, 'int64', [1, HELLO.length], BigInt64Array.from(values[at] ?? [], BigInt)),
        ),
      };
    };

    it('runs parts of a graph, which give together what the whole gives', async () => {
      const { head, tail, inputs } = cut();
      const { engine, encoder: model } = under;
      const whole = await engine.run({ model, inputs, outputs: [] }, workOptions());
      const first = await engine.run({ model, inputs, outputs: [], part: head }, workOptions());
      expect(first.outputs.map(({ name, type, dims }) => [name, type, dims])).toEqual([
        ['layer_norm_6', 'float32', [1, HELLO.length, 384]],
      ]);
      const second = await engine.run(
        { model, inputs: [...first.outputs, ...inputs.slice(1)], outputs: ['last_hidden_state'], part: tail },
        workOptions(),
      );
      const [expected, actual] = [whole, second].map(({ outputs }) => float32Elements(outputs[0] as NamedTensor));
      expect(maxDifference(actual as Float32Array, expected as Float32Array)).toBeLessThan(1e-4);
      expect([first.node, second.node]).toEqual([engine.node, engine.node]);
      expect(second.timing.computeMs).toBeGreaterThan(0);
    });

    it('refuses a part that the graph does not have, and tensors that the part does not take', async () => {
      const { head, tail, inputs } = cut();
      const codeOf = async (part: GraphPart, given: readonly NamedTensor[]): Promise<string> => {
        const request = { model: under.encoder, inputs: given, outputs: [], part };
        return (await failure(under.engine.run(request, workOptions()))).code;
      };
      expect(await codeOf({ ...head, outputs: ['no_such_tensor'] }, inputs)).toBe('tensor_invalid');
      expect(await codeOf({ ...head, inputs: head.inputs.slice(1) }, inputs.slice(1))).toBe('bad_request');
      expect(await codeOf({ ...head, outputs: [] }, inputs)).toBe('bad_request');
      expect(await codeOf(tail, inputs)).toBe('tensor_invalid');
      const unknown = { id: 'nobody/nothing', digest: `sha256:${'0'.repeat(64)}` };
      const request = { model: unknown, inputs, outputs: [], part: head };
      expect((await failure(under.engine.run(request, workOptions()))).code).toBe('model_not_found');
    });

    it('gives a part up when its caller cancels, and at the deadline', async () => {
      const { head, inputs } = cut();
      // Another part for each: its load takes longer than the caller waits.
      const ask = (outputs: string[], options: Partial<WorkOptions>) =>
        failure(
          under.engine.run(
            { model: under.encoder, inputs, outputs: [], part: { ...head, outputs } },
            workOptions(options),
          ),
        );
      const abort = new AbortController();
      const cancelled = ask(['layer_norm_4'], { signal: abort.signal });
      abort.abort();
      expect((await cancelled).code).toBe('cancelled');
      expect((await ask(['layer_norm_3'], { budgetMs: 2 })).code).toBe('deadline_exceeded');
    });

    it('generates numbered tokens without a gap, the same every time', async () => {
      const request = generateRequest(under.generator, FRANCE, { maxNewTokens: 4, stopIds: [2] });
      const first = await collect(under.engine, request);
      const second = await collect(under.engine, request);
      expect(second.tokens).toEqual(first.tokens);
      expect(first.result.generated).toBe(first.tokens.length);
      expect(first.result.node).toBe(under.engine.node);
      expect(first.result.timing.prefillMs).toBeGreaterThan(0);
    });

    it('ends with the stop id, and reports it as a token', async () => {
      const free = await collect(under.engine, generateRequest(under.generator, FRANCE));
      const stopId = free.tokens[3] as number;
      const at = free.tokens.indexOf(stopId);
      const stopped = await collect(under.engine, generateRequest(under.generator, FRANCE, { stopIds: [stopId] }));
      expect(stopped.tokens).toEqual(free.tokens.slice(0, at + 1));
      expect(stopped.result).toMatchObject({ finish: 'stop', generated: at + 1 });
    });

    it('ends after the tokens that were asked for', async () => {
      const { tokens, result } = await collect(
        under.engine,
        generateRequest(under.generator, FRANCE, { maxNewTokens: 3 }),
      );
      expect(tokens).toHaveLength(3);
      expect(result).toMatchObject({ finish: 'length', generated: 3 });
      const none = await collect(under.engine, generateRequest(under.generator, FRANCE, { maxNewTokens: 0 }));
      expect(none).toMatchObject({ tokens: [], result: { finish: 'length', generated: 0 } });
    });

    for (const [kind, sampling] of [
      ['greedy', { temperature: 0, topP: 1, topK: 0, seed: 0n }],
      ['sampled', { temperature: 0.9, topP: 0.95, topK: 0, seed: 2n ** 64n - 5n }],
    ] as const) {
      it(`goes on with a ${kind} stream as if it had never been interrupted`, async () => {
        const request = generateRequest(under.generator, FRANCE, { sampling, maxNewTokens: 8 });
        const whole = await collect(under.engine, request);
        for (const cut of [1, 6]) {
          const rest = await collect(under.engine, resumedAfter(request, whole.tokens.slice(0, cut)));
          expect(rest.tokens).toHaveLength(8 - cut);
          if (under.exact) expect(rest.tokens).toEqual(whole.tokens.slice(cut));
          expect(rest.result.generated).toBe(8);
        }
        const done = await collect(under.engine, resumedAfter(request, whole.tokens));
        expect(done).toMatchObject({ tokens: [], result: { finish: 'length', generated: 8 } });
      });
    }

    it('goes on with a stream that every sampler has shaped, reports included', async () => {
      const request = generateRequest(under.generator, FRANCE, {
        maxNewTokens: 8,
        logprobs: 2,
        sampling: {
          temperature: 0.9,
          topP: 0.95,
          topK: 50,
          minP: 0.02,
          repetitionPenalty: 1.3,
          presencePenalty: 0.5,
          frequencyPenalty: 0.5,
          logitBias: [{ id: 28, bias: 2 }],
          seed: 11n,
        },
      });
      const whole = await collect(under.engine, request);
      const rest = await collect(under.engine, resumedAfter(request, whole.tokens.slice(0, 5)));
      expect([rest.tokens.length, rest.logprobs.length]).toEqual([3, 3]);
      if (!under.exact) return;
      expect(rest.tokens).toEqual(whole.tokens.slice(5));
      expect(rest.logprobs).toEqual(whole.logprobs.slice(5));
    });

    it('reports what the model thought of each token, and of the likeliest', async () => {
      const greedy = generateRequest(under.generator, FRANCE, { maxNewTokens: 4 });
      const plain = await collect(under.engine, greedy);
      const { tokens, logprobs } = await collect(under.engine, { ...greedy, logprobs: 5 });
      expect(tokens).toEqual(plain.tokens);
      expect(logprobs).toHaveLength(4);
      for (const [index, { logprob, top }] of logprobs.entries()) {
        expect(top).toHaveLength(5);
        // Greedy takes the likeliest, which is the first of them.
        expect(top[0]).toEqual({ id: tokens[index], logprob });
        const values = top.map((one) => one.logprob);
        expect(values).toEqual(values.toSorted((a, b) => b - a));
        expect(new Set(top.map(({ id }) => id)).size).toBe(5);
        const share = values.reduce((sum, value) => sum + Math.exp(value), 0);
        expect(share).toBeGreaterThan(0.05);
        expect(share).toBeLessThanOrEqual(1 + 1e-6);
      }
      const bare = await collect(under.engine, { ...greedy, logprobs: 0 });
      expect(bare.logprobs).toEqual(logprobs.map(({ logprob }) => ({ logprob, top: [] })));
    });

    it('never draws a banned token, and reports on it all the same', async () => {
      const greedy = generateRequest(under.generator, FRANCE, { maxNewTokens: 6, logprobs: 1 });
      const free = await collect(under.engine, greedy);
      const banned = free.tokens[0] as number;
      const sampling: Sampling = { ...greedy.sampling, logitBias: [{ id: banned, bias: -100 }] };
      const { tokens, logprobs } = await collect(under.engine, { ...greedy, sampling });
      expect(tokens).not.toContain(banned);
      // The model's own opinion of the first token has not changed.
      expect(logprobs[0]?.top).toEqual(free.logprobs[0]?.top);
      expect(logprobs[0]?.logprob).toBeLessThan(free.logprobs[0]?.logprob ?? 0);
    });

    it('repeats itself less with a repetition penalty, a presence or a frequency penalty', async () => {
      const repeating = generateRequest(under.generator, Array(24).fill(FRANCE[9]) as number[], { maxNewTokens: 16 });
      const different = async (sampling: Partial<Sampling>): Promise<number> => {
        const request = { ...repeating, sampling: { ...repeating.sampling, ...sampling } };
        return new Set((await collect(under.engine, request)).tokens).size;
      };
      const plain = await different({});
      expect(plain).toBeLessThan(8);
      expect(await different({ repetitionPenalty: 2 })).toBeGreaterThan(plain);
      expect(await different({ presencePenalty: 2, frequencyPenalty: 2 })).toBeGreaterThan(plain);
    });

    it('gives two generations at a time what each gives alone', async () => {
      const requests = [
        generateRequest(under.generator, FRANCE, { maxNewTokens: 6 }),
        generateRequest(under.generator, FRANCE.slice(0, 9), {
          maxNewTokens: 6,
          sampling: { temperature: 1, topP: 1, topK: 50, seed: 7n },
        }),
      ];
      const alone = [];
      for (const request of requests) alone.push((await collect(under.engine, request)).tokens);
      const together = await Promise.all(requests.map((request) => collect(under.engine, request)));
      const tokens = together.map((one) => one.tokens);
      if (under.exact) expect(tokens).toEqual(alone);
      else expect(tokens.map(({ length }) => length)).toEqual(alone.map(({ length }) => length));
    });

    it('ends a generation when its caller cancels, and sends no token after that', async () => {
      const abort = new AbortController();
      let tokens = 0;
      let settled = false;
      const generation = under.engine.generate(
        generateRequest(under.generator, FRANCE, { maxNewTokens: 4_000 }),
        workOptions({ signal: abort.signal }),
        () => {
          expect(settled).toBe(false);
          tokens++;
          if (tokens === 3) abort.abort();
        },
      );
      expect((await failure(generation)).code).toBe('cancelled');
      settled = true;
      expect(tokens).toBe(3);
      // The engine is free: another request is served.
      const next = generateRequest(under.generator, FRANCE, { maxNewTokens: 2 });
      expect((await collect(under.engine, next)).tokens).toHaveLength(2);
    });

    it('does not begin what is cancelled already', async () => {
      const options = workOptions({ signal: AbortSignal.abort() });
      expect((await failure(under.engine.encode(encodeRequest(under.encoder, [HELLO]), options))).code).toBe(
        'cancelled',
      );
    });

    it('gives up at the deadline', async () => {
      const request = generateRequest(under.generator, FRANCE, { maxNewTokens: 4_000 });
      const error = await failure(collect(under.engine, request, workOptions({ budgetMs: 300 })));
      expect(error.code).toBe('deadline_exceeded');
    });

    it('names what is wrong with a request', async () => {
      const { engine, encoder, generator } = under;
      const codeOf = async (work: Promise<unknown>): Promise<string> => (await failure(work)).code;
      const unknown = { id: 'nobody/nothing', digest: `sha256:${'0'.repeat(64)}` };
      expect(await codeOf(engine.encode(encodeRequest(unknown, [HELLO]), workOptions()))).toBe('model_not_found');
      expect(await codeOf(engine.encode(encodeRequest(encoder, textsOf([513])), workOptions()))).toBe(
        'context_too_long',
      );
      expect(await codeOf(engine.encode(encodeRequest(encoder, [[101, 40_000, 102]]), workOptions()))).toBe(
        'bad_request',
      );
      expect(await codeOf(engine.encode(encodeRequest(generator, [HELLO]), workOptions()))).toBe('bad_request');
      const generate = (prompt: readonly number[], overrides: Partial<GenerateRequest> = {}) =>
        codeOf(collect(engine, generateRequest(generator, prompt, overrides)));
      expect(await generate([1, 49_152])).toBe('bad_request');
      expect(await generate(Array.from({ length: 8_192 }, () => 5))).toBe('context_too_long');
      const hot = { temperature: 101, topP: 1, topK: 0, seed: 0n };
      expect(await generate(FRANCE, { sampling: hot })).toBe('bad_request');
      const biased = { temperature: 1, topP: 1, topK: 0, seed: 0n, logitBias: [{ id: 49_152, bias: 1 }] };
      expect(await generate(FRANCE, { sampling: biased })).toBe('bad_request');
      expect(await generate(FRANCE, { logprobs: 21 })).toBe('bad_request');
    });

    it('serves a good text although a bad one came at the same time', async () => {
      const good = encodeRequest(under.encoder, [HELLO]);
      const bad = encodeRequest(under.encoder, [[101, 40_000, 2088, 999, 102]]);
      const alone = await under.engine.encode(good, workOptions());
      const work = [good, bad, good, bad, good].map((request) => under.engine.encode(request, workOptions()));
      const results = await Promise.allSettled(work);
      expect(results.map(({ status }) => status)).toEqual([
        'fulfilled',
        'rejected',
        'fulfilled',
        'rejected',
        'fulfilled',
      ]);
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'bad_request' });
        else expect(maxDifference(result.value.embeddings, alone.embeddings)).toBeLessThan(1e-4);
      }
    });
  });
}

/** The largest difference between two vectors, element by element. */
export function maxDifference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((max, value, index) => Math.max(max, Math.abs(value - (b[index] as number))), 0);
}
