// The token loop and the turns, on a generator that only counts.
import { describe, expect, it } from 'vitest';
import { REPLAY_TOKENS_MAX } from '../../../../node/engine/limits.ts';
import { generate, piecesOf } from '../../../../node/engine/runner/generate.ts';
import type { TextGenerator } from '../../../../node/engine/runner/generator.ts';
import { Turns } from '../../../../node/engine/runner/turns.ts';
import type { GenerateRequest } from '../../../../protocol/infer.ts';
import { generateRequest } from '../../../compliance/engine-requests.ts';

const model = { id: 'a/b', digest: '' };
const never = new AbortController().signal;

/** Always draws the token that equals the length of its cache, modulo 10. */
class CountingGenerator implements TextGenerator {
  length = 0;
  readonly pieces: number[] = [];
  closed = false;

  async prefill(ids: Int32Array): Promise<void> {
    this.pieces.push(ids.length);
    this.length += ids.length;
  }

  async step(ids: Int32Array): Promise<Float32Array> {
    await this.prefill(ids);
    const logits = new Float32Array(10);
    logits[this.length % 10] = 1;
    return logits;
  }

  close(): void {
    this.closed = true;
  }
}

async function run(request: GenerateRequest, signal = never, onToken?: (count: number) => void) {
  const generator = new CountingGenerator();
  const tokens: number[] = [];
  const turns = new Turns({ flushed: () => undefined });
  const result = await generate(request, 100, generator, turns, {
    signal,
    item: ({ firstIndex, ids }) => {
      expect(firstIndex).toBe(request.ids.length - request.promptLength + tokens.length);
      tokens.push(...ids);
      onToken?.(tokens.length);
      return undefined;
    },
  });
  return { generator, tokens, result };
}

describe('generate', () => {
  it('ends at the stop id, at the tokens asked for, and at the context', async () => {
    const stopped = await run(generateRequest(model, [1, 2, 3], { stopIds: [5], maxNewTokens: 50 }));
    expect(stopped).toMatchObject({ tokens: [3, 4, 5], result: { finish: 'stop', generated: 3 } });
    const short = await run(generateRequest(model, [1, 2, 3], { maxNewTokens: 2 }));
    expect(short).toMatchObject({ tokens: [3, 4], result: { finish: 'length', generated: 2 } });
    const full = await run(generateRequest(model, Array(97).fill(1), { maxNewTokens: 50 }));
    expect(full).toMatchObject({ tokens: [7, 8, 9], result: { finish: 'length', generated: 3 } });
  });

  it('does nothing for a stream that had ended when it was lost', async () => {
    const request = generateRequest(model, [1, 2, 3, 4], { promptLength: 3, stopIds: [4], maxNewTokens: 9 });
    expect(await run(request)).toMatchObject({ tokens: [], result: { finish: 'stop', generated: 1 } });
    const long = generateRequest(model, [1, 2, 3, 4], { promptLength: 3, maxNewTokens: 1 });
    const { generator, result } = await run(long);
    expect(result).toMatchObject({ finish: 'length', generated: 1 });
    expect(generator.pieces).toEqual([]);
  });

  it('computes a resumed stream in the pieces of the original', async () => {
    const prompt = Array(5).fill(1);
    const whole = await run(generateRequest(model, prompt, { maxNewTokens: 6 }));
    const ids = [...prompt, ...whole.tokens.slice(0, 4)];
    const rest = await run(generateRequest(model, ids, { promptLength: 5, maxNewTokens: 6 }));
    expect(rest.tokens).toEqual(whole.tokens.slice(4));
    expect(rest.generator.pieces).toEqual(whole.generator.pieces);
  });

  it('cuts a long prompt into bounded pieces', () => {
    const sizes = (length: number, promptLength: number): number[] =>
      piecesOf(new Int32Array(length), promptLength).map((piece) => piece.length);
    expect(sizes(300, 300)).toEqual([128, 128, 44]);
    expect(sizes(128, 128)).toEqual([128]);
    expect(sizes(131, 129)).toEqual([127, 2, 1, 1]);
    expect(sizes(258, 257)).toEqual([128, 127, 2, 1]);
    expect(sizes(1, 1)).toEqual([1]);
  });

  it('computes a very long resumed stream in pieces rather than token by token', () => {
    const pieces = (generated: number): number => piecesOf(new Int32Array(10 + generated), 10).length;
    expect(pieces(REPLAY_TOKENS_MAX)).toBe(1 + REPLAY_TOKENS_MAX);
    expect(pieces(REPLAY_TOKENS_MAX + 1)).toBeLessThan(20);
  });

  it('does no further run once it is cancelled', async () => {
    const abort = new AbortController();
    const steps: number[] = [];
    const request = generateRequest(model, [1], { maxNewTokens: 50 });
    const work = run(request, abort.signal, (count) => {
      steps.push(count);
      if (count === 3) abort.abort(new Error('enough'));
    });
    await expect(work).rejects.toThrow('enough');
    expect(steps).toEqual([1, 2, 3]);
  });
});

describe('Turns', () => {
  it('lets two token loops go forward together', async () => {
    const turns = new Turns({ flushed: () => undefined });
    const order: string[] = [];
    const loop = async (name: string): Promise<void> => {
      for (let token = 0; token < 4; token++) {
        await turns.take(never, async () => {
          await new Promise((resolve) => setImmediate(resolve));
          order.push(name);
        });
      }
    };
    await Promise.all([loop('a'), loop('b')]);
    expect(order.slice(0, 6).join('')).toMatch(/^(ab){3}$|^a?(ba){2}/);
  });

  it('passes a cancelled turn on, and one whose work failed', async () => {
    const turns = new Turns({ flushed: () => undefined });
    const abort = new AbortController();
    const gate = Promise.withResolvers<void>();
    const first = turns.take(never, () => gate.promise);
    const cancelled = turns.take(abort.signal, async () => 'ran');
    const failed = turns.take(never, async () => Promise.reject(new Error('broken')));
    const last = turns.take(never, async () => 'ran');
    abort.abort(new Error('gone'));
    gate.resolve();
    await first;
    await expect(cancelled).rejects.toThrow('gone');
    await expect(failed).rejects.toThrow('broken');
    expect(await last).toBe('ran');
  });

  it('lets earlier answers out before the next run stands the loop still', async () => {
    const waits = [Promise.resolve(), Promise.resolve()];
    const turns = new Turns({ flushed: () => waits.shift() });
    expect(await turns.take(never, async () => waits.length)).toBe(0);
  });
});
