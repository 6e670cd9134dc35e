import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { AppProtocol } from '../../../desktop/main/app-protocol.ts';
import { NodeLink } from '../../../desktop/main/node-link.ts';
import { uiFiles } from '../../../desktop/main/ui-files.ts';
import { PAGE_HEADERS } from '../../../protocol/pages.ts';
import { type Daemon, startDaemon } from '../../support/daemon.ts';
import { until } from '../../support/wait.ts';
import { linkTo, newFolder } from '../support/homes.ts';

function pages(): string {
  const folder = newFolder();
  mkdirSync(join(folder, 'assets'));
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>Weft</title>');
  writeFileSync(join(folder, 'assets', 'app-1.js'), 'export {};');
  symlinkSync('/etc/hostname', join(folder, 'assets', 'link.js'));
  return folder;
}

interface ErrorBody {
  readonly error: { readonly weft_code: string; readonly message: string; readonly remedy: string };
}

describe('with a real node behind it', () => {
  let daemon: Daemon;
  let app: AppProtocol;
  const ask = (path: string, init?: RequestInit): Promise<Response> =>
    app.answer(new Request(`app://weft${path}`, init));
  const json = (body: unknown, more: RequestInit = {}): RequestInit => ({
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...more,
  });

  beforeAll(async () => {
    daemon = await startDaemon();
    app = new AppProtocol({ link: linkTo(daemon), files: uiFiles(pages()) });
  });

  it('adds the key, which the page never sees', async () => {
    const response = await ask('/api/v1/status');
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ node: daemon.node });
    expect([...response.headers].flat().join()).not.toContain(daemon.key);
    expect(response.headers.get('content-security-policy')).toContain('sandbox');
  });

  it('gives the node neither what the page says of itself nor another key', async () => {
    const headers = {
      authorization: 'Bearer wrong',
      cookie: 'weft_session=1',
      'x-weft-csrf': 'x',
      origin: 'app://weft',
    };
    expect((await ask('/api/v1/status', { headers })).status).toBe(200);
  });

  it('streams a chat token by token', async () => {
    const response = await ask(
      '/v1/chat/completions',
      json({ model: 'smollm2', stream: true, max_tokens: 12, messages: [{ role: 'user', content: 'Count to ten.' }] }),
    );
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const pieces: string[] = [];
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) pieces.push(decoder.decode(chunk));
    expect(pieces.length).toBeGreaterThan(3);
    expect(pieces.join('')).toMatch(/data: \[DONE\]\s*$/);
  });

  it('ends a request in the node when the page gives up, before its answer and in the midst of it', async () => {
    const status = linkTo(daemon);
    const inFlight = async () =>
      ((await status.ask('GET', '/api/v1/status')) as { readonly requestsInFlight: number }).requestsInFlight;
    const long = {
      model: 'smollm2',
      stream: true,
      max_tokens: 400,
      messages: [{ role: 'user', content: 'Tell a story.' }],
    };
    const response = await ask('/v1/chat/completions', json(long));
    const reader = response.body?.getReader();
    await reader?.read();
    await until('it to be under way', async () => (await inFlight()) > 0);
    await reader?.cancel();
    await until('it to be over', async () => (await inFlight()) === 0);
    const given = new AbortController();
    const second = ask('/v1/chat/completions', json({ ...long, stream: false }, { signal: given.signal }));
    await until('it to be under way', async () => (await inFlight()) > 0);
    given.abort();
    expect((await second).status).toBe(503);
    await until('it to be over', async () => (await inFlight()) === 0);
  });

  it('reads the key anew when the node has another one, and sends the body once', async () => {
    const { key } = (await linkTo(daemon).ask('POST', '/api/v1/key', {})) as { readonly key: string };
    expect(key).not.toBe(daemon.key);
    const response = await ask('/v1/embeddings', json({ model: 'minilm', input: 'after the change of keys' }));
    expect(response.status).toBe(200);
  });

  it('tells an event while it happens', async () => {
    const response = await ask('/api/v1/events?types=node,request');
    const reader = response.body?.getReader();
    const decoder = new TextDecoder();
    let seen = '';
    const reading = (async () => {
      while (!seen.includes('"ended"')) {
        const piece = await reader?.read();
        if (piece === undefined || piece.done) throw new Error(`The stream has ended: ${seen}`);
        seen += decoder.decode(piece.value);
      }
    })();
    await ask('/v1/embeddings', json({ model: 'minilm', input: 'an event' }));
    await reading;
    await reader?.cancel();
  });

  it('carries large bodies both ways', async () => {
    const input = Array.from({ length: 64 }, (_, index) => `${index} ${'word '.repeat(200)}`);
    const response = await ask('/v1/embeddings', json({ model: 'minilm', input }));
    const { data } = (await response.json()) as { readonly data: readonly { readonly index: number }[] };
    expect(data.map(({ index }) => index)).toEqual(input.map((_, index) => index));
  });

  it('passes on what the node refuses', async () => {
    const response = await ask('/api/v1/requests/none');
    expect(response.status).toBe(404);
    expect(((await response.json()) as ErrorBody).error.weft_code).toBe('not_found');
  });

  it.each([
    ['another path of the node', '/metrics'],
    ['a step upwards', '/api/../metrics'],
    ['an escaped step', '/api/%2e%2e/metrics'],
    ['a step escaped twice', '/api/%252e%252e/metrics'],
    ['a step behind an escaped slash', '/api/v1/..%2f..%2fmetrics'],
    ['a backslash', '/api/v1/models/..%5c..%5cx'],
    ['a null byte', '/api/v1/models/a%00b'],
    ['two slashes', '//127.0.0.1/api/v1/status'],
    ['a broken escape', '/api/v1/%zz'],
    ['a prefix that only looks like one', '/apix/v1/status'],
    ['a file outside of the pages', '/assets/..%2f..%2f..%2fetc%2fhostname'],
    ['a link out of the pages', '/assets/link.js'],
    ['the folder itself', '/assets/'],
  ])('refuses %s', async (_what, path) => {
    const response = await ask(path);
    expect([403, 404]).toContain(response.status);
    expect(await response.text()).not.toContain('weft_requests_total');
  });

  it.each([
    ['another host', 'app://elsewhere/api/v1/status', {}],
    ['a host with a port', 'app://weft:81/api/v1/status', {}],
    ['another scheme', 'http://weft/api/v1/status', {}],
    ['a page of another origin', 'app://weft/api/v1/status', { headers: { origin: 'https://evil.example' } }],
    ['a page that hides its origin', 'app://weft/api/v1/status', { headers: { origin: 'null' } }],
  ])('refuses %s', async (_what, url, init) => {
    expect((await app.answer(new Request(url, init))).status).toBe(403);
  });

  it('keeps ids of models as they are written', async () => {
    const answers = await Promise.all(
      ['HuggingFaceTB/SmolLM2-135M-Instruct', 'HuggingFaceTB%2FSmolLM2-135M-Instruct'].map(async (id) =>
        (await ask(`/api/v1/models/${id}`)).json(),
      ),
    );
    expect(answers[0]).toEqual(answers[1]);
    expect(answers[0]).toHaveProperty('aliases');
  });

  it('says so when the node is gone, and works again when it is back', async () => {
    const { home } = daemon;
    await daemon.stop();
    const response = await ask('/api/v1/status');
    expect(response.status).toBe(503);
    expect(((await response.json()) as ErrorBody).error).toMatchObject({ weft_code: 'daemon_not_running' });
    daemon = await startDaemon({ home });
    app = new AppProtocol({ link: linkTo(daemon), files: uiFiles(pages()) });
    expect((await ask('/api/v1/status')).status).toBe(200);
  });

  it('breaks an answer off when the node dies in the midst of it', async () => {
    const body = {
      model: 'smollm2',
      stream: true,
      max_tokens: 400,
      messages: [{ role: 'user', content: 'A long story.' }],
    };
    const response = await ask('/v1/chat/completions', json(body));
    const reader = response.body?.getReader();
    await reader?.read();
    daemon.kill('SIGKILL');
    await expect(
      (async () => {
        while ((await reader?.read())?.done === false);
        throw new Error('ended as if it were whole');
      })(),
    ).rejects.toThrow(/terminated|aborted|closed|reset/i);
  });
});

