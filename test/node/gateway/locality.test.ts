// What stays here and where a graph is cut: from the headers of every endpoint that runs models to the coordinator.
import { describe, expect, it } from 'vitest';
import type { RequestOptions } from '../../../node/core/coordinator.ts';
import type { ConsideredCut, CutWish } from '../../../node/core/dispatcher.ts';
import { CutsAnswer, PlanAnswer } from '../../../protocol/api/control.ts';
import { ErrorBody } from '../../../protocol/api/openai.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { TABLE } from '../dispatch/cut-world.ts';
import { chatResult, embedLengths, helloChat, KEY, OTHER, PLAN, SELF, startGateway, USER_HI } from './support.ts';

const CHOICE: ConsideredCut['choice'] = {
  chosen: 'cut',
  nodes: [SELF, OTHER],
  parts: [
    { node: SELF, from: 0, to: 1, price: PLAN.price },
    { node: OTHER, from: 1, to: 4, price: PLAN.price },
  ],
  totalMs: 25,
  lostBy: [
    { what: 'whole', nodes: [SELF], totalMs: 400.123 },
    { what: 'whole', nodes: [OTHER], totalMs: Number.POSITIVE_INFINITY },
  ],
  rejected: [{ node: OTHER, reason: 'raw: local keeps "x" here' }],
};

async function start(cut?: ConsideredCut) {
  const seen: { cut: CutWish | undefined; rawLocal: RequestOptions['rawLocal'] }[] = [];
  const note = ({ cut: wish, rawLocal }: RequestOptions): void => void seen.push({ cut: wish, rawLocal });
  const asked: { name: string; again: boolean }[] = [];
  const gateway = await startGateway({
    control: {
      explain: () => ({ lines: [], unmeetable: undefined }),
      cuts: async (name, { again }) => {
        asked.push({ name, again });
        if (name === 'gone') throw new WeftError({ code: 'model_not_found', message: 'It is gone.' });
        return TABLE;
      },
    },
    coordinator: {
      chat: async (request, options, events) => {
        note(options);
        return helloChat(request, options, events);
      },
      complete: async (_request, options) => {
        note(options);
        return chatResult();
      },
      embed: async (request, options) => {
        note(options);
        return embedLengths(request);
      },
      rerank: async (_request, options) => {
        note(options);
        return { model: 'm', results: [], promptTokens: 1, truncated: 0, nodes: [], plan: PLAN };
      },
      run: async (_request, options) => {
        note(options);
        const timing = { queueMs: 0, loadMs: 0, computeMs: 0, prefillMs: 0 };
        return { model: { id: 'm', digest: 'sha256:0' }, outputs: [], timing, nodes: [], plan: PLAN };
      },
      plan: async (_request, options) => {
        note(options);
        const model = { id: 'm', digest: 'd' };
        return { model, work: 'run', inputTokens: 0, requests: 1, plan: PLAN, ...(cut !== undefined && { cut }) };
      },
    },
  });
  const refusal = async (path: string, body: object, headers: Record<string, string>) => {
    const answer = await gateway.call(path, body, headers);
    expect(answer.status).toBe(400);
    const { error } = ErrorBody.parse(await answer.json());
    expect(seen).toEqual([]);
    return error;
  };
  return { ...gateway, seen, asked, refusal };
}

const INFER = { model: 'm', inputs: [] };

const TEXTS: readonly (readonly [string, object])[] = [
  ['/v1/chat/completions', { model: 'chat', messages: USER_HI }],
  ['/v1/completions', { model: 'chat', prompt: 'Hi' }],
  ['/v1/responses', { model: 'chat', input: 'Hi' }],
  ['/v1/embeddings', { model: 'embed', input: 'Hi' }],
  ['/v1/rerank', { model: 'm', query: 'q', documents: ['d'] }],
];

