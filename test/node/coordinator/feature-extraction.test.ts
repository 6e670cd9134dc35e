import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ENCODE_TOKENS_MAX, INPUTS_MAX } from '../../../node/coordinator/limits.ts';
import type { EmbedRequest } from '../../../node/core/coordinator.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { EncodeRequest } from '../../../protocol/infer.ts';
import {
  bundledStore,
  type Encode,
  encoding,
  type FakeCoordinatorInit,
  fakeCoordinator,
  planOn,
  recordingTrace,
} from './fakes.ts';

// A smaller bound: lists that a test can make are then huge.
vi.mock(import('../../../node/coordinator/limits.ts'), async (original) => ({
  ...(await original()),
  ENCODE_TOKENS_MAX: 16_384 as never,
}));

let store: Awaited<ReturnType<typeof bundledStore>>;
beforeAll(async () => {
  store = await bundledStore();
});
afterAll(() => store[Symbol.asyncDispose]());

const never = new AbortController().signal;
const embed = (inputs: EmbedRequest['inputs'], encode: Encode = encoding, init: Partial<FakeCoordinatorInit> = {}) =>
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

  it('takes token ids as they are, cut to the positions of the graph', async () => {
    const requests: EncodeRequest[] = [];
    const inputs = [Int32Array.of(101, 7592, 102), 'Hello', new Int32Array(600).fill(2088)];
    const answer = await embed(inputs, (request, options) => {
      requests.push(request);
      return encoding(request, options);
    });
    expect(answer).toMatchObject({ embeddings: Float32Array.of(3, 3, 512), promptTokens: 518, truncated: 1 });
    expect(requests[0]?.ids.slice(0, 6)).toEqual(Int32Array.of(101, 7592, 102, 101, 7592, 102));
  });

  it('refuses token ids that the model has not, and none at all, by their place', async () => {
    const cases: [EmbedRequest['inputs'], string][] = [
      [[Int32Array.of(30_522)], 'input'],
      [['a', Int32Array.of(1, -1)], 'input[1]'],
      [['a', new Int32Array(0)], 'input[1]'],
    ];
    for (const [inputs, param] of cases) {
      await expect(embed(inputs)).rejects.toMatchObject({ code: 'bad_request', facts: { param } });
    }
    await expect(embed([Int32Array.of(30_521)])).resolves.toMatchObject({ promptTokens: 1 });
  });

  it('notes what it did, and what was sent', async () => {
    const { trace, seen } = recordingTrace();
    const { coordinator } = fakeCoordinator({ store, encode: encoding });
    await coordinator.embed({ model: 'minilm', inputs: ['Hello'] }, { signal: never, requestId: 'r', trace });
    expect(seen).toEqual({
      model: 'Xenova/all-MiniLM-L6-v2',
      spans: [{ name: 'prepare', node: 'self', startMs: 0, durationMs: 1 }],
      usage: { promptTokens: 3 },
    });
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

describe('an embedding of fewer dimensions', () => {
  /** Rows of 384 values, the first 3, 4 and 12 in the first row, all zero in the second. */
  const encode: Encode = async (request, options) => {
    const embeddings = new Float32Array(request.lengths.length * 384);
    embeddings.set([3, 4, 12]);
    return { ...(await encoding(request, options)), embeddings, dimensions: 384 };
  };
  const embedIn = (dimensions: number) =>
    fakeCoordinator({ store, encode }).coordinator.embed(
      { model: 'minilm', inputs: ['a', 'b'], dimensions },
      { signal: never, requestId: 'r' },
    );

  it('is cut, and as long as one again', async () => {
    const answer = await embedIn(2);
    expect(answer.dimensions).toBe(2);
    expect([...answer.embeddings].map((value) => value.toFixed(6))).toEqual([
      '0.600000',
      '0.800000',
      '0.000000',
      '0.000000',
    ]);
    expect((await embedIn(1)).embeddings).toEqual(Float32Array.of(1, 0));
  });

  it("is the model's own when it asks for all of them", async () => {
    const answer = await embedIn(384);
    expect(answer.dimensions).toBe(384);
    expect(answer.embeddings.subarray(0, 3)).toEqual(Float32Array.of(3, 4, 12));
  });

  it('is refused beyond those that the model makes, with their number', async () => {
    for (const dimensions of [385, 0, -1, 1.5]) {
      await expect(embedIn(dimensions)).rejects.toMatchObject({
        code: 'bad_request',
        message: expect.stringContaining('384'),
        facts: { param: 'dimensions' },
      });
    }
  });
});
