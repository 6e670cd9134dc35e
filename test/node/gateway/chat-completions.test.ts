// Chat with every parameter, by the official client: several answers, log probabilities, tools and formats.
import type OpenAI from 'openai';
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ChatRequest, TokenReport } from '../../../node/core/coordinator.ts';
import { ChatCompletion, ChatCompletionChunk } from '../../../protocol/api/openai.ts';
import { CHAT_MODEL, type Chat, chatResult, OTHER, startGateway, USER_HI } from './support.ts';

const CHAT = { model: 'chat', messages: USER_HI };
const PARAMETERS = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const TOOLS = [
  { type: 'function' as const, function: { name: 'weather', description: 'Of a city.', parameters: PARAMETERS } },
];
const CALL = { id: 'call_1', name: 'weather', arguments: '{"city":"Oslo"}' };
const CALLED = { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } };

const report = (token: string, ...top: readonly string[]): TokenReport => {
  const text = (text: string, logprob: number) => ({
    token: text,
    bytes: [...new TextEncoder().encode(text)],
    logprob,
  });
  return { ...text(token, -0.5), top: top.map((one, index) => text(one, -index)) };
};

/** Starts a gateway whose coordinator keeps what it is asked for. */
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
  (...texts: readonly string[]): Chat =>
  async (_request, _options, { onDelta }) => {
    for (const text of texts) onDelta({ choice: 0, text });
    return chatResult();
  };

/** Three answers, piece by piece in turns; the last has nothing to say. */
const three: Chat = async (_request, _options, { onDelta }) => {
  onDelta({ choice: 0, text: 'a' });
  onDelta({ choice: 1, text: 'x' });
  onDelta({ choice: 0, text: 'b' });
  onDelta({ choice: 1, text: 'y' });
  return chatResult({ choices: [{ finish: 'stop' }, { finish: 'length' }, { finish: 'stop' }] });
};

const calling: Chat = async (_request, _options, { onDelta }) => {
  onDelta({ choice: 0, text: '', toolCall: CALL });
  onDelta({ choice: 0, text: '', toolCall: { ...CALL, id: 'call_2' } });
  return chatResult({ choices: [{ finish: 'tool_calls' }] });
};

const chunksOf = async (stream: AsyncIterable<unknown>) => {
  const chunks: ChatCompletionChunk[] = [];
  for await (const chunk of stream) chunks.push(ChatCompletionChunk.parse(chunk));
  return chunks;
};

describe('settings', () => {
  it('all reach the coordinator', async () => {
    const { openai, seen } = await start(saying('x'));
    await openai.chat.completions.create({
      ...CHAT,
      temperature: 0.5,
      top_p: 0.9,
      presence_penalty: -2,
      frequency_penalty: 2,
      logit_bias: { '50256': -100, '7': 3 },
      seed: 5,
      stop: ['a', 'b'],
      n: 2,
      max_completion_tokens: 9,
      logprobs: true,
      top_logprobs: 3,
      ...{ top_k: 40, min_p: 0.1, repetition_penalty: 1.1 },
    });
    expect(seen).toEqual([
      {
        model: 'chat',
        messages: USER_HI,
        temperature: 0.5,
        topP: 0.9,
        topK: 40,
        minP: 0.1,
        repetitionPenalty: 1.1,
        presencePenalty: -2,
        frequencyPenalty: 2,
        logitBias: [
          { id: 7, bias: 3 },
          { id: 50256, bias: -100 },
        ],
        seed: 5n,
        stop: ['a', 'b'],
        n: 2,
        maxTokens: 9,
        logprobs: 3,
      },
    ]);
  });

  it('have the names that others gave them, and zeros that mean none', async () => {
    const { call, seen } = await start(saying('x'));
    await call('/v1/chat/completions', { ...CHAT, top_k: -1, repeat_penalty: 1.2, logprobs: true, logit_bias: {} });
    await call('/v1/chat/completions', { ...CHAT, top_k: 0, logprobs: false, response_format: { type: 'text' } });
    expect(seen).toEqual([
      { ...CHAT, temperature: 1, topP: 1, stop: [], repetitionPenalty: 1.2, logprobs: 0, logitBias: [] },
      { ...CHAT, temperature: 1, topP: 1, stop: [] },
    ]);
  });
});

