import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TextGenerationTask } from '../../../models/tasks/text-generation.ts';
import { COMPLETION_CHOICES_MAX } from '../../../node/coordinator/limits.ts';
import { completionPrompts } from '../../../node/coordinator/prompt.ts';
import type { CompletionRequest } from '../../../node/core/coordinator.ts';
import type { GenerateRequest } from '../../../protocol/infer.ts';
import {
  bundledStore,
  type FakeCoordinatorInit,
  fakeCoordinator,
  type Generate,
  generating,
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

async function complete(changes: Partial<CompletionRequest>, init: Partial<FakeCoordinatorInit> = {}) {
  const requests: GenerateRequest[] = [];
  const generate: Generate = (request, options, onTokens) => {
    requests.push(request);
    // What it goes on with is the prompt itself.
    return generating([...request.ids, EOS])(request, options, onTokens);
  };
  const { coordinator } = fakeCoordinator({ store, generate, ...init });
  const recorded = recordingEvents();
  const { trace, seen } = recordingTrace();
  const request = { model: 'smollm2', prompts: ['Once'], temperature: 0, topP: 1, stop: [], ...changes };
  const result = await coordinator.complete(request, { signal: never, requestId: 'req', trace }, recorded.events);
  return { result, recorded, requests, seen };
}

describe('a completion', () => {
  it('goes on with a text as it stands, without a template', async () => {
    const { requests, recorded, result, seen } = await complete({ prompts: ['Once upon'] });
    expect(requests[0]?.ids).toEqual(task.encode('Once upon'));
    expect(recorded.text()).toBe('Once upon');
    expect(result).toMatchObject({
      choices: [{ finish: 'stop' }],
      usage: { promptTokens: 2, completionTokens: 3 },
      nodes: ['self'],
    });
    expect(seen).toMatchObject({ spans: [{ name: 'prepare', node: 'self' }], usage: { promptTokens: 2 } });
  });

  it('answers every prompt n times, each prompt counted once', async () => {
    const prompts = ['one', Int32Array.of(500, 501, 502), 'two'];
    const { requests, recorded, result } = await complete({ prompts, n: 2, seed: 5n, temperature: 1 });
    expect(result.choices.length).toBe(6);
    expect(recorded.text(1)).toBe('one');
    expect(requests.map(({ ids }) => ids.length)).toEqual([1, 1, 3, 3, 1, 1]);
    expect(requests[2]?.ids).toEqual(prompts[1]);
    // A prompt's choices are drawn as if it had come alone.
    expect(requests.map(({ sampling }) => sampling.seed)).toEqual([5n, 6n, 5n, 6n, 5n, 6n]);
    expect(result.usage).toEqual({ promptTokens: 5, completionTokens: 2 * (5 + 3) });
  });

  it('draws a seed for each prompt where none is given', async () => {
    const { requests } = await complete({ prompts: ['a', 'a'], temperature: 1 });
    expect(requests[0]?.sampling.seed).not.toBe(requests[1]?.sampling.seed);
  });

  it('of an empty text goes on from the token that begins one', async () => {
    const { requests } = await complete({ prompts: [''] });
    expect(requests[0]?.ids).toEqual(Int32Array.of(1));
  });

  it('ends at stop strings', async () => {
    const { recorded } = await complete({ prompts: ['one, two'], stop: [','] });
    expect(recorded.text()).toBe('one');
  });

  it('refuses what is no prompt by its place', async () => {
    const cases: [CompletionRequest['prompts'], string][] = [
      [[], 'prompt'],
      [[new Int32Array(0)], 'prompt'],
      [['a', Int32Array.of(1, 49_152)], 'prompt[1]'],
      [[Int32Array.of(-1)], 'prompt'],
    ];
    for (const [prompts, param] of cases) {
      await expect(complete({ prompts })).rejects.toMatchObject({ code: 'bad_request', facts: { param } });
    }
  });

  it('refuses more choices than it takes, over all prompts', async () => {
    const prompts = Array.from({ length: COMPLETION_CHOICES_MAX / 2 }, () => 'a');
    await expect(complete({ prompts, n: 3 })).rejects.toMatchObject({ code: 'bad_request', facts: { param: 'n' } });
    const many = [...prompts, ...prompts, 'a'];
    await expect(complete({ prompts: many })).rejects.toMatchObject({
      code: 'bad_request',
      facts: { param: 'prompt' },
    });
    expect((await complete({ prompts, n: 2, maxTokens: 1 })).result.choices.length).toBe(COMPLETION_CHOICES_MAX);
  });

  it('refuses a prompt that the context cannot hold', async () => {
    const long = 'word '.repeat(2_000);
    const full = async () => ({ ids: new Int32Array(8192), truncated: true });
    const cases: [CompletionRequest['prompts'], string][] = [
      [['word '.repeat(1_000_000)], 'prompt'],
      [[long], 'prompt'],
      [['a', new Int32Array(8192)], 'prompt[1]'],
    ];
    for (const [prompts, param] of cases) {
      const asked = complete({ prompts }, { tokenize: full });
      await expect(asked).rejects.toMatchObject({ code: 'context_too_long', facts: { param } });
    }
  });
});

describe('a prompt of a tokenizer that begins texts with a token', () => {
  const prompts = async (texts: readonly string[], startId: number | undefined, before: readonly number[] = [1]) => {
    const model = { ref: { id: 'o/m', digest: 'd' }, folder: '', task: { ...task, before, startId } };
    const prep = { tokenize: () => Promise.reject(new Error('not expected')) };
    return (await completionPrompts({ prep }, model, texts, never)).map((ids) => [...ids]);
  };

  it('begins with it, once', async () => {
    expect(await prompts(['Once', '', '<|im_start|>Once'], 1)).toEqual([
      [1, ...task.encode('Once')],
      [1],
      [1, ...task.encode('Once')],
    ]);
  });

  it('is refused when it is empty and no token begins one', async () => {
    await expect(prompts(['a', ''], undefined, [])).rejects.toMatchObject({
      code: 'bad_request',
      facts: { param: 'prompt[1]' },
    });
  });
});
