// The AI SDK's OpenAI provider against the gateway, by both of its ways: /v1/chat/completions and /v1/responses.
import { createOpenAI } from '@ai-sdk/openai';
import { embedMany, generateObject, generateText, isStepCount, type ModelMessage, Output, streamText, tool } from 'ai';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ChatRequest } from '../../../node/core/coordinator.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { type Chat, chatResult, KEY, OTHER, startGateway } from './support.ts';

const CALL = { id: 'call_1', name: 'weather', arguments: '{"city":"Oslo"}' };

/** Says that it will, calls the tool, and then says what it said. */
const calling: Chat = async ({ messages }, _options, { onPlaced, onDelta }) => {
  onPlaced?.(OTHER, 'owner/chat-model');
  const last = messages.at(-1);
  if (last?.role !== 'tool') {
    onDelta({ choice: 0, text: 'Let me see.' });
    onDelta({ choice: 0, text: '', toolCall: CALL });
    return chatResult({ choices: [{ finish: 'tool_calls' }] });
  }
  onDelta({ choice: 0, text: 'It is ' });
  onDelta({ choice: 0, text: `${last.content}.` });
  return chatResult();
};

const saying =
  (...texts: readonly string[]): Chat =>
  async (_request, _options, { onDelta }) => {
    for (const text of texts) onDelta({ choice: 0, text });
    return chatResult();
  };

async function start(chat: Chat) {
  const seen: ChatRequest[] = [];
  const { url } = await startGateway({
    coordinator: {
      chat: (request, options, events) => {
        seen.push(request);
        return chat(request, options, events);
      },
    },
  });
  return { seen, provider: createOpenAI({ baseURL: `${url}/v1`, apiKey: KEY }) };
}

const WEATHER = {
  weather: tool({
    description: 'Of a city.',
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }: { city: string }) => `rain in ${city}`,
  }),
};

