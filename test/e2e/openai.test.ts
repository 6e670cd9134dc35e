// One daemon, real models, the official OpenAI client.
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientOf, LONG_ANSWER, streamChat } from '../support/chat.ts';
import { type Daemon, startDaemon } from '../support/daemon.ts';

let daemon: Daemon;
let openai: OpenAI;

beforeAll(async () => {
  daemon = await startDaemon();
  openai = clientOf(daemon);
});
afterAll(() => daemon.stop());

/** At every token of its answer the likeliest leads by a margin: kernels of any processor give the same text. */
const FRANCE = [{ role: 'user' as const, content: 'Name the capital of France.' }];

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
    const answers = await Promise.all([0, 1, 2].map((seed) => streamChat(daemon, { maxTokens: 12, seed })));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
  });

  it('ends the work when the client goes away', async () => {
    const abort = new AbortController();
    const gone = streamChat(daemon, {
      maxTokens: 2000,
      signal: abort.signal,
      onPiece: (count) => count === 3 && abort.abort(),
    });
    // The client ends its iteration quietly once it has aborted.
    await gone.catch(() => undefined);
    const answer = await streamChat(daemon, { maxTokens: 4 });
    expect(answer.completionTokens).toBe(4);
    const status = await fetch(`${daemon.url}/api/v1/status`, { headers: { authorization: `Bearer ${daemon.key}` } });
    expect(await status.json()).toMatchObject({ requestsInFlight: 0 });
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
    ['tools', { tools: [{ type: 'function' as const, function: { name: 'f' } }] }],
    ['two answers', { n: 2 }],
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
