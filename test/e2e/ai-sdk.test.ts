// One daemon, real models, the AI SDK's OpenAI provider by both of its ways.
import { createOpenAI, type OpenAIProvider } from '@ai-sdk/openai';
import { embedMany, generateObject, generateText, isStepCount, type ModelMessage, streamText, tool } from 'ai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Daemon, startDaemon } from '../support/daemon.ts';

let daemon: Daemon;
let provider: OpenAIProvider;
/** What the SDK sent. */
const bodies: string[] = [];

beforeAll(async () => {
  daemon = await startDaemon();
  provider = createOpenAI({
    baseURL: `${daemon.url}/v1`,
    apiKey: daemon.key,
    fetch: (url, init) => {
      bodies.push(String(init?.body));
      return fetch(url, init);
    },
  });
});
afterAll(() => daemon.stop());

const FRANCE = { prompt: 'Name the capital of France.', temperature: 0, maxOutputTokens: 32, maxRetries: 0 };

describe.each(['chat', 'responses'] as const)('by %s', (way) => {
  const model = () => provider[way]('smollm2');

  it('generates text', async () => {
    const { text, usage, finishReason } = await generateText({ ...FRANCE, model: model() });
    expect(text).toBe('The capital of France is Paris.');
    expect(usage).toMatchObject({ inputTokens: 36, outputTokens: 8 });
    expect(finishReason).toBe('stop');
  });

  it('streams text', async () => {
    const result = streamText({ ...FRANCE, model: model() });
    const pieces: string[] = [];
    for await (const piece of result.textStream) pieces.push(piece);
    expect(pieces.join('')).toBe('The capital of France is Paris.');
    expect(pieces.length).toBeGreaterThan(3);
    expect(await result.usage).toMatchObject({ outputTokens: 8 });
  });

  it('generates objects', async () => {
    const schema = z.object({ capital: z.enum(['Oslo', 'Paris']), letters: z.number().int() });
    const { object } = await generateObject({ ...FRANCE, maxOutputTokens: 200, model: model(), schema });
    expect(schema.safeParse(object).success).toBe(true);
  });

  it('calls a tool and goes on with what it says', async () => {
    const cities: string[] = [];
    const weather = tool({
      description: 'The weather of a city.',
      inputSchema: z.object({ city: z.enum(['Oslo', 'Rome']) }),
      execute: async ({ city }: { city: string }) => {
        cities.push(city);
        return 'rain';
      },
    });
    const { steps } = await generateText({
      model: model(),
      prompt: 'What is the weather in Oslo?',
      temperature: 0,
      maxOutputTokens: 64,
      maxRetries: 0,
      tools: { weather },
      stopWhen: isStepCount(2),
      prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? 'required' : 'none' }),
      providerOptions: { openai: { parallelToolCalls: false } },
    });
    expect(cities).toEqual([expect.stringMatching(/^(Oslo|Rome)$/)]);
    expect(steps.map(({ finishReason }) => finishReason)).toEqual(['tool-calls', expect.stringMatching(/stop|length/)]);
  });

  it('goes on with a chat', async () => {
    const messages: ModelMessage[] = [{ role: 'user', content: FRANCE.prompt }];
    const { prompt: _prompt, ...settings } = FRANCE;
    const first = await generateText({ ...settings, model: model(), messages });
    messages.push(...first.responseMessages, { role: 'user', content: 'Thank you.' });
    const { usage } = await generateText({ ...settings, model: model(), messages });
    // As many as the first prompt and its answer have, and more.
    expect(usage.inputTokens).toBeGreaterThan(44);
    // By this way the SDK only refers to what was said, unless it is told not to.
    expect(bodies.at(-1)?.includes('item_reference')).toBe(way === 'responses');
  });
});

describe('embeddings', () => {
  it('are made of many texts', async () => {
    const { embeddings } = await embedMany({
      model: provider.embedding('minilm'),
      values: ['A man is eating food.', 'A man is eating a piece of bread.'],
    });
    const [a = [], b = []] = embeddings;
    expect(a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0)).toBeCloseTo(0.754, 2);
  });
});
