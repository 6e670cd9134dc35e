// The plain decoder: a few sequences in turns, and others that wait for a place.
import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import type { Manifest } from '../../../../../models/manifest.ts';
import type { Priority } from '../../../../../node/core/engine.ts';
import { BATCH_TURN_EVERY, PLAIN_SEQUENCES_MAX } from '../../../../../node/engine/limits.ts';
import type { TokenConstraint } from '../../../../../node/engine/runner/constraint.ts';
import { PlainDecoder } from '../../../../../node/engine/runner/decoder/text-decoder.ts';
import { Turns } from '../../../../../node/engine/runner/turns.ts';
import type { TokenRun } from '../../../../../protocol/codec.ts';
import { WeftError } from '../../../../../protocol/errors.ts';
import type { GenerateResult } from '../../../../../protocol/infer.ts';
import { request } from './toy-loop.ts';

const MANIFEST = {
  contextLength: 100_000,
  inputs: [],
  generation: { layers: 2, kvHeads: 2, headSize: 4 },
} as unknown as Manifest;

interface Started {
  readonly decoder: PlainDecoder;
  /** Generators that are open, and how many there ever were. */
  readonly open: () => number;
  readonly opened: () => number;
  /** The tokens that each was asked for, in the order of their first ones. */
  readonly order: readonly number[];
  readonly begin: (
    maxNewTokens: number,
    signal?: AbortSignal,
    priority?: Priority,
  ) => Promise<GenerateResult> & { readonly closed: () => number };
}

function start(sequencesMax: number): Started {
  let open = 0;
  let opened = 0;
  const order: number[] = [];
  const generators = {
    open: () => {
      open++;
      opened++;
      return {
        length: 0,
        prefill: async () => undefined,
        step: async () => {
          await new Promise((resolve) => setImmediate(resolve));
          return Float32Array.of(0, 1);
        },
        close: () => {
          open--;
        },
      };
    },
  };
  const turns = new Turns({ flushed: () => undefined });
  const init = { manifest: MANIFEST, turns, kvBytesMax: 1, sequencesMax, exact: false };
  const decoder = new PlainDecoder(generators, init);
  return {
    decoder,
    open: () => open,
    opened: () => opened,
    order,
    begin: (maxNewTokens, signal = new AbortController().signal, priority = 'interactive') => {
      let closed = 0;
      const constraint: TokenConstraint = {
        mask: async () => undefined,
        accept: () => undefined,
        close: () => {
          closed++;
        },
      };
      const item = ({ firstIndex }: TokenRun): undefined => {
        if (firstIndex === 0) order.push(maxNewTokens);
      };
      const result = decoder.generate(request([1, 2], maxNewTokens), { signal, item, priority }, constraint);
      return Object.assign(result, { closed: () => closed });
    },
  };
}

const turnOfTheLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const cancelled = (): WeftError => new WeftError({ code: 'cancelled', message: 'Enough.' });

describe('the plain decoder', () => {
  it.each([
    [16, PLAIN_SEQUENCES_MAX],
    [2, 2],
  ])('of %i sequences has %i caches, and gives places on in order', async (sequencesMax, caches) => {
    const { decoder, begin, open, order } = start(sequencesMax);
    let most = 0;
    let late: Promise<unknown> | undefined;
    const all = Array.from({ length: 7 }, async (_, index) => {
      await begin(5 + index);
      most = Math.max(most, open());
      // Whoever comes now doesn't overtake those that wait.
      late ??= begin(100);
    });
    await turnOfTheLoop();
    expect(decoder.stats).toMatchObject({ sequences: caches, waiting: 7 - caches });
    expect(open()).toBe(caches);
    await Promise.all(all);
    await late;
    expect(order.slice(0, 7)).toEqual([5, 6, 7, 8, 9, 10, 11]);
    expect(order).toHaveLength(8);
    expect(most).toBeLessThanOrEqual(caches);
    expect(decoder.stats).toMatchObject({ sequences: 0, waiting: 0 });
  });

  it('gives places to interactive work first, and one in so many to batch work', async () => {
    const { begin, order } = start(1);
    const all = [begin(2), begin(50, undefined, 'batch'), begin(60, undefined, 'batch')];
    for (let index = 0; index < BATCH_TURN_EVERY; index++) all.push(begin(100 + index));
    await Promise.all(all);
    const interactive = Array.from({ length: BATCH_TURN_EVERY }, (_, index) => 100 + index);
    expect(order).toEqual([2, ...interactive.slice(0, -1), 50, ...interactive.slice(-1), 60]);
  });

  it('lets go of whoever is cancelled while it waits, at once', async () => {
    const { decoder, begin, opened } = start(1);
    const running = new AbortController();
    const first = begin(50_000, running.signal);
    const waiting = new AbortController();
    const second = begin(3, waiting.signal);
    const third = begin(3);
    await turnOfTheLoop();
    waiting.abort(cancelled());
    await expect(second).rejects.toMatchObject({ code: 'cancelled' });
    expect(second.closed()).toBeGreaterThan(0);
    expect(decoder.stats).toMatchObject({ sequences: 1, waiting: 1 });
    // Cancelled just as the place is given on: the place is not lost.
    running.abort(cancelled());
    await expect(first).rejects.toMatchObject({ code: 'cancelled' });
    await expect(third).resolves.toMatchObject({ generated: 3 });
    expect(opened()).toBe(2);
    expect(decoder.stats).toMatchObject({ sequences: 0, waiting: 0 });
  });

  it('ends all when it is closed, those that wait too', async () => {
    const { decoder, begin, open } = start(2);
    const all = Array.from({ length: 5 }, () => begin(50_000));
    await turnOfTheLoop();
    await decoder.close();
    await Promise.allSettled(all);
    for (const one of all) {
      await expect(one).rejects.toMatchObject({ code: 'stopping' });
      expect(one.closed()).toBeGreaterThan(0);
    }
    expect(open()).toBe(0);
    expect(decoder.stats).toMatchObject({ sequences: 0, waiting: 0 });
    await expect(begin(1)).rejects.toMatchObject({ code: 'stopping' });
  });

  it('leaves nothing on a signal that many share', async () => {
    const { begin } = start(1);
    const { signal } = new AbortController();
    await Promise.all(Array.from({ length: 6 }, () => begin(2, signal)));
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});
