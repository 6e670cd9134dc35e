import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TextGenerationTask } from '../../../models/tasks/text-generation.ts';
import { answerAll } from '../../../node/coordinator/choices.ts';
import { CHOICES_IN_FLIGHT_MAX, CHOICES_MAX } from '../../../node/coordinator/limits.ts';
import { FREE_TEXT } from '../../../node/coordinator/rules.ts';
import { systemClock } from '../../../node/core/clock.ts';
import type { ChatRequest } from '../../../node/core/coordinator.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { GenerateRequest } from '../../../protocol/infer.ts';
import { CountingTelemetry } from '../dispatch/fakes.ts';
import {
  bundledStore,
  fakeCoordinator,
  type Generate,
  generating,
  planOn,
  recordingEvents,
  recordingTrace,
  smollm2,
} from './fakes.ts';

const EOS = 2;
let store: Awaited<ReturnType<typeof bundledStore>>;
let task: TextGenerationTask;
beforeAll(async () => {
  store = await bundledStore();
  task = await smollm2(store);
});
afterAll(() => store[Symbol.asyncDispose]());

const never = new AbortController().signal;
const question: ChatRequest = {
  model: 'smollm2',
  messages: [{ role: 'user', content: 'Say a number.' }],
  temperature: 1,
  topP: 1,
  stop: [],
};

/** Answers with what the text function says of each request, in the order in which they come. */
function answering(texts: (request: GenerateRequest) => string, node = (_request: GenerateRequest) => 'self') {
  const requests: GenerateRequest[] = [];
  const requestIds: string[] = [];
  let open = 0;
  const seen = { requests, requestIds, most: 0 };
  const generate: Generate = async (request, options, onTokens) => {
    requests.push(request);
    requestIds.push(options.requestId);
    seen.most = Math.max(seen.most, ++open);
    try {
      return await generating([...task.encode(texts(request)), EOS], [node(request)])(request, options, onTokens);
    } finally {
      open--;
    }
  };
  return Object.assign(generate, { seen });
}

async function chat(generate: Generate, changes: Partial<ChatRequest> = {}) {
  const { coordinator, telemetry } = fakeCoordinator({ store, generate });
  const recorded = recordingEvents();
  const options = { signal: never, requestId: 'req' };
  const result = await coordinator.chat({ ...question, ...changes }, options, recorded.events);
  return { result, recorded, telemetry };
}

