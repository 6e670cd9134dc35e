// Reranking: pairs as the model takes them, scores in order, what is cut and what is refused.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { loadTextRanking, type TextRankingTask } from '../../../models/tasks/text-ranking.ts';
import type { RequestOptions } from '../../../node/core/coordinator.ts';
import type { EncodeRequest } from '../../../protocol/infer.ts';
import { tinyLogit, tinyReranker } from '../../support/tiny-reranker.ts';
import { TIMING } from '../dispatch/fakes.ts';
import { bundledStore, type Encode, fakeCoordinator, planOn } from './fakes.ts';

// A smaller bound: lists that a test can make are then huge.
vi.mock(import('../../../node/coordinator/limits.ts'), async (original) => ({
  ...(await original()),
  ENCODE_TOKENS_MAX: 16_384 as never,
}));

const options: RequestOptions = { signal: new AbortController().signal, requestId: 'req_1' };
const sigmoid = (logit: number): number => 1 / (1 + Math.exp(-logit));

let task: TextRankingTask;
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weft-ranking-'));
  const { folder, manifest } = await tinyReranker(root);
  task = await loadTextRanking(folder, manifest);
  return () => rm(root, { recursive: true, force: true });
});

/** What the tiny reranker gives, and the requests that came. */
function ranking() {
  const requests: EncodeRequest[] = [];
  const ids: string[] = [];
  const encode: Encode = async (request, { requestId }) => {
    requests.push(request);
    ids.push(requestId);
    let from = 0;
    const embeddings = Float32Array.from(request.lengths, (length, text) => {
      const own = request.ids.subarray(from, from + length);
      from += length;
      return tinyLogit(own, request.firstLengths?.[text] ?? length);
    });
    return { embeddings, dimensions: 1, node: 'self', timing: TIMING, plan: planOn('self'), nodes: ['self'] };
  };
  return { encode, requests, ids };
}

async function start(encode: Encode, tokenize?: Parameters<typeof fakeCoordinator>[0]['tokenize']) {
  const store = await bundledStore([root]);
  const init = tokenize === undefined ? { store, encode } : { store, encode, tokenize };
  return fakeCoordinator(init).coordinator;
}

const QUERY = 'what do pandas eat';
const DOCUMENTS = ['pandas eat bamboo, that is what pandas eat', 'the sky is blue', 'what do cats eat'];

