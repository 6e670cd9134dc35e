import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { streamChat } from '../../../node/cli/chat-stream.ts';
import { Client } from '../../../node/cli/client.ts';
import { fakeDaemon, KEY, openEvents, refuse, sendChat, sendJson } from './fake-daemon.ts';

const signal = new AbortController().signal;

describe('Client', () => {
  it('sends the key and reads JSON', async () => {
    await using daemon = await fakeDaemon({ 'GET /x': { a: 1 } });
    expect(await new Client({ url: daemon.url, key: KEY }).get('/x', { signal })).toEqual({ a: 1 });
  });

  it('gives refusals their code, message and remedy', async () => {
    await using daemon = await fakeDaemon({
      'POST /x': (_body, response) => refuse(response, 503, 'no_capable_node', 'Nobody offers it.'),
    });
    const failed = new Client({ url: daemon.url, key: KEY }).post('/x', {}, { signal });
    await expect(failed).rejects.toMatchObject({
      code: 'no_capable_node',
      message: 'Nobody offers it.',
      remedy: 'Remedy of no_capable_node.',
      facts: { requestId: 'req_1' },
    });
  });

  it.each([10_000, 600_000, Number.POSITIVE_INFINITY])('gives the same answers within %i ms', async (timeoutMs) => {
    await using daemon = await fakeDaemon({
      'POST /x': (body, response) => sendJson(response, { got: body }, { 'x-weft-node': 'n1' }),
      'POST /no': (_body, response) => refuse(response, 507, 'disk_full', 'No room.'),
      'POST /forever': (_body, response) => void response.flushHeaders(),
    });
    const client = new Client({ url: daemon.url, key: KEY });
    const { body, headers } = await client.post('/x', { a: 'ü' }, { signal, timeoutMs });
    expect([body, headers.get('x-weft-node')]).toEqual([{ got: { a: 'ü' } }, 'n1']);
    const refused = client.post('/no', {}, { signal, timeoutMs });
    await expect(refused).rejects.toMatchObject({ code: 'disk_full', facts: { requestId: 'req_1' } });
    const leaving = new AbortController();
    const left = client.post('/forever', {}, { signal: leaving.signal, timeoutMs });
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: 'cancelled' });
    await daemon[Symbol.asyncDispose]();
    await expect(client.post('/x', {}, { signal, timeoutMs })).rejects.toMatchObject({ code: 'daemon_not_running' });
  });

  it('ends a patient wait with the connection, and with the signal after the headers', async () => {
    const begun = Promise.withResolvers<void>();
    await using daemon = await fakeDaemon({
      'POST /broken': (_body, response) => {
        response.writeHead(200, { 'content-length': '100' }).write('{');
        response.socket?.end();
      },
      'POST /slow': (_body, response) => {
        response.writeHead(200).write('{');
        begun.resolve();
      },
    });
    const client = new Client({ url: daemon.url, key: KEY });
    const timeoutMs = Number.POSITIVE_INFINITY;
    await expect(client.post('/broken', {}, { signal, timeoutMs })).rejects.toMatchObject({
      code: 'daemon_not_running',
    });
    const leaving = new AbortController();
    const left = client.post('/slow', {}, { signal: leaving.signal, timeoutMs });
    await begun.promise;
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('reports a wrong key as such', async () => {
    await using daemon = await fakeDaemon({});
    const failed = new Client({ url: daemon.url, key: 'other' }).get('/x', { signal });
    await expect(failed).rejects.toMatchObject({ code: 'unauthorized' });
  });

  it('says that no daemon runs when nobody answers', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const failed = new Client({ url: `http://127.0.0.1:${port}`, key: KEY }).get('/x', { signal });
    await expect(failed).rejects.toMatchObject({ code: 'daemon_not_running' });
  });

  it('knows another program by its answer', async () => {
    await using daemon = await fakeDaemon({
      'GET /page': (_body, response) => void response.end('<html>'),
      'GET /broken': (_body, response) => void response.writeHead(502).end('<html>'),
    });
    const client = new Client({ url: daemon.url, key: KEY });
    await expect(client.get('/page', { signal })).rejects.toMatchObject({ code: 'internal' });
    await expect(client.get('/broken', { signal })).rejects.toThrow('status 502');
  });

  it('gives up at its deadline', async () => {
    await using daemon = await fakeDaemon({ 'GET /slow': () => undefined });
    const failed = new Client({ url: daemon.url, key: KEY }).get('/slow', { signal, timeoutMs: 50 });
    await expect(failed).rejects.toMatchObject({ code: 'deadline_exceeded' });
  });

  it('ends when it is asked to', async () => {
    const controller = new AbortController();
    await using daemon = await fakeDaemon({ 'GET /slow': () => controller.abort() });
    const failed = new Client({ url: daemon.url, key: KEY }).get('/slow', { signal: controller.signal });
    await expect(failed).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('Client.watch', () => {
  it('gives events as they come, and says where to go on', async () => {
    let lastEventId: unknown;
    await using daemon = await fakeDaemon({
      'GET /events': (_body, response, request) => {
        lastEventId = request.headers['last-event-id'];
        const events = openEvents(response);
        events.send('log', 'one', 41);
        events.end();
      },
    });
    const { events } = await new Client({ url: daemon.url, key: KEY }).watch('/events', { signal, lastEventId: '40' });
    const seen = [];
    for await (const event of events) seen.push(event);
    expect(lastEventId).toBe('40');
    expect(seen).toMatchObject([{ event: 'log', id: '41' }]);
  });

  it('names no event of its own accord, and passes on what is refused', async () => {
    let headers: object = {};
    await using daemon = await fakeDaemon({
      'GET /events': (_body, response, request) => {
        headers = request.headers;
        refuse(response, 429, 'overloaded', 'Too many watch.');
      },
    });
    const failed = new Client({ url: daemon.url, key: KEY }).watch('/events', { signal });
    await expect(failed).rejects.toMatchObject({ code: 'overloaded' });
    expect(headers).not.toHaveProperty('last-event-id');
  });

  it('says that the connection broke when the daemon is gone', async () => {
    await using daemon = await fakeDaemon({
      'GET /events': (_body, response) => {
        openEvents(response).send('log', 'one');
        setImmediate(() => response.destroy());
      },
    });
    const { events } = await new Client({ url: daemon.url, key: KEY }).watch('/events', { signal });
    const read = async () => {
      for await (const _ of events);
    };
    await expect(read()).rejects.toMatchObject({ code: 'daemon_not_running' });
  });
});

describe('streamChat', () => {
  const ask = (url: string, onText: (text: string) => void = () => undefined) => {
    let time = 0;
    return streamChat(new Client({ url, key: KEY }), {
      model: 'smollm2',
      messages: [{ role: 'user', content: 'Hi' }],
      settings: { seed: 7 },
      signal,
      onText,
      now: () => (time += 100),
    });
  };

  it('gives the text piece by piece, then usage, nodes and times', async () => {
    let asked: unknown;
    await using daemon = await fakeDaemon({
      'POST /v1/chat/completions': (body, response) => {
        asked = body;
        sendChat(response, ['The ', 'sky'], ['n1', 'n2']);
      },
    });
    const pieces: string[] = [];
    const reading = await ask(daemon.url, (text) => pieces.push(text));
    expect(pieces).toEqual(['The ', 'sky']);
    expect(reading).toEqual({
      model: 'org/model',
      text: 'The sky',
      finishReason: 'stop',
      promptTokens: 7,
      completionTokens: 3,
      nodes: ['n1', 'n2'],
      ttftMs: 100,
      totalMs: 200,
      tokensPerSecond: 20,
    });
    expect(asked).toEqual({
      model: 'smollm2',
      messages: [{ role: 'user', content: 'Hi' }],
      stream: true,
      stream_options: { include_usage: true },
      seed: 7,
    });
  });

  it('throws the error that ends a stream', async () => {
    await using daemon = await fakeDaemon({
      'POST /v1/chat/completions': (_body, response) => {
        response.write('data: {"choices":[{"delta":{"content":"The"}}]}\n\n');
        response.end('data: {"error":{"message":"The node went away.","weft_code":"peer_lost"}}\n\n');
      },
    });
    await expect(ask(daemon.url)).rejects.toMatchObject({ code: 'peer_lost', message: 'The node went away.' });
  });

  it('does not take a stream that breaks off for a whole answer', async () => {
    await using daemon = await fakeDaemon({
      'POST /v1/chat/completions': (_body, response) =>
        void response.end('data: {"choices":[{"delta":{"content":"The"}}]}\n\n'),
    });
    await expect(ask(daemon.url)).rejects.toMatchObject({ code: 'peer_lost' });
  });

  it('reports a daemon that dies within a stream', async () => {
    await using daemon = await fakeDaemon({
      'POST /v1/chat/completions': (_body, response) => {
        response.write('data: {"choices":[{"delta":{"content":"The"}}]}\n\n', () => response.destroy());
      },
    });
    await expect(ask(daemon.url)).rejects.toMatchObject({ code: 'daemon_not_running' });
  });
});
