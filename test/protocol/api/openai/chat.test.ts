// What of OpenAI's chat completions is taken, what is refused, and that a refusal names its parameter.
import { describe, expect, it } from 'vitest';
import { ChatCompletionRequest, SCHEMA_DEPTH_MAX } from '../../../../protocol/api/openai.ts';
import { SCHEMA_BYTES_MAX } from '../../../../protocol/limits.ts';
import { issueOf, nested } from './issues.ts';

const USER = { role: 'user', content: 'Hi' };
const CHAT = { model: 'm', messages: [USER] };
const TOOL = { type: 'function', function: { name: 'f' } };
const CALL = { id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } };

/** Settings that chat shares with completions. */
const SAMPLING: [string, object][] = [
  ['n', { n: 1_000_000 }],
  ['n', { n: 0 }],
  ['n', { n: 1.5 }],
  ['top_k', { top_k: -2 }],
  ['top_k', { top_k: 0.5 }],
  ['min_p', { min_p: 1.1 }],
  ['repetition_penalty', { repetition_penalty: 0 }],
  ['repeat_penalty', { repeat_penalty: 1.1, repetition_penalty: 1.2 }],
  ['presence_penalty', { presence_penalty: 2.1 }],
  ['frequency_penalty', { frequency_penalty: -2.1 }],
  ['logit_bias', { logit_bias: [1] }],
  ['logit_bias.word', { logit_bias: { word: 1 } }],
  ['logit_bias.-1', { logit_bias: { '-1': 1 } }],
  ['logit_bias.9999999999', { logit_bias: { 9999999999: 1 } }],
  ['logit_bias.5', { logit_bias: { 5: 101 } }],
  ['logit_bias.5', { logit_bias: { 5: '1' } }],
  ['logit_bias', { logit_bias: Object.fromEntries(Array.from({ length: 1_025 }, (_, id) => [id, 1])) }],
];

