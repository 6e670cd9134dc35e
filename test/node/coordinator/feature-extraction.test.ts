import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ENCODE_TOKENS_MAX, INPUTS_MAX } from '../../../node/coordinator/limits.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { EncodeRequest } from '../../../protocol/infer.ts';
import { bundledStore, type Encode, encoding, type FakeCoordinatorInit, fakeCoordinator, planOn } from './fakes.ts';

let store: Awaited<ReturnType<typeof bundledStore>>;
beforeAll(async () => {
  store = await bundledStore();
});
afterAll(() => store[Symbol.asyncDispose]());

const never = new AbortController().signal;
const embed = (inputs: readonly string[], encode: Encode = encoding, init: Partial<FakeCoordinatorInit> = {}) =>
  fakeCoordinator({ store, encode, ...init }).coordinator.embed(
    { model: 'minilm', inputs },
    { signal: never, requestId: 'req_test' },
  );

describe('an embedding', () => {
  it('sends all texts in one request, special tokens included', async () => {
    const requests: EncodeRequest[] = [];
    const answer = await embed(['Hello world!', 'Hello'], (request, options) => {
      requests.push(request);
      return encoding(request, options);
    });
    expect(requests).toEqual([
      {
        model: expect.objectContaining({ id: 'Xenova/all-MiniLM-L6-v2' }),
        ids: Int32Array.of(101, 7592, 2088, 999, 102, 101, 7592, 102),
        lengths: Int32Array.of(5, 3),
        pooling: 'mean',
        normalize: true,
      },
    ]);
    expect(answer).toMatchObject({
      model: 'Xenova/all-MiniLM-L6-v2',
      embeddings: Float32Array.of(5, 3),
      dimensions: 1,
      promptTokens: 8,
      truncated: 0,
      nodes: ['self'],
      plan: { kind: 'local' },
    });
  });

  it('cuts a text to the positions of the graph, and says how many were cut', async () => {
    const answer = await embed(['short', 'word '.repeat(600), 'also short']);
    expect(answer.truncated).toBe(1);
    expect(answer.embeddings).toEqual(Float32Array.of(3, 512, 4));
  });

  it('has long texts tokenised in the prep process, in their place', async () => {
    const calls: [number, boolean][] = [];
    const answer = await embed(['a', 'word '.repeat(2_000), 'a b'], encoding, {
      tokenize: async (_folder, _text, tokensMax, specialTokens) => {
        calls.push([tokensMax, specialTokens]);
        return { ids: new Int32Array(tokensMax), truncated: true };
      },
    });
    expect(calls).toEqual([[512, true]]);
    expect(answer.embeddings).toEqual(Float32Array.of(3, 512, 4));
    expect(answer.truncated).toBe(1);
  });

  it('parts a huge list into requests of bounded size, and keeps the order', async () => {
    const inputs = Array.from({ length: INPUTS_MAX }, (_, index) => 'word '.repeat(1 + ((index * 31) % 97)));
    const sizes: number[] = [];
    const requestIds = new Set<string>();
    let open = 0;
    let most = 0;
    const answer = await embed(inputs, async (request, options) => {
      sizes.push(request.ids.length);
      requestIds.add(options.requestId);
      most = Math.max(most, ++open);
      // Later requests are done sooner.
      for (let turn = 0; turn < 20 - sizes.length; turn++) await new Promise((resolve) => setImmediate(resolve));
      open--;
      const result = await encoding(request, options);
      const node = sizes.length % 2 === 0 ? 'a' : 'b';
      return { ...result, node, nodes: [node], plan: planOn(node) };
    });
    expect(answer.embeddings).toEqual(Float32Array.from(inputs, (_, index) => 3 + ((index * 31) % 97)));
    expect(answer.promptTokens).toBe(sizes.reduce((sum, size) => sum + size, 0));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(ENCODE_TOKENS_MAX);
    expect(sizes.length).toBe(Math.ceil(answer.promptTokens / (ENCODE_TOKENS_MAX - 100)));
    expect(most).toBe(4);
    expect(requestIds.size).toBe(sizes.length);
    expect([...answer.nodes].sort()).toEqual(['a', 'b']);
  });

  it('ends every part when one fails', async () => {
    const inputs = Array.from({ length: 200 }, () => 'word '.repeat(500));
    const aborted: boolean[] = [];
    let calls = 0;
    const asked = embed(inputs, async (_request, options) => {
      if (++calls === 3) throw new WeftError({ code: 'no_capable_node', message: 'gone' });
      await new Promise((resolve) => options.signal.addEventListener('abort', resolve, { once: true }));
      aborted.push(options.signal.aborted);
      throw options.signal.reason;
    });
    await expect(asked).rejects.toMatchObject({ code: 'no_capable_node' });
    expect(calls).toBe(4);
    await new Promise((resolve) => setImmediate(resolve));
    expect(aborted).toEqual([true, true, true]);
  });

  it('refuses an empty list, an empty text by its place, and too many texts', async () => {
    await expect(embed([])).rejects.toMatchObject({ code: 'bad_request', facts: { param: 'input' } });
    await expect(embed([''])).rejects.toMatchObject({ code: 'bad_request', facts: { param: 'input' } });
    await expect(embed(['a', 'b', ''])).rejects.toMatchObject({ code: 'bad_request', facts: { param: 'input[2]' } });
    const many = Array.from({ length: INPUTS_MAX + 1 }, () => 'a');
    await expect(embed(many)).rejects.toMatchObject({ code: 'bad_request', facts: { param: 'input' } });
    await expect(embed([' '])).resolves.toMatchObject({ promptTokens: 2 });
  });

  it('begins nothing for a caller that is gone', async () => {
    const { coordinator } = fakeCoordinator({ store });
    const asked = coordinator.embed(
      { model: 'minilm', inputs: ['a'] },
      { signal: AbortSignal.abort(), requestId: 'r' },
    );
    await expect(asked).rejects.toMatchObject({ code: 'cancelled' });
  });
});