describe('several answers', () => {
  it('come whole, each with its text and finish reason', async () => {
    const { openai } = await start(three);
    const { choices } = ChatCompletion.parse(await openai.chat.completions.create({ ...CHAT, n: 3 }));
    expect(choices.map(({ index, message, finish_reason }) => [index, message.content, finish_reason])).toEqual([
      [0, 'ab', 'stop'],
      [1, 'xy', 'length'],
      [2, '', 'stop'],
    ]);
  });

  it('come streamed, each with its role first and its finish reason last', async () => {
    const { openai } = await start(three);
    const chunks = await chunksOf(await openai.chat.completions.create({ ...CHAT, n: 3, stream: true }));
    const pieces = chunks.map(({ choices: [choice] }) => [choice?.index, choice?.delta.content, choice?.finish_reason]);
    expect(pieces).toEqual([
      [0, '', null],
      [0, 'a', null],
      [1, '', null],
      [1, 'x', null],
      [0, 'b', null],
      [1, 'y', null],
      [0, undefined, 'stop'],
      [1, undefined, 'length'],
      [2, '', null],
      [2, undefined, 'stop'],
    ]);
    expect(chunks.map(({ weft }) => weft !== undefined)).toEqual([...new Array(9).fill(false), true]);
  });

  it('are put together by the client in the same way', async () => {
    const { openai } = await start(three);
    const { choices } = await openai.chat.completions.stream({ ...CHAT, n: 3 }).finalChatCompletion();
    expect(choices.map(({ message }) => message.content)).toEqual(['ab', 'xy', '']);
  });
});

describe('log probabilities', () => {
  const reporting: Chat = async (_request, _options, { onDelta }) => {
    onDelta({ choice: 0, text: 'Hé', logprobs: [report('H', 'H', 'J'), report('é', 'é', 'e')] });
    // A token whose character isn't whole yet: no text, but a report all the same.
    onDelta({ choice: 0, text: '', logprobs: [report('!', '!', '?')] });
    return chatResult();
  };
  const EXPECTED = [
    ['H', -0.5, [0x48], ['H', 'J']],
    ['é', -0.5, [0xc3, 0xa9], ['é', 'e']],
    ['!', -0.5, [0x21], ['!', '?']],
  ];
  type Content = NonNullable<OpenAI.Chat.ChatCompletion.Choice.Logprobs['content']>;
  const brief = (content: Content | null | undefined) =>
    content?.map(({ token, logprob, bytes, top_logprobs }) => [
      token,
      logprob,
      bytes,
      top_logprobs.map((top) => top.token),
    ]);

  it('come with the answer', async () => {
    const { openai } = await start(reporting);
    const { choices } = await openai.chat.completions.create({ ...CHAT, logprobs: true, top_logprobs: 2 });
    expect(brief(choices[0]?.logprobs?.content)).toEqual(EXPECTED);
  });

  it('come with each piece of a stream', async () => {
    const { openai } = await start(reporting);
    const stream = openai.chat.completions.stream({ ...CHAT, logprobs: true, top_logprobs: 2 });
    const { choices } = await stream.finalChatCompletion();
    expect(brief(choices[0]?.logprobs?.content)).toEqual(EXPECTED);
    expect(choices[0]?.message.content).toBe('Hé');
  });

  it('are null where nobody asked', async () => {
    const { openai } = await start(saying('x'));
    expect((await openai.chat.completions.create(CHAT)).choices[0]?.logprobs).toBeNull();
  });
});

