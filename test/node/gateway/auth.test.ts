// Who may ask at all. Each guard has a twin test in which it is left out and the attack succeeds.
import { describe, expect, it } from 'vitest';
import { systemRandom } from '../../../node/app/random.ts';
import { createGuards } from '../../../node/gateway/auth.ts';
import { Gateway } from '../../../node/gateway/gateway.ts';
import { fakeControl, head, KEY, RawClient, type StartInit, startGateway, USER_HI } from './support.ts';

const CHAT = JSON.stringify({ model: 'chat', messages: USER_HI });

/** Sends a whole request with these headers (undefined leaves one out) and gives the status. */
async function statusOf(
  options: StartInit,
  headers: Record<string, string | undefined>,
  line = 'POST /v1/chat/completions',
) {
  const { port } = await startGateway(options);
  const client = new RawClient(port);
  const body = line.startsWith('POST') ? CHAT : '';
  client.write(
    head(line, {
      'content-type': 'application/json',
      ...(body === '' ? {} : { 'content-length': String(body.length) }),
      ...headers,
    }) + body,
  );
  return Number((await client.until('\r\n\r\n')).slice(9, 12));
}

const guardsOf = (host: string, origins: readonly string[] = []) =>
  createGuards({ host, apiKey: () => KEY, origins: () => origins });

describe('DNS rebinding', () => {
  const attack = { host: 'rebound.example:9338' };

  it('is refused by the Host header, on open paths too', async () => {
    expect(await statusOf({}, attack)).toBe(403);
    expect(await statusOf({}, attack, 'GET /healthz')).toBe(403);
    expect(await statusOf({}, attack, 'GET /no-such-path')).toBe(403);
  });

  it('would succeed without the guard', async () => {
    expect(await statusOf({ guards: { host: () => undefined } }, attack)).toBe(200);
  });

  it.each(['localhost', 'localhost:8080', 'LOCALHOST', '127.0.0.1:9338', '127.1.2.3', '[::1]:9338'])(
    'is not what the Host %s is',
    (host) => {
      guardsOf('127.0.0.1').host({ host });
    },
  );

  it.each([
    undefined,
    '',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'evil.example#localhost',
    'user@localhost',
    'localhost/x',
    '192.168.1.5',
    '[::2]',
    'local host',
    '0.0.0.0',
  ])('is what the Host %j could be', (host) => {
    expect(() => guardsOf('127.0.0.1').host({ host })).toThrow(expect.objectContaining({ code: 'forbidden' }));
  });

  it('leaves the bound name, any address when bound to all, and hosts of allowed origins', () => {
    guardsOf('weft.lan').host({ host: 'weft.lan:9338' });
    guardsOf('0.0.0.0').host({ host: '192.168.1.5:9338' });
    guardsOf('::').host({ host: '[2001:db8::1]:9338' });
    guardsOf('127.0.0.1', ['https://chat.example.org']).host({ host: 'chat.example.org' });
    expect(() => guardsOf('0.0.0.0').host({ host: 'rebound.example' })).toThrow();
  });
});

