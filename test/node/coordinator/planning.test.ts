// Dry runs: what dispatch is asked to plan, with the bundled models' real tokenizers.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ENCODE_TOKENS_MAX } from '../../../node/coordinator/limits.ts';
import type { PlanRequest } from '../../../node/core/coordinator.ts';
import type { WorkRequests } from '../../../node/core/dispatcher.ts';
import type { EncodeRequest, GenerateRequest, RunRequest } from '../../../protocol/infer.ts';
import { tensorOf } from '../../../protocol/tensor.ts';
import { tinyReranker } from '../../support/tiny-reranker.ts';
import { TABLE } from '../dispatch/cut-world.ts';
import { available, bundledOffers, bundledStore, fakeCoordinator, planOn, recordingTrace } from './fakes.ts';

let store: Awaited<ReturnType<typeof bundledStore>>;
beforeAll(async () => {
  store = await bundledStore();
});
afterAll(() => store[Symbol.asyncDispose]());

const options = { signal: new AbortController().signal, requestId: 'req_test' };

/** The answer, and what dispatch was asked; nothing else may be asked of it. */
async function planned(request: PlanRequest) {
  const asked: [keyof WorkRequests, WorkRequests[keyof WorkRequests]][] = [];
  const { coordinator } = fakeCoordinator({
    store,
    models: available(bundledOffers(store), ['self', 'peer']),
    // Too long a text for this thread.
    tokenize: async (_folder, _text, tokensMax) => ({ ids: new Int32Array(tokensMax), truncated: true }),
    plan: (kind, work) => {
      asked.push([kind, work]);
      return planOn('peer');
    },
  });
  const answer = await coordinator.plan(request, options);
  const [[kind, work] = []] = asked;
  return { answer, asked, kind, work };
}

const texts = (model: string, ...all: string[]): PlanRequest => ({ model, kind: 'texts', texts: all });

