// Deadlines and priorities, from the headers of every endpoint that runs models to the coordinator, and back as a refusal.
import { describe, expect, it } from 'vitest';
import type { Coordinator, RequestOptions } from '../../../node/core/coordinator.ts';
import { errorBody, quotedMs, retryAfter } from '../../../node/gateway/errors.ts';
import type { GatewayLimits } from '../../../node/gateway/limits.ts';
import { urgencyOf } from '../../../node/gateway/urgency.ts';
import { ErrorBody } from '../../../protocol/api/openai.ts';
import { DEADLINE_MS_MAX } from '../../../protocol/api/urgency.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { chatResult, embedLengths, ended, helloChat, KEY, PLAN, startGateway, USER_HI } from './support.ts';

/** A gateway whose work keeps the options that it got. */
async function start(overrides: Partial<Coordinator> = {}, limits: Partial<GatewayLimits> = {}) {
  const seen: { priority: string | undefined; leftMs: number | undefined }[] = [];
  const note = ({ priority, leftMs }: RequestOptions): void => void seen.push({ priority, leftMs: leftMs?.() });
  const gateway = await startGateway({
    limits,
    control: { explain: () => ({ lines: [], unmeetable: undefined }) },
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
      transcribe: async (_request, options) => {
        note(options);
        const usage = { promptTokens: 0, completionTokens: 0 };
        const said = { text: '', language: undefined, durationS: 1, segments: [], usage };
        return { model: 'm', ...said, nodes: [], plan: PLAN };
      },
      plan: async (_request, options) => {
        note(options);
        return { model: { id: 'm', digest: 'd' }, work: 'encode', inputTokens: 1, requests: 1, plan: PLAN };
      },
      ...overrides,
    },
  });
  return { ...gateway, seen };
}

const CHAT = { model: 'chat', messages: USER_HI };

const WORK: readonly (readonly [string, object])[] = [
  ['/v1/chat/completions', CHAT],
  ['/v1/completions', { model: 'chat', prompt: 'Hi' }],
  ['/v1/responses', { model: 'chat', input: 'Hi' }],
  ['/v1/embeddings', { model: 'embed', input: 'x' }],
  ['/v1/rerank', { model: 'rank', query: 'x', documents: ['y'] }],
  ['/api/v1/infer', { model: 'm', inputs: [] }],
  ['/api/v1/plan', { model: 'm', input: 'x' }],
];

describe('the headers of work', () => {
  it.each(WORK)('reach the coordinator from %s', async (path, body) => {
    const { call, seen } = await start();
    const answer = await call(path, body, { 'x-weft-deadline-ms': '60000', 'x-weft-priority': 'batch' });
    expect([answer.status, await answer.text()]).toEqual([200, expect.any(String)]);
    await (await call(path, body)).text();
    expect(seen).toEqual([
      { priority: 'batch', leftMs: expect.any(Number) },
      { priority: undefined, leftMs: undefined },
    ]);
    expect(seen[0]?.leftMs).toBeGreaterThan(0);
    expect(seen[0]?.leftMs).toBeLessThanOrEqual(60_000);
  });

  it('reach it with a form too', async () => {
    const { url, seen } = await start();
    for (const path of ['transcriptions', 'translations']) {
      const form = new FormData();
      form.set('model', 'm');
      form.set('file', new Blob(['RIFF']), 'a.wav');
      const headers = { authorization: `Bearer ${KEY}`, 'x-weft-priority': 'interactive' };
      const answer = await fetch(`${url}/v1/audio/${path}`, { method: 'POST', body: form, headers });
      expect(answer.status).toBe(200);
    }
    expect(seen.map(({ priority }) => priority)).toEqual(['interactive', 'interactive']);
  });

  it.each(WORK)('are refused by name at %s where they make no sense', async (path, body) => {
    const { call, seen } = await start();
    for (const [name, value] of [
      ['x-weft-deadline-ms', 'soon'],
      ['x-weft-priority', 'urgent'],
    ] as const) {
      const answer = await call(path, body, { [name]: value });
      expect(answer.status).toBe(400);
      const { error } = ErrorBody.parse(await answer.json());
      expect(error).toMatchObject({ weft_code: 'bad_request', param: name });
      expect(error.message).toContain(name);
    }
    expect(seen).toEqual([]);
  });

  it('mean nothing where no work is done', async () => {
    const { call } = await start();
    expect((await call('/api/v1/status', undefined, { 'x-weft-deadline-ms': 'soon' })).status).toBe(200);
  });

  it.each(['0', '-1', '1.5', '1e3', ' ', '', '5, 6', '0x10', String(DEADLINE_MS_MAX + 1), '9'.repeat(40)])(
    'take no deadline of "%s"',
    (text) => {
      expect(() => urgencyOf({ 'x-weft-deadline-ms': text })).toThrow(
        expect.objectContaining({ code: 'bad_request', facts: { param: 'x-weft-deadline-ms' } }),
      );
    },
  );

  it('take a millisecond, and a day', () => {
    expect(urgencyOf({ 'x-weft-deadline-ms': '1' })).toEqual({ deadlineMs: 1 });
    expect(urgencyOf({ 'x-weft-deadline-ms': '86400000' })).toEqual({ deadlineMs: DEADLINE_MS_MAX });
    expect(urgencyOf({})).toEqual({});
  });
});