describe('a chat request', () => {
  it.each<[string, object]>([
    ['only what it must have', {}],
    ['null where OpenAI takes null', { temperature: null, top_p: null, seed: null, stop: null, stream: null, n: null }],
    ['the ends of the ranges', { temperature: 0, top_p: 1, max_tokens: 1 }],
    ['the other ends', { temperature: 2, top_p: 1e-9, seed: Number.MIN_SAFE_INTEGER }],
    ['four stops', { stop: ['a', 'b', 'c', 'd'] }],
    ['usage in a stream', { stream: true, stream_options: { include_usage: true, include_obfuscation: false } }],
    ['both names of the token limit, equal', { max_tokens: 5, max_completion_tokens: 5 }],
    [
      'parameters that ask for nothing',
      {
        tools: [],
        tool_choice: 'none',
        functions: [],
        logprobs: false,
        top_logprobs: 0,
        modalities: ['text'],
        response_format: { type: 'text' },
        reasoning_effort: 'none',
      },
    ],
    [
      'parameters that change no answer',
      { user: 'u', metadata: { constructor: 'x' }, store: true, service_tier: 'auto', safety_identifier: 'i' },
    ],
  ])('may have %s', (_what, more) => {
    expect(issueOf(ChatCompletionRequest, { ...CHAT, ...more })).toBeUndefined();
  });

  it.each<[string, object]>([
    ['model', { model: undefined }],
    ['model', { model: '' }],
    ['model', { model: 'x'.repeat(300) }],
    ['messages', { messages: undefined }],
    ['messages', { messages: [] }],
    ['messages', { messages: 'Hi' }],
    ['messages', { messages: new Array(5_000).fill(USER) }],
    ['messages.1', { messages: [USER, 'Hi'] }],
    ['messages.0.role', { messages: [{ content: 'Hi' }] }],
    ['messages.0.role', { messages: [{ role: 'robot', content: 'Hi' }] }],
    ['messages.0.content', { messages: [{ role: 'user' }] }],
    ['messages.0.content', { messages: [{ role: 'assistant', content: null }] }],
    ['messages.0.content', { messages: [{ role: 'user', content: [] }] }],
    ['messages.0.content.0.text', { messages: [{ role: 'user', content: [{ type: 'text' }] }] }],
    ['messages.0.name unsupported', { messages: [{ ...USER, name: 'me' }] }],
    ['messages.0.colour', { messages: [{ ...USER, colour: 'red' }] }],
    ['max_tokens', { max_tokens: 0 }],
    ['max_tokens', { max_tokens: 1.5 }],
    ['max_tokens', { max_tokens: '5' }],
    ['max_tokens', { max_tokens: 1e12 }],
    ['max_tokens', { max_tokens: 5, max_completion_tokens: 6 }],
    ['max_completion_tokens', { max_completion_tokens: -1 }],
    ['temperature', { temperature: 2.01 }],
    ['temperature', { temperature: -0.1 }],
    ['temperature', { temperature: '1' }],
    ['top_p', { top_p: 0 }],
    ['top_p', { top_p: 1.1 }],
    ['seed', { seed: 1.5 }],
    ['seed', { seed: 2 ** 53 }],
    ['stop', { stop: '' }],
    ['stop', { stop: ['a', 'b', 'c', 'd', 'e'] }],
    ['stop', { stop: [1] }],
    ['stop', { stop: 'x'.repeat(2_000) }],
    ['stream', { stream: 'yes' }],
    ['stream_options', { stream_options: { include_usage: true } }],
    ['stream_options.include_usage', { stream: true, stream_options: { include_usage: 1 } }],
    ['stream_options.other', { stream: true, stream_options: { other: 1 } }],
    ['messages.0.role unsupported', { messages: [{ role: 'function', name: 'f', content: 'Hi' }] }],
    ['messages.0.tool_call_id', { messages: [{ role: 'tool', content: 'Hi' }] }],
    ['messages.0.tool_call_id', { messages: [{ ...USER, tool_call_id: 'x' }] }],
    ['messages.0.tool_calls.0.id', { messages: [{ role: 'assistant', tool_calls: [{}] }] }],
    ['messages.0.tool_calls', { messages: [{ ...USER, tool_calls: [CALL] }] }],
    [
      'messages.0.tool_calls.0.type unsupported',
      { messages: [{ role: 'assistant', tool_calls: [{ ...CALL, type: 'custom' }] }] },
    ],
    [
      'messages.0.content.0.type unsupported',
      { messages: [{ role: 'assistant', content: [{ type: 'refusal', refusal: 'No.' }] }] },
    ],
    ['functions unsupported', { functions: [{ name: 'f' }] }],
    ['modalities unsupported', { modalities: ['text', 'audio'] }],
    ['audio unsupported', { audio: { voice: 'x' } }],
    ['prediction unsupported', { prediction: { type: 'content' } }],
    ['reasoning_effort unsupported', { reasoning_effort: 'high' }],
    ['web_search_options unsupported', { web_search_options: {} }],
    ['constructor', { constructor: 1 }],
    ...SAMPLING,
    ['top_logprobs', { logprobs: true, top_logprobs: 21 }],
    ['top_logprobs', { top_logprobs: 3 }],
    ['logprobs', { logprobs: 3 }],
    ['response_format.type', { response_format: { type: 'grammar' } }],
    ['response_format.json_schema', { response_format: { type: 'json_schema' } }],
    ['response_format.json_schema.name', { response_format: { type: 'json_schema', json_schema: { schema: {} } } }],
    ['response_format.json_schema.schema', { response_format: { type: 'json_schema', json_schema: { name: 'a' } } }],
    ['tools', { tools: new Array(129).fill(TOOL) }],
    ['tools', { tools: [TOOL, TOOL] }],
    ['tools.0.type unsupported', { tools: [{ type: 'custom', custom: { name: 'f' } }] }],
    ['tools.0.function.name', { tools: [{ type: 'function', function: { name: 'no good' } }] }],
    ['tools.0.function.name', { tools: [{ type: 'function', function: { name: 'x'.repeat(65) } }] }],
    ['tools.0.function.parameters', { tools: [{ type: 'function', function: { name: 'f', parameters: [] } }] }],
    ['tools.0.function.colour', { tools: [{ type: 'function', function: { name: 'f', colour: 'red' } }] }],
    ['tool_choice', { tool_choice: 'required' }],
    ['tool_choice', { tools: [TOOL], tool_choice: 'sometimes' }],
    ['tool_choice', { tools: [TOOL], tool_choice: { type: 'function', function: { name: 'g' } } }],
    ['tool_choice', { tools: [TOOL], tool_choice: { type: 'function' } }],
    ['tool_choice.type unsupported', { tools: [TOOL], tool_choice: { type: 'allowed_tools', allowed_tools: {} } }],
    ['parallel_tool_calls', { parallel_tool_calls: 'no' }],
  ])('is refused by the name of %s: %j', (param, more) => {
    expect(issueOf(ChatCompletionRequest, { ...CHAT, ...more })).toBe(param);
  });

  it('is refused for a picture before anything is fetched', () => {
    const image = { type: 'image_url', image_url: { url: 'http://169.254.169.254/latest/meta-data' } };
    const body = { ...CHAT, messages: [{ role: 'user', content: [{ type: 'text', text: 'see' }, image] }] };
    expect(issueOf(ChatCompletionRequest, body)).toBe('messages.0.content.1.type unsupported');
  });

  it('is refused for a prototype key, wherever it stands', () => {
    for (const json of [
      '{"__proto__":{"n":1},"model":"m","messages":[{"role":"user","content":"Hi"}]}',
      '{"model":"m","messages":[{"role":"user","content":"Hi","__proto__":{"x":1}}]}',
    ]) {
      expect(issueOf(ChatCompletionRequest, JSON.parse(json))).toContain('__proto__');
    }
  });

  it.each([undefined, null, 1, 'x', []])('is an object, not %j', (body) => {
    expect(issueOf(ChatCompletionRequest, body)).toBe('');
  });
});

