// Clients that send or read too slowly, or go away: nothing of theirs is kept for longer than the limits say.
import { describe, expect, it } from 'vitest';
import { delay, systemClock } from '../../../node/core/clock.ts';
import type { Coordinator } from '../../../node/core/coordinator.ts';
import { until } from '../../support/wait.ts';
import { CHAT_MODEL, chatResult, ended, head, OTHER, RawClient, startGateway, USER_HI } from './support.ts';

const MIB = 1 << 20;
const QUICK = { headersTimeoutMs: 300, requestTimeoutMs: 600, timeoutCheckIntervalMs: 50 };
const OPEN_ENDED = { headersTimeoutMs: 0, requestTimeoutMs: 0 };

/** A whole chat request. */
function chatRequest(stream: boolean): string {
  const body = JSON.stringify({ model: 'chat', messages: USER_HI, stream });
  return (
    head('POST /v1/chat/completions', { 'content-type': 'application/json', 'content-length': String(body.length) }) +
    body
  );
}

describe('requests that do not come to their end', () => {
  const POST = head('POST /v1/chat/completions', { 'content-type': 'application/json', 'content-length': '1000' });

  it.each([
    ['a connection without a byte', ''],
    ['half a head', 'GET /v1/models HTTP/1.1\r\nhost: localhost\r\n'],
    ['half a body', `${POST}{"model":`],
  ])('are cut off: %s', async (_what, bytes) => {
    const { port } = await startGateway({ limits: QUICK });
    const unguarded = await startGateway({ limits: OPEN_ENDED });
    const free = new RawClient(unguarded.port).write(bytes);
    const received = await new RawClient(port).write(bytes).closed;
    expect(received).toMatch(/^HTTP\/1.1 408 .*"weft_code":"bad_request"/s);
    // Without the guard the other one would still be there, and for ever.
    expect(free.socket.destroyed).toBe(false);
  });

  it('are cut off although one byte comes now and then', async () => {
    const { port } = await startGateway({ limits: QUICK });
    const client = new RawClient(port);
    const text = `GET /v1/models HTTP/1.1\r\nx-slow: ${'x'.repeat(1_000)}`;
    let sent = 0;
    while (!client.socket.destroyed && sent < text.length) {
      client.socket.write(text[sent] ?? '');
      sent += 1;
      await Promise.race([delay(systemClock, 10), client.closed]);
    }
    expect(sent).toBeLessThan(text.length);
  });

  it('are cut off although their body comes byte by byte, and would not be without the guard', async () => {
    const guarded = await startGateway({ limits: QUICK });
    const unguarded = await startGateway({ limits: OPEN_ENDED });
    const [client, free] = [new RawClient(guarded.port).write(POST), new RawClient(unguarded.port).write(POST)];
    let sent = 0;
    while (!client.socket.destroyed && sent < 1_000) {
      client.socket.write('x');
      free.socket.write('x');
      sent += 1;
      await Promise.race([delay(systemClock, 10), client.closed]);
    }
    expect(await client.closed).toMatch(/^HTTP\/1.1 408 /);
    expect(sent).toBeLessThan(1_000);
    expect(free.socket.destroyed).toBe(false);
    await until('the memory of it', () => guarded.gateway.requestsInFlight === 0);
    expect(unguarded.gateway.requestsInFlight).toBe(1);
  });

  it('do not keep others waiting', async () => {
    const { port, call } = await startGateway();
    for (let index = 0; index < 100; index += 1) new RawClient(port).write(POST);
    expect((await call('/v1/models')).status).toBe(200);
  });

  it('are refused at once past the number of connections', async () => {
    const { port } = await startGateway({ limits: { connectionsMax: 2 } });
    const [first, second] = [new RawClient(port), new RawClient(port)];
    await first.write(head('GET /v1/models')).until('200 OK');
    await second.write(head('GET /v1/models')).until('200 OK');
    expect(await new RawClient(port).closed).toBe('');
  });

  it('are refused when they are no HTTP, or have too large a head', async () => {
    const { port } = await startGateway();
    expect(await new RawClient(port).write('\u0016\u0003\u0001 no http\r\n\r\n').closed).toMatch(/^HTTP\/1.1 400 /);
    const large = head('GET /v1/models', { 'x-large': 'x'.repeat(20_000) });
    expect(await new RawClient(port).write(large).closed).toMatch(/^HTTP\/1.1 431 /);
  });

  it('do not get a second answer into the midst of the first', async () => {
    const { port } = await startGateway({
      coordinator: {
        chat: async (_request, { signal }, { onDelta }) => {
          onDelta({ choice: 0, text: 'x' });
          return ended(signal);
        },
      },
    });
    const client = new RawClient(port).write(chatRequest(true));
    await client.until('"content":"x"');
    expect(await client.write('no http\r\n\r\n').closed).not.toContain('HTTP/1.1 400');
  });
});

