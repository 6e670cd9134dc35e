// One daemon, real models, the official OpenAI client: how answers are drawn, and what they must look like.
import type OpenAI from 'openai';
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { clientOf, LONG_ANSWER } from '../support/chat.ts';
import { type Daemon, startDaemon } from '../support/daemon.ts';
import { smollm2Id } from '../support/vocabulary.ts';

let daemon: Daemon;
let openai: OpenAI;

beforeAll(async () => {
  daemon = await startDaemon({ env: { WEFT_EXACT: 'true' } });
  openai = clientOf(daemon);
});
afterAll(() => daemon.stop());

const FRANCE = [{ role: 'user' as const, content: 'Name the capital of France.' }];

/** A choice, so that no answer goes on until it is cut. */
const CITY = z.enum(['Oslo', 'Rome']);

const schemaFormat = (schema: Record<string, unknown>) => ({
  type: 'json_schema' as const,
  json_schema: { name: 'answer', schema },
});

describe('samplers', () => {
  const complete = async (more: Partial<OpenAI.CompletionCreateParamsNonStreaming> & Record<string, unknown>) => {
    const { choices } = await openai.completions.create({
      model: 'smollm2',
      prompt: 'The cat sat. The cat sat. The cat sat. The cat sat.',
      max_tokens: 24,
      temperature: 0,
      ...more,
    });
    return choices[0]?.text;
  };

  it('leave the likeliest token where nothing else is left', async () => {
    const greedy = await complete({});
    for (const more of [{ top_k: 1 }, { min_p: 1 }, { top_p: 1e-9 }])
      expect(await complete({ temperature: 2, seed: 5, ...more })).toBe(greedy);
    expect(await complete({ temperature: 2, seed: 5 })).not.toBe(greedy);
  });

  it('punish what was said', async () => {
    const greedy = await complete({});
    expect(greedy).toContain(' The cat sat. The cat sat. The cat sat.');
    for (const more of [
      { repetition_penalty: 1.5 },
      { repeat_penalty: 1.5 },
      { frequency_penalty: 2 },
      { presence_penalty: 2 },
    ])
      expect(await complete(more)).not.toContain('The cat sat. The cat sat.');
    expect(await complete({ presence_penalty: 0, frequency_penalty: 0, repetition_penalty: 1 })).toBe(greedy);
  });

  it('force and forbid tokens', async () => {
    const id = smollm2Id(' Paris');
    expect(await complete({ max_tokens: 3, logit_bias: { [id]: 100 } })).toBe(' Paris Paris Paris');
    const france = { model: 'smollm2', messages: FRANCE, temperature: 0, max_tokens: 16 };
    const { choices } = await openai.chat.completions.create({ ...france, logit_bias: { [id]: -100 } });
    expect(choices[0]?.message.content).not.toContain('Paris');
  });
});

describe('several answers', () => {
  const request = { model: 'smollm2', messages: LONG_ANSWER, temperature: 1, max_tokens: 12 };

  it('are drawn from seeds that follow each other', async () => {
    const { choices, usage } = await openai.chat.completions.create({ ...request, seed: 7, n: 3 });
    const texts = choices.map(({ message }) => message.content);
    expect(new Set(texts).size).toBe(3);
    expect(usage?.completion_tokens).toBe(36);
    const alone = await openai.chat.completions.create({ ...request, seed: 8 });
    expect(alone.choices[0]?.message.content).toBe(texts[1]);
  });

  it('are streamed side by side', async () => {
    const whole = await openai.chat.completions.create({ ...request, seed: 7, n: 2 });
    const streamed = await openai.chat.completions.stream({ ...request, seed: 7, n: 2 }).finalChatCompletion();
    expect(streamed.choices.map(({ message }) => message.content)).toEqual(
      whole.choices.map(({ message }) => message.content),
    );
  });
});

