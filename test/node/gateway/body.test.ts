// Bodies: what is read, what is refused, and how much memory either may take.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseJson, readBody } from '../../../node/gateway/body.ts';
import { GATEWAY_LIMITS } from '../../../node/gateway/limits.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { runs } from '../../support/property.ts';
import { until } from '../../support/wait.ts';
import { chatResult, ended, head, RawClient, startGateway, USER_HI } from './support.ts';

const MIB = 1 << 20;
const CHAT = { model: 'chat', messages: USER_HI };
const POST = { 'content-type': 'application/json' };

/** A chat request of exactly this many bytes. */
function chatOf(bytes: number): string {
  const empty = JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: '' }] });
  return JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'x'.repeat(bytes - empty.length) }] });
}

describe('size', () => {
  it('is allowed up to 16 MiB, and not a byte more', async () => {
    const { call } = await startGateway();
    expect((await call('/v1/chat/completions', chatOf(16 * MIB))).status).toBe(200);
    const refused = await call('/v1/chat/completions', chatOf(16 * MIB + 1));
    expect(refused.status).toBe(413);
    expect(await refused.json()).toMatchObject({
      error: { weft_code: 'body_too_large', type: 'invalid_request_error' },
    });
  });

  it('is refused while a body of unknown length still arrives, and the client sees the answer', async () => {
    const { port } = await startGateway({ limits: { bodyBytesMax: MIB } });
    const client = new RawClient(port);
    client.write(head('POST /v1/chat/completions', { ...POST, 'transfer-encoding': 'chunked' }));
    const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
    let sent = 0;
    while (!client.received.includes('"request_id"') && sent < 64 * MIB) {
      if (!client.socket.write(chunk)) await new Promise((resolve) => client.socket.once('drain', resolve));
      sent += 0x4000;
    }
    expect(client.received).toMatch(/^HTTP\/1.1 413 /);
    // What the kernel holds on both sides is all that was sent too much.
    expect(sent).toBeLessThan(24 * MIB);
  });

  it('is not bounded without the guard', async () => {
    const { call } = await startGateway({ limits: { bodyBytesMax: 64 * MIB } });
    expect((await call('/v1/chat/completions', chatOf(17 * MIB))).status).toBe(200);
  });

  it('cuts a client that goes on sending after the refusal', async () => {
    const { port } = await startGateway({ limits: { bodyBytesMax: MIB, lingerBytesMax: 4 * MIB, lingerMs: 60_000 } });
    const client = new RawClient(port);
    client.write(head('POST /v1/chat/completions', { ...POST, 'content-length': String(1 << 30) }));
    await client.until('413');
    const block = Buffer.alloc(MIB, 'x');
    let blocks = 0;
    while (!client.socket.destroyed) {
      blocks += 1;
      if (!client.socket.write(block))
        await Promise.race([new Promise((resolve) => client.socket.once('drain', resolve)), client.closed]);
    }
    expect(blocks).toBeLessThan(1_024);
  });

  it('cuts a client that holds the connection open after the refusal', async () => {
    const { port } = await startGateway({ limits: { bodyBytesMax: MIB, lingerMs: 100 } });
    const client = new RawClient(port);
    client.write(head('POST /v1/chat/completions', { ...POST, 'content-length': String(1 << 30) }));
    expect(await client.closed).toContain('413');
  });

  it('counts over all requests that are not answered, and again when they are', async () => {
    const release = Promise.withResolvers<void>();
    const { call, gateway } = await startGateway({
      limits: { bodiesBytesMax: 3 * MIB },
      coordinator: {
        chat: async (_request, _options, events) => {
          await release.promise;
          events.onDelta({ choice: 0, text: 'x' });
          return chatResult();
        },
      },
    });
    const first = call('/v1/chat/completions', chatOf(2 * MIB));
    await until('the first request', () => gateway.requestsInFlight === 1);
    const refused = await call('/v1/chat/completions', chatOf(2 * MIB));
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('1');
    release.resolve();
    expect((await first).status).toBe(200);
    expect((await call('/v1/chat/completions', chatOf(2 * MIB))).status).toBe(200);
  });

  it('gives its share back when the client goes away halfway', async () => {
    const { port, call, gateway } = await startGateway({ limits: { bodiesBytesMax: 3 * MIB } });
    const client = new RawClient(port);
    client.write(head('POST /v1/chat/completions', { ...POST, 'content-length': String(4 * MIB) }));
    client.write('x'.repeat(MIB));
    await until('the request', () => gateway.requestsInFlight === 1);
    client.socket.destroy();
    await until('its end', () => gateway.requestsInFlight === 0);
    expect((await call('/v1/chat/completions', chatOf(2 * MIB))).status).toBe(200);
  });
});

