// What of OpenAI's API is taken, what is refused, and that a refusal names its parameter.
import { describe, expect, it } from 'vitest';
import { ChatCompletionRequest, EmbeddingRequest } from '../../../protocol/api/openai.ts';

const USER = { role: 'user', content: 'Hi' };
const CHAT = { model: 'm', messages: [USER] };

/** Path and kind of the first issue, or undefined when the body is taken. */
function issueOf(schema: typeof ChatCompletionRequest | typeof EmbeddingRequest, body: unknown) {
  const issue = schema.safeParse(body).error?.issues[0];
  if (issue === undefined) return undefined;
  const path = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0]] : issue.path;
  const unsupported = issue.code === 'custom' && issue.params?.unsupported === true;
  return `${path.join('.')}${unsupported ? ' unsupported' : ''}`;
}

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
        logit_bias: {},
        logprobs: false,
        top_logprobs: 0,
        modalities: ['text'],
        n: 1,
        presence_penalty: 0,
        frequency_penalty: 0,
        response_format: { type: 'text' },
        parallel_tool_calls: true,
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
    ['messages.0.role unsupported', { messages: [{ role: 'tool', content: 'Hi', tool_call_id: 'x' }] }],
    ['messages.0.content', { messages: [{ role: 'user' }] }],
    ['messages.0.content', { messages: [{ role: 'assistant', content: null }] }],
    ['messages.0.content', { messages: [{ role: 'user', content: [] }] }],
    ['messages.0.content.0.text', { messages: [{ role: 'user', content: [{ type: 'text' }] }] }],
    ['messages.0.tool_calls unsupported', { messages: [{ role: 'assistant', content: '', tool_calls: [{}] }] }],
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
    ['n unsupported', { n: 1_000_000 }],
    ['tools unsupported', { tools: [{ type: 'function', function: { name: 'f' } }] }],
    ['tool_choice unsupported', { tool_choice: 'required' }],
    ['functions unsupported', { functions: [{ name: 'f' }] }],
    ['response_format unsupported', { response_format: { type: 'json_object' } }],
    ['logprobs unsupported', { logprobs: true }],
    ['top_logprobs unsupported', { top_logprobs: 3 }],
    ['logit_bias unsupported', { logit_bias: { 50256: -100 } }],
    ['presence_penalty unsupported', { presence_penalty: 0.5 }],
    ['frequency_penalty unsupported', { frequency_penalty: -0.5 }],
    ['modalities unsupported', { modalities: ['text', 'audio'] }],
    ['audio unsupported', { audio: { voice: 'x' } }],
    ['prediction unsupported', { prediction: { type: 'content' } }],
    ['reasoning_effort unsupported', { reasoning_effort: 'high' }],
    ['web_search_options unsupported', { web_search_options: {} }],
    ['top_k', { top_k: 5 }],
    ['constructor', { constructor: 1 }],
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

describe('an embedding request', () => {
  const EMBED = { model: 'm', input: 'x' };

  it('may have a string, or up to 2,048 of them', () => {
    expect(EmbeddingRequest.parse(EMBED).input).toEqual(['x']);
    expect(EmbeddingRequest.parse({ ...EMBED, input: new Array(2_048).fill('x') }).input).toHaveLength(2_048);
    expect(
      issueOf(EmbeddingRequest, { ...EMBED, encoding_format: 'base64', user: 'me', dimensions: null }),
    ).toBeUndefined();
  });

  it.each<[string, object]>([
    ['input', { input: undefined }],
    ['input', { input: '' }],
    ['input', { input: [] }],
    ['input', { input: {} }],
    ['input', { input: new Array(2_049).fill('x') }],
    ['input.1', { input: ['x', ''] }],
    ['input.1', { input: ['x', 7] }],
    ['input unsupported', { input: [1, 2, 3] }],
    ['input unsupported', { input: [[1, 2], [3]] }],
    ['dimensions unsupported', { dimensions: 128 }],
    ['encoding_format', { encoding_format: 'int8' }],
    ['truncate', { truncate: true }],
  ])('is refused by the name of %s: %j', (param, more) => {
    expect(issueOf(EmbeddingRequest, { ...EMBED, ...more })).toBe(param);
  });
});