describe('log probabilities', () => {
  it('belong to the tokens of the text', async () => {
    const request = { model: 'smollm2', messages: FRANCE, temperature: 0, logprobs: true, top_logprobs: 3 };
    const whole = await openai.chat.completions.create(request);
    const { message, logprobs } = whole.choices[0] ?? {};
    const tokens = logprobs?.content ?? [];
    expect(tokens.map(({ token }) => token).join('')).toBe(message?.content);
    for (const { token, bytes, logprob, top_logprobs: top } of tokens) {
      expect(logprob).toBeLessThanOrEqual(0);
      expect(Buffer.from(bytes ?? []).toString()).toBe(token);
      // Drawn without chance, each token is the likeliest.
      expect(top).toHaveLength(3);
      expect(top[0]).toMatchObject({ token, logprob });
      expect(top[1]?.logprob).toBeLessThanOrEqual(logprob);
    }
    const streamed = await openai.chat.completions.stream(request).finalChatCompletion();
    expect(streamed.choices[0]?.logprobs?.content?.map(({ token }) => token)).toEqual(tokens.map(({ token }) => token));
  });

  it('have their old form in completions', async () => {
    const { choices } = await openai.completions.create({
      model: 'smollm2',
      prompt: 'The capital of France is',
      temperature: 0,
      max_tokens: 4,
      logprobs: 2,
    });
    const { text = '', logprobs } = choices[0] ?? {};
    const { tokens = [], text_offset: offsets = [], top_logprobs: top = [] } = logprobs ?? {};
    expect(tokens.join('')).toBe(text);
    expect(tokens).toHaveLength(4);
    expect(offsets.map((at, index) => text.slice(at, offsets[index + 1]))).toEqual(tokens);
    for (const alternatives of top) expect(Object.keys(alternatives).length).toBeLessThanOrEqual(2);
  });
});

describe('tools', () => {
  const WEATHER = zodFunction({ name: 'weather', parameters: z.object({ city: CITY }) });
  const asked = [{ role: 'user' as const, content: 'What is the weather in Oslo?' }];

  it('are called when they must be, with arguments that fit', async () => {
    const request = {
      model: 'smollm2',
      messages: asked,
      temperature: 0,
      max_tokens: 64,
      tools: [WEATHER],
      tool_choice: { type: 'function' as const, function: { name: 'weather' } },
      parallel_tool_calls: false,
    };
    const { choices } = await openai.chat.completions.parse(request);
    const [call] = choices[0]?.message.tool_calls ?? [];
    expect(choices[0]?.finish_reason).toBe('tool_calls');
    expect(call?.type === 'function' && call.function.parsed_arguments).toEqual({
      city: expect.stringMatching(/^(Oslo|Rome)$/),
    });
    const streamed = await openai.chat.completions.stream(request).finalChatCompletion();
    expect(streamed.choices[0]?.message.tool_calls).toHaveLength(1);
    expect(streamed.choices[0]?.finish_reason).toBe('tool_calls');
    // The call and what the tool said go back, and the model goes on.
    const message = choices[0]?.message;
    if (message === undefined || call?.type !== 'function') throw new Error('no call');
    const next = await openai.chat.completions.create({
      model: 'smollm2',
      messages: [...asked, message, { role: 'tool', tool_call_id: call.id, content: 'Rain, 7 degrees.' }],
      tools: [WEATHER],
      tool_choice: 'none',
      max_tokens: 16,
    });
    expect(next.choices[0]?.message.content).not.toBe('');
  });
});

describe('formats', () => {
  const Country = z.object({ capital: CITY, population: z.number().int(), landlocked: z.boolean() });

  it('are kept, and parsed by the client', async () => {
    const { choices } = await openai.chat.completions.parse({
      model: 'smollm2',
      messages: FRANCE,
      temperature: 1,
      seed: 3,
      max_tokens: 200,
      response_format: zodResponseFormat(Country, 'country'),
    });
    expect(Country.safeParse(choices[0]?.message.parsed).success).toBe(true);
  });

  it('may be any object', async () => {
    const { choices } = await openai.chat.completions.create({
      model: 'smollm2',
      messages: [{ role: 'user', content: 'Answer with the JSON object {"ok": true} and nothing else.' }],
      temperature: 0,
      max_tokens: 200,
      response_format: { type: 'json_object' },
    });
    expect(JSON.parse(choices[0]?.message.content ?? '')).toBeTypeOf('object');
  });

  it('may hold characters that no token holds whole', async () => {
    const emoji = '👩‍🚀🎉漢';
    const stream = await openai.chat.completions.create({
      model: 'smollm2',
      messages: FRANCE,
      max_tokens: 100,
      response_format: schemaFormat({
        type: 'object',
        properties: { emoji: { enum: [emoji] } },
        required: ['emoji'],
        additionalProperties: false,
      }),
      stream: true,
    });
    const pieces: string[] = [];
    for await (const { choices } of stream) pieces.push(choices[0]?.delta.content ?? '');
    expect(JSON.parse(pieces.join(''))).toEqual({ emoji });
    for (const piece of pieces) expect(piece.isWellFormed() && !piece.includes('\ufffd')).toBe(true);
  });
});