describe('chunks of one byte', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const CHUNKS = 150_000;

  /** Bytes of heap and buffers that are held when that many chunks of one byte have come. */
  async function held(read: (...args: Parameters<typeof readBody>) => Promise<unknown>): Promise<number> {
    const used = (): number => {
      collect();
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    const done = Promise.withResolvers<number>();
    const server = createServer(async (request, response) => {
      const before = used();
      const body = await read(request, response, GATEWAY_LIMITS, () => undefined);
      done.resolve(used() - before);
      response.end(String(body));
    }).listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const client = new RawClient((server.address() as AddressInfo).port);
    client.write(head('POST /', { 'transfer-encoding': 'chunked' }));
    client.write(`${'1\r\nx\r\n'.repeat(CHUNKS)}0\r\n\r\n`);
    return done.promise;
  }

  it('take no more memory than the body', async () => {
    expect(await held(readBody)).toBeLessThan(2 * MIB);
  });

  it('would take a hundred times as much if they were kept as they come', async () => {
    const bytes = await held((request) => {
      const chunks: Buffer[] = [];
      return new Promise((resolve) => {
        request.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => resolve(chunks));
      });
    });
    expect(bytes).toBeGreaterThan(CHUNKS * 100);
  });
});

describe('encoding', () => {
  it('refuses compressed bodies unopened', async () => {
    const { url } = await startGateway();
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: 'Bearer weft-test-key-0123456789', ...POST, 'content-encoding': 'gzip' },
      body: gzipSync(chatOf(MIB)),
    });
    expect(response.status).toBe(415);
  });

  it('would let a few kilobytes become megabytes if they were unpacked', () => {
    const bomb = gzipSync(chatOf(8 * MIB));
    expect(bomb.length).toBeLessThan(16_384);
    expect(gunzipSync(bomb).length).toBe(8 * MIB);
  });
});