describe('x-weft-raw and x-weft-cut', () => {
  it('reach the work of a graph, and its dry run, as they are', async () => {
    const { call, seen } = await start();
    await call('/api/v1/infer', INFER);
    await call('/api/v1/infer', INFER, { 'x-weft-cut': '2,/a/Add', 'x-weft-raw': 'local:x' });
    await call('/api/v1/plan', INFER, { 'x-weft-cut': 'auto', 'x-weft-raw': 'local' });
    expect(seen).toEqual([
      { cut: undefined, rawLocal: undefined },
      { cut: { at: [2, '/a/Add'] }, rawLocal: ['x'] },
      { cut: 'auto', rawLocal: true },
    ]);
  });

  it.each(TEXTS)('keep all of %s here, without a cut', async (path, body) => {
    const { call, seen } = await start();
    expect((await call(path, body, { 'x-weft-raw': 'local' })).status).toBe(200);
    expect(seen).toEqual([{ cut: 'never', rawLocal: true }]);
  });

  it.each(TEXTS)('are refused by name where %s has nothing that they could mean', async (path, body) => {
    const { refusal } = await start();
    expect(await refusal(path, body, { 'x-weft-cut': 'auto' })).toMatchObject({ param: 'x-weft-cut' });
    expect(await refusal(path, body, { 'x-weft-raw': 'local:x' })).toMatchObject({ param: 'x-weft-raw' });
  });

  it.each([
    ['x-weft-raw', 'yes'],
    ['x-weft-raw', ''],
    ['x-weft-cut', '1,,2'],
    ['x-weft-cut', '%'],
  ])('are refused by name: %s: %j', async (name, value) => {
    const { refusal } = await start();
    const error = await refusal('/api/v1/infer', INFER, { [name]: value });
    expect(error).toMatchObject({ weft_code: 'bad_request', param: name });
    expect(error.message).toContain(`"${name}"`);
  });
});

describe('POST /api/v1/plan', () => {
  it('says which cut was considered, what crosses for it, and by how much the others lost', async () => {
    const { call } = await start({ table: TABLE, choice: CHOICE });
    const body = await (await call('/api/v1/plan', INFER, { 'x-weft-cut': 'auto' })).json();
    expect(PlanAnswer.parse(body)).toEqual(body);
    expect((body as PlanAnswer).cut).toEqual({
      chosen: 'cut',
      nodes: [SELF, OTHER],
      parts: [
        { node: SELF, from: 0, to: 1, price: PLAN.price, up: [], down: [] },
        {
          node: OTHER,
          from: 1,
          to: 4,
          price: PLAN.price,
          up: [
            { name: 'm', bytes: 4 },
            { name: 'a', bytes: 4 },
            { name: 's', bytes: 4 },
          ],
          down: [{ name: 'y', bytes: 4 }],
        },
      ],
      totalMs: 25,
      lostBy: [{ what: 'whole', nodes: [SELF], totalMs: 400.12, byMs: 375.12 }],
      rejected: CHOICE.rejected,
      table: { segments: 4, wholeMs: 400, shapes: TABLE.shapes, device: 'cpu', measuredAtMs: 0 },
    });
  });

  it('says why nothing can run as asked, without a time', async () => {
    const refused = {
      ...CHOICE,
      chosen: 'whole' as const,
      nodes: [],
      parts: [],
      lostBy: [],
      refused: 'No other node.',
    };
    const { call } = await start({ table: TABLE, choice: { ...refused, totalMs: Number.POSITIVE_INFINITY } });
    const { cut } = (await (await call('/api/v1/plan', INFER, { 'x-weft-raw': 'local' })).json()) as PlanAnswer;
    expect(cut).toMatchObject({ nodes: [], refused: 'No other node.' });
    expect(cut).not.toHaveProperty('totalMs');
  });
});

describe('GET /api/v1/cuts', () => {
  it('answers with the table, measured anew where that is asked for', async () => {
    const { call, asked } = await start();
    const body = await (await call('/api/v1/cuts?model=owner%2Fm')).json();
    expect(body).toEqual(JSON.parse(JSON.stringify(TABLE)));
    expect(CutsAnswer.parse(body)).toEqual(body);
    await call('/api/v1/cuts?model=m&again=true');
    expect(asked).toEqual([
      { name: 'owner/m', again: false },
      { name: 'm', again: true },
    ]);
  });

  it.each(['/api/v1/cuts', '/api/v1/cuts?model=', '/api/v1/cuts?model=m&again=yes', '/api/v1/cuts?model=m&more=1'])(
    'refuses %s by name',
    async (path) => {
      const { call, asked } = await start();
      const answer = await call(path);
      expect(answer.status).toBe(400);
      expect(asked).toEqual([]);
    },
  );

  it('passes on why there is none', async () => {
    const { call, url } = await start();
    expect((await call('/api/v1/cuts?model=gone')).status).toBe(404);
    const open = await fetch(new URL('/api/v1/cuts?model=m', url), { headers: { authorization: `Bearer not-${KEY}` } });
    expect(open.status).toBe(401);
  });
});
