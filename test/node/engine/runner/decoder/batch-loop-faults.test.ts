// What may go wrong around a step: whoever is to blame fails, nobody hangs, and memory stays within its bound.
import { getEventListeners } from 'node:events';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { TokenConstraint } from '../../../../../node/engine/runner/constraint.ts';
import type { TokenRun } from '../../../../../protocol/codec.ts';
import { WeftError } from '../../../../../protocol/errors.ts';
import type { GenerateRequest } from '../../../../../protocol/infer.ts';
import { runs as settings } from '../../../../support/property.ts';
import { closeLoops, expected, loopOf, over, prompt, ROW, type Run, request, run } from './toy-loop.ts';
import { circling, hashed, type Rule, TOY_LAYOUT, ToyModel } from './toy-model.ts';

afterEach(closeLoops);

const GREEDY = { temperature: 0, topP: 1, topK: 0, seed: 0n };

const enough = (): WeftError => new WeftError({ code: 'cancelled', message: 'Enough.' });

/** A constraint that allows all, with some of it replaced. */
function constraintOf(more: Partial<TokenConstraint>): TokenConstraint & { closed: number } {
  const constraint = {
    closed: 0,
    mask: async () => undefined,
    accept: () => undefined,
    ...more,
    close: () => {
      constraint.closed++;
    },
  };
  return constraint;
}

describe('a generation that fails', () => {
  it.each([
    ['the port for rows throws', 1],
    ['the port for rows throws, of several', 4],
  ])('fails alone when %s', async (_what, others) => {
    const loop = loopOf(new ToyModel(), {}, ({ request: { ids }, from }) => {
      if (ids.length === 9 && from === 20) throw new Error('the standby is gone');
    });
    const failing = run(loop, request(prompt(9, 7), 60));
    const fine = Array.from({ length: others }, (_, salt) => run(loop, request(prompt(6, salt), 60)));
    await expect(failing.result).rejects.toThrow('the standby is gone');
    for (const [salt, { tokens, result }] of fine.entries()) {
      await result;
      expect(tokens).toEqual(expected(prompt(6, salt), 60));
    }
  });

  it('fails alone when the port for rows throws at rows that were guessed', async () => {
    const loop = loopOf(new ToyModel({ rule: circling }), {}, ({ first }) => {
      if (first > 0) throw new Error('the standby is gone');
    });
    await expect(run(loop, request(prompt(20), 200)).result).rejects.toThrow('the standby is gone');
    const next = run(loop, request(prompt(6), 3));
    await next.result;
    expect(next.tokens).toEqual(expected(prompt(6), 3, circling));
  });

  it.each([
    ['the link throws', (at: number) => ({ item: () => boom(at === 0) })],
    [
      'the link fails later',
      (at: number) => ({ item: () => (at === 0 ? Promise.reject(new Error('boom')) : undefined) }),
    ],
    ['its mask throws', (at: number) => ({ constraint: constraintOf({ mask: async () => boom(at === 0) }) })],
    [
      'its mask throws at once',
      (at: number) => ({ constraint: constraintOf({ mask: () => boom(at === 0) ?? Promise.resolve() }) }),
    ],
    ['its grammar refuses a token', (at: number) => ({ constraint: constraintOf({ accept: () => boom(at === 0) }) })],
  ] as const)('fails alone when %s', async (_what, of) => {
    const loop = loopOf(new ToyModel());
    const runs = [0, 1, 2].map((at) => {
      const { item, constraint } = { item: () => undefined, constraint: undefined, ...of(at) };
      return { ...run(loop, request(prompt(6, at), 30), undefined, item, constraint), constraint };
    });
    await expect(runs[0]?.result).rejects.toThrow('boom');
    for (const at of [1, 2]) {
      await runs[at]?.result;
      expect(runs[at]?.tokens).toEqual(expected(prompt(6, at), 30));
    }
    for (const { constraint } of runs) if (constraint !== undefined) expect(constraint.closed).toBeGreaterThan(0);
    expect(loop.stats).toMatchObject({ waiting: 0 });
  });

  it('leaves no rows behind that are no numbers, for whoever has the same prompt next', async () => {
    let broken = true;
    const loop = loopOf(
      new ToyModel({
        rows: ({ keys }, { lengths }) => {
          if (broken && lengths[0] === 0) keys.at(-1)?.fill(Number.NaN);
        },
      }),
    );
    const failed = run(loop, request(prompt(60), 10));
    await expect(failed.result).rejects.toMatchObject({ code: 'internal', facts: { reason: 'logits_invalid' } });
    broken = false;
    const next = run(loop, request(prompt(60), 10));
    await next.result;
    expect(next.tokens).toEqual(expected(prompt(60), 10));
  });

  it('is told that there is no memory when there is none, instead of waiting for it', async () => {
    const model = new ToyModel({}, { ...TOY_LAYOUT, headSize: 2 ** 45 });
    const loop = loopOf(model, { kvBytesMax: Number.MAX_VALUE });
    await expect(run(loop, request(prompt(6), 3)).result).rejects.toMatchObject({ code: 'out_of_memory' });
    expect(loop.stats).toMatchObject({ waiting: 0, sequences: 0 });
  });
});

