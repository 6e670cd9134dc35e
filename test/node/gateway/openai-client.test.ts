// The official OpenAI client against the gateway: what it sends is understood, what it gets it understands.
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import type { ChatRequest, EmbedRequest } from '../../../node/core/coordinator.ts';
import { ChatCompletion, ChatCompletionChunk, EmbeddingList, ModelList } from '../../../protocol/api/openai.ts';
import { WeftError } from '../../../protocol/errors.ts';
import {
  CHAT_MODEL,
  chatResult,
  EMBED_MODEL,
  embedLengths,
  helloChat,
  OTHER,
  SELF,
  startGateway,
  USER_HI,
} from './support.ts';

/** What the client throws. */
async function failure(work: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(OpenAI.APIError);
  return error as InstanceType<typeof OpenAI.APIError>;
}

describe('models', () => {
  it('lists what the mesh can run, with who runs it', async () => {
    const { openai } = await startGateway();
    const { data } = await openai.models.list();
    expect(data.map(({ id, object, owned_by }) => ({ id, object, owned_by }))).toEqual([
      { id: CHAT_MODEL, object: 'model', owned_by: 'owner' },
      { id: EMBED_MODEL, object: 'model', owned_by: 'owner' },
    ]);
    expect(ModelList.parse({ object: 'list', data }).data[0]?.weft).toMatchObject({
      task: 'text-generation',
      aliases: ['chat'],
      nodes: [{ node: OTHER, name: 'attic', state: 'loaded', self: false }],
    });
  });

  it('finds one by its id, escaped or not, and by its short name', async () => {
    const { openai, call } = await startGateway();
    expect((await openai.models.retrieve(CHAT_MODEL)).id).toBe(CHAT_MODEL);
    expect((await openai.models.retrieve('embed')).id).toBe(EMBED_MODEL);
    expect(await (await call(`/v1/models/${CHAT_MODEL}`)).json()).toMatchObject({ id: CHAT_MODEL });
  });

  it('answers an unknown one with 404', async () => {
    const { openai } = await startGateway();
    const error = await failure(openai.models.retrieve('no/such'));
    expect(error).toBeInstanceOf(OpenAI.NotFoundError);
    expect(error).toMatchObject({ code: 'model_not_found', param: 'model', type: 'invalid_request_error' });
    expect(error.requestID).toMatch(/^req_[0-9a-z]{24}$/);
  });
});

