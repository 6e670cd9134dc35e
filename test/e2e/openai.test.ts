// One daemon, real models, the official OpenAI client.
import OpenAI from 'openai';
import { zodTextFormat } from 'openai/helpers/zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { clientOf, LONG_ANSWER, SURE_ANSWER, streamChat } from '../support/chat.ts';
import { type Daemon, startDaemon } from '../support/daemon.ts';
import { smollm2Id } from '../support/vocabulary.ts';
import { until } from '../support/wait.ts';

let daemon: Daemon;
let openai: OpenAI;

beforeAll(async () => {
  daemon = await startDaemon();
  openai = clientOf(daemon);
});
afterAll(() => daemon.stop());

/** At every token of its answer the likeliest leads by a margin: kernels of any processor give the same text. */
const FRANCE = [{ role: 'user' as const, content: 'Name the capital of France.' }];

const NOTHING_FITS = {
  type: 'json_schema' as const,
  json_schema: { name: 'answer', schema: { type: 'object', allOf: [{ type: 'string' }] } },
};

/** What the control API says. */
const ask = async (path: string): Promise<unknown> =>
  (await fetch(daemon.url + path, { headers: { authorization: `Bearer ${daemon.key}` } })).json();

/** The runner of the model whose id has this in it. */
async function runnerOf(name: string): Promise<{ readonly requestsInFlight: number } | undefined> {
  const { models } = (await ask('/api/v1/ps')) as { models: { id: string; requestsInFlight: number }[] };
  return models.find(({ id }) => id.includes(name));
}

/** The status and body that a request is refused with. */
async function refusal(request: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const error = await request.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(OpenAI.APIError);
  return error as InstanceType<typeof OpenAI.APIError>;
}

describe('/v1/models', () => {
  it('lists the bundled models', async () => {
    const ids = (await openai.models.list()).data.map(({ id }) => id);
    expect(ids).toEqual(expect.arrayContaining(['HuggingFaceTB/SmolLM2-135M-Instruct', 'Xenova/all-MiniLM-L6-v2']));
  });

  it('finds one by its id and by its short name', async () => {
    expect((await openai.models.retrieve('smollm2')).id).toBe('HuggingFaceTB/SmolLM2-135M-Instruct');
  });
});

describe('/v1/chat/completions', () => {
  it('answers, and says how many tokens that took and which node ran it', async () => {
    const { data, response } = await openai.chat.completions
      .create({ model: 'smollm2', messages: FRANCE, temperature: 0, max_tokens: 32 })
      .withResponse();
    expect(data.choices[0]?.message.content).toBe('The capital of France is Paris.');
    expect(data.choices[0]?.finish_reason).toBe('stop');
    // The template adds the model's default system message: 36 ids. The answer has 7 and the end-of-turn token.
    expect(data.usage).toMatchObject({ prompt_tokens: 36, completion_tokens: 8, total_tokens: 44 });
    expect(response.headers.get('x-weft-node')).toBe(daemon.node);
  });

  it('streams the same text as it answers whole, with exact usage at the end', async () => {
    const whole = await openai.chat.completions.create({
      model: 'smollm2',
      messages: LONG_ANSWER,
      temperature: 0,
      max_tokens: 24,
    });
    const streamed = await streamChat(daemon, { maxTokens: 24 });
    expect(streamed.text).toBe(whole.choices[0]?.message.content);
    expect(streamed.completionTokens).toBe(24);
    expect(streamed.finish).toBe('length');
    expect(whole.usage?.completion_tokens).toBe(24);
    expect(streamed.pieces.length).toBeGreaterThan(10);
  });

  it('repeats itself with the same seed, and not with another', async () => {
    const ask = (seed: number): Promise<{ text: string }> =>
      streamChat(daemon, { maxTokens: 20, seed, temperature: 1 });
    const [first, again, other] = [await ask(7), await ask(7), await ask(8)];
    expect(again.text).toBe(first.text);
    expect(other.text).not.toBe(first.text);
  });

  it('stops before a stop string, which it does not show', async () => {
    const answer = await openai.chat.completions.create({
      model: 'smollm2',
      messages: FRANCE,
      temperature: 0,
      max_tokens: 32,
      stop: [' is Par'],
    });
    expect(answer.choices[0]?.message.content).toBe('The capital of France');
    expect(answer.choices[0]?.finish_reason).toBe('stop');
  });

  it('answers several at once', async () => {
    const answers = await Promise.all(
      [0, 1, 2].map((seed) => streamChat(daemon, { messages: SURE_ANSWER, maxTokens: 12, seed })),
    );
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
  });

  it('ends the work within moments when the client goes away', async () => {
    const abort = new AbortController();
    const gone = streamChat(daemon, {
      maxTokens: 2000,
      signal: abort.signal,
      onPiece: (count) => count === 3 && abort.abort(),
    });
    // The client ends its iteration quietly once it has aborted.
    await gone.catch(() => undefined);
    // It would have gone on for half a minute.
    await until('the runner to be idle', async () => (await runnerOf('SmolLM2'))?.requestsInFlight === 0, 5_000);
    const answer = await streamChat(daemon, { maxTokens: 4 });
    expect(answer.completionTokens).toBe(4);
    expect(await ask('/api/v1/status')).toMatchObject({ requestsInFlight: 0 });
  });
});