describe('JSON', () => {
  const DEEP = `{"model":"chat","messages":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
  const MANY = `{"model":"chat","messages":[${'[],'.repeat(100_000)}1]}`;

  it.each([
    ['nothing', '', 'empty'],
    ['no JSON', '{"model": "chat",', 'not JSON'],
    ['no object', '[]', 'object'],
    ['null', 'null', 'object'],
    ['too deep', DEEP, 'nested deeper than 40'],
    ['too many values', MANY, 'more than 65536 values'],
    ['a prototype key', '{"__proto__": {"model": "chat"}, "model": "chat", "messages": []}', ''],
    ['an escaped prototype key', '{"\\u005f_proto__": {}, "model": "chat", "messages": []}', ''],
    ['a constructor', '{"constructor": {"prototype": {"x": 1}}, "model": "chat", "messages": []}', ''],
    [
      'a prototype key further in',
      '{"model": "chat", "messages": [{"role":"user","content":"","__proto__":{}}]}',
      '__proto__',
    ],
  ])('is refused when it is %s', async (_what, body, message) => {
    const { call } = await startGateway();
    const response = await call('/v1/chat/completions', body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { message: expect.stringContaining(message) } });
    expect(Object.hasOwn(Object.prototype, 'x')).toBe(false);
  });

  it('is refused when it is not UTF-8', () => {
    expect(() => parseJson(Buffer.from([0x22, 0xff, 0x22]), GATEWAY_LIMITS)).toThrow('UTF-8');
  });

  it('would become objects without end if it were not counted first', () => {
    const unbounded = {
      jsonDepthMax: Number.POSITIVE_INFINITY,
      jsonValuesMax: Number.POSITIVE_INFINITY,
      jsonNumbersMax: Number.POSITIVE_INFINITY,
    };
    expect(parseJson(Buffer.from(DEEP), unbounded)).toHaveProperty('messages');
    expect((parseJson(Buffer.from(MANY), unbounded) as { messages: unknown[] }).messages).toHaveLength(100_001);
  });

  it('counts numbers in arrays by a bound of their own, spaces or not', () => {
    const limits = { ...GATEWAY_LIMITS, jsonValuesMax: 10, jsonNumbersMax: 100 };
    const numbers = (count: number, comma: string) => Buffer.from(`[${new Array(count).fill('-1').join(comma)}]`);
    for (const comma of [',', ' , ', ',\n\t']) {
      expect(parseJson(numbers(101, comma), limits)).toHaveLength(101);
      expect(() => parseJson(numbers(102, comma), limits)).toThrow('more than 100 numbers');
    }
    expect(() => parseJson(Buffer.from(`[${new Array(12).fill('null').join(', ')}]`), limits)).toThrow('10 values');
    expect(() => parseJson(Buffer.from(`{${new Array(12).fill('"a":1').join(',')}}`), limits)).toThrow('10 values');
  });

  it('does not count what stands in strings', () => {
    const value = { text: '[{,"\\'.repeat(40_000), '[': '\\"[' };
    expect(parseJson(Buffer.from(JSON.stringify(value)), GATEWAY_LIMITS)).toEqual(value);
  });

  it('is read as any parser reads it', () => {
    const limits = { jsonDepthMax: 1_000, jsonValuesMax: 1_000_000, jsonNumbersMax: 1_000_000 };
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(parseJson(Buffer.from(text), limits)).toEqual(JSON.parse(text));
      }),
      runs(200),
    );
  });

  it('is refused with a typed error whatever the bytes are', () => {
    const json = fc.string({ unit: fc.constantFrom('"', '\\', '[', ']', '{', '}', ',', ':', '1', 'a', ' ', 'é') });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }).map(Buffer.from), json.map(Buffer.from)), (bytes) => {
        try {
          parseJson(Buffer.from(bytes), GATEWAY_LIMITS);
        } catch (error) {
          expect(error).toBeInstanceOf(WeftError);
          expect(error).toMatchObject({ code: 'bad_request' });
        }
      }),
      runs(500),
    );
  });

  it('quotes nothing of the body in its error', async () => {
    const { call, log } = await startGateway();
    const text = await (await call('/v1/chat/completions', '{"secret prompt')).text();
    expect(text + JSON.stringify(log.lines)).not.toContain('secret');
  });
});

describe('a request whose client is still sending', () => {
  it('is not begun before its last byte', async () => {
    let begun = false;
    const { port } = await startGateway({
      coordinator: {
        chat: async (_request, { signal }) => {
          begun = true;
          return ended(signal);
        },
      },
    });
    const body = JSON.stringify(CHAT);
    const client = new RawClient(port);
    client.write(head('POST /v1/chat/completions', { ...POST, 'content-length': String(body.length) }));
    client.write(body.slice(0, -1));
    // Another request on another connection is answered meanwhile.
    const other = new RawClient(port);
    await other.write(head('GET /v1/models')).until('200 OK');
    expect(begun).toBe(false);
    client.write(body.slice(-1));
    await until('the request', () => begun);
  });
});
