import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TextGenerationTask } from '../../../models/tasks/text-generation.ts';
import type { ChatRequest } from '../../../node/core/coordinator.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { GenerateRequest } from '../../../protocol/infer.ts';
import {
  bundledStore,
  type FakeCoordinatorInit,
  fakeCoordinator,
  type Generate,
  generating,
  planOn,
  recordingEvents,
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

const question: ChatRequest = {
  model: 'smollm2',
  messages: [{ role: 'user', content: 'What is the capital of France?' }],
  temperature: 0,
  topP: 1,
  stop: [],
};
const never = new AbortController().signal;

async function chat(generate: Generate, changes: Partial<ChatRequest> = {}, init: Partial<FakeCoordinatorInit> = {}) {
  const { coordinator, telemetry } = fakeCoordinator({ store, generate, ...init });
  const recorded = recordingEvents();
  const options = { signal: never, requestId: 'req_test' };
  const result = await coordinator.chat({ ...question, ...changes }, options, recorded.events);
  return {
    result,
    finish: result.choices[0]?.finish,
    pieces: recorded.pieces(),
    text: recorded.text(),
    recorded,
    telemetry,
  };
}

/** Keeps the request that reaches the dispatcher. */
function catching(generate: Generate): Generate & { readonly requests: GenerateRequest[] } {
  const requests: GenerateRequest[] = [];
  const wrapped: Generate = (request, options, onTokens) => {
    requests.push(request);
    return generate(request, options, onTokens);
  };
  return Object.assign(wrapped, { requests });
}

describe('a chat', () => {
  it('answers with text, exact usage, timings and the node that ran it', async () => {
    const answer = 'The capital of France is Paris.';
    const ids = [...task.encode(answer), EOS];
    const { result, text, recorded, telemetry } = await chat(generating(ids));
    expect(text).toBe(answer);
    expect(result).toMatchObject({
      model: 'HuggingFaceTB/SmolLM2-135M-Instruct',
      choices: [{ finish: 'stop' }],
      usage: {
        promptTokens: task.encode(task.renderChat(question.messages)).length,
        completionTokens: ids.length,
      },
      nodes: ['self'],
      plan: { kind: 'local', node: 'self' },
    });
    expect(result.timings.ttftMs).toBeGreaterThan(0);
    expect(result.timings.totalMs).toBeGreaterThanOrEqual(result.timings.ttftMs);
    expect(result.timings.tokensPerSecond).toBeGreaterThan(0);
    expect(recorded.placed).toEqual(['self HuggingFaceTB/SmolLM2-135M-Instruct']);
    expect(telemetry.counts.get('weft_tokens_generated_total')).toBe(ids.length);
    expect(telemetry.observed.get('weft_time_to_first_token_seconds')?.length).toBe(1);
  });

  it('sends the rendered prompt and the sampling as they were asked for', async () => {
    const generate = catching(generating([EOS]));
    await chat(generate, { temperature: 0.7, topP: 0.9, seed: 42n, maxTokens: 5 });
    expect(generate.requests[0]).toMatchObject({
      ids: task.encode(task.renderChat(question.messages)),
      maxNewTokens: 5,
      stopIds: task.eosIds,
      sampling: { temperature: 0.7, topP: 0.9, topK: 0, seed: 42n },
    });
  });

  it('draws a seed where none is given, and takes a negative one for its 64 bits', async () => {
    const generate = catching(generating([EOS]));
    await chat(generate);
    await chat(generate, { seed: -1n });
    expect(generate.requests.map((request) => request.sampling.seed)).toEqual([
      0x0707_0707_0707_0707n,
      0xffff_ffff_ffff_ffffn,
    ]);
  });

  it('gives an emoji whole, however many tokens it is made of', async () => {
    const answer = 'Bonjour 👋🏽 — naïve 日本 ✓';
    const ids = task.encode(answer);
    expect(ids.length).toBeGreaterThan(answer.split(' ').length);
    const { text, pieces } = await chat(generating([...ids, EOS]));
    expect(text).toBe(answer);
    expect(pieces.every((piece) => piece.isWellFormed() && !piece.includes('\ufffd'))).toBe(true);
  });

  it('counts the token that ends it and shows nothing of it', async () => {
    const { result, finish, text, pieces } = await chat(generating([EOS]));
    expect([text, pieces.length, finish, result.usage.completionTokens]).toEqual(['', 0, 'stop', 1]);
  });

  it('ends at max_tokens with "length"', async () => {
    const ids = [...task.encode('One two three four five six seven'), EOS];
    const { result, text } = await chat(generating(ids), { maxTokens: 3 });
    expect(result).toMatchObject({ choices: [{ finish: 'length' }], usage: { completionTokens: 3 } });
    expect(text).toBe('One two three');
  });

  it('answers an empty message', async () => {
    const { text } = await chat(generating([...task.encode('Yes?'), EOS]), {
      messages: [{ role: 'user', content: '' }],
    });
    expect(text).toBe('Yes?');
  });

  it('names every node that worked on it', async () => {
    const { result, recorded } = await chat(generating([EOS], ['a', 'self']));
    expect(result).toMatchObject({ nodes: ['a', 'self'], plan: { kind: 'local' } });
    expect(recorded.placed.map((line) => line.split(' ')[0])).toEqual(['a', 'self']);
  });
});

describe('stop strings', () => {
  it('cut the text exactly, across tokens, and end the generation', async () => {
    const before = 'Count: one, two';
    const ids = [...task.encode(`${before}, three, four, five, six, seven, eight`), EOS];
    const generate = generating(ids);
    const { result, text } = await chat(generate, { stop: [', th'] });
    expect(text).toBe(before);
    expect(result).toMatchObject({ choices: [{ finish: 'stop' }], nodes: ['self'], plan: { kind: 'local' } });
    // The stop string ends inside the token " three": those drawn until then are counted, and none is drawn after it.
    const counted = task.encode(`${before}, three`).length;
    expect(result.usage.completionTokens).toBe(counted);
    expect(generate.drawn).toBe(counted);
  });

  it('hold back text only while it may be part of one', async () => {
    const answer = 'a STO b STOP';
    const { text, finish } = await chat(generating([...task.encode(answer), EOS]), { stop: ['STOP!'] });
    expect(text).toBe(answer);
    expect(finish).toBe('stop');
    const cut = await chat(generating([...task.encode(answer), EOS]), { stop: ['STOP', 'never'] });
    expect(cut.text).toBe('a STO b ');
  });

  it('are found in text that only the end completes', async () => {
    const ids = task.encode('fine 👋');
    const { text, finish } = await chat(generating(ids.subarray(0, -1) as never), { stop: ['\ufffd'], maxTokens: 99 });
    expect(text).toBe('fine ');
    expect(finish).toBe('stop');
  });

  it('count no token that came in the same piece behind it', async () => {
    const ids = [...task.encode('one. two. three. four.')];
    const generate: Generate = async (request, options, onTokens) => {
      options.onPlan?.(planOn('self'));
      onTokens(0, ids);
      return generating([])(request, options, onTokens);
    };
    const { text, result } = await chat(generate, { stop: ['.'] });
    expect(text).toBe('one');
    expect(result.usage.completionTokens).toBe(task.encode('one.').length);
  });
});

describe('a prompt', () => {
  it('that the context cannot hold is refused before it is tokenised', async () => {
    const content = 'word '.repeat(3_000_000);
    const begun = performance.now();
    const asked = chat(generating([]), { messages: [{ role: 'user', content }] });
    await expect(asked).rejects.toMatchObject({ code: 'context_too_long', status: 400, facts: { param: 'messages' } });
    expect(performance.now() - begun).toBeLessThan(5_000);
  });

  it('that is long goes to the prep process, bounded by the context', async () => {
    const content = 'word '.repeat(2_000);
    const tokenized: [number, boolean][] = [];
    const generate = catching(generating([EOS]));
    await chat(
      generate,
      { messages: [{ role: 'user', content }] },
      {
        tokenize: async (_folder, text, tokensMax, specialTokens) => {
          tokenized.push([tokensMax, specialTokens]);
          return { ids: task.encode(text), truncated: false };
        },
      },
    );
    expect(tokenized).toEqual([[8192, false]]);
    expect(generate.requests[0]?.promptLength).toBeGreaterThan(2_000);
    const full = chat(
      generating([EOS]),
      { messages: [{ role: 'user', content }] },
      {
        tokenize: async () => ({ ids: new Int32Array(8192), truncated: true }),
      },
    );
    await expect(full).rejects.toMatchObject({ code: 'context_too_long' });
  });

  it('leaves as many tokens for the answer as the context still holds', async () => {
    const generate = catching(generating([EOS]));
    const tokenize = async () => ({ ids: new Int32Array(8190).fill(5), truncated: false });
    const long = [{ role: 'user', content: 'word '.repeat(2_000) }];
    await chat(generate, { messages: long, maxTokens: 500 }, { tokenize });
    await chat(generate, { messages: long }, { tokenize });
    expect(generate.requests.map((request) => request.maxNewTokens)).toEqual([2, 2]);
  });

  it('without messages, or with no room asked for, is refused', async () => {
    await expect(chat(generating([]), { messages: [] })).rejects.toMatchObject({
      code: 'bad_request',
      facts: { param: 'messages' },
    });
    for (const maxTokens of [0, -1, 1.5]) {
      await expect(chat(generating([]), { maxTokens })).rejects.toMatchObject({
        code: 'bad_request',
        facts: { param: 'max_tokens' },
      });
    }
  });
});

describe('a chat that ends early', () => {
  it('stops the generation when the caller leaves', async () => {
    const generate = generating(Array.from({ length: 1000 }, () => 500));
    const { coordinator, telemetry } = fakeCoordinator({ store, generate });
    const abort = new AbortController();
    const asked = coordinator.chat(
      question,
      { signal: abort.signal, requestId: 'req' },
      { onDelta: () => abort.abort() },
    );
    await expect(asked).rejects.toMatchObject({ code: 'cancelled' });
    expect(generate.drawn).toBeLessThan(10);
    expect(telemetry.counts.get('weft_tokens_generated_total')).toBe(generate.drawn);
  });

  it('begins nothing for a caller that is gone', async () => {
    const { coordinator } = fakeCoordinator({ store });
    const asked = coordinator.chat(
      question,
      { signal: AbortSignal.abort(), requestId: 'req' },
      { onDelta: () => undefined },
    );
    await expect(asked).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('passes on why the work failed, text before it included', async () => {
    const generate: Generate = async (_request, _options, onTokens) => {
      onTokens(0, [...task.encode('Half an')]);
      throw new WeftError({ code: 'no_capable_node', message: 'gone' });
    };
    const { coordinator } = fakeCoordinator({ store, generate });
    const pieces: string[] = [];
    const asked = coordinator.chat(
      question,
      { signal: never, requestId: 'req' },
      { onDelta: ({ text }) => pieces.push(text) },
    );
    await expect(asked).rejects.toMatchObject({ code: 'no_capable_node' });
    expect(pieces.join('')).toBe('Half an');
  });

  it('stops the generation when whoever takes the text fails', async () => {
    const generate = generating(Array.from({ length: 1000 }, () => 500));
    const { coordinator } = fakeCoordinator({ store, generate });
    const asked = coordinator.chat(
      question,
      { signal: never, requestId: 'req' },
      {
        onDelta: () => {
          throw new Error('the socket is closed');
        },
      },
    );
    await expect(asked).rejects.toThrow('the socket is closed');
    expect(generate.drawn).toBe(1);
  });
});