describe('pages of other origins', () => {
  const attacks: [string, Record<string, string>][] = [
    ['a cross-site POST', { origin: 'https://evil.example' }],
    ['a null Origin', { origin: 'null' }],
    ['another port of the same host', { origin: 'http://localhost:1' }],
    ['a request without Origin that the browser marks as cross-site', { 'sec-fetch-site': 'cross-site' }],
    [
      'a WebSocket handshake',
      { origin: 'https://evil.example', connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-key': 'x' },
    ],
  ];

  it.each(attacks)('are refused: %s', async (_what, headers) => {
    expect(await statusOf({}, headers)).toBe(403);
  });

  it.each(attacks)('would get through without the guard: %s', async (_what, headers) => {
    expect(await statusOf({ guards: { origin: () => undefined } }, headers)).toBe(200);
  });

  // What a browser sends for `new WebSocket(…)`: a GET, which no preflight precedes.
  const upgrade = {
    origin: 'https://evil.example',
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-version': '13',
  };

  it('are refused when they open a WebSocket', async () => {
    expect(await statusOf({}, upgrade, 'GET /api/v1/status')).toBe(403);
  });

  it('would be answered without the guard, by a WebSocket too', async () => {
    expect(await statusOf({ guards: { origin: () => undefined } }, upgrade, 'GET /api/v1/status')).toBe(200);
  });

  it('are refused even when "null" stands in the allowed origins', () => {
    expect(() => guardsOf('127.0.0.1', ['null']).origin({ origin: 'null', host: 'localhost' })).toThrow();
  });

  it("are not what the node's own pages are", async () => {
    expect(await statusOf({}, { host: 'localhost:9338', origin: 'http://localhost:9338' })).toBe(200);
  });

  it('may call when their origin is allowed, and may read the answer', async () => {
    const { call, url } = await startGateway({ init: { origins: () => ['https://Chat.example.org'] } });
    const origin = 'https://chat.example.org';
    const asked = await fetch(`${url}/v1/chat/completions`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST' },
    });
    expect(asked.status).toBe(204);
    expect(asked.headers.get('access-control-allow-headers')).toBe('authorization, *');
    for (const stream of [false, true]) {
      const answer = await call('/v1/chat/completions', { model: 'chat', messages: USER_HI, stream }, { origin });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('access-control-allow-origin')).toBe(origin);
      expect(answer.headers.get('access-control-expose-headers')).toContain('x-weft-node');
      await answer.text();
    }
  });

  it('get no CORS headers when their origin is not allowed', async () => {
    const { url } = await startGateway({ init: { origins: () => ['https://chat.example.org'] } });
    const asked = await fetch(`${url}/v1/models`, { method: 'OPTIONS', headers: { origin: 'https://evil.example' } });
    expect(asked.status).toBe(403);
    expect(asked.headers.get('access-control-allow-origin')).toBeNull();
  });
});

describe('bodies that a page can send without asking', () => {
  const types = [
    'text/plain',
    'text/plain;charset=UTF-8',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    undefined,
  ];

  it.each(types)('are refused: %s', async (type) => {
    expect(await statusOf({}, { 'content-type': type })).toBe(403);
  });

  it.each(types)('would be read as JSON without the guard: %s', async (type) => {
    expect(await statusOf({ guards: { contentType: () => undefined } }, { 'content-type': type })).toBe(200);
  });

  it('are told apart from other types, which are no attack', async () => {
    expect(await statusOf({}, { 'content-type': 'application/xml' })).toBe(415);
    expect(await statusOf({}, { 'content-type': 'Application/JSON; charset=utf-8' })).toBe(200);
  });
});

describe('the key', () => {
  it.each(['', 'Bearer', `Basic ${KEY}`, `Bearer ${KEY}x`, `Bearer ${KEY.slice(1)}`, KEY, `Bearer ${KEY} x`])(
    'is not %j',
    async (authorization) => {
      expect(await statusOf({}, { authorization })).toBe(401);
    },
  );

  it('is asked for everywhere but at the health checks, the pages and the sign-in', async () => {
    const { url } = await startGateway();
    const paths = ['/metrics', '/v1/models', '/api/v1/status', '/api/v1/ps', '/healthz/x', '/index.html', '/v1/none'];
    for (const path of paths) expect((await fetch(url + path)).status).toBe(401);
    for (const path of ['/healthz', '/readyz', '/healthz?x=1']) expect((await fetch(url + path)).status).toBe(200);
    for (const path of ['/', '/assets/x']) expect((await fetch(url + path)).status).toBe(404);
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
      expect((await fetch(`${url}/api/v1/session`, { method })).status).toBe(401);
    }
    expect((await fetch(`${url}/api/v1/session`, { method: 'POST' })).status).toBe(403);
  });

  it('is all that keeps a stranger out: without the guard everything answers', async () => {
    const { url } = await startGateway({ guards: { key: () => undefined } });
    expect((await fetch(`${url}/api/v1/status`)).status).toBe(200);
  });

  it('is taken whatever the case of the scheme', async () => {
    expect(await statusOf({}, { authorization: `bearer  ${KEY}` })).toBe(200);
  });
});