describe('chat', () => {
  it('answers whole, with exact usage and the node that ran it', async () => {
    const { openai } = await startGateway();
    const { data, response } = await openai.chat.completions
      .create({ model: 'chat', messages: USER_HI })
      .withResponse();
    expect(data.choices[0]).toEqual({
      index: 0,
      message: { role: 'assistant', content: 'Hello wörld', refusal: null },
      logprobs: null,
      finish_reason: 'stop',
    });
    expect(data.usage).toEqual({
      prompt_tokens: 7,
      prompt_tokens_details: { cached_tokens: 4 },
      completion_tokens: 3,
      total_tokens: 10,
    });
    expect(data.id).toMatch(/^chatcmpl-[0-9a-z]{24}$/);
    expect(data.model).toBe(CHAT_MODEL);
    expect(ChatCompletion.parse(data).weft).toEqual({
      nodes: [OTHER],
      ttft_ms: 12.35,
      tokens_per_second: 75.5,
      plan: { kind: 'remote', predicted_ms: 12.35 },
    });
    expect(response.headers.get('x-weft-node')).toBe(OTHER);
    expect(decodeURIComponent(response.headers.get('x-weft-node-name') ?? '')).toBe('attic – north');
    expect(response.headers.get('x-request-id')).toMatch(/^req_[0-9a-z]{24}$/);
  });

  it('streams role, text, finish, usage and end, each once and in this order', async () => {
    const { openai } = await startGateway();
    const { data, response } = await openai.chat.completions
      .create({ model: 'chat', messages: USER_HI, stream: true, stream_options: { include_usage: true } })
      .withResponse();
    const chunks = [];
    for await (const chunk of data) chunks.push(ChatCompletionChunk.parse(chunk));
    expect(chunks.map(({ choices, usage }) => [choices[0]?.delta, choices[0]?.finish_reason, usage])).toEqual([
      [{ role: 'assistant', content: '', refusal: null }, null, null],
      [{ content: 'Hello' }, null, null],
      [{ content: ' wörld' }, null, null],
      [{}, 'stop', null],
      [
        undefined,
        undefined,
        {
          prompt_tokens: 7,
          prompt_tokens_details: { cached_tokens: 4 },
          completion_tokens: 3,
          total_tokens: 10,
        },
      ],
    ]);
    expect(
      new Set(chunks.map(({ id, model, system_fingerprint }) => `${id} ${model} ${system_fingerprint}`)).size,
    ).toBe(1);
    expect(chunks[3]?.weft).toMatchObject({ nodes: [OTHER], tokens_per_second: 75.5 });
    expect(response.headers.get('x-weft-node')).toBe(OTHER);
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
  });

  it('leaves usage out of a stream that did not ask for it, and ends it with [DONE]', async () => {
    const { call } = await startGateway();
    const text = await (await call('/v1/chat/completions', { model: 'chat', messages: USER_HI, stream: true })).text();
    expect(text).not.toContain('usage');
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  });

  it('streams an answer without any text', async () => {
    const { openai } = await startGateway({
      coordinator: {
        chat: async (_request, _options, events) => {
          events.onPlaced?.(SELF, CHAT_MODEL);
          return chatResult({ nodes: [SELF] });
        },
      },
    });
    const stream = await openai.chat.completions.create({ model: 'chat', messages: USER_HI, stream: true });
    const finishes = [];
    for await (const chunk of stream) finishes.push(chunk.choices[0]?.finish_reason);
    expect(finishes).toEqual([null, 'stop']);
  });

  it('names the node that began the text when another was lost before', async () => {
    const { openai } = await startGateway({
      coordinator: {
        chat: async (_request, _options, events) => {
          events.onPlaced?.(OTHER, CHAT_MODEL);
          events.onPlaced?.(SELF, CHAT_MODEL);
          events.onDelta({ choice: 0, text: 'x' });
          return chatResult({ nodes: [OTHER, SELF] });
        },
      },
    });
    const request = { model: 'chat', messages: USER_HI };
    const streamed = await openai.chat.completions.create({ ...request, stream: true }).withResponse();
    expect(streamed.response.headers.get('x-weft-node')).toBe(SELF);
    for await (const _chunk of streamed.data);
    const whole = await openai.chat.completions.create(request).withResponse();
    expect(whole.response.headers.get('x-weft-node')).toBe(SELF);
  });

  it("passes on every setting, and OpenAI's defaults where there is none", async () => {
    const seen: ChatRequest[] = [];
    const { openai } = await startGateway({
      coordinator: {
        chat: (request, options, events) => {
          seen.push(request);
          return helloChat(request, options, events);
        },
      },
    });
    await openai.chat.completions.create({ model: 'chat', messages: USER_HI });
    await openai.chat.completions.create({
      model: 'chat',
      messages: [
        { role: 'system', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'a' },
            { type: 'text', text: 'b' },
          ],
        },
        { role: 'assistant', content: 'c', refusal: null },
      ],
      max_tokens: 5,
      temperature: 0,
      top_p: 0.5,
      seed: -1,
      stop: 'END',
      n: 1,
      user: 'me',
      metadata: { a: 'b' },
      store: true,
    });
    expect(seen).toEqual([
      { model: 'chat', messages: USER_HI, temperature: 1, topP: 1, stop: [] },
      {
        model: 'chat',
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'a\nb' },
          { role: 'assistant', content: 'c' },
        ],
        maxTokens: 5,
        temperature: 0,
        topP: 0.5,
        seed: (1n << 64n) - 1n,
        stop: ['END'],
        n: 1,
      },
    ]);
  });

  it('takes back the message that it gave', async () => {
    const { openai } = await startGateway();
    const { choices } = await openai.chat.completions.create({ model: 'chat', messages: USER_HI });
    const message = choices[0]?.message;
    expect(message).toBeDefined();
    if (message === undefined) return;
    await openai.chat.completions.create({ model: 'chat', messages: [...USER_HI, message, ...USER_HI] });
  });

  it('answers a failure before the first text with its own status, streamed or not', async () => {
    const { openai } = await startGateway({
      coordinator: {
        chat: async (_request, _options, events) => {
          events.onPlaced?.(OTHER, CHAT_MODEL);
          throw new WeftError({ code: 'no_capable_node', message: 'No node is left that offers it.' });
        },
      },
    });
    for (const stream of [false, true]) {
      const error = await failure(openai.chat.completions.create({ model: 'chat', messages: USER_HI, stream }));
      expect(error.status).toBe(503);
      expect(error.error).toMatchObject({
        weft_code: 'no_capable_node',
        remedy: expect.stringContaining('weft peers'),
      });
      expect(error.headers?.get('retry-after')).toBe('1');
    }
  });

  it('ends a stream that fails with an error that the client raises', async () => {
    const { openai, call } = await startGateway({
      coordinator: {
        chat: async (_request, _options, events) => {
          events.onDelta({ choice: 0, text: 'Hel' });
          throw new WeftError({ code: 'peer_lost', message: 'The peer went away.' });
        },
      },
    });
    const request = { model: 'chat', messages: USER_HI, stream: true as const };
    const texts: (string | null | undefined)[] = [];
    const error = await failure(
      (async () => {
        for await (const chunk of await openai.chat.completions.create(request))
          texts.push(chunk.choices[0]?.delta.content);
      })(),
    );
    expect(texts).toEqual(['', 'Hel']);
    expect(error.error).toMatchObject({ weft_code: 'peer_lost', message: 'The peer went away.' });
    expect(await (await call('/v1/chat/completions', request)).text()).not.toContain('[DONE]');
  });
});