describe('settings', () => {
  it('come out as numbers, lists and one name each', () => {
    const parsed = ChatCompletionRequest.parse({
      ...CHAT,
      top_k: 40,
      min_p: 0.05,
      repeat_penalty: 1.1,
      presence_penalty: -2,
      frequency_penalty: 2,
      logit_bias: { 50256: -100, 7: 0.5 },
      n: 16,
    });
    expect(parsed).toMatchObject({ top_k: 40, min_p: 0.05, repeat_penalty: 1.1, n: 16 });
    expect(parsed.logit_bias).toEqual([
      { id: 7, bias: 0.5 },
      { id: 50256, bias: -100 },
    ]);
  });
});

describe('messages', () => {
  it('may be of the developer, of a tool, and of the assistant that called it', () => {
    const { messages } = ChatCompletionRequest.parse({
      model: 'm',
      messages: [
        { role: 'developer', content: 'Be brief.' },
        { role: 'user', content: '' },
        { role: 'assistant', content: null, tool_calls: [CALL] },
        { role: 'tool', tool_call_id: 'call_1', content: [{ type: 'text', text: '4' }] },
      ],
    });
    expect(messages).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: '' },
      { role: 'assistant', content: '', toolCalls: [{ id: 'call_1', name: 'f', arguments: '{}' }] },
      { role: 'tool', content: '4', toolCallId: 'call_1' },
    ]);
  });
});

describe('tools and formats', () => {
  it('come out with their schemas, and a tool without parameters takes none', () => {
    const schema = { type: 'object', properties: { a: { type: 'string' } } };
    const request = ChatCompletionRequest.parse({
      ...CHAT,
      tools: [
        TOOL,
        { type: 'function', function: { name: 'g', description: 'Does g.', parameters: schema, strict: true } },
      ],
      tool_choice: { type: 'function', function: { name: 'g' } },
      response_format: { type: 'json_schema', json_schema: { name: 'a', schema, strict: null, description: 'x' } },
    });
    expect(request.tools).toEqual([
      { name: 'f', parameters: { type: 'object', properties: {}, additionalProperties: false } },
      { name: 'g', description: 'Does g.', parameters: schema },
    ]);
    expect(request.tool_choice).toEqual({ name: 'g' });
    expect(request.response_format).toEqual({ kind: 'json_schema', name: 'a', schema });
  });
});

describe('JSON schemas', () => {
  const withTool = (parameters: object) => ({
    ...CHAT,
    tools: [{ type: 'function', function: { name: 'f', parameters } }],
  });
  const withFormat = (schema: object) => ({
    ...CHAT,
    response_format: { type: 'json_schema', json_schema: { name: 'a', schema } },
  });
  const long = (length: number) => ({ description: 'x'.repeat(length - '{"description":""}'.length) });

  it('are bounded in depth', () => {
    expect(issueOf(ChatCompletionRequest, withTool(nested(SCHEMA_DEPTH_MAX)))).toBeUndefined();
    expect(issueOf(ChatCompletionRequest, withTool(nested(SCHEMA_DEPTH_MAX + 1)))).toBe('tools.0.function.parameters');
    expect(issueOf(ChatCompletionRequest, withFormat(nested(SCHEMA_DEPTH_MAX + 1)))).toBe(
      'response_format.json_schema.schema',
    );
  });

  it('are bounded in length, each and together', () => {
    expect(issueOf(ChatCompletionRequest, withFormat(long(SCHEMA_BYTES_MAX)))).toBeUndefined();
    expect(issueOf(ChatCompletionRequest, withFormat(long(SCHEMA_BYTES_MAX + 1)))).toBe(
      'response_format.json_schema.schema',
    );
    const tools = Array.from({ length: 5 }, (_, index) => ({
      type: 'function',
      function: { name: `f${index}`, parameters: long(SCHEMA_BYTES_MAX) },
    }));
    expect(issueOf(ChatCompletionRequest, { ...CHAT, tools })).toBe('tools');
    expect(issueOf(ChatCompletionRequest, { ...CHAT, tools: tools.slice(0, 4) })).toBeUndefined();
  });
});