describe('a deadline', () => {
  const unmeetable = new WeftError({
    code: 'deadline_unmeetable',
    message: 'The soonest answer takes 2345 ms.',
    facts: { quotedMs: '2344.5', retryAfterMs: '1200' },
  });

  it('that can not be met is refused with the time that it would take, and when to come again', async () => {
    const { call } = await start({
      chat: async () => {
        throw unmeetable;
      },
    });
    for (const stream of [false, true]) {
      const answer = await call('/v1/chat/completions', { ...CHAT, stream }, { 'x-weft-deadline-ms': '100' });
      expect(answer.status).toBe(503);
      expect(answer.headers.get('retry-after')).toBe('2');
      expect(answer.headers.get('x-weft-quoted-ms')).toBe('2345');
      expect(ErrorBody.parse(await answer.json()).error).toMatchObject({
        weft_code: 'deadline_unmeetable',
        quoted_ms: 2345,
      });
    }
  });

  it('that passes ends the work', async () => {
    const { call } = await start({ chat: async (_request, { signal }) => ended(signal) });
    const answer = await call('/v1/chat/completions', CHAT, { 'x-weft-deadline-ms': '20' });
    expect(answer.status).toBe(504);
    expect(ErrorBody.parse(await answer.json()).error).toMatchObject({
      weft_code: 'deadline_exceeded',
      message: expect.stringContaining('20 ms'),
    });
  });

  it.each([
    ['is refused with the time that it would take, and not ended', 60_000, 503, 'deadline_unmeetable'],
    ['would only be ended without a moment behind it', 0, 504, 'deadline_exceeded'],
  ])('that passes while the work is prepared %s', async (_what, unplacedMsMax, status, weft_code) => {
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    const prepare = async (signal: AbortSignal): Promise<never> => {
      // Far behind the deadline of a millisecond; where the work is ended, until that is seen.
      for (let turns = 0; turns < 1_000 || (unplacedMsMax === 0 && !signal.aborted); turns += 1) await turn();
      throw signal.aborted ? signal.reason : unmeetable;
    };
    const { call } = await start({ chat: (_request, { signal }) => prepare(signal) }, { unplacedMsMax });
    const answer = await call('/v1/chat/completions', CHAT, { 'x-weft-deadline-ms': '1' });
    expect(answer.status).toBe(status);
    expect(ErrorBody.parse(await answer.json()).error.weft_code).toBe(weft_code);
  });

  it('that passes ends work at once that is being placed', async () => {
    const chat: Coordinator['chat'] = async (_request, { signal, leftMs }) => {
      leftMs?.();
      return ended(signal);
    };
    const { call } = await start({ chat }, { unplacedMsMax: 3_600_000 });
    expect((await call('/v1/chat/completions', CHAT, { 'x-weft-deadline-ms': '5' })).status).toBe(504);
  });

  it('of a dry run ends nothing: what is planned may take longer', async () => {
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    const { call } = await start({
      plan: async (_request, { leftMs, signal }) => {
        while ((leftMs?.() ?? 0) > 0) await turn();
        for (let turns = 0; turns < 10; turns += 1) await turn();
        signal.throwIfAborted();
        return { model: { id: 'm', digest: 'd' }, work: 'run', inputTokens: 0, requests: 1, plan: PLAN };
      },
    });
    const answer = await call('/api/v1/plan', { model: 'm', input: 'x' }, { 'x-weft-deadline-ms': '1' });
    expect(answer.status).toBe(200);
  });

  it('is quoted for no other failure, and never as what is no number', () => {
    const made = (code: 'declined' | 'deadline_unmeetable', facts: Record<string, string>): WeftError =>
      new WeftError({ code, message: 'x', facts });
    expect(quotedMs(made('declined', { quotedMs: '5' }))).toBeUndefined();
    for (const text of ['', 'x', 'NaN', 'Infinity', '-1']) {
      expect(errorBody(made('deadline_unmeetable', { quotedMs: text }), 'r').error).not.toHaveProperty('quoted_ms');
    }
    expect(retryAfter(made('deadline_unmeetable', {}))).toBe('1');
  });
});