describe('with another server behind it', () => {
  let server: Server | undefined;
  afterEach(() => server?.close());

  /** @param isHeld whether a node holds the data folder */
  async function linkToServer(
    handle: (request: IncomingMessage, response: ServerResponse) => void,
    init: { readonly isHeld?: boolean; readonly keys?: readonly string[] } = {},
  ): Promise<NodeLink> {
    server = createServer(handle);
    server.on('checkContinue', handle);
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const keys = [...(init.keys ?? ['key'])];
    return new NodeLink({
      isHeld: () => init.isHeld ?? true,
      readKey: async () => (keys.length > 1 ? keys.shift() : keys[0]),
      api: () => `http://127.0.0.1:${port}`,
      givenKey: undefined,
    });
  }

  const get = { method: 'GET', path: '/api/v1/status', headers: {}, signal: new AbortController().signal };

  it('sends no key to a program that took the port of a node that has died', async () => {
    const seen: (string | undefined)[] = [];
    const note = (request: IncomingMessage, response: ServerResponse): void => {
      seen.push(request.headers.authorization);
      response.end('{}');
    };
    await expect((await linkToServer(note, { isHeld: false })).send(get)).rejects.toMatchObject({
      code: 'daemon_not_running',
    });
    expect(seen).toEqual([]);
    // Its twin: without the look at the lock, the stranger has it.
    server?.close();
    await (await linkToServer(note, { isHeld: true })).send(get);
    expect(seen).toEqual(['Bearer key']);
  });

  it('tries another key once, and holds the body back until the node wants it', async () => {
    const bodies: string[] = [];
    const link = await linkToServer(
      (request, response) => {
        if (request.headers.authorization !== 'Bearer new') {
          response.writeHead(401).end();
          return;
        }
        response.writeContinue();
        request.setEncoding('utf8').on('data', (text: string) => bodies.push(text));
        request.on('end', () => response.end('{}'));
      },
      { keys: ['old', 'new'] },
    );
    let pulled = 0;
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          pulled += 1;
          controller.enqueue(new TextEncoder().encode(`piece ${pulled}.`));
          if (pulled === 3) controller.close();
        },
      },
      { highWaterMark: 0 },
    );
    const { status } = await link.send({ ...get, method: 'POST', body });
    expect(status).toBe(200);
    expect(bodies.join('')).toBe('piece 1.piece 2.piece 3.');
  });

  it('gives up after a second refusal, and passes it on', async () => {
    let asked = 0;
    const link = await linkToServer(
      (_request, response) => {
        asked += 1;
        response.writeHead(401).end();
      },
      { keys: ['old', 'new', 'newer'] },
    );
    expect((await link.send(get)).status).toBe(401);
    expect(asked).toBe(2);
  });

  it('tells the page nothing of cookies and CORS, and gives answers no right to run', async () => {
    const link = await linkToServer((_request, response) => {
      response.writeHead(200, {
        'set-cookie': 'a=b',
        'access-control-allow-origin': '*',
        'content-type': 'text/html',
        'x-weft-node': 'n',
      });
      response.end('<script>alert(1)</script>');
    });
    const app = new AppProtocol({ link, files: uiFiles(pages()) });
    const { headers } = await app.answer(new Request('app://weft/api/v1/x'));
    expect(Object.fromEntries(headers)).toEqual({
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
      'content-type': 'text/html',
      'x-content-type-options': 'nosniff',
      'x-weft-node': 'n',
    });
  });

  it('has a bound on requests under way', async () => {
    const link = await linkToServer((_request, response) => {
      response.write('begun');
    });
    const app = new AppProtocol({ link, files: uiFiles(pages()) });
    const open = await Promise.all(
      Array.from({ length: 256 }, () => app.answer(new Request('app://weft/api/v1/events'))),
    );
    expect((await app.answer(new Request('app://weft/api/v1/status'))).status).toBe(429);
    await Promise.all(open.map(({ body }) => body?.cancel()));
    const next = await until('room again', async () => {
      const response = await app.answer(new Request('app://weft/api/v1/events'));
      return response.status === 200 ? response : undefined;
    });
    await next.body?.cancel();
  });
});