describe('/v1/completions', () => {
  const request = { model: 'smollm2', prompt: 'The capital of France is', temperature: 0, max_tokens: 6 };

  it('goes on with a text as it stands, from its token ids as well, whole and streamed', async () => {
    const whole = await openai.completions.create(request);
    const text = whole.choices[0]?.text ?? '';
    expect(text).toMatch(/^ Paris/);
    const ids = ['The', ' capital', ' of', ' France', ' is'].map(smollm2Id);
    const both = await openai.completions.create({ ...request, prompt: [ids, ids] });
    expect(both.choices.map((choice) => choice.text)).toEqual([text, text]);
    expect(both.usage?.prompt_tokens).toBe(10);
    let streamed = '';
    for await (const { choices } of await openai.completions.create({ ...request, stream: true }))
      streamed += choices[0]?.text ?? '';
    expect(streamed).toBe(text);
  });

  it('stops before a stop string that begins in one token and ends in another', async () => {
    const { choices } = await openai.completions.create({ ...request, stop: ['s, Pa', 'ari'] });
    expect(choices[0]).toMatchObject({ text: ' P', finish_reason: 'stop' });
  });

  it('takes an empty text', async () => {
    const { choices } = await openai.completions.create({ ...request, prompt: '' });
    expect(choices[0]?.text).toBeTypeOf('string');
  });
});

describe('/v1/responses', () => {
  const request = { model: 'smollm2', input: 'Name the capital of France.', temperature: 0, max_output_tokens: 32 };

  it('answers, and goes on with the conversation that comes with the next request', async () => {
    const first = await openai.responses.create(request);
    expect(first.output_text).toBe('The capital of France is Paris.');
    expect(first.usage).toMatchObject({ input_tokens: 36, output_tokens: 8, total_tokens: 44 });
    const next = await openai.responses.create({
      ...request,
      input: [
        { role: 'user', content: request.input },
        ...(first.output as OpenAI.Responses.ResponseInputItem[]),
        { role: 'user', content: [{ type: 'input_text', text: 'Thank you.' }] },
      ],
    });
    expect(next.status).toMatch(/^(completed|incomplete)$/);
    expect(next.usage?.input_tokens).toBeGreaterThan(44);
  });

  it('streams the same events as OpenAI does', async () => {
    const stream = openai.responses.stream(request);
    const types = new Set<string>();
    for await (const { type } of stream) types.add(type);
    expect([...types]).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ]);
    expect((await stream.finalResponse()).output_text).toBe('The capital of France is Paris.');
  });

  it('keeps a format, and calls a tool that must be called', async () => {
    const Answer = z.object({ capital: z.enum(['Oslo', 'Paris']), certain: z.boolean() });
    const parsed = await openai.responses.parse({
      ...request,
      max_output_tokens: 200,
      text: { format: zodTextFormat(Answer, 'answer') },
    });
    expect(Answer.safeParse(parsed.output_parsed).success).toBe(true);
    const parameters = { type: 'object', properties: { city: { enum: ['Oslo', 'Rome'] } }, required: ['city'] };
    const called = await openai.responses.create({
      ...request,
      max_output_tokens: 64,
      tools: [{ type: 'function', name: 'weather', parameters, strict: true }],
      tool_choice: 'required',
      parallel_tool_calls: false,
    });
    const [item] = called.output;
    expect(item?.type === 'function_call' && JSON.parse(item.arguments)).toEqual({
      city: expect.stringMatching(/^(Oslo|Rome)$/),
    });
  });
});

