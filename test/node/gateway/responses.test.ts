// OpenAI's responses, by the official client: whole and as events, with text, calls of tools, and both.
import type OpenAI from 'openai';
import { zodTextFormat } from 'openai/helpers/zod';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ChatRequest } from '../../../node/core/coordinator.ts';
import { Response, ResponseEvent } from '../../../protocol/api/openai.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { CHAT_MODEL, type Chat, chatResult, OTHER, startGateway } from './support.ts';

const BASE = { model: 'chat', input: 'Hi' };
const PARAMETERS = { type: 'object', properties: { city: { type: 'string' } } };
const TOOLS = [{ type: 'function' as const, name: 'weather', parameters: PARAMETERS, strict: true }];
const CALL = { id: 'call_1', name: 'weather', arguments: '{"city":"Oslo"}' };

async function start(chat: Chat) {
  const seen: ChatRequest[] = [];
  const started = await startGateway({
    coordinator: {
      chat: (request, options, events) => {
        seen.push(request);
        events.onPlaced?.(OTHER, CHAT_MODEL);
        return chat(request, options, events);
      },
    },
  });
  return { ...started, seen };
}

const saying =
  (finish: 'stop' | 'length' | 'tool_calls', ...texts: readonly string[]): Chat =>
  async (_request, _options, { onDelta }) => {
    for (const text of texts) onDelta({ choice: 0, text });
    return chatResult({ choices: [{ finish }] });
  };

const sayingAndCalling: Chat = async (_request, _options, { onDelta }) => {
  onDelta({ choice: 0, text: 'Let me ' });
  onDelta({ choice: 0, text: 'see.' });
  onDelta({ choice: 0, text: '', toolCall: CALL });
  onDelta({ choice: 0, text: '', toolCall: { ...CALL, id: 'call_2' } });
  return chatResult({ choices: [{ finish: 'tool_calls' }] });
};

const eventsOf = async (stream: AsyncIterable<unknown>) => {
  const events: ResponseEvent[] = [];
  for await (const event of stream) events.push(ResponseEvent.parse(event));
  expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, index) => index));
  return events;
};

describe('an answer', () => {
  it('has text, usage, and what was asked for', async () => {
    const { openai, seen } = await start(saying('stop', 'Hello', ' wörld'));
    const { data, response } = await openai.responses
      .create({ ...BASE, instructions: 'Be brief.', metadata: { a: 'b' }, temperature: 0.5, user: 'me' })
      .withResponse();
    expect(data.output_text).toBe('Hello wörld');
    const parsed = Response.parse(data);
    expect(parsed.id).toMatch(/^resp_[0-9a-z]{24}$/);
    expect(parsed).toMatchObject({
      status: 'completed',
      model: CHAT_MODEL,
      error: null,
      incomplete_details: null,
      instructions: 'Be brief.',
      metadata: { a: 'b' },
      temperature: 0.5,
      top_p: 1,
      store: true,
      previous_response_id: null,
      tool_choice: 'auto',
      tools: [],
      text: { format: { type: 'text' } },
      usage: {
        input_tokens: 7,
        input_tokens_details: { cached_tokens: 4 },
        output_tokens: 3,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: 10,
      },
      weft: { nodes: [OTHER] },
    });
    expect(parsed.output).toEqual([
      {
        type: 'message',
        id: expect.stringMatching(/^msg_[0-9a-z]{24}$/),
        status: 'completed',
        role: 'assistant',
        content: [{ type: 'output_text', text: 'Hello wörld', annotations: [], logprobs: [] }],
      },
    ]);
    expect(response.headers.get('x-weft-node')).toBe(OTHER);
    expect(seen).toEqual([
      {
        model: 'chat',
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'Hi' },
        ],
        temperature: 0.5,
        topP: 1,
        stop: [],
      },
    ]);
  });

  it('is incomplete where the tokens did not suffice', async () => {
    const { openai, seen } = await start(saying('length', 'Hel'));
    const answer = await openai.responses.create({ ...BASE, max_output_tokens: 1 });
    expect(answer).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      output: [{ status: 'incomplete' }],
      max_output_tokens: 1,
    });
    expect(seen[0]?.maxTokens).toBe(1);
  });

  it('has an item even where the model said nothing', async () => {
    const { openai } = await start(saying('stop'));
    const answer = await openai.responses.create(BASE);
    expect(answer.output_text).toBe('');
    expect(answer.output).toHaveLength(1);
  });

  it('has calls of tools behind the text', async () => {
    const { openai, seen } = await start(sayingAndCalling);
    const answer = await openai.responses.create({
      ...BASE,
      tools: TOOLS,
      tool_choice: { type: 'function', name: 'weather' },
      parallel_tool_calls: false,
    });
    expect(answer.output.map((item) => item.type)).toEqual(['message', 'function_call', 'function_call']);
    expect(answer.output[2]).toEqual({
      type: 'function_call',
      id: expect.stringMatching(/^fc_/),
      status: 'completed',
      call_id: 'call_2',
      name: 'weather',
      arguments: '{"city":"Oslo"}',
    });
    expect(answer).toMatchObject({
      tools: [{ type: 'function', name: 'weather', parameters: PARAMETERS, strict: true }],
      tool_choice: { type: 'function', name: 'weather' },
      parallel_tool_calls: false,
    });
    expect(seen[0]).toMatchObject({
      tools: [{ name: 'weather', parameters: PARAMETERS }],
      toolChoice: { name: 'weather' },
      parallelToolCalls: false,
    });
  });

  it('goes back as it came, with what the tools said', async () => {
    const { openai, seen } = await start(sayingAndCalling);
    const { output } = await openai.responses.create({ ...BASE, tools: TOOLS });
    await openai.responses.create({
      model: 'chat',
      input: [
        { role: 'user', content: 'Hi' },
        ...(output as OpenAI.Responses.ResponseInputItem[]),
        { type: 'function_call_output', call_id: 'call_1', output: 'rain' },
        { type: 'function_call_output', call_id: 'call_2', output: 'sun' },
      ],
      tools: TOOLS,
    });
    expect(seen[1]?.messages).toEqual([
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Let me see.', toolCalls: [CALL, { ...CALL, id: 'call_2' }] },
      { role: 'tool', content: 'rain', toolCallId: 'call_1' },
      { role: 'tool', content: 'sun', toolCallId: 'call_2' },
    ]);
  });

  it("is parsed by the client's own helper", async () => {
    const { openai, seen } = await start(saying('stop', '{"answer":4}'));
    const format = zodTextFormat(z.object({ answer: z.number() }), 'sum');
    const { output_parsed } = await openai.responses.parse({ ...BASE, text: { format } });
    expect(output_parsed).toEqual({ answer: 4 });
    expect(seen[0]?.format).toMatchObject({ kind: 'json_schema', name: 'sum', schema: { type: 'object' } });
  });
});

