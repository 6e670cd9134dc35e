// Requests that ask for too much, or for something else: each is refused by its name before it costs anything. Beside
// each stands what it would cost.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ChatRequest } from '../../../node/core/coordinator.ts';
import { GATEWAY_LIMITS } from '../../../node/gateway/limits.ts';
import { SCHEMA_DEPTH_MAX } from '../../../protocol/api/openai.ts';
import { chatResult, startGateway, USER_HI } from './support.ts';

const CHAT = { model: 'chat', messages: USER_HI };

/** A gateway whose coordinator does what it is asked for, and keeps it. */
async function start() {
  const seen: ChatRequest[] = [];
  const started = await startGateway({
    coordinator: {
      chat: async (request, _options, { onDelta }) => {
        seen.push(request);
        const choices = Array.from({ length: request.n ?? 1 }, (_, choice) => {
          onDelta({ choice, text: 'x' });
          return { finish: 'stop' as const };
        });
        return chatResult({ choices });
      },
    },
  });
  return { ...started, seen };
}

describe('a million answers', () => {
  it('are refused, by every endpoint that can give several', async () => {
    const { call, seen } = await start();
    for (const [path, body] of [
      ['/v1/chat/completions', { ...CHAT, n: 1e6 }],
      ['/v1/completions', { model: 'chat', prompt: 'x', n: 1e6 }],
      ['/v1/completions', { model: 'chat', prompt: 'x', n: 2, best_of: 1e6 }],
      ['/v1/completions', { model: 'chat', prompt: new Array(64).fill('x'), n: 16 }],
      ['/v1/chat/completions', { ...CHAT, logprobs: true, top_logprobs: 1e6 }],
    ] as const) {
      const response = await call(path, body);
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({
        error: { param: expect.stringMatching(/^(n|best_of|top_logprobs)$/) },
      });
    }
    expect(seen).toEqual([]);
  });

  it('would all be generated: what passes is what the coordinator is asked for', async () => {
    const { call, seen } = await start();
    const answer = (await (await call('/v1/chat/completions', { ...CHAT, n: 16 })).json()) as { choices: unknown[] };
    expect(seen[0]?.n).toBe(16);
    expect(answer.choices).toHaveLength(16);
  });
});

describe('pictures and sounds', () => {
  /** A service beside the node that only this machine reaches, such as a cloud's metadata. */
  async function internalService() {
    let requests = 0;
    const server = createServer((_request, response) => {
      requests += 1;
      response.end('secret');
    }).listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, requests: () => requests };
  }

  it('are refused by their type, and never fetched', async () => {
    const internal = await internalService();
    const { call, seen } = await start();
    const { url } = internal;
    const parts = [
      { type: 'image_url', image_url: { url } },
      { type: 'input_audio', input_audio: { data: url, format: 'wav' } },
      { type: 'file', file: { file_data: url } },
      { type: 'text', text: 'x', image_url: { url } },
    ];
    for (const part of parts)
      await call('/v1/chat/completions', { model: 'chat', messages: [{ role: 'user', content: [part] }] });
    for (const part of [
      { type: 'input_image', image_url: url },
      { type: 'input_file', file_url: url },
    ]) {
      const response = await call('/v1/responses', { model: 'chat', input: [{ role: 'user', content: [part] }] });
      expect(await response.json()).toMatchObject({
        error: { param: 'input[0].content[0].type', weft_code: 'unsupported' },
      });
    }
    // A text is a text, whatever else stands beside it.
    expect(seen.map(({ messages }) => messages)).toEqual([[{ role: 'user', content: 'x' }]]);
    expect(internal.requests()).toBe(0);
  });

  it('would be within reach of whoever fetched them', async () => {
    const internal = await internalService();
    expect(await (await fetch(internal.url)).text()).toBe('secret');
    expect(internal.requests()).toBe(1);
  });
});

describe('schemas', () => {
  /** Doubles at every level when its references are followed. */
  const doubling = (levels: number) => {
    const $defs = Object.fromEntries(
      Array.from({ length: levels }, (_, level) => {
        const $ref = `#/$defs/l${level + 1}`;
        return [
          `l${level}`,
          level === levels - 1 ? { type: 'string' } : { type: 'array', prefixItems: [{ $ref }, { $ref }] },
        ];
      }),
    );
    return { $ref: '#/$defs/l0', $defs };
  };
  const withSchema = (schema: object) => ({
    ...CHAT,
    response_format: { type: 'json_schema', json_schema: { name: 'a', schema } },
  });

  it('are refused when they are long or deep, before anybody compiles them', async () => {
    const { call, seen } = await start();
    let deep: object = {};
    for (let level = 0; level < SCHEMA_DEPTH_MAX; level += 1) deep = { not: deep };
    for (const schema of [doubling(2_000), deep]) {
      const response = await call('/v1/chat/completions', withSchema(schema));
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ error: { param: 'response_format.json_schema.schema' } });
    }
    expect(seen).toEqual([]);
  });

  it('would reach the compiler as they came', async () => {
    const { call, seen } = await start();
    const schema = doubling(200);
    await call('/v1/chat/completions', withSchema(schema));
    expect(seen[0]?.format).toEqual({ kind: 'json_schema', name: 'a', schema });
  });

  it('fit the depth of a body, wherever they may stand', () => {
    // response_format.json_schema.schema and tools[].function.parameters: four levels above them at most.
    expect(GATEWAY_LIMITS.jsonDepthMax).toBeGreaterThanOrEqual(SCHEMA_DEPTH_MAX + 4);
  });
});