describe('several choices', () => {
  it('are drawn from seeds that follow each other, and come under their own numbers', async () => {
    const generate = answering(
      ({ sampling }) => `number ${sampling.seed}`,
      ({ sampling }) => `n${sampling.seed % 2n}`,
    );
    const { result, recorded, telemetry } = await chat(generate, { n: 3, seed: 7n });
    expect([0, 1, 2].map((choice) => recorded.text(choice))).toEqual(['number 7', 'number 8', 'number 9']);
    expect(result.choices).toEqual([{ finish: 'stop' }, { finish: 'stop' }, { finish: 'stop' }]);
    const prompt = task.encode(task.renderChat(question.messages)).length;
    const drawn = ['number 7', 'number 8', 'number 9'].reduce((sum, text) => sum + task.encode(text).length + 1, 0);
    expect(result.usage).toEqual({ promptTokens: prompt, completionTokens: drawn });
    expect(telemetry.counts.get('weft_tokens_generated_total')).toBe(drawn);
    expect(telemetry.observed.get('weft_time_to_first_token_seconds')?.length).toBe(1);
    expect([...result.nodes].sort()).toEqual(['n0', 'n1']);
    expect(result.plan).toMatchObject({ node: 'n1' });
    expect(generate.seen.requestIds).toEqual(['req.0', 'req.1', 'req.2']);
  });

  it('wrap their seeds at 64 bits', async () => {
    const generate = answering(() => 'x');
    await chat(generate, { n: 2, seed: (1n << 64n) - 1n });
    expect(generate.seen.requests.map(({ sampling }) => sampling.seed)).toEqual([(1n << 64n) - 1n, 0n]);
  });

  it('are under way a few at a time', async () => {
    const generate = answering(() => 'some words of an answer');
    const { result } = await chat(generate, { n: CHOICES_MAX, temperature: 0 });
    expect(result.choices.length).toBe(CHOICES_MAX);
    expect(generate.seen.most).toBe(CHOICES_IN_FLIGHT_MAX);
  });

  it('beyond the most that are taken are refused before anything is placed', async () => {
    for (const n of [0, -1, 1.5, CHOICES_MAX + 1, 1e6, Number.NaN]) {
      await expect(chat(generating([]), { n })).rejects.toMatchObject({ code: 'bad_request', facts: { param: 'n' } });
    }
  });

  it('would all be placed without that bound', async () => {
    let placed = 0;
    const generate: Generate = (request, options, onTokens) => {
      placed++;
      return generating([EOS])(request, options, onTokens);
    };
    const model = { ref: { id: 'o/m', digest: 'd' }, folder: '', task };
    const init = { model, prompts: [Int32Array.of(1)], settings: { ...question, n: 5_000 }, rules: FREE_TEXT };
    const random = { bytes: (length: number) => new Uint8Array(length) };
    const components = { clock: systemClock, random, telemetry: new CountingTelemetry(), dispatcher: { generate } };
    await answerAll(components, { ...init, startedMs: 0 }, { signal: never, requestId: 'r' }, recordingEvents().events);
    expect(placed).toBe(5_000);
  });

  it('end each at its own stop string', async () => {
    const generate = answering(({ sampling }) => (sampling.seed === 1n ? 'one. two' : 'three'));
    const { recorded, result } = await chat(generate, { n: 2, seed: 1n, stop: ['.'], maxTokens: 99 });
    expect([recorded.text(0), recorded.text(1)]).toEqual(['one', 'three']);
    expect(result.choices.length).toBe(2);
  });

  it('all end when one fails, and nothing comes any more', async () => {
    const ended: string[] = [];
    const begun = Promise.withResolvers<void>();
    const generate: Generate = async (request, options, onTokens) => {
      options.onPlan?.(planOn('self'));
      if (request.sampling.seed === 2n) {
        await begun.promise;
        throw new WeftError({ code: 'no_capable_node', message: 'gone' });
      }
      onTokens(0, [...task.encode('Half')]);
      begun.resolve();
      await new Promise((resolve) => options.signal.addEventListener('abort', resolve, { once: true }));
      ended.push(options.requestId);
      onTokens(1, [...task.encode('more')]);
      throw options.signal.reason;
    };
    const { coordinator } = fakeCoordinator({ store, generate });
    const recorded = recordingEvents();
    const asked = coordinator.chat({ ...question, n: 6, seed: 0n }, { signal: never, requestId: 'r' }, recorded.events);
    await expect(asked).rejects.toMatchObject({ code: 'no_capable_node' });
    await new Promise((resolve) => setImmediate(resolve));
    expect(ended.sort()).toEqual(['r.0', 'r.1', 'r.3']);
    expect(recorded.deltas.every(({ text }) => text === 'Half')).toBe(true);
  });

  it('give nothing any more when one has failed, though they end at that moment', async () => {
    // How many steps of the event loop's queue lie between the failure and the end of the other.
    for (let steps = 0; steps < 20; steps++) {
      const failed = Promise.withResolvers<void>();
      const generate: Generate = async (request, options, onTokens) => {
        if (request.sampling.seed === 0n) {
          await failed.promise;
          throw new WeftError({ code: 'no_capable_node', message: 'gone' });
        }
        // Held back, as it may become a stop string: it goes out at the end.
        const result = await generating([...task.encode('wa'), EOS])(request, options, onTokens);
        failed.resolve();
        for (let step = 0; step < steps; step++) await undefined;
        return result;
      };
      const { coordinator } = fakeCoordinator({ store, generate });
      let over = false;
      const late: string[] = [];
      const asked = coordinator.chat(
        { ...question, n: 2, seed: 0n, stop: ['wait'] },
        { signal: never, requestId: 'r' },
        { onDelta: ({ text }) => void (over && late.push(text)) },
      );
      await asked.catch(() => {
        over = true;
      });
      await new Promise((resolve) => setImmediate(resolve));
      expect([over, late]).toEqual([true, []]);
    }
  });

  it('all end when the caller leaves', async () => {
    const generate = answering(() => 'word '.repeat(100));
    const { coordinator } = fakeCoordinator({ store, generate });
    const abort = new AbortController();
    const asked = coordinator.chat(
      { ...question, n: 8 },
      { signal: abort.signal, requestId: 'r' },
      { onDelta: () => abort.abort() },
    );
    await expect(asked).rejects.toMatchObject({ code: 'cancelled' });
    expect(generate.seen.requests.length).toBe(CHOICES_IN_FLIGHT_MAX);
  });
});

