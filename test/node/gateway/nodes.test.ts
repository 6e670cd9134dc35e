// /api/v1/nodes/{node}/…: paths and bodies into operations, and what comes back.
import { describe, expect, it } from 'vitest';
import type { ManagedNodes } from '../../../node/core/manage.ts';
import { MANAGED_OPERATIONS, type ManagedOperation } from '../../../protocol/api/control.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { KEY, OTHER, startGateway } from './support.ts';

interface Asked {
  readonly node: string;
  readonly operation: ManagedOperation;
  readonly request: unknown;
}

async function start(answer: ManagedNodes['manage'] = async () => ({ status: 200, body: { done: true } })) {
  const asked: Asked[] = [];
  const gateway = await startGateway({
    components: {
      nodes: {
        manage(node, operation, request, options) {
          asked.push({ node, operation, request });
          return answer(node, operation, request, options);
        },
        watch: () => Promise.reject(new Error('not expected in this test')),
      },
    },
  });
  const send = (method: string, path: string, body?: unknown): Promise<Response> =>
    fetch(`${gateway.url}/api/v1/nodes/${OTHER}/${path}`, {
      method,
      headers: {
        authorization: `Bearer ${KEY}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  return { ...gateway, asked, send };
}

describe('the API of other nodes', () => {
  it('has every operation of the table at its path, and asks the node for it', async () => {
    const { send, asked } = await start();
    for (const [operation, { method, path }] of Object.entries(MANAGED_OPERATIONS)) {
      const response = await send(method, path.replace(/\{\w+\}/, 'owner%2Fname'), method === 'GET' ? undefined : {});
      expect([operation, response.status, await response.json()]).toEqual([operation, 200, { done: true }]);
      expect(asked.at(-1)).toMatchObject({ node: OTHER, operation });
    }
    expect(new Set(asked.map(({ operation }) => operation)).size).toBe(Object.keys(MANAGED_OPERATIONS).length);
  });

  it('passes queries, bodies and the rest of a path on', async () => {
    const { send, asked } = await start();
    await send('GET', 'logs?level=warn&limit=5');
    await send('PATCH', 'config', { keepAlive: null });
    await send('GET', 'models/owner/name');
    await send('GET', 'requests/req_1?id=req_2');
    expect(asked.map(({ request }) => request)).toEqual([
      { level: 'warn', limit: '5' },
      { keepAlive: null },
      { model: 'owner/name' },
      { id: 'req_1' },
    ]);
  });

  it('says 202 where the node does', async () => {
    const { send } = await start(async () => ({ status: 202, body: { accepted: true } }));
    const response = await send('POST', 'models/pull', { model: 'a/b' });
    expect([response.status, await response.json()]).toEqual([202, { accepted: true }]);
  });

  it.each([
    ['forbidden', 403],
    ['peer_unreachable', 503],
    ['deadline_exceeded', 504],
    ['config_invalid', 400],
    ['frame_invalid', 502],
  ] as const)('answers %s with %i', async (code, status) => {
    const { send } = await start(async () => {
      throw new WeftError({ code, message: 'No.', facts: code === 'config_invalid' ? { setting: 'storage' } : {} });
    });
    const response = await send('GET', 'status');
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({
      error: { weft_code: code, param: code === 'config_invalid' ? 'storage' : null },
    });
  });

  it('takes no body that is no object, and nothing without the key', async () => {
    const { send, asked, url } = await start();
    expect((await send('POST', 'restart', [])).status).toBe(400);
    expect((await fetch(`${url}/api/v1/nodes/${OTHER}/status`)).status).toBe(401);
    expect((await send('GET', 'key')).status).toBe(404);
    expect(asked).toEqual([]);
  });

  it('ends the work of a client that goes away', async () => {
    const begun = Promise.withResolvers<AbortSignal>();
    const { url } = await start((_node, _operation, _request, { signal }) => {
      begun.resolve(signal);
      return new Promise(() => undefined);
    });
    const client = new AbortController();
    const asked = fetch(`${url}/api/v1/nodes/${OTHER}/doctor`, {
      headers: { authorization: `Bearer ${KEY}` },
      signal: client.signal,
    }).catch(() => 'gone');
    const signal = await begun.promise;
    client.abort();
    expect(await asked).toBe('gone');
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    expect(signal.reason).toMatchObject({ code: 'cancelled' });
  });

  it('lets this node restart only once the answer is out', async () => {
    const left = Promise.withResolvers<void>();
    const { send } = await start(async (_node, _operation, _request, { afterwards }) => {
      afterwards(() => left.resolve());
      return { status: 200, body: { restarting: true } };
    });
    expect(await (await send('POST', 'restart', {})).json()).toEqual({ restarting: true });
    await left.promise;
  });
});

describe('POST /api/v1/restart', () => {
  it('restarts this node once the answer is out', async () => {
    const asked = Promise.withResolvers<void>();
    const { call } = await startGateway({ control: { restart: () => asked.resolve() } });
    expect(await (await call('/api/v1/restart', {})).json()).toEqual({ restarting: true });
    await asked.promise;
    expect((await call('/api/v1/restart', { now: true })).status).toBe(400);
  });
});