describe('a stream', () => {
  it('has the events of a text in their order', async () => {
    const { openai, call } = await start(saying('stop', 'Hello', ' wörld'));
    const events = await eventsOf(await openai.responses.create({ ...BASE, stream: true }));
    expect(events.map(({ type }) => type)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ]);
    expect(events[0]).toMatchObject({
      response: { status: 'in_progress', output: [], usage: null, model: CHAT_MODEL },
    });
    expect(events.at(-1)).toMatchObject({
      response: { status: 'completed', usage: { total_tokens: 10 }, weft: { nodes: [OTHER] } },
    });
    const text = await (await call('/v1/responses', { ...BASE, stream: true })).text();
    expect(text).toMatch(/^event: response\.created\ndata: \{/);
    expect(text).not.toContain('[DONE]');
  });

  it('has the events of calls, each whole', async () => {
    const { openai } = await start(sayingAndCalling);
    const events = await eventsOf(await openai.responses.create({ ...BASE, tools: TOOLS, stream: true }));
    const ofCall = [
      'response.output_item.added',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.done',
      'response.output_item.done',
    ];
    expect(events.map(({ type }) => type).slice(9)).toEqual([...ofCall, ...ofCall, 'response.completed']);
    expect(events.flatMap((event) => ('output_index' in event ? [event.output_index] : []))).toEqual([
      ...new Array(7).fill(0),
      ...new Array(4).fill(1),
      ...new Array(4).fill(2),
    ]);
  });

  it.each<[string, Chat]>([
    ['a text', saying('stop', 'Hello', ' wörld')],
    ['an answer that was cut', saying('length', 'Hel')],
    ['nothing', saying('stop')],
    ['text and calls', sayingAndCalling],
  ])('is put together by the client as the whole answer is: %s', async (_what, chat) => {
    const { openai } = await start(chat);
    const whole = await openai.responses.create({ ...BASE, tools: TOOLS });
    const streamed = await openai.responses.stream({ ...BASE, tools: TOOLS }).finalResponse();
    const brief = ({ output, status, usage, output_text }: typeof whole) => ({
      status,
      usage,
      output_text,
      output: output.map((item) => ({ ...item, id: '', parsed_arguments: undefined, content: undefined })),
    });
    expect(brief(streamed)).toEqual(brief(whole));
  });

  it('ends with response.failed when it fails on the way, and with its own status before', async () => {
    const lost = new WeftError({ code: 'peer_lost', message: 'The peer went away.' });
    const { openai } = await start(async (_request, _options, { onDelta }) => {
      onDelta({ choice: 0, text: 'Hel' });
      throw lost;
    });
    const events = await eventsOf(await openai.responses.create({ ...BASE, stream: true }));
    expect(events.at(-1)).toMatchObject({
      type: 'response.failed',
      response: {
        status: 'failed',
        error: { code: 'server_error', message: 'The peer went away.', weft_code: 'peer_lost' },
        output: [{ type: 'message', status: 'incomplete' }],
      },
    });
    const { call } = await start(async () => {
      throw lost;
    });
    expect((await call('/v1/responses', { ...BASE, stream: true })).status).toBe(503);
  });
});

describe('refusals', () => {
  it.each<[string, object, string]>([
    ['conversation', { conversation: 'conv_1' }, 'previous_response_id'],
    ['background', { background: true }, ''],
    ['input[0].type', { input: [{ type: 'reasoning', id: 'rs_1' }] }, ''],
  ])('name %s and a way out', async (param, more, remedy) => {
    const { call } = await start(saying('stop'));
    const response = await call('/v1/responses', { ...BASE, ...more });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { param, weft_code: 'unsupported', remedy: expect.stringContaining(remedy) },
    });
  });

  it.each([
    ['tools[0].function.parameters.pattern', 'tools[0].parameters.pattern'],
    ['response_format.json_schema.schema', 'text.format.schema'],
    ['response_format', 'text.format'],
    ['messages', 'input'],
    ['model', 'model'],
  ])('have the names of this endpoint: %s is %s', async (inside, param) => {
    const { call } = await start(async () => {
      throw new WeftError({
        code: 'bad_request',
        message: `"${inside}" is wrong.`,
        facts: { param: inside, model: 'm' },
      });
    });
    const response = await call('/v1/responses', BASE);
    expect(await response.json()).toMatchObject({ error: { param, message: `"${param}" is wrong.` } });
  });
});