describe('/v1/embeddings', () => {
  const cosine = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);

  it('embeds strings and arrays, as floats and as base64', async () => {
    const one = await openai.embeddings.create({ model: 'minilm', input: 'Hello world!', encoding_format: 'float' });
    expect(one.data[0]?.embedding).toHaveLength(384);
    expect(one.data[0]?.embedding.slice(0, 3)).toEqual([
      expect.closeTo(-0.02238, 3),
      expect.closeTo(0.02364, 3),
      expect.closeTo(0.00426, 3),
    ]);
    expect(one.usage).toEqual({ prompt_tokens: 5, total_tokens: 5 });
    // The client asks for base64 when nothing else is said, and decodes it.
    const two = await openai.embeddings.create({
      model: 'minilm',
      input: ['A man is eating food.', 'A man is eating a piece of bread.'],
    });
    const [a, b] = two.data.map(({ embedding }) => embedding);
    expect(cosine(a ?? [], b ?? [])).toBeCloseTo(0.754, 2);
  });

  it('embeds token ids as it embeds their text, and cuts vectors to a length', async () => {
    const create = async (input: string | number[] | number[][], dimensions?: number) => {
      const { data } = await openai.embeddings.create({
        model: 'minilm',
        input,
        ...(dimensions === undefined ? {} : { dimensions }),
      });
      return data.map(({ embedding }) => embedding);
    };
    const [text = []] = await create('Hello world!');
    // [CLS] hello world ! [SEP]
    const ids = [101, 7592, 2088, 999, 102];
    for (const vector of [...(await create(ids)), ...(await create([ids, ids]))])
      expect(cosine(vector, text)).toBeCloseTo(1, 5);
    const [short = []] = await create('Hello world!', 64);
    expect(short).toHaveLength(64);
    expect(Math.hypot(...short)).toBeCloseTo(1, 5);
    expect(cosine(short, text.slice(0, 64)) / Math.hypot(...text.slice(0, 64))).toBeCloseTo(1, 5);
    expect((await refusal(openai.embeddings.create({ model: 'minilm', input: 'x', dimensions: 385 }))).status).toBe(
      400,
    );
  });

  it('truncates to the positions of the graph, and says so', async () => {
    const { data, response } = await openai.embeddings
      .create({ model: 'minilm', input: 'word '.repeat(2000) })
      .withResponse();
    expect(data.usage.prompt_tokens).toBe(512);
    expect(response.headers.get('x-weft-truncated')).toBe('1');
  });
});

describe('refusals', () => {
  it('refuses a wrong key with 401', async () => {
    const error = await refusal(
      new OpenAI({ baseURL: `${daemon.url}/v1`, apiKey: 'wrong', maxRetries: 0 }).models.list().then((page) => page),
    );
    expect(error.status).toBe(401);
  });

  it('refuses an unknown model with 404', async () => {
    const error = await refusal(openai.chat.completions.create({ model: 'no-such-model', messages: FRANCE }));
    expect(error.status).toBe(404);
    expect(error.error).toMatchObject({ weft_code: 'model_not_found' });
  });

  it.each([
    ['a temperature of 3', { temperature: 3 }],
    ['a top_p of 2', { top_p: 2 }],
    ['max_tokens of 0', { max_tokens: 0 }],
    ['five stops', { stop: ['a', 'b', 'c', 'd', 'e'] }],
    ['no messages', { messages: [] }],
    ['a tool of another kind', { tools: [{ type: 'custom' as const, custom: { name: 'f' } }] }],
    ['a million answers', { n: 1_000_000 }],
    ['a schema that nothing fits', { response_format: NOTHING_FITS }],
  ])('refuses %s with 400', async (_what, parameters) => {
    const error = await refusal(
      openai.chat.completions.create({ model: 'smollm2', messages: FRANCE, ...parameters, stream: false }),
    );
    expect(error.status).toBe(400);
    expect(error.message).not.toMatch(/\/(home|root|tmp|work)\//);
  });

  it('refuses a prompt longer than the context with 400, however long it is', async () => {
    for (const length of [60_000, 15 << 20]) {
      const content = 'word '.repeat(length / 5);
      const error = await refusal(
        openai.chat.completions.create({ model: 'smollm2', messages: [{ role: 'user', content }] }),
      );
      expect(error.status).toBe(400);
      expect(error.error).toMatchObject({ weft_code: 'context_too_long' });
    }
  });

  it('refuses a body above 16 MiB with 413', async () => {
    const content = 'x'.repeat(17 << 20);
    const error = await refusal(
      openai.chat.completions.create({ model: 'smollm2', messages: [{ role: 'user', content }] }),
    );
    expect(error.status).toBe(413);
  });

  it('refuses an empty body with 400', async () => {
    const response = await fetch(`${daemon.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${daemon.key}`, 'content-type': 'application/json' },
    });
    expect(response.status).toBe(400);
  });

  it('answers health without a key', async () => {
    expect((await fetch(`${daemon.url}/healthz`)).status).toBe(200);
    expect((await fetch(`${daemon.url}/readyz`)).status).toBe(200);
  });
});

describe('a lenient node', () => {
  it('leaves out what it does not know, and says so', async () => {
    await using lenient = await lenientDaemon();
    const { response, data } = await clientOf(lenient)
      .chat.completions.create({
        model: 'smollm2',
        messages: FRANCE,
        temperature: 0,
        max_tokens: 4,
        reasoning_effort: 'low',
        ...{ colour: 'red' },
      })
      .withResponse();
    expect(data.choices[0]?.message.content).toBe('The capital of France');
    expect(response.headers.get('x-weft-ignored')).toBe('reasoning_effort, colour');
  });

  async function lenientDaemon(): Promise<Daemon & AsyncDisposable> {
    const started = await startDaemon({ env: { WEFT_LENIENT: '1' } });
    return { ...started, [Symbol.asyncDispose]: () => started.stop() };
  }
});
