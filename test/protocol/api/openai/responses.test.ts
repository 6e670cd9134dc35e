// What of OpenAI's responses is taken, what is refused, and how items become a conversation.
import { describe, expect, it } from 'vitest';
import { type InputMessage, mergeItems, ResponseRequest } from '../../../../protocol/api/openai.ts';
import { issueOf } from './issues.ts';

const BASE = { model: 'm', input: 'Hi' };
const inputOf = (input: unknown) => ResponseRequest.parse({ ...BASE, input }).input;
const messagesOf = (input: unknown) => mergeItems(inputOf(input) as readonly InputMessage[]);
const call = (id: string) => ({ type: 'function_call', id: `fc_${id}`, call_id: id, name: 'f', arguments: '{}' });

describe('input', () => {
  it('may be a string', () => {
    expect(inputOf('Hi')).toEqual([{ role: 'user', content: 'Hi' }]);
  });

  it('may be messages, short or with parts, and items as an answer gave them', () => {
    expect(
      messagesOf([
        { role: 'developer', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'a' },
            { type: 'input_text', text: 'b' },
          ],
        },
        {
          type: 'message',
          id: 'msg_1',
          status: 'completed',
          role: 'assistant',
          content: [{ type: 'output_text', text: 'c', annotations: [], logprobs: [] }],
        },
        { ...call('1'), status: 'completed' },
        call('2'),
        { type: 'function_call_output', call_id: '1', output: '4' },
        { type: 'function_call_output', call_id: '2', output: [{ type: 'input_text', text: '5' }] },
        call('3'),
      ]),
    ).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'a\nb' },
      {
        role: 'assistant',
        content: 'c',
        toolCalls: [
          { id: '1', name: 'f', arguments: '{}' },
          { id: '2', name: 'f', arguments: '{}' },
        ],
      },
      { role: 'tool', content: '4', toolCallId: '1' },
      { role: 'tool', content: '5', toolCallId: '2' },
      { role: 'assistant', content: '', toolCalls: [{ id: '3', name: 'f', arguments: '{}' }] },
    ]);
  });

  it('may refer to items of earlier answers, whose type may be left out', () => {
    const references = [{ type: 'item_reference', id: 'msg_1' }, { type: null, id: 'fc_1' }, { id: 'fc_2' }];
    expect(inputOf([...references, { id: 'msg_2', role: 'user', content: 'x' }])).toEqual([
      { reference: 'msg_1' },
      { reference: 'fc_1' },
      { reference: 'fc_2' },
      { role: 'user', content: 'x' },
    ]);
  });

  it('keeps the text of a message that has calls behind it, and that of the message before', () => {
    const said = (content: string) => ({ role: 'assistant', content });
    expect(messagesOf([said('a'), said('b'), call('1')])).toEqual([
      { role: 'assistant', content: 'a' },
      { role: 'assistant', content: 'b', toolCalls: [{ id: '1', name: 'f', arguments: '{}' }] },
    ]);
  });

  it.each<[string, unknown]>([
    ['input', undefined],
    ['input', []],
    ['input', 5],
    ['input', new Array(5_000).fill({ role: 'user', content: 'x' })],
    ['input.0', ['x']],
    ['input.0.role', [{ role: 'robot', content: 'x' }]],
    ['input.0.content', [{ role: 'user' }]],
    [
      'input.0.content.1.type unsupported',
      [{ role: 'user', content: [{ type: 'input_text', text: '' }, { type: 'input_image' }] }],
    ],
    ['input.0.colour', [{ role: 'user', content: 'x', colour: 'red' }]],
    ['input.0.type unsupported', [{ type: 'reasoning', id: 'rs_1', summary: [] }]],
    ['input.0.id', [{ type: 'item_reference' }]],
    ['input.0.id', [{ type: 'item_reference', id: '' }]],
    ['input.0.id', [{ id: 'x'.repeat(129) }]],
    ['input.0.colour', [{ id: 'msg_1', colour: 'red' }]],
    ['input.0.type unsupported', [{ type: 'constructor' }]],
    ['input.0.call_id', [{ type: 'function_call', name: 'f', arguments: '{}' }]],
    ['input.0.output', [{ type: 'function_call_output', call_id: '1' }]],
  ])('is refused by the name of %s: %j', (param, input) => {
    expect(issueOf(ResponseRequest, { ...BASE, input })).toBe(param);
  });
});