describe('the pages', () => {
  const app = new AppProtocol({
    link: {
      send: () => {
        throw new Error('no page asks the node for a file');
      },
    },
    files: uiFiles(pages()),
  });

  it('are served with the same rules as by the node', async () => {
    const response = await app.answer(new Request('app://weft/'));
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('<title>Weft</title>');
    for (const [name, value] of Object.entries(PAGE_HEADERS)) expect(response.headers.get(name)).toBe(value);
    expect(PAGE_HEADERS['content-security-policy']).not.toMatch(/script-src[^;]*unsafe/);
  });

  it('have types, and names that change with what is in them', async () => {
    const { headers } = await app.answer(new Request('app://weft/assets/app-1.js'));
    expect(headers.get('content-type')).toBe('text/javascript; charset=utf-8');
    expect(headers.get('cache-control')).toContain('immutable');
  });

  it('can only be read', async () => {
    expect((await app.answer(new Request('app://weft/', { method: 'POST', body: 'x' }))).status).toBe(403);
  });

  it('that were not built say so, and are found once they are', async () => {
    const folder = newFolder();
    const unbuilt = new AppProtocol({ link: { send: async () => Promise.reject() }, files: uiFiles(folder) });
    expect(await (await unbuilt.answer(new Request('app://weft/'))).text()).toContain('npm run build');
    writeFileSync(join(folder, 'index.html'), 'there');
    expect((await unbuilt.answer(new Request('app://weft/'))).status).toBe(200);
  });
});