describe('settings', () => {
  it('reach the executor as they were asked for, and only those', async () => {
    const generate = answering(() => 'x');
    const settings = {
      topK: 5,
      minP: 0.1,
      repetitionPenalty: 1.1,
      presencePenalty: 0.5,
      frequencyPenalty: -0.5,
      logitBias: [{ id: 7, bias: -100 }],
    };
    await chat(generate, { ...settings, seed: 3n, logprobs: 2 });
    await chat(generate, { seed: 3n });
    expect(generate.seen.requests[0]).toMatchObject({
      sampling: { temperature: 1, topP: 1, seed: 3n, ...settings },
      logprobs: 2,
    });
    expect(generate.seen.requests[1]?.sampling).toEqual({ temperature: 1, topP: 1, topK: 0, seed: 3n });
    expect(Object.keys(generate.seen.requests[1] ?? {})).not.toContain('logprobs');
    expect(Object.keys(generate.seen.requests[1] ?? {})).not.toContain('constraint');
  });

  it.each<[Partial<ChatRequest>, string]>([
    [{ temperature: -0.1 }, 'temperature'],
    [{ temperature: Number.NaN }, 'temperature'],
    [{ topP: 0 }, 'top_p'],
    [{ topP: 1.1 }, 'top_p'],
    [{ topK: -1 }, 'top_k'],
    [{ topK: 2 ** 32 }, 'top_k'],
    [{ minP: 2 }, 'min_p'],
    [{ repetitionPenalty: 0.001 }, 'repetition_penalty'],
    [{ repetitionPenalty: 0 }, 'repetition_penalty'],
    [{ presencePenalty: 2.1 }, 'presence_penalty'],
    [{ frequencyPenalty: Number.POSITIVE_INFINITY }, 'frequency_penalty'],
    [{ logprobs: 21 }, 'top_logprobs'],
    [{ logitBias: [{ id: 49_152, bias: 1 }] }, 'logit_bias'],
    [{ logitBias: [{ id: 1, bias: Number.NaN }] }, 'logit_bias'],
    [{ logitBias: [{ id: 1, bias: 100.5 }] }, 'logit_bias'],
    [{ logitBias: Array.from({ length: 2000 }, (_, id) => ({ id, bias: 1 })) }, 'logit_bias'],
    [{ stop: Array.from({ length: 17 }, () => 'x') }, 'stop'],
  ])('out of range are refused by name: %o', async (changes, param) => {
    await expect(chat(generating([]), changes)).rejects.toMatchObject({ code: 'bad_request', facts: { param } });
  });
});