describe('a dry run', () => {
  it('of a text generator plans the chat that the text would be', async () => {
    const { answer, kind, work } = await planned({ ...texts('smollm2', 'Hello!'), maxTokens: 12 } as PlanRequest);
    const { ids, promptLength, maxNewTokens } = work as GenerateRequest;
    expect(kind).toBe('generate');
    expect(maxNewTokens).toBe(12);
    expect(ids.length).toBe(promptLength);
    expect(answer).toEqual({
      model: expect.objectContaining({ id: 'HuggingFaceTB/SmolLM2-135M-Instruct' }),
      work: 'generate',
      inputTokens: ids.length,
      requests: 1,
      plan: planOn('peer'),
    });
    // The template is around it.
    expect(ids.length).toBeGreaterThan(10);
  });

  it('of an encoder plans its first request, and says how many there are', async () => {
    const { answer, kind, work } = await planned(texts('minilm', 'Hello world!', 'Hello'));
    expect([kind, (work as EncodeRequest).lengths]).toEqual(['encode', Int32Array.of(5, 3)]);
    expect(answer).toMatchObject({ work: 'encode', inputTokens: 8, requests: 1 });
    const long = 'word '.repeat(600);
    const many = await planned(texts('minilm', ...Array.from({ length: 80 }, () => long)));
    expect((many.work as EncodeRequest).ids.length).toBeLessThanOrEqual(ENCODE_TOKENS_MAX);
    expect(many.answer.requests).toBe(Math.ceil(many.answer.inputTokens / ENCODE_TOKENS_MAX));
    expect(many.asked).toHaveLength(1);
  });

  it('of a reranker plans its pairs, and wants to know what they answer', async () => {
    const root = await mkdtemp(join(tmpdir(), 'weft-planning-'));
    try {
      await tinyReranker(root);
      const seen: EncodeRequest[] = [];
      const { coordinator } = fakeCoordinator({
        store: await bundledStore([root]),
        plan: (_kind, work) => {
          seen.push(work as EncodeRequest);
          return planOn('peer');
        },
      });
      const request = texts('tiny-reranker', 'the sky is blue', 'pandas eat bamboo');
      const answer = await coordinator.plan({ ...request, query: 'what do pandas eat' } as PlanRequest, options);
      expect(answer).toMatchObject({ work: 'encode', requests: 1, inputTokens: seen[0]?.ids.length });
      expect(seen[0]).toMatchObject({ pooling: 'logits', lengths: { length: 2 } });
      await expect(coordinator.plan(request, options)).rejects.toMatchObject({ facts: { param: 'query' } });
      const empty = { ...texts('tiny-reranker', 'a', ''), query: 'q' } as PlanRequest;
      await expect(coordinator.plan(empty, options)).rejects.toMatchObject({ facts: { param: 'input[1]' } });
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  });

  it('of tensors plans the graph, whatever the model is for', async () => {
    const inputs = ['input_ids', 'attention_mask', 'token_type_ids'].map((name) =>
      tensorOf(name, 'int64', [1, 2], new BigInt64Array(2)),
    );
    const { answer, kind, work } = await planned({ model: 'minilm', kind: 'tensors', inputs });
    expect([kind, (work as RunRequest).inputs]).toEqual(['run', inputs]);
    expect(answer).toMatchObject({ work: 'run', inputTokens: 0 });
    await expect(planned({ model: 'minilm', kind: 'tensors', inputs: inputs.slice(1) })).rejects.toMatchObject({
      code: 'tensor_invalid',
    });
  });

  it.each<[string, PlanRequest, string, string]>([
    ['several texts for a generator', texts('smollm2', 'a', 'b'), 'bad_request', 'input'],
    ['a query for what ranks nothing', { ...texts('minilm', 'a'), query: 'q' } as PlanRequest, 'bad_request', 'query'],
    ['an answer of an encoder', { ...texts('minilm', 'a'), maxTokens: 1 } as PlanRequest, 'bad_request', 'max_tokens'],
    ['a model that there is not', texts('nothing', 'a'), 'model_not_found', 'model'],
    ['a text past the context', texts('smollm2', 'word '.repeat(20_000)), 'context_too_long', 'input'],
  ])('refuses %s', async (_what, request, code, param) => {
    await expect(planned(request)).rejects.toMatchObject({ code, facts: { param } });
  });

  it('refuses a text for a model of tensors, and says what to do', async () => {
    const offers = bundledOffers(store).map((offer) => ({ ...offer, task: 'tensor' as const }));
    const { coordinator } = fakeCoordinator({ store, models: available(offers) });
    await expect(coordinator.plan(texts('minilm', 'a'), options)).rejects.toMatchObject({
      code: 'unsupported',
      remedy: expect.stringContaining('--shape'),
    });
  });

  it('leaves no trace of work behind', async () => {
    const { trace, seen } = recordingTrace();
    const { coordinator } = fakeCoordinator({ store, plan: () => planOn('self') });
    await coordinator.plan(texts('smollm2', 'Hello!'), { ...options, trace });
    expect(seen.spans).toEqual([]);
  });
});

describe('what a dry run is told of cuts, and of what must stay', () => {
  const inputs = ['input_ids', 'attention_mask', 'token_type_ids'].map((name) =>
    tensorOf(name, 'int64', [1, 2], new BigInt64Array(2)),
  );

  it('reaches dispatch, for the cut and for the whole', async () => {
    const told: unknown[] = [];
    const { coordinator } = fakeCoordinator({
      store,
      plan: (kind, _work, rule) => {
        told.push([kind, rule]);
        return planOn('self');
      },
      planCut: async (_work, { cut, rawLocal }) => {
        told.push([cut, rawLocal]);
        return {
          table: TABLE,
          choice: { chosen: 'whole', nodes: [], parts: [], totalMs: 1, lostBy: [], rejected: [] },
        };
      },
    });
    const request: PlanRequest = { model: 'minilm', kind: 'tensors', inputs };
    const answer = await coordinator.plan(request, { ...options, cut: { at: [2] }, rawLocal: ['input_ids'] });
    expect(answer.cut?.table).toBe(TABLE);
    await coordinator.plan(texts('minilm', 'Hi'), { ...options, rawLocal: true });
    expect(told).toEqual([
      [{ at: [2] }, ['input_ids']],
      ['run', { cut: { at: [2] }, rawLocal: ['input_ids'] }],
      ['encode', { rawLocal: true }],
    ]);
  });

  it('is refused for texts, which have no tensors that could be named', async () => {
    const { coordinator } = fakeCoordinator({ store, plan: () => planOn('self') });
    const request = texts('minilm', 'Hi');
    await expect(coordinator.plan(request, { ...options, cut: 'auto' })).rejects.toMatchObject({
      facts: { param: 'x-weft-cut' },
    });
    await expect(coordinator.plan(request, { ...options, rawLocal: ['x'] })).rejects.toMatchObject({
      facts: { param: 'x-weft-raw' },
    });
  });
});