describe('reranking', () => {
  it('sorts documents by the logistic function of their logits', async () => {
    const { encode } = ranking();
    const coordinator = await start(encode);
    const answer = await coordinator.rerank({ model: 'tiny-reranker', query: QUERY, documents: DOCUMENTS }, options);
    const query = task.encode(QUERY).ids;
    const scores = DOCUMENTS.map((document) => {
      const { ids, firstLength } = task.pair(query, task.encode(document).ids);
      return sigmoid(tinyLogit(ids, firstLength));
    });
    const order = [0, 1, 2].sort((a, b) => (scores[b] as number) - (scores[a] as number));
    expect(answer.results).toEqual(
      order.map((index) => ({ index, score: expect.closeTo(scores[index] as number, 6) })),
    );
    expect(answer).toMatchObject({ model: 'owner/tiny-reranker', truncated: 0, nodes: ['self'] });
    expect(answer.promptTokens).toBe(
      DOCUMENTS.reduce((sum, document) => sum + task.pair(query, task.encode(document).ids).ids.length, 0),
    );
  });

  it('puts BERT tokens around a pair, and tells where the document begins', async () => {
    const { encode, requests } = ranking();
    const coordinator = await start(encode);
    await coordinator.rerank({ model: 'tiny-reranker', query: 'hello', documents: ['world peace'] }, options);
    // [CLS] hello [SEP] world peace [SEP]
    expect([...(requests[0]?.ids ?? [])]).toEqual([101, 7592, 102, 2088, 3521, 102]);
    expect(requests[0]).toMatchObject({ pooling: 'logits', firstLengths: Int32Array.of(3), lengths: Int32Array.of(6) });
  });

  it('gives as many as are wanted', async () => {
    const coordinator = await start(ranking().encode);
    const rerank = (topN: number) =>
      coordinator.rerank({ model: 'tiny-reranker', query: QUERY, documents: DOCUMENTS, topN }, options);
    expect((await rerank(1)).results).toHaveLength(1);
    expect((await rerank(100)).results).toHaveLength(3);
    await expect(rerank(0)).rejects.toMatchObject({ code: 'bad_request', facts: { param: 'top_n' } });
  });

  it('keeps the order of documents with one score', async () => {
    const coordinator = await start(ranking().encode);
    const documents = ['same', 'same', 'same'];
    const { results } = await coordinator.rerank({ model: 'tiny-reranker', query: 'a', documents }, options);
    expect(results.map(({ index }) => index)).toEqual([0, 1, 2]);
  });

  it('cuts documents to what the query leaves, and says how many', async () => {
    const { encode, requests } = ranking();
    const coordinator = await start(encode);
    const documents = ['tree '.repeat(200), 'tree'];
    const answer = await coordinator.rerank({ model: 'tiny-reranker', query: QUERY, documents }, options);
    expect(answer.truncated).toBe(1);
    const asked = task.encode(QUERY).ids.length;
    expect([...(requests[0]?.lengths ?? [])]).toEqual([64, 3 + asked + 1]);
    expect(requests[0]?.ids[63]).toBe(102);
    // The query came through whole.
    expect([...(requests[0]?.ids.subarray(1, 1 + asked) ?? [])]).toEqual([...task.encode(QUERY).ids]);
  });

  it('spreads many documents over several requests, each with an id of its own', async () => {
    const { encode, requests, ids } = ranking();
    const coordinator = await start(encode);
    const documents = Array.from({ length: 300 }, (_, index) => `${'tree '.repeat(80)} ${index}`);
    const { results } = await coordinator.rerank({ model: 'tiny-reranker', query: QUERY, documents }, options);
    expect(requests.length).toBeGreaterThan(1);
    expect(new Set(ids).size).toBe(requests.length);
    expect(results.map(({ index }) => index).sort((a, b) => a - b)).toEqual([...documents.keys()]);
  });

  it('leaves long texts to the prep process', async () => {
    const asked: [number, boolean][] = [];
    const coordinator = await start(ranking().encode, async (_folder, text, tokensMax, specialTokens) => {
      asked.push([tokensMax, specialTokens]);
      return task.encode(text, tokensMax);
    });
    await coordinator.rerank({ model: 'tiny-reranker', query: QUERY, documents: ['tree '.repeat(2_000)] }, options);
    expect(asked).toEqual([[64 - 3 - task.encode(QUERY).ids.length, false]]);
  });

  it.each([
    ['an empty query', { query: '' }, 'query'],
    ['no documents', { documents: [] }, 'documents'],
    ['an empty document', { documents: ['a', ''] }, 'documents[1]'],
    ['too many documents', { documents: Array<string>(1_001).fill('a') }, 'documents'],
  ])('refuses %s', async (_what, change, param) => {
    const coordinator = await start(ranking().encode);
    const request = { model: 'tiny-reranker', query: QUERY, documents: DOCUMENTS, ...change };
    await expect(coordinator.rerank(request, options)).rejects.toMatchObject({ code: 'bad_request', facts: { param } });
  });

  it('refuses a query that leaves no room, a model of another task, and scores that are none', async () => {
    const coordinator = await start(ranking().encode);
    const rerank = (query: string) => coordinator.rerank({ model: 'tiny-reranker', query, documents: ['a'] }, options);
    await expect(rerank('tree '.repeat(61))).rejects.toMatchObject({
      code: 'context_too_long',
      facts: { param: 'query' },
    });
    expect((await rerank('tree '.repeat(60))).results).toHaveLength(1);
    await expect(coordinator.embed({ model: 'tiny-reranker', inputs: ['a'] }, options)).rejects.toThrow(/v1\/rerank/);
    const broken = await start(async (request, placed) => {
      const result = await ranking().encode(request, placed);
      return { ...result, embeddings: result.embeddings.fill(Number.NaN) };
    });
    const work = broken.rerank({ model: 'tiny-reranker', query: 'a', documents: ['b'] }, options);
    await expect(work).rejects.toMatchObject({ code: 'internal' });
  });
});