describe('guesses', () => {
  it('that turn out right after their room has gone to a newcomer are computed again', async () => {
    // The mask behind a draft takes long; meanwhile somebody needs the memory behind the sequence's last id.
    let newcomer: Run | undefined;
    let slow = false;
    let masks = 0;
    const model = new ToyModel({
      rule: circling,
      before: ({ lengths, ids }) => {
        const [length = 0] = lengths;
        masks = 0;
        if (newcomer === undefined) slow = length < 60 && length + ids.length > 66;
      },
    });
    const loop = loopOf(model, { kvBytesMax: 192 * ROW });
    const constraint = constraintOf({
      mask: async () => {
        if (!slow || ++masks < 2) return;
        slow = false;
        newcomer = run(loop, request(prompt(5), 3));
        await newcomer.result;
      },
    });
    const drafting = run(loop, request(prompt(30), 90), undefined, undefined, constraint);
    await drafting.result;
    expect(newcomer?.tokens).toEqual(expected(prompt(5), 3, circling));
    expect(drafting.tokens).toEqual(expected(prompt(30), 90, circling));
  });

  it('end with a stop id, behind which nothing is sent', async () => {
    const whole = run(loopOf(new ToyModel({ rule: circling })), request(prompt(20), 100));
    await whole.result;
    const long = whole.items.find(({ ids }) => ids.length > 4);
    // The third token of that run is another one now, and the end.
    const place = 20 + (long?.firstIndex ?? Number.NaN) + 2;
    const stops: Rule = (history) => (history.length === place ? 31 : circling(history));
    const loop = loopOf(new ToyModel({ rule: stops }));
    const stopped = run(loop, request(prompt(20), 100, { stopIds: [31] }));
    await expect(stopped.result).resolves.toMatchObject({ finish: 'stop', generated: place - 19 });
    expect(stopped.tokens).toEqual(expected(prompt(20), place - 19, stops));
    expect(stopped.items.at(-1)?.ids).toHaveLength(3);
    // One that was guessed right ends it as well.
    const guessed = whole.tokens.indexOf(long?.ids[2] as number, (long?.firstIndex ?? 0) + 2);
    const stopIds = [whole.tokens[guessed] as number];
    const first = whole.tokens.indexOf(stopIds[0] as number);
    const early = run(loopOf(new ToyModel({ rule: circling })), request(prompt(20), 100, { stopIds }));
    await expect(early.result).resolves.toMatchObject({ finish: 'stop', generated: first + 1 });
    expect(early.tokens).toEqual(whole.tokens.slice(0, first + 1));
  });

  it.each([
    ['drawn by chance', { sampling: { temperature: 0.7, topP: 0.95, topK: 8, seed: 5n } }],
    [
      'with penalties',
      { sampling: { ...GREEDY, repetitionPenalty: 1.3, presencePenalty: 0.4, frequencyPenalty: 0.3 } },
    ],
    [
      'with biases',
      {
        sampling: {
          ...GREEDY,
          logitBias: [
            { id: 3, bias: 2.5 },
            { id: 1, bias: -1 },
          ],
        },
      },
    ],
    ['with log probabilities', { sampling: { ...GREEDY, temperature: 0.5 }, logprobs: 3 }],
  ])('change nothing in what is said, %s', async (_what, more) => {
    const outcomes = [];
    for (const draft of [true, false]) {
      const accepted: number[] = [];
      // Every logit depends on what stands before, so that those of another position show.
      const logits = (history: readonly number[]): Float32Array =>
        Float32Array.from({ length: TOY_LAYOUT.vocabularySize }, (_, id) => {
          const hash = hashed([...history.slice(-6), id]) / TOY_LAYOUT.vocabularySize;
          return id === circling(history) ? 3 + hash : hash;
        });
      const loop = loopOf(new ToyModel({ logits }), { draft });
      const constraint = constraintOf({
        mask: async (row) => {
          // A grammar whose state is what it accepted.
          row[(accepted.length * 5) % 32] = Number.NEGATIVE_INFINITY;
        },
        accept: (id) => accepted.push(id),
      });
      const what = request([...prompt(4), 0, 1, 2, 3, 4, 0, 1, 2], 150, more);
      const one = run(loop, what, undefined, undefined, constraint);
      await one.result;
      // The last one ends it: no mask follows.
      expect(accepted).toEqual(one.tokens.slice(0, -1));
      expect(loop.stats.draftedTokens > 0).toBe(draft);
      if (draft) expect(loop.stats.acceptedTokens).toBeGreaterThan(0);
      if (draft) expect(loop.stats.acceptedTokens).toBeLessThan(loop.stats.draftedTokens);
      outcomes.push({ tokens: one.tokens, logprobs: one.items.flatMap(({ logprobs = [] }) => logprobs) });
      expect(outcomes.at(-1)?.logprobs).toHaveLength(what.logprobs === undefined ? 0 : 150);
    }
    expect(outcomes[0]).toEqual(outcomes[1]);
  });
});