describe('tools', () => {
  it('reach the coordinator with the choice among them', async () => {
    const { openai, seen } = await start(calling);
    const parameters = { type: 'object', properties: {}, additionalProperties: false };
    const tools = [...TOOLS, { type: 'function' as const, function: { name: 'now' } }];
    for (const tool_choice of ['required', 'none', { type: 'function', function: { name: 'now' } }] as const) {
      await openai.chat.completions.create({ ...CHAT, tools, tool_choice, parallel_tool_calls: false });
    }
    expect(seen.map(({ toolChoice }) => toolChoice)).toEqual(['required', 'none', { name: 'now' }]);
    expect(seen[0]).toMatchObject({
      tools: [
        { name: 'weather', description: 'Of a city.', parameters: PARAMETERS },
        { name: 'now', parameters },
      ],
      parallelToolCalls: false,
    });
  });

  it('are called in an answer that has no text', async () => {
    const { openai } = await start(calling);
    const [choice] = ChatCompletion.parse(await openai.chat.completions.create({ ...CHAT, tools: TOOLS })).choices;
    expect(choice?.message).toEqual({
      role: 'assistant',
      content: null,
      refusal: null,
      tool_calls: [CALLED, { ...CALLED, id: 'call_2' }],
    });
    expect(choice?.finish_reason).toBe('tool_calls');
  });

  it('are called in a stream, whole and with an index each', async () => {
    const { openai } = await start(async (_request, _options, { onDelta }) => {
      onDelta({ choice: 0, text: 'Let me see.' });
      onDelta({ choice: 0, text: '', toolCall: CALL });
      onDelta({ choice: 0, text: '', toolCall: { ...CALL, id: 'call_2' } });
      return chatResult({ choices: [{ finish: 'tool_calls' }] });
    });
    const chunks = await chunksOf(await openai.chat.completions.create({ ...CHAT, tools: TOOLS, stream: true }));
    expect(chunks.map(({ choices: [choice] }) => choice?.delta)).toEqual([
      { role: 'assistant', content: '', refusal: null },
      { content: 'Let me see.' },
      { tool_calls: [{ index: 0, ...CALLED }] },
      { tool_calls: [{ index: 1, ...CALLED, id: 'call_2' }] },
      {},
    ]);
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('tool_calls');
  });

  it('give a stream without text a role without content', async () => {
    const { openai } = await start(calling);
    const stream = openai.chat.completions.stream({ ...CHAT, tools: TOOLS });
    const { message } = (await stream.finalChatCompletion()).choices[0] ?? {};
    expect(message?.content).toBeNull();
    expect(message?.tool_calls?.map(({ id }) => id)).toEqual(['call_1', 'call_2']);
  });

  it('are run by the client, whose messages come back as it writes them', async () => {
    const { openai, seen } = await start(async (request, options, events) => {
      if (request.messages.at(-1)?.role !== 'tool') {
        events.onDelta({ choice: 0, text: '', toolCall: CALL });
        return chatResult({ choices: [{ finish: 'tool_calls' }] });
      }
      return saying('Rain.')(request, options, events);
    });
    const tool = zodFunction({
      name: 'weather',
      parameters: z.object({ city: z.string() }),
      function: ({ city }: { city: string }) => ({ [city]: 'rain' }),
    });
    for (const stream of [false, true]) {
      const runner = stream
        ? openai.chat.completions.runTools({ ...CHAT, tools: [tool], stream: true })
        : openai.chat.completions.runTools({ ...CHAT, tools: [tool] });
      expect(await runner.finalContent()).toBe('Rain.');
      expect(seen.at(-1)?.messages).toEqual([
        ...USER_HI,
        { role: 'assistant', content: '', toolCalls: [CALL] },
        { role: 'tool', content: '{"Oslo":"rain"}', toolCallId: 'call_1' },
      ]);
    }
  });
});

describe('formats', () => {
  const Step = z.object({ answer: z.number(), steps: z.array(z.string()) });

  it("are parsed by the client's own helper", async () => {
    const { openai, seen } = await start(saying('{"answer":', '4,"steps":["2+2"]}'));
    const { choices } = await openai.chat.completions.parse({
      ...CHAT,
      response_format: zodResponseFormat(Step, 'sum'),
    });
    expect(choices[0]?.message.parsed).toEqual({ answer: 4, steps: ['2+2'] });
    expect(seen[0]?.format).toMatchObject({ kind: 'json_schema', name: 'sum', schema: { type: 'object' } });
    // The message goes back as the client keeps it, with what it has parsed.
    const message = choices[0]?.message;
    if (message === undefined) throw new Error('no message');
    await openai.chat.completions.create({ ...CHAT, messages: [...USER_HI, message, ...USER_HI] });
  });

  it('may be any JSON object', async () => {
    const { openai, seen } = await start(saying('{}'));
    await openai.chat.completions.create({ ...CHAT, response_format: { type: 'json_object' } });
    expect(seen[0]?.format).toEqual({ kind: 'json_object' });
  });
});

describe('edge cases', () => {
  it('has empty messages, and an empty answer', async () => {
    const { openai, seen } = await start(async () => chatResult({ usage: { promptTokens: 1, completionTokens: 1 } }));
    const messages = [
      { role: 'system' as const, content: '' },
      { role: 'user' as const, content: '' },
    ];
    const { choices, usage } = await openai.chat.completions.create({ model: 'chat', messages });
    expect(choices[0]?.message.content).toBe('');
    expect(usage?.prompt_tokens_details).toEqual({ cached_tokens: 0 });
    expect(seen[0]?.messages).toEqual(messages);
  });

  it('has characters of several bytes, however the connection cuts them', async () => {
    const text = '👩‍🚀 ñ 漢字 \u2028 \u0000 "\\\n';
    const { openai } = await start(saying(...Array.from({ length: 2_000 }, () => text)));
    const stream = openai.chat.completions.stream(CHAT);
    expect(await stream.finalContent()).toBe(text.repeat(2_000));
  });
});