describe('clients that do not read', () => {
  const TEXT = 'x'.repeat(64 << 10);

  /** Sends text until it has sent so much, or the request is ended; then waits for the end. */
  function pouring(bytesMax: number, seen: { sent: number; reason?: unknown }): Partial<Coordinator> {
    return {
      chat: async (_request, { signal }, { onPlaced, onDelta }) => {
        onPlaced?.(OTHER, CHAT_MODEL);
        signal.addEventListener('abort', () => {
          seen.reason = signal.reason;
        });
        while (!signal.aborted && seen.sent < bytesMax) {
          onDelta({ choice: 0, text: TEXT });
          seen.sent += TEXT.length;
          await new Promise((resolve) => setImmediate(resolve));
        }
        return seen.sent < bytesMax ? ended(signal) : chatResult();
      },
    };
  }

  it('are cut off when more waits for them than the bound', async () => {
    const seen: { sent: number; reason?: unknown } = { sent: 0 };
    const { port } = await startGateway({ coordinator: pouring(64 * MIB, seen) });
    const client = new RawClient(port);
    client.socket.pause();
    client.write(chatRequest(true));
    await until('the end of the request', () => seen.reason);
    expect(seen.reason).toMatchObject({ code: 'cancelled' });
    // The bound is 1 MiB; the rest lies in the kernel's buffers.
    expect(seen.sent).toBeLessThan(24 * MIB);
  });

  it('would hold everything in memory without the bound', async () => {
    const seen: { sent: number; reason?: unknown } = { sent: 0 };
    const { port, gateway } = await startGateway({
      coordinator: pouring(32 * MIB, seen),
      limits: { streamBufferBytesMax: Number.POSITIVE_INFINITY },
    });
    const client = new RawClient(port);
    client.socket.pause();
    client.write(chatRequest(true));
    await until('all of it', () => seen.sent >= 32 * MIB);
    expect(seen.reason).toBeUndefined();
    expect(gateway.requestsInFlight).toBe(1);
  });

  it.each([
    ['a stream', true],
    ['a whole answer', false],
  ])('are cut off after a while: %s', async (_what, stream) => {
    const seen: { sent: number; reason?: unknown } = { sent: 0 };
    const { port, gateway, telemetry } = await startGateway({
      coordinator: pouring(16 * MIB, seen),
      limits: { streamBufferBytesMax: Number.POSITIVE_INFINITY, stallMs: 300 },
    });
    const client = new RawClient(port);
    client.socket.pause();
    client.write(chatRequest(stream));
    await until('all of it', () => seen.sent >= 16 * MIB);
    await until('the end of the connection', () => gateway.requestsInFlight === 0);
    expect(telemetry.counted.at(-1)?.labels).toMatchObject({ endpoint: '/v1/chat/completions', status: 'aborted' });
  });

  it('are not confused with those that wait for a slow answer', async () => {
    const { call } = await startGateway({
      limits: { stallMs: 100 },
      coordinator: {
        chat: async (_request, _options, { onDelta }) => {
          onDelta({ choice: 0, text: 'a' });
          await delay(systemClock, 500);
          onDelta({ choice: 0, text: 'b' });
          return chatResult();
        },
      },
    });
    const text = await (await call('/v1/chat/completions', { model: 'chat', messages: USER_HI, stream: true })).text();
    expect(text).toContain('[DONE]');
  });
});

describe('clients that go away', () => {
  it.each([
    ['in the midst of a stream', true],
    ['before a whole answer', false],
  ])('end the work: %s', async (_what, stream) => {
    const reasons: unknown[] = [];
    const { port, gateway } = await startGateway({
      coordinator: {
        chat: (_request, { signal }, { onDelta }) => {
          signal.addEventListener('abort', () => reasons.push(signal.reason));
          onDelta({ choice: 0, text: 'x' });
          return ended(signal);
        },
      },
    });
    const client = new RawClient(port).write(chatRequest(stream));
    if (stream) await client.until('"content":"x"');
    else await until('the request', () => gateway.requestsInFlight === 1);
    client.socket.destroy();
    await until('the end of the work', () => gateway.requestsInFlight === 0);
    expect(reasons).toEqual([expect.objectContaining({ code: 'cancelled' })]);
  });
});

describe('many clients', () => {
  it('each get their own answer', async () => {
    const { openai } = await startGateway({
      coordinator: {
        chat: async ({ messages }, { signal }, { onPlaced, onDelta }) => {
          onPlaced?.(OTHER, CHAT_MODEL);
          for (const word of (messages[0]?.content ?? '').split('-')) {
            onDelta({ choice: 0, text: word });
            await delay(systemClock, 1, signal);
          }
          return chatResult();
        },
      },
    });
    const ask = async (index: number): Promise<string> => {
      const content = Array.from({ length: 10 }, (_, word) => `${index}.${word}`).join('-');
      const stream = await openai.chat.completions.create({
        model: 'chat',
        messages: [{ role: 'user', content }],
        stream: true,
      });
      let text = '';
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
      return text;
    };
    const texts = await Promise.all(Array.from({ length: 50 }, (_, index) => ask(index)));
    for (const [index, text] of texts.entries())
      expect(text).toBe(Array.from({ length: 10 }, (_, word) => `${index}.${word}`).join(''));
  });

  it('are answered 429 past the number of requests, and served again after', async () => {
    const release = Promise.withResolvers<void>();
    const { call, gateway } = await startGateway({
      limits: { requestsInFlightMax: 2 },
      coordinator: {
        chat: async (_request, _options, { onDelta }) => {
          await release.promise;
          onDelta({ choice: 0, text: 'x' });
          return chatResult();
        },
      },
    });
    const ask = (): Promise<Response> => call('/v1/chat/completions', { model: 'chat', messages: USER_HI });
    const first = [ask(), ask()];
    await until('two requests', () => gateway.requestsInFlight === 2);
    const third = await ask();
    expect(third.status).toBe(429);
    expect(third.headers.get('retry-after')).toBe('1');
    release.resolve();
    for (const response of await Promise.all(first)) expect(response.status).toBe(200);
    expect((await ask()).status).toBe(200);
  });
});