describe('embeddings', () => {
  it('gives the same numbers as floats and as base64', async () => {
    const { openai } = await startGateway();
    const input = ['one', 'three'];
    const floats = await openai.embeddings.create({ model: 'embed', input, encoding_format: 'float' });
    const decoded = await openai.embeddings.create({ model: 'embed', input });
    expect(floats.data.map(({ embedding }) => embedding)).toEqual([
      [3, 0, Math.fround(0.1)],
      [5, 1, Math.fround(0.1)],
    ]);
    expect(decoded.data.map(({ embedding }) => [...embedding])).toEqual(floats.data.map(({ embedding }) => embedding));
    expect(floats.usage).toEqual({ prompt_tokens: 4, total_tokens: 4 });
    expect(EmbeddingList.parse(floats).weft).toEqual({ nodes: [OTHER], plan: { kind: 'remote', predicted_ms: 12.35 } });
  });

  it('takes one string, and says how many inputs were cut', async () => {
    const { openai } = await startGateway({
      coordinator: {
        embed: async () => ({
          model: EMBED_MODEL,
          embeddings: Float32Array.of(1, 2, 3),
          dimensions: 3,
          promptTokens: 512,
          truncated: 1,
          nodes: [SELF],
          plan: {
            kind: 'local',
            node: SELF,
            price: { queueMs: 0, loadMs: 0, upMs: 0, computeMs: 1, downMs: 0, totalMs: 1 },
            others: [],
            rejected: [],
          },
        }),
      },
    });
    const { data, response } = await openai.embeddings.create({ model: 'embed', input: 'x' }).withResponse();
    expect([...(data.data[0]?.embedding ?? [])]).toEqual([1, 2, 3]);
    expect(response.headers.get('x-weft-truncated')).toBe('1');
    expect(response.headers.get('x-weft-node-name')).toBe('desk');
  });

  it('takes token ids, one text of them or many, and a number of dimensions', async () => {
    const seen: EmbedRequest[] = [];
    const { openai } = await startGateway({
      coordinator: {
        embed: (request) => {
          seen.push(request);
          return embedLengths(request);
        },
      },
    });
    const one = await openai.embeddings.create({ model: 'embed', input: [1, 2, 3, 4] });
    expect(one.data.map(({ embedding }) => embedding[0])).toEqual([4]);
    const many = await openai.embeddings.create({ model: 'embed', input: [[1], [2, 3]], dimensions: 2, user: 'me' });
    expect(many.data.map(({ embedding }) => embedding[0])).toEqual([1, 2]);
    expect(seen).toEqual([
      { model: 'embed', inputs: [Int32Array.of(1, 2, 3, 4)] },
      { model: 'embed', inputs: [Int32Array.of(1), Int32Array.of(2, 3)], dimensions: 2 },
    ]);
  });

  it('takes as many token ids as OpenAI, and not without end', async () => {
    const { openai } = await startGateway();
    const input = Array.from({ length: 1_024 }, () => new Array<number>(293).fill(1_000));
    expect((await openai.embeddings.create({ model: 'embed', input })).data).toHaveLength(1_024);
    const error = await failure(openai.embeddings.create({ model: 'embed', input: [...input, ...input] }));
    expect(error.status).toBe(400);
    expect(error.message).toContain('numbers');
  });

  it('answers 2,048 inputs in slices that make one document', async () => {
    const { openai } = await startGateway({
      coordinator: {
        embed: async ({ inputs }) => ({
          model: EMBED_MODEL,
          embeddings: Float32Array.from({ length: inputs.length * 384 }, (_, index) => index),
          dimensions: 384,
          promptTokens: 1,
          truncated: 0,
          nodes: [SELF],
          plan: {
            kind: 'local',
            node: SELF,
            price: { queueMs: 0, loadMs: 0, upMs: 0, computeMs: 1, downMs: 0, totalMs: 1 },
            others: [],
            rejected: [],
          },
        }),
      },
    });
    const { data } = await openai.embeddings.create({ model: 'embed', input: new Array<string>(2048).fill('x') });
    expect(data).toHaveLength(2048);
    expect(data.at(-1)).toMatchObject({ index: 2047, object: 'embedding' });
    expect(data.at(-1)?.embedding.at(-1)).toBe(2048 * 384 - 1);
  });
});