describe('a cancellation', () => {
  it('ends a prompt that is computed beside others with the piece under way', async () => {
    const controller = new AbortController();
    let after = 0;
    const model = new ToyModel({
      before: ({ ids, lengths }) => {
        if (ids.length / lengths.length > 1 && controller.signal.aborted) after++;
        // While the others' step runs, between two pieces.
        if (ids.length === 2 && lengths.length === 2 && model.steps.some(({ tokens }) => tokens > 1 && tokens < 6)) {
          controller.abort(enough());
        }
      },
    });
    const loop = loopOf(model, { draft: false });
    const others = [0, 1].map((salt) => run(loop, request(prompt(6, salt), 60)));
    const gone = run(loop, request(prompt(400, 3), 5), controller.signal);
    await expect(gone.result).rejects.toMatchObject({ code: 'cancelled' });
    for (const { result } of others) await result;
    expect(after).toBe(0);
  });

  it.each([
    ['waits for a place', { sequencesMax: 1 }],
    ['waits for memory', { kvBytesMax: 192 * ROW, contextLength: 190 }],
  ])('ends whoever %s', async (_what, init) => {
    const loop = loopOf(new ToyModel(), init);
    const controller = new AbortController();
    let seen = 0;
    const first = run(loop, request(prompt(100), 80), undefined, () => {
      if (++seen === 5) controller.abort(enough());
      return undefined;
    });
    const waiting = run(loop, request(prompt(100, 1), 50), controller.signal);
    const third = run(loop, request(prompt(10, 2), 5));
    await expect(waiting.result).rejects.toMatchObject({ code: 'cancelled' });
    expect(seen).toBeLessThan(8);
    await Promise.all([first.result, third.result]);
    expect(waiting.tokens).toEqual([]);
  });

  it.each(['mask', 'link'] as const)('and an end reach whoever waits for its %s', async (what) => {
    for (const end of ['cancel', 'close'] as const) {
      const loop = loopOf(new ToyModel());
      const controller = new AbortController();
      const never = new Promise<void>(() => undefined);
      const reached = Promise.withResolvers<void>();
      const wait = (): Promise<void> => {
        reached.resolve();
        return never;
      };
      const held =
        what === 'mask'
          ? run(loop, request(prompt(5), 4), controller.signal, undefined, constraintOf({ mask: wait }))
          : run(loop, request(prompt(5), 4), controller.signal, wait);
      await reached.promise;
      if (end === 'cancel') controller.abort(enough());
      else void loop.close(over());
      await expect(held.result).rejects.toMatchObject({ code: end === 'cancel' ? 'cancelled' : 'stopping' });
      if (end === 'cancel') await run(loop, request(prompt(5), 4)).result;
    }
  });

  it('that may come for many requests leaves nothing on the signal that they share', async () => {
    const { signal } = new AbortController();
    const loop = loopOf(new ToyModel());
    const masked = constraintOf({});
    for (let round = 0; round < 5; round++) {
      const runs = [0, 1, 2].map((salt) => run(loop, request(prompt(6, salt), 5), signal, undefined, masked));
      await Promise.all(runs.map(({ result }) => result));
    }
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

describe('room', () => {
  it('is given again to whoever gave way, as the same tokens in the same runs where that is promised', async () => {
    const model = new ToyModel();
    const loop = loopOf(model, { kvBytesMax: 512 * ROW, contextLength: 400, exact: true });
    const runs = Array.from({ length: 5 }, (_, salt) => run(loop, request(prompt(20 + salt, salt), 200)));
    await Promise.all(runs.map(({ result }) => result));
    for (const [salt, { tokens }] of runs.entries()) expect(tokens).toEqual(expected(prompt(20 + salt, salt), 200));
    const pieces = model.steps.map(({ tokens }) => tokens).filter((tokens) => tokens > 1);
    // Somebody gave way, and its prompt was computed once more: of what it had been given, no two tokens in one run.
    expect(pieces.length).toBeGreaterThan(5);
    for (const tokens of pieces) expect([20, 21, 22, 23, 24]).toContain(tokens);
  });

  it('that was given up counts neither twice as a prompt, nor as kept from others', async () => {
    const loop = loopOf(new ToyModel(), { kvBytesMax: 512 * ROW, contextLength: 400 });
    const runs = Array.from({ length: 5 }, (_, salt) => run(loop, request(prompt(20, salt), 200)));
    const results = await Promise.all(runs.map(({ result }) => result));
    for (const { cachedTokens = 0 } of results) expect(cachedTokens).toBe(0);
    expect(loop.stats).toMatchObject({ promptTokens: 100, cachedTokens: 0 });
  });

  it('of a stream that goes on here is kept for its prompt only', async () => {
    const loop = loopOf(new ToyModel());
    const whole = run(loop, request(prompt(40), 60));
    await whole.result;
    const ids = [...prompt(40), ...whole.tokens.slice(0, 50)];
    const rest = run(loop, request(ids, 60, { promptLength: 40 }));
    // All but the last id of 90 are there, in blocks of 16; of the prompt all.
    await expect(rest.result).resolves.toMatchObject({ generated: 60, cachedTokens: 40 });
    expect(rest.tokens).toEqual(whole.tokens.slice(50));
    expect(loop.stats.cachedTokens).toBeLessThanOrEqual(loop.stats.promptTokens);
  });

  it.each([1, 3])(
    'serves thousands of short ones, %i at a time',
    async (sequencesMax) => {
      const loop = loopOf(new ToyModel(), { sequencesMax, kvBytesMax: 256 * ROW });
      const runs = Array.from({ length: 2_000 }, (_, salt) =>
        run(loop, request(prompt(1 + (salt % 5), salt), 1 + (salt % 3))),
      );
      await Promise.all(runs.map(({ result }) => result));
      for (const [salt, { tokens }] of runs.entries()) {
        expect(tokens).toEqual(expected(prompt(1 + (salt % 5), salt), 1 + (salt % 3)));
      }
      expect(loop.stats.waiting).toBe(0);
    },
    60_000,
  );

  it('for less than one step is none', async () => {
    const loop = loopOf(new ToyModel(), { kvBytesMax: 63 * ROW });
    await expect(run(loop, request([1], 1)).result).rejects.toMatchObject({ code: 'out_of_memory' });
  });

  it('of the context ends an answer, or leaves none', async () => {
    const loop = loopOf(new ToyModel(), { contextLength: 50 });
    const last = run(loop, request(prompt(49), 10));
    await expect(last.result).resolves.toMatchObject({ finish: 'length', generated: 1 });
    expect(last.tokens).toEqual(expected(prompt(49), 1));
    await expect(run(loop, request(prompt(50), 10)).result).resolves.toMatchObject({ finish: 'length', generated: 0 });
    await expect(run(loop, request(prompt(70), 10)).result).resolves.toMatchObject({ finish: 'length', generated: 0 });
  });
});

describe('rows that are copied for a newcomer', () => {
  it.each([1, 90, 1e9])(
    'have room again where it was given back to others meanwhile (%d rows a time)',
    async (rows) => {
      const starts: (() => void)[] = [];
      const model = new ToyModel({
        before: () => {
          for (const start of starts.splice(0)) start();
        },
      });
      const loop = loopOf(model, { kvBytesMax: 592 * ROW, sequencesMax: 5, contextLength: 250, copyBytes: rows * ROW });
      // Prompts that have much in common, all but the first at once, in a memory that is just large enough.
      const prompts = [
        [80, 1, 2],
        [1, 1, 1],
        [64, 1, 1],
        [80, 1, 1],
        [32, 33, 1],
        [35, 30, 1],
      ] as const;
      const runs = prompts.map(async ([shared, own, count], index) => {
        if (index > 0) await new Promise<void>((start) => starts.push(start));
        const ids = [...prompt(shared), ...new Array<number>(own).fill(0)];
        const one = run(loop, request(ids, count));
        await one.result;
        expect(one.tokens).toEqual(expected(ids, count));
      });
      await Promise.all(runs);
    },
  );
});

describe('whatever goes wrong together', () => {
  const job = fc.record({
    shared: fc.integer({ min: 0, max: 2 }),
    sharedLength: fc.integer({ min: 1, max: 100 }),
    own: fc.array(fc.integer({ min: 0, max: 31 }), { minLength: 1, maxLength: 20, size: 'max' }),
    count: fc.integer({ min: 1, max: 80 }),
    resumed: fc.integer({ min: 0, max: 20 }),
    /** Turns of the event loop that a mask, or an item on its way, takes; of every so many. */
    slow: fc.option(fc.record({ turns: fc.integer({ min: 1, max: 12 }), every: fc.integer({ min: 1, max: 7 }) })),
    slowLink: fc.boolean(),
    end: fc.option(
      fc.record({ how: fc.constantFrom('cancel', 'throw', 'rows'), at: fc.integer({ min: 0, max: 40 }) }),
      {
        freq: 3,
      },
    ),
    after: fc.integer({ min: 0, max: 30 }),
    priority: fc.constantFrom('interactive' as const, 'batch' as const),
  });
  const turns = async (count: number): Promise<void> => {
    for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
  };

  it('everyone gets right tokens or the reason why not, within the memory, and nobody waits for ever', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(job, { minLength: 1, maxLength: 9, size: 'max' }),
        fc.constantFrom(hashed, circling),
        fc.record({
          rows: fc.integer({ min: 256, max: 1500 }),
          sequencesMax: fc.integer({ min: 1, max: 6 }),
          exact: fc.boolean(),
          /** Steps of the graph that fail. */
          failing: fc.array(fc.integer({ min: 0, max: 200 }), { maxLength: 3 }),
          copyBytes: fc.constantFrom(ROW, 90 * ROW, 1e9),
        }),
        async (jobs, rule, { rows, sequencesMax, exact, failing, copyBytes }) => {
          const kvBytesMax = rows * ROW;
          let steps = 0;
          const withinMemory = (): void => {
            const { kvBytes, prefixBytes } = loop.stats;
            expect(kvBytes + prefixBytes).toBeLessThanOrEqual(kvBytesMax);
          };
          const model = new ToyModel({
            rule,
            before: () => {
              withinMemory();
              if (failing.includes(steps++)) throw new Error('the graph has failed');
            },
          });
          const unsent = new Map<GenerateRequest, number>();
          const loop = loopOf(
            model,
            { kvBytesMax, sequencesMax, contextLength: 250, exact, copyBytes },
            ({ request: of, from }) => {
              withinMemory();
              if (from >= (unsent.get(of) ?? Number.POSITIVE_INFINITY)) throw new Error('the standby is gone');
            },
          );
          const outcomes = jobs.map(
            async ({ shared, sharedLength, own, count, resumed, slow, slowLink, end, after, priority }) => {
              const ids = [...prompt(sharedLength, shared), ...own];
              const want = expected(ids, count, rule);
              const before = Math.min(resumed, count - 1);
              const what = request([...ids, ...want.slice(0, before)], count, { promptLength: ids.length });
              if (end?.how === 'rows') unsent.set(what, ids.length + end.at);
              const controller = new AbortController();
              await turns(after);
              let waits = 0;
              const wait = async (): Promise<void> => {
                if (slow !== null && ++waits % slow.every === 0) await turns(slow.turns);
              };
              const item = ({ firstIndex }: TokenRun): Promise<void> | undefined => {
                withinMemory();
                if (end !== null && firstIndex >= end.at) {
                  if (end.how === 'cancel') controller.abort(enough());
                  if (end.how === 'throw') throw new Error('the link is gone');
                }
                return slowLink ? wait() : undefined;
              };
              const constraint = slow === null || slowLink ? undefined : constraintOf({ mask: wait });
              const one = run(loop, what, controller.signal, item, constraint, priority);
              const failed = await one.result.then(
                () => undefined,
                (error: unknown) => error as Error,
              );
              const rest = want.slice(before);
              expect(one.tokens).toEqual(failed === undefined ? rest : rest.slice(0, one.tokens.length));
              if (failed !== undefined) expect(failed.message).toMatch(/Enough|is gone|has failed/);
              if (constraint !== undefined) expect(constraint.closed).toBeGreaterThan(0);
            },
          );
          await Promise.all(outcomes);
          await loop.close(over());
          expect(loop.stats).toMatchObject({ kvBytes: 0, prefixBytes: 0, sequences: 0, waiting: 0 });
        },
      ),
      settings(60),
    );
  });
});

function boom(really: boolean): undefined {
  if (really) throw new Error('boom');
  return undefined;
}