describe('log probabilities', () => {
  it('come with the text, and not where nobody asked', async () => {
    const generate = answering(() => 'Paris 👋');
    const { recorded } = await chat(generate, { logprobs: 2, n: 2 });
    for (const choice of [0, 1]) {
      const bytes = recorded.reports(choice).flatMap((report) => [...report.bytes]);
      expect(Buffer.from(bytes).toString()).toBe('Paris 👋');
      expect(recorded.reports(choice)[0]?.top.length).toBe(2);
    }
    const without = await chat(generate);
    expect(without.recorded.deltas.every((delta) => !('logprobs' in delta))).toBe(true);
  });
});

describe('kept tokens', () => {
  const told =
    (kept: (index: number) => number | undefined): Generate =>
    async (request, options, onTokens) => {
      const index = Number(request.sampling.seed);
      const cachedTokens = kept(index);
      const result = await generating([...task.encode(`number ${index}`), EOS])(request, options, onTokens);
      return { ...result, ...(cachedTokens !== undefined && { cachedTokens }) };
    };

  it('are those of the prompt that no choice had to compute', async () => {
    const { result } = await chat(
      told((index) => 16 - index),
      { n: 3, seed: 0n },
    );
    expect(result.usage.cachedTokens).toBe(14);
    const some = await chat(
      told((index) => (index === 1 ? undefined : 16)),
      { n: 2, seed: 0n },
    );
    expect(some.result.usage).not.toHaveProperty('cachedTokens');
  });

  it('are never more than the prompt has, whatever a node says', async () => {
    const { result } = await chat(told(() => 1_000_000));
    expect(result.usage.cachedTokens).toBe(result.usage.promptTokens);
  });

  it('are not known of an answer that a stop string ends', async () => {
    const { result } = await chat(
      told(() => 16),
      { stop: ['ber'], seed: 0n },
    );
    expect(result.usage).not.toHaveProperty('cachedTokens');
  });
});

describe('the trace of a chat', () => {
  it('names the model, the preparation on this node, and what was drawn, and goes on to the dispatcher', async () => {
    const { trace, seen } = recordingTrace();
    let passed: unknown;
    const generate: Generate = (request, options, onTokens) => {
      passed = options.trace;
      return generating([...task.encode('One'), EOS])(request, options, onTokens);
    };
    const { coordinator } = fakeCoordinator({ store, generate });
    const options = { signal: never, requestId: 'req', trace };
    const result = await coordinator.chat({ ...question, n: 2 }, options, recordingEvents().events);
    expect(passed).toBe(trace);
    expect(seen).toEqual({
      model: 'HuggingFaceTB/SmolLM2-135M-Instruct',
      spans: [{ name: 'prepare', node: 'self', startMs: 0, durationMs: 1 }],
      usage: { promptTokens: result.usage.promptTokens, completionTokens: 4, ttftMs: expect.any(Number) },
    });
    expect(result.timings.ttftMs).toBe((seen.usage as { readonly ttftMs: number }).ttftMs);
  });

  it('has no time to a first token where none came', async () => {
    const { trace, seen } = recordingTrace();
    const generate: Generate = async () => {
      throw new WeftError({ code: 'no_capable_node', message: 'gone' });
    };
    const { coordinator } = fakeCoordinator({ store, generate });
    const asked = coordinator.chat(question, { signal: never, requestId: 'r', trace }, recordingEvents().events);
    await expect(asked).rejects.toMatchObject({ code: 'no_capable_node' });
    expect(seen.usage).toMatchObject({ completionTokens: 0, ttftMs: undefined });
  });

  it('counts what was drawn until it failed', async () => {
    const { trace, seen } = recordingTrace();
    const generate: Generate = async (_request, _options, onTokens) => {
      onTokens(0, [...task.encode('Half an')]);
      throw new WeftError({ code: 'no_capable_node', message: 'gone' });
    };
    const { coordinator } = fakeCoordinator({ store, generate });
    const asked = coordinator.chat(question, { signal: never, requestId: 'r', trace }, recordingEvents().events);
    await expect(asked).rejects.toMatchObject({ code: 'no_capable_node' });
    expect(seen.usage).toMatchObject({ completionTokens: task.encode('Half an').length });
  });
});