describe.each(['chat', 'responses'] as const)('by %s', (way) => {
  it('generates text, with usage', async () => {
    const { provider, seen } = await start(saying('Hello', ' wörld'));
    const { text, usage, finishReason, warnings } = await generateText({
      model: provider[way]('chat'),
      system: 'Be brief.',
      prompt: 'Hi',
      temperature: 0.5,
      topP: 0.9,
      maxOutputTokens: 9,
    });
    expect([text, finishReason]).toEqual(['Hello wörld', 'stop']);
    expect(usage).toMatchObject({ inputTokens: 7, outputTokens: 3, totalTokens: 10 });
    expect(warnings ?? []).toEqual([]);
    expect(seen[0]).toEqual({
      model: 'chat',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hi' },
      ],
      temperature: 0.5,
      topP: 0.9,
      maxTokens: 9,
      stop: [],
    });
  });

  it('streams text, with usage', async () => {
    const { provider } = await start(saying('Hel', 'lo', ' wörld'));
    const result = streamText({ model: provider[way]('chat'), prompt: 'Hi' });
    const pieces: string[] = [];
    for await (const piece of result.textStream) pieces.push(piece);
    expect(pieces).toEqual(['Hel', 'lo', ' wörld']);
    expect(await result.usage).toMatchObject({ inputTokens: 7, outputTokens: 3 });
    expect(await result.finishReason).toBe('stop');
  });

  it('says that an answer was cut', async () => {
    const { provider } = await start(async (_request, _options, { onDelta }) => {
      onDelta({ choice: 0, text: 'Hel' });
      return chatResult({ choices: [{ finish: 'length' }] });
    });
    expect((await generateText({ model: provider[way]('chat'), prompt: 'Hi' })).finishReason).toBe('length');
    const streamed = streamText({ model: provider[way]('chat'), prompt: 'Hi' });
    await streamed.consumeStream();
    expect(await streamed.finishReason).toBe('length');
  });

  it('generates objects to a schema', async () => {
    const { provider, seen } = await start(saying('{"answer":', '4}'));
    const schema = z.object({ answer: z.number() });
    const { object } = await generateObject({ model: provider[way]('chat'), schema, prompt: '2+2' });
    expect(object).toEqual({ answer: 4 });
    const output = Output.object({ schema });
    expect((await generateText({ model: provider[way]('chat'), output, prompt: '2+2' })).output).toEqual({ answer: 4 });
    for (const { format } of seen)
      expect(format).toMatchObject({ kind: 'json_schema', schema: { type: 'object', required: ['answer'] } });
  });

  it.each([
    ['whole', {}],
    ['streamed', {}],
    ['streamed, not stored', { providerOptions: { openai: { store: false } } }],
  ])('calls tools and goes on with what they say: %s', async (how, more) => {
    const { provider, seen } = await start(calling);
    const options = {
      model: provider[way]('chat'),
      prompt: 'Weather in Oslo?',
      tools: WEATHER,
      stopWhen: isStepCount(3),
      ...more,
    };
    const text = how === 'whole' ? (await generateText(options)).text : await streamText(options).text;
    expect(text).toBe('It is rain in Oslo.');
    expect(seen[0]?.tools).toMatchObject([{ name: 'weather', parameters: { type: 'object', required: ['city'] } }]);
    const { id, name } = CALL;
    expect(seen[1]?.messages).toEqual([
      { role: 'user', content: 'Weather in Oslo?' },
      {
        role: 'assistant',
        content: 'Let me see.',
        toolCalls: [{ id, name, arguments: expect.stringContaining('Oslo') }],
      },
      { role: 'tool', content: 'rain in Oslo', toolCallId: id },
    ]);
  });

  it('goes on with a conversation of many turns', async () => {
    const { provider, seen } = await start(calling);
    const messages: ModelMessage[] = [];
    const ask = async (content: string) => {
      messages.push({ role: 'user', content });
      const options = { model: provider[way]('chat'), messages, tools: WEATHER, stopWhen: isStepCount(2) };
      messages.push(...(await generateText(options)).responseMessages);
    };
    await ask('Weather in Oslo?');
    await ask('And now?');
    expect(seen.at(-1)?.messages.map(({ role, content }) => `${role}: ${content}`)).toEqual([
      'user: Weather in Oslo?',
      'assistant: Let me see.',
      'tool: rain in Oslo',
      'assistant: It is rain in Oslo.',
      'user: And now?',
      'assistant: Let me see.',
      'tool: rain in Oslo',
    ]);
  });

  it('forces one tool', async () => {
    const { provider, seen } = await start(calling);
    const { toolCalls } = await generateText({
      model: provider[way]('chat'),
      prompt: 'x',
      tools: WEATHER,
      toolChoice: { type: 'tool', toolName: 'weather' },
    });
    expect(toolCalls.map(({ toolName, input }) => [toolName, input])).toEqual([['weather', { city: 'Oslo' }]]);
    expect(seen[0]?.toolChoice).toEqual({ name: 'weather' });
  });

  it('raises a failure, before the first text and after it', async () => {
    const { provider } = await start(async (_request, _options, { onDelta }) => {
      onDelta({ choice: 0, text: 'Hel' });
      throw new WeftError({ code: 'peer_lost', message: 'The peer went away.' });
    });
    const model = provider[way]('chat');
    await expect(generateText({ model, prompt: 'Hi', maxRetries: 0 })).rejects.toMatchObject({
      statusCode: 503,
      message: 'The peer went away.',
    });
    const errors: unknown[] = [];
    const onError = ({ error }: { error: unknown }): void => void errors.push(error);
    await streamText({ model, prompt: 'Hi', maxRetries: 0, onError }).consumeStream();
    expect(errors.map((error) => JSON.stringify(error) + String(error))).toEqual([
      expect.stringContaining('The peer went away.'),
    ]);
  });
});

describe('embeddings', () => {
  it('are made of many texts', async () => {
    const { provider } = await start(saying());
    const { embeddings, usage } = await embedMany({ model: provider.embedding('embed'), values: ['one', 'three'] });
    expect(embeddings.map(([length]) => length)).toEqual([3, 5]);
    expect(usage.tokens).toBe(4);
  });
});
