// POST /v1/rerank over a coordinator that ranks by length.
import { describe, expect, it } from 'vitest';
import type { RerankRequest } from '../../../node/core/coordinator.ts';
import { RERANK_DOCUMENTS_MAX, RerankAnswer } from '../../../protocol/api/rerank.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { OTHER, PLAN, startGateway } from './support.ts';

async function start(init: { readonly truncated?: number; readonly lenient?: boolean } = {}) {
  const asked: RerankRequest[] = [];
  const gateway = await startGateway({
    coordinator: {
      rerank: async (request) => {
        asked.push(request);
        const results = request.documents.map((text, index) => ({ index, score: 1 / (1 + text.length) }));
        results.sort((a, b) => b.score - a.score);
        const usage = { promptTokens: 12, truncated: init.truncated ?? 0 };
        return { model: 'owner/ranker', results: results.slice(0, request.topN), ...usage, nodes: [OTHER], plan: PLAN };
      },
    },
    init: { lenient: () => init.lenient === true },
  });
  const rerank = (body: object) =>
    gateway.call('/v1/rerank', { model: 'ranker', query: 'q', documents: ['aaa', 'b'], ...body });
  return { ...gateway, rerank, asked };
}

describe('/v1/rerank', () => {
  it('answers best first, with scores and usage', async () => {
    const { rerank, asked } = await start();
    const response = await rerank({});
    expect(response.status).toBe(200);
    expect(response.headers.get('x-weft-node')).toBe(OTHER);
    const body = RerankAnswer.parse(await response.json());
    expect(body).toEqual({
      model: 'owner/ranker',
      results: [
        { index: 1, relevance_score: 0.5 },
        { index: 0, relevance_score: 0.25 },
      ],
      usage: { prompt_tokens: 12, total_tokens: 12 },
      weft: { nodes: [OTHER], plan: { kind: 'remote', predicted_ms: 12.35 } },
    });
    expect(asked).toEqual([{ model: 'ranker', query: 'q', documents: ['aaa', 'b'] }]);
  });

  it('gives documents back where that is asked for, however they came', async () => {
    const { rerank, asked } = await start();
    const response = await rerank({ documents: ['aaa', { text: 'b' }], top_n: 1, return_documents: true });
    const { results } = (await response.json()) as RerankAnswer;
    expect(results).toEqual([{ index: 1, relevance_score: 0.5, document: { text: 'b' } }]);
    expect(asked).toEqual([{ model: 'ranker', query: 'q', documents: ['aaa', 'b'], topN: 1 }]);
  });

  it('says how many documents were cut', async () => {
    const { rerank } = await start({ truncated: 2 });
    expect((await rerank({})).headers.get('x-weft-truncated')).toBe('2');
  });

  it.each<[string, object, string]>([
    ['no query', { query: '' }, 'query'],
    ['a query that is no text', { query: 7 }, 'query'],
    ['no documents', { documents: [] }, 'documents'],
    ['too many documents', { documents: Array<string>(RERANK_DOCUMENTS_MAX + 1).fill('a') }, 'documents'],
    ['a document that is no text', { documents: ['a', { title: 'b' }] }, 'documents[1]'],
    ['a document with more than text', { documents: [{ text: 'a', image: 'b' }] }, 'documents[0]'],
    ['a count below 1', { top_n: 0 }, 'top_n'],
    ['what Cohere has and Weft has not', { max_tokens_per_doc: 10 }, 'max_tokens_per_doc'],
    ['what nobody has', { colour: 'red' }, 'colour'],
  ])('refuses %s by name', async (_what, body, param) => {
    const { rerank, asked } = await start();
    const response = await rerank(body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param } });
    expect(asked).toEqual([]);
  });

  it('goes on without what it does not know where it is lenient', async () => {
    const { rerank } = await start({ lenient: true });
    const response = await rerank({ max_tokens_per_doc: 10, colour: 'red' });
    expect(response.status).toBe(200);
    expect(response.headers.get('x-weft-ignored')).toBe('max_tokens_per_doc, colour');
  });

  it('answers for a model that is none of its kind as the others do', async () => {
    const { call } = await startGateway({
      coordinator: {
        rerank: async () => {
          throw new WeftError({ code: 'bad_request', message: 'chat answers chats.', facts: { param: 'model' } });
        },
      },
    });
    const response = await call('/v1/rerank', { model: 'chat', query: 'q', documents: ['a'] });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param: 'model', message: 'chat answers chats.' } });
  });
});
