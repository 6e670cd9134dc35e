import { describe, expect, it } from 'vitest';
import { ApiError, createClient } from '../../../../desktop/ui/data/client.ts';

interface Call {
  readonly line: string;
  readonly csrf: string | null;
  readonly body: string | null;
}

/** A client whose node answers as the table says, and what was asked. */
function clientOn(answer: (line: string, calls: readonly Call[]) => Response | Error) {
  const calls: Call[] = [];
  const client = createClient({
    fetch: async (path, init) => {
      const line = `${init?.method} ${String(path)}`;
      calls.push({
        line,
        csrf: new Headers(init?.headers).get('x-weft-csrf'),
        body: (init?.body ?? null) as string | null,
      });
      const given = answer(line, calls);
      if (given instanceof Error) throw given;
      return given;
    },
  });
  return { client, calls };
}

const json = (value: unknown, status = 200): Response => new Response(JSON.stringify(value), { status });

const refusal = (status: number, code: string): Response =>
  new Response(JSON.stringify({ error: { message: 'No.', weft_code: code, remedy: 'Do this.' } }), {
    status,
    headers: { 'x-request-id': 'req_1' },
  });

describe('client', () => {
  it('asks for the token of the session once, and sends it with what changes something', async () => {
    const { client, calls } = clientOn((line) =>
      line === 'GET /api/v1/session' ? json({ via: 'cookie', csrf: 'c1' }) : json({}),
    );
    await client.get('/api/v1/status');
    await Promise.all([client.post('/api/v1/join', { ticket: 't' }), client.patch('/api/v1/config', {})]);
    expect(calls.map(({ line, csrf }) => [line, csrf])).toEqual([
      ['GET /api/v1/status', null],
      ['GET /api/v1/session', null],
      ['POST /api/v1/join', 'c1'],
      ['PATCH /api/v1/config', 'c1'],
    ]);
  });

  it('sends no token where the key signs in', async () => {
    const { client, calls } = clientOn(() => json({ via: 'key' }));
    await client.delete('/api/v1/conversations/c');
    expect(calls.at(-1)).toEqual({ line: 'DELETE /api/v1/conversations/c', csrf: null, body: null });
  });

  it('asks for the token again after a refusal: the session may be another one', async () => {
    let token = 'old';
    const { client, calls } = clientOn((line, all) => {
      if (line === 'GET /api/v1/session') return json({ via: 'cookie', csrf: token });
      return all.at(-1)?.csrf === 'new' ? json({}) : refusal(403, 'forbidden');
    });
    await expect(client.post('/api/v1/stop')).rejects.toMatchObject({ status: 403, code: 'forbidden' });
    token = 'new';
    await client.post('/api/v1/stop');
    expect(calls.at(-1)?.csrf).toBe('new');
  });

  it('tells what the node said, and what to do', async () => {
    const { client } = clientOn(() => refusal(507, 'disk_full'));
    const error = await client.get('/x').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({
      status: 507,
      code: 'disk_full',
      message: 'No.',
      remedy: 'Do this.',
      requestId: 'req_1',
    });
  });

  it('tells a body that is no error body by its status', async () => {
    const { client } = clientOn(() => new Response('<html>', { status: 502, statusText: 'Bad Gateway' }));
    await expect(client.get('/x')).rejects.toMatchObject({ code: 'unknown', message: '502 Bad Gateway' });
  });

  it('calls a node that does not answer unreachable', async () => {
    const { client } = clientOn(() => new TypeError('fetch failed'));
    await expect(client.get('/x')).rejects.toMatchObject({ status: 0, code: 'unreachable' });
  });

  it('says when the session has ended, but not when a sign-in is refused', async () => {
    const { client } = clientOn(() => refusal(401, 'unauthorized'));
    let ended = 0;
    client.onSignedOut(() => {
      ended += 1;
    });
    await expect(client.signIn({ token: 'used' })).rejects.toMatchObject({ status: 401 });
    expect(ended).toBe(0);
    await expect(client.get('/api/v1/status')).rejects.toMatchObject({ status: 401 });
    expect(ended).toBe(1);
  });

  it('says that a session has ended when a page that is in signs in anew', async () => {
    const { client } = clientOn(() => json({ via: 'cookie', csrf: 'c' }));
    let ended = 0;
    client.onSignedOut(() => {
      ended += 1;
    });
    await client.signIn({ token: 'first' });
    expect(ended).toBe(0);
    await client.get('/api/v1/status');
    await client.signIn({ token: 'of another person' });
    expect(ended).toBe(1);
  });

  it('passes over a refusal that was asked for before the sign-in', async () => {
    const waiting = Promise.withResolvers<Response>();
    const client = createClient({
      fetch: (path, init) =>
        init?.method === 'POST'
          ? Promise.resolve(json({ via: 'cookie', csrf: 'c' }))
          : path === '/slow'
            ? waiting.promise
            : Promise.resolve(json({})),
    });
    let ended = 0;
    client.onSignedOut(() => {
      ended += 1;
    });
    const slow = client.get('/slow').catch((error: unknown) => error);
    await client.signIn({ key: 'k' });
    waiting.resolve(refusal(401, 'unauthorized'));
    expect(await slow).toBeInstanceOf(ApiError);
    expect(ended).toBe(0);
  });

  it('reads a stream of events, and names a break', async () => {
    const body = (fail: boolean) =>
      new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(new TextEncoder().encode('id: 7\nevent: delta\ndata: {"text":"ü"}\n\n'));
          if (fail) controller.error(new TypeError('gone'));
          else controller.close();
        },
      });
    for (const fail of [false, true]) {
      const { client } = clientOn(() => new Response(body(fail)));
      const seen: string[] = [];
      const done = client.stream('/events', { onEvent: ({ event, data, id }) => seen.push(`${event} ${data} ${id}`) });
      if (fail) await expect(done).rejects.toMatchObject({ code: 'unreachable' });
      else {
        await done;
        expect(seen).toEqual(['delta {"text":"ü"} 7']);
      }
    }
  });
});
