// What a lenient gateway leaves out, and what it refuses all the same.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ignoredHeader, parseBody, parseLeniently } from '../../../node/gateway/parameters.ts';
import {
  ChatCompletionRequest,
  CompletionRequest,
  EmbeddingRequest,
  ResponseRequest,
} from '../../../protocol/api/openai.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { runs } from '../../support/property.ts';
import { chatResult, startGateway, USER_HI } from './support.ts';

const CHAT = { model: 'chat', messages: USER_HI };
const LENIENT = { init: { lenient: () => true } };

describe('a lenient gateway', () => {
  it.each<[string, object, string]>([
    ['what nobody knows', { colour: 'red', 'späße, %': 1 }, 'colour, sp%C3%A4%C3%9Fe%2C%20%25'],
    ['what is not supported', { audio: { voice: 'x' }, functions: [{ name: 'f' }] }, 'audio, functions'],
    [
      'the same further in, once',
      {
        messages: [
          { role: 'user', content: 'Hi', name: 'me', x: 1 },
          { role: 'assistant', content: '', name: 'you' },
        ],
      },
      'messages[].name, messages[].x',
    ],
    [
      'parts of options',
      { stream: true, stream_options: { include_obfuscation: true, other: 1 } },
      'stream_options.include_obfuscation, stream_options.other',
    ],
    ['parts of tools', { tools: [{ type: 'function', function: { name: 'f', cache: 1 } }] }, 'tools[].function.cache'],
  ])('leaves out %s, and says so', async (_what, more, expected) => {
    const { call } = await startGateway(LENIENT);
    const response = await call('/v1/chat/completions', { ...CHAT, ...more });
    expect(response.status).toBe(200);
    expect(response.headers.get('x-weft-ignored')).toBe(expected);
    await response.text();
  });

  it.each<[string, object]>([
    ['temperature', { temperature: 3, colour: 'red' }],
    ['n', { n: 1_000_000 }],
    ['messages[0].content[0].type', { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }],
    ['messages[0].role', { messages: [{ role: 'function', content: 'x' }] }],
    ['tools[0].type', { tools: [{ type: 'custom', custom: { name: 'f' } }] }],
  ])('still refuses the value of %s', async (param, more) => {
    const { call } = await startGateway(LENIENT);
    const response = await call('/v1/chat/completions', { ...CHAT, ...more });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param } });
    expect(response.headers.get('x-weft-ignored')).toBeNull();
  });

  it('says nothing where nothing was left out, and is strict with the control API', async () => {
    const { call } = await startGateway(LENIENT);
    expect((await call('/v1/chat/completions', CHAT)).headers.get('x-weft-ignored')).toBeNull();
    expect((await call('/api/v1/invitations', { ttl_seconds: 60, colour: 'red' })).status).toBe(400);
  });

  it('is what a strict one is not', async () => {
    const { call } = await startGateway();
    const response = await call('/v1/chat/completions', { ...CHAT, colour: 'red' });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { param: 'colour', remedy: expect.stringContaining('WEFT_LENIENT') },
    });
  });

  it('holds for every endpoint of OpenAI', async () => {
    const { call } = await startGateway({
      ...LENIENT,
      coordinator: { complete: async () => chatResult() },
    });
    for (const [path, body] of [
      ['/v1/completions', { model: 'chat', prompt: 'x', echo: true }],
      ['/v1/embeddings', { model: 'embed', input: 'x', truncate: true }],
      ['/v1/responses', { model: 'chat', input: 'x', background: true }],
    ] as const) {
      const response = await call(path, body);
      expect([path, response.status]).toEqual([path, 200]);
      expect(response.headers.get('x-weft-ignored')).toMatch(/^(echo|truncate|background)$/);
    }
  });
});

describe('leaving out', () => {
  it('ends, however many parameters there are', () => {
    const many = Object.fromEntries(Array.from({ length: 60_000 }, (_, index) => [`p${index}`, index]));
    const { value, ignored } = parseLeniently(ChatCompletionRequest, { ...CHAT, ...many });
    expect(value.model).toBe('chat');
    expect(ignored).toHaveLength(60_000);
    expect(ignoredHeader(ignored).length).toBeLessThan(2_000);
    expect(ignoredHeader(ignored)).toMatch(/, \.\.\.$/);
  });

  it('touches no prototype', () => {
    const body = JSON.parse(
      '{"model":"m","messages":[{"role":"user","content":"Hi","__proto__":{"x":1}}],"constructor":1}',
    );
    expect(parseLeniently(ChatCompletionRequest, body).ignored).toEqual(['messages[].__proto__', 'constructor']);
    expect(Object.hasOwn(Object.prototype, 'constructor')).toBe(true);
  });
});

describe('any body at all', () => {
  const schemas = { ChatCompletionRequest, CompletionRequest, EmbeddingRequest, ResponseRequest };
  /** What the body has beside what chance gives it, half of the time. */
  const GOOD = { ...CHAT, prompt: 'x', input: 'x' };
  const words = 'model messages input prompt role content type text tools function name parameters tool_choice n stop';
  const more = 'logit_bias response_format json_schema schema stream_options metadata tool_calls call_id logprobs x';
  const key = fc.constantFrom(...words.split(' '), ...more.split(' '), '__proto__', 'constructor');
  const leaf = fc.oneof(
    fc.constantFrom('user', 'tool', 'assistant', 'function', 'message', 'function_call', 'json_schema', 'text', ''),
    fc.constantFrom(null, true, 0, 1, -1, 5, 1e300),
  );
  const { body } = fc.letrec((tie) => ({
    body: fc.oneof({ maxDepth: 6 }, leaf, fc.array(tie('body'), { maxLength: 4 }), tie('object')),
    object: fc.array(fc.tuple(key, tie('body')), { maxLength: 6 }).map((entries) => Object.fromEntries(entries)),
  }));

  it.each(Object.entries(schemas))('is taken or refused by name: %s', (_name, schema) => {
    const refusalOf = (read: () => unknown): WeftError | undefined => {
      try {
        read();
        return undefined;
      } catch (error) {
        expect(error).toBeInstanceOf(WeftError);
        return error as WeftError;
      }
    };
    fc.assert(
      fc.property(body, fc.boolean(), (value, good) => {
        const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
        const given = JSON.stringify(good && isObject ? { ...GOOD, ...value } : value);
        const strict = refusalOf(() => parseBody(schema, JSON.parse(given)));
        if (strict !== undefined) expect(['bad_request', 'unsupported']).toContain(strict.code);
        const lenient = refusalOf(() => parseLeniently(schema, JSON.parse(given)));
        // Lenient is never stricter than strict, and never refuses what it should have left out.
        if (strict === undefined) expect(lenient).toBeUndefined();
        expect(lenient?.message ?? '').not.toContain('Unknown parameter');
      }),
      runs(500),
    );
  });
});