describe('refusals by headers', () => {
  it('are not escaped by a header that comes behind a hundred others', async () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`x-${index}`, '']));
    expect(await statusOf({}, { ...many, origin: 'https://evil.example' })).toBe(431);
    const some = Object.fromEntries(Array.from({ length: 90 }, (_, index) => [`x-${index}`, '']));
    expect(await statusOf({}, { ...some, origin: 'https://evil.example' })).toBe(403);
    expect(await statusOf({}, some)).toBe(200);
  });

  it.each([
    ['Host', { host: 'rebound.example' }, 403],
    ['Origin', { origin: 'https://evil.example' }, 403],
    ['type', { 'content-type': 'text/plain' }, 403],
    ['key', { authorization: 'Bearer wrong' }, 401],
    ['length', { 'content-length': String((16 << 20) + 1) }, 413],
    ['encoding', { 'content-encoding': 'gzip' }, 415],
  ])('come before a byte of the body is asked for: %s', async (_what, headers, status) => {
    const { port } = await startGateway();
    const client = new RawClient(port);
    client.write(
      head('POST /v1/chat/completions', {
        'content-type': 'application/json',
        'content-length': '1000',
        expect: '100-continue',
        ...headers,
      }),
    );
    const received = await client.until('"request_id"');
    expect(received).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(received).not.toContain('100 Continue');
  });

  it('do not keep an accepted client from being told to go on', async () => {
    const { port } = await startGateway();
    const client = new RawClient(port);
    client.write(
      head('POST /v1/chat/completions', {
        'content-type': 'application/json',
        'content-length': String(CHAT.length),
        expect: '100-continue',
      }),
    );
    await client.until('100 Continue');
    expect(await client.write(CHAT).until('"finish_reason"')).toContain('200 OK');
  });
});

describe('listening', () => {
  const make = (host: string, apiKey: string): Gateway => {
    const unused = {} as never;
    return new Gateway(
      {
        clock: { now: () => 0, wallNow: () => 0, after: unused },
        random: systemRandom,
        log: unused,
        telemetry: unused,
        traces: unused,
        coordinator: unused,
        conversations: unused,
        control: fakeControl(),
        nodes: unused,
      },
      { host, port: 0, apiKey: () => apiKey, origins: () => [], nodeId: 'x', name: 'x', lenient: () => false },
    );
  };

  it('is refused without a key, and beyond loopback with one that can be guessed', () => {
    for (const [host, key] of [
      ['127.0.0.1', ''],
      ['0.0.0.0', ''],
      ['0.0.0.0', 'short'],
      ['::', 'short'],
      ['weft.lan', 'short'],
    ] as const) {
      expect(() => make(host, key)).toThrow(
        expect.objectContaining({ code: 'config_invalid', remedy: expect.stringContaining('WEFT_API_KEY') }),
      );
    }
  });

  it('would let strangers guess the key without the guard', async () => {
    const options = { init: { host: '0.0.0.0', apiKey: () => 'a' } };
    await expect(startGateway(options)).rejects.toMatchObject({ code: 'config_invalid' });
    const { url } = await startGateway({ ...options, guards: { listen: () => undefined } });
    const guesses = [...'abc'].map((key) =>
      fetch(`${url}/api/v1/status`, { headers: { authorization: `Bearer ${key}` } }),
    );
    expect((await Promise.all(guesses)).map(({ status }) => status)).toEqual([200, 401, 401]);
  });

  it('is allowed on loopback with any key, and elsewhere with a long one', () => {
    for (const host of ['127.0.0.1', 'localhost', '::1']) make(host, 'short');
    for (const host of ['0.0.0.0', 'weft.lan', '::']) make(host, KEY);
  });
});