describe('refusals', () => {
  it('refuses a wrong key and none with 401', async () => {
    const { url } = await startGateway();
    const wrong = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'wrong', maxRetries: 0 });
    const error = await failure(wrong.chat.completions.create({ model: 'chat', messages: USER_HI }));
    expect(error).toBeInstanceOf(OpenAI.AuthenticationError);
    expect(error.code).toBe('invalid_api_key');
    expect((await fetch(`${url}/v1/models`)).status).toBe(401);
  });

  it('says when to come back from an overload', async () => {
    const { openai } = await startGateway({
      coordinator: {
        chat: async () => {
          throw new WeftError({ code: 'overloaded', message: 'Full.', facts: { retryAfterMs: '2300' } });
        },
      },
    });
    const error = await failure(openai.chat.completions.create({ model: 'chat', messages: USER_HI }));
    expect(error).toBeInstanceOf(OpenAI.RateLimitError);
    expect(error.headers?.get('retry-after')).toBe('3');
  });

  it('hides what failed inside, and logs it under the id that the client gets', async () => {
    const { openai, log } = await startGateway({
      coordinator: {
        chat: async () => {
          throw new Error('ENOENT /home/me/secret prompt text');
        },
      },
    });
    const error = await failure(openai.chat.completions.create({ model: 'chat', messages: USER_HI }));
    expect(error.status).toBe(500);
    expect(JSON.stringify(error.error)).not.toMatch(/secret|ENOENT/);
    const line = log.lines.find(({ level }) => level === 'error');
    expect(line?.fields).toMatchObject({
      requestId: error.requestID,
      err: { message: expect.stringContaining('secret') },
    });
  });

  it('refuses what it does not support by name', async () => {
    const { openai } = await startGateway();
    const error = await failure(
      openai.chat.completions.create({
        model: 'chat',
        messages: USER_HI,
        web_search_options: {},
      }),
    );
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect(error).toMatchObject({ param: 'web_search_options', code: 'unsupported_parameter' });
  });
});
