// POST /api/v1/plan and GET /api/v1/requests/{id}/replay.
import { describe, expect, it } from 'vitest';
import type { ReplayedRequest } from '../../../node/core/control.ts';
import type { PlanRequest } from '../../../node/core/coordinator.ts';
import { PlanAnswer, ReplayAnswer } from '../../../protocol/api/control.ts';
import { ErrorBody } from '../../../protocol/api/openai.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { OTHER, PLAN, SELF, startGateway } from './support.ts';

const RICH = {
  ...PLAN,
  samples: 12,
  correction: 1.2,
  withinMs: 30,
  others: [{ node: SELF, price: PLAN.price, samples: 0 }],
  rejected: [{ node: 'x', reason: 'it is gone' }],
};

async function start(unmeetable?: { readonly quotedMs: number; readonly retryAfterMs: number }) {
  const asked: PlanRequest[] = [];
  const left: (number | undefined)[] = [];
  const gateway = await startGateway({
    coordinator: {
      plan: async (request) => {
        asked.push(request);
        const model = { id: 'owner/model', digest: 'sha256:0' };
        return { model, work: 'encode', inputTokens: 7, requests: 2, plan: RICH };
      },
    },
    control: {
      explain: (plan, leftMs) => {
        left.push(leftMs);
        return { lines: [`on ${plan.node}`], unmeetable };
      },
    },
  });
  return { ...gateway, asked, left };
}

describe('POST /api/v1/plan', () => {
  it('answers with the plan of texts, its price and its reasons', async () => {
    const { call, asked, left } = await start();
    const answer = await call('/api/v1/plan', { model: 'm', input: ['a', 'b'], query: 'q', max_tokens: 5 });
    const body = await answer.json();
    expect(body).toEqual({
      model: 'owner/model',
      work: 'encode',
      inputTokens: 7,
      requests: 2,
      plan: RICH,
      explanation: [`on ${OTHER}`],
    });
    expect(PlanAnswer.parse(body)).toEqual(body);
    await call('/api/v1/plan', { model: 'm', input: 'a' });
    expect(asked).toEqual([
      { model: 'm', kind: 'texts', texts: ['a', 'b'], query: 'q', maxTokens: 5 },
      { model: 'm', kind: 'texts', texts: ['a'] },
    ]);
    expect(left).toEqual([undefined, undefined]);
  });

  it('plans tensors by their shapes, without their elements', async () => {
    const { call, asked } = await start();
    const inputs = [
      { name: 'x', dtype: 'float32', shape: [1, 3, 8, 8] },
      { name: 'words', dtype: 'string', shape: [2] },
    ];
    expect((await call('/api/v1/plan', { model: 'm', inputs })).status).toBe(200);
    expect(asked).toEqual([
      {
        model: 'm',
        kind: 'tensors',
        inputs: [
          { name: 'x', type: 'float32', dims: [1, 3, 8, 8], data: new Uint8Array(768) },
          { name: 'words', type: 'string', dims: [2], data: new Uint8Array(8) },
        ],
      },
    ]);
  });

  it('says whether a request with the deadline would be taken', async () => {
    const taken = await start();
    const headers = { 'x-weft-deadline-ms': '5000' };
    const answer = await taken.call('/api/v1/plan', { model: 'm', input: 'a' }, headers);
    expect(PlanAnswer.parse(await answer.json()).deadline).toEqual({ deadlineMs: 5_000, meetable: true });
    expect(taken.left[0]).toBeLessThanOrEqual(5_000);
    const refused = await start({ quotedMs: 9_000, retryAfterMs: 4_000 });
    const other = await refused.call('/api/v1/plan', { model: 'm', input: 'a' }, headers);
    expect(PlanAnswer.parse(await other.json()).deadline).toEqual({
      deadlineMs: 5_000,
      meetable: false,
      quotedMs: 9_000,
      retryAfterMs: 4_000,
    });
  });

  const huge = { name: 'x', dtype: 'float32', shape: [1 << 20, 4] };
  it.each<[string, object, string]>([
    ['nothing', {}, 'input'],
    ['texts and tensors', { input: 'a', inputs: [] }, 'input'],
    ['an empty text', { input: ['a', ''] }, 'input'],
    ['no text', { input: [] }, 'input'],
    ['tensors larger than a request', { inputs: [huge, { ...huge, name: 'y' }] }, 'inputs'],
    ['a shape that overflows', { inputs: [{ name: 'x', dtype: 'int8', shape: [2 ** 40, 2 ** 40] }] }, ''],
    ['a negative dimension', { inputs: [{ name: 'x', dtype: 'int8', shape: [-1] }] }, 'inputs'],
    ['a text too many', { input: Array.from({ length: 2_049 }, () => 'a') }, 'input'],
    ['what it does not know', { input: 'a', stream: true }, 'stream'],
  ])('refuses %s', async (_what, body, param) => {
    const { call, asked } = await start();
    const answer = await call('/api/v1/plan', { model: 'm', ...body });
    expect(answer.status).toBe(400);
    expect(ErrorBody.parse(await answer.json()).error.param ?? '').toContain(param);
    expect(asked).toEqual([]);
  });
});

describe('GET /api/v1/requests/{id}/replay', () => {
  const replayed: ReplayedRequest = {
    requestId: 'req_1',
    model: 'owner/model',
    status: 'ok',
    durationMs: 20,
    policy: 'prequal',
    placements: [
      { atMs: 1, old: RICH, measured: { computeMs: 11 }, new: PLAN, reason: undefined, explanation: ['on x'] },
      { atMs: 9, old: RICH, measured: {}, new: undefined, reason: 'Nothing is kept.', explanation: [] },
    ],
  };

  it('asks for the request by its id and the policy by its name', async () => {
    const asked: unknown[] = [];
    const { call } = await startGateway({
      control: {
        replay: (...args) => {
          asked.push(args);
          return replayed;
        },
      },
    });
    const body = await (await call('/api/v1/requests/req_1/replay?policy=prequal')).json();
    expect(ReplayAnswer.parse(body)).toEqual(body);
    expect(body).toEqual(JSON.parse(JSON.stringify(replayed)));
    await call('/api/v1/requests/a%2Fb/replay');
    expect(asked).toEqual([
      ['req_1', 'prequal'],
      ['a/b', undefined],
    ]);
  });

  it('refuses other queries, and passes on why there is no replay', async () => {
    const { call } = await startGateway({
      control: {
        replay: () => {
          throw new WeftError({ code: 'not_found', message: 'No request of this id is kept here.' });
        },
      },
    });
    expect((await call('/api/v1/requests/req_1/replay?policy=')).status).toBe(400);
    expect((await call('/api/v1/requests/req_1/replay?now=1')).status).toBe(400);
    expect((await call('/api/v1/requests/req_1/replay')).status).toBe(404);
  });
});