describe('a request', () => {
  it.each<[string, object]>([
    [
      'every setting',
      { instructions: 'x', max_output_tokens: 1, temperature: 2, top_p: 1, stream: true, parallel_tool_calls: false },
    ],
    [
      'null where OpenAI takes null',
      { instructions: null, temperature: null, metadata: null, tools: null, previous_response_id: null, store: null },
    ],
    [
      'parameters that ask for nothing',
      {
        background: false,
        include: [],
        truncation: 'disabled',
        reasoning: { effort: null },
        top_logprobs: 0,
        conversation: null,
      },
    ],
    ['a response that it goes on from', { previous_response_id: 'resp_1', store: false }],
    ['parameters that change no answer', { user: 'u', service_tier: 'auto', prompt_cache_key: 'k' }],
    [
      'a format',
      { text: { format: { type: 'json_schema', name: 'a', schema: {}, strict: true }, verbosity: 'medium' } },
    ],
    ['metadata', { metadata: { constructor: 'x' } }],
  ])('may have %s', (_what, more) => {
    expect(issueOf(ResponseRequest, { ...BASE, ...more })).toBeUndefined();
  });

  it('gives tools, choice and format in the form that chat has', () => {
    const parameters = { type: 'object' };
    const request = ResponseRequest.parse({
      ...BASE,
      tools: [{ type: 'function', name: 'f', description: null, parameters, strict: null }],
      tool_choice: { type: 'function', name: 'f' },
      text: { format: { type: 'json_object' } },
    });
    expect(request.tools).toEqual([{ name: 'f', parameters }]);
    expect(request.tool_choice).toEqual({ name: 'f' });
    expect(request.text?.format).toEqual({ kind: 'json_object' });
  });

  it.each<[string, object]>([
    ['previous_response_id', { previous_response_id: '' }],
    ['previous_response_id', { previous_response_id: 'x'.repeat(129) }],
    ['previous_response_id', { previous_response_id: 7 }],
    ['store', { store: 'yes' }],
    ['conversation unsupported', { conversation: 'conv_1' }],
    ['background unsupported', { background: true }],
    ['include unsupported', { include: ['message.output_text.logprobs'] }],
    ['prompt unsupported', { prompt: { id: 'p' } }],
    ['truncation unsupported', { truncation: 'auto' }],
    ['reasoning unsupported', { reasoning: { effort: 'high' } }],
    ['max_tool_calls unsupported', { max_tool_calls: 3 }],
    ['text.verbosity unsupported', { text: { verbosity: 'low' } }],
    ['stream_options.include_obfuscation unsupported', { stream: true, stream_options: { include_obfuscation: true } }],
    ['tools.0.type unsupported', { tools: [{ type: 'web_search' }] }],
    ['tools.0.name', { tools: [{ type: 'function' }] }],
    ['tool_choice', { tool_choice: { type: 'function', name: 'f' } }],
    ['text.format.type', { text: { format: { type: 'grammar' } } }],
    ['text.format.schema', { text: { format: { type: 'json_schema', name: 'a' } } }],
    ['metadata', { metadata: [] }],
    ['metadata.a', { metadata: { a: 1 } }],
    ['metadata.a', { metadata: { a: 'x'.repeat(513) } }],
    ['metadata', { metadata: Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`k${index}`, 'v'])) }],
    ['max_output_tokens', { max_output_tokens: 0 }],
    ['max_tokens', { max_tokens: 5 }],
    ['stop', { stop: ['x'] }],
  ])('is refused by the name of %s: %j', (param, more) => {
    expect(issueOf(ResponseRequest, { ...BASE, ...more })).toBe(param);
  });
});
