import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { TokenConstraint } from '../../../../../node/engine/runner/constraint.ts';
import type { RowsEvent } from '../../../../../node/engine/runner/decoder/batch-loop.ts';
import type { TokenRun } from '../../../../../protocol/codec.ts';
import { WeftError } from '../../../../../protocol/errors.ts';
import { runs as settings } from '../../../../support/property.ts';
import { closeLoops, expected, loopOf, over, prompt, ROW, type Run, request, run } from './toy-loop.ts';
import { circling, hashed, TOY_LAYOUT, ToyModel } from './toy-model.ts';

afterEach(closeLoops);

describe('the batch loop', () => {
  it('gives one sequence what the model says, across growth of its block', async () => {
    const { tokens, firsts, result } = run(loopOf(new ToyModel()), request(prompt(150), 200));
    await expect(result).resolves.toMatchObject({ finish: 'length', generated: 200 });
    expect(tokens).toEqual(expected(prompt(150), 200));
    expect(firsts[0]).toBe(0);
  });

  it('gives many at once what each would get alone, in runs of several', async () => {
    const model = new ToyModel();
    const loop = loopOf(model);
    const runs = Array.from({ length: 8 }, (_, salt) => run(loop, request(prompt(5 + 9 * salt, salt), 90 + salt)));
    await Promise.all(runs.map(({ result }) => result));
    for (const [salt, { tokens }] of runs.entries()) {
      expect(tokens).toEqual(expected(prompt(5 + 9 * salt, salt), 90 + salt));
    }
    expect(Math.max(...model.steps.map(({ sequences }) => sequences))).toBeGreaterThan(4);
  });

  it('lets a newcomer join while others run, and computes its prompt between their tokens', async () => {
    const model = new ToyModel();
    const loop = loopOf(model);
    const early = run(loop, request(prompt(4), 120));
    let late: Run | undefined;
    const watched = run(loop, request(prompt(4, 1), 120), undefined, ({ firstIndex }) => {
      if (firstIndex === 10) late = run(loop, request(prompt(300, 2), 5));
      return undefined;
    });
    await Promise.all([early.result, watched.result]);
    await late?.result;
    expect(late?.tokens).toEqual(expected(prompt(300, 2), 5));
    expect(early.tokens).toEqual(expected(prompt(4), 120));
    // Pieces of the long prompt stand between steps of the two, not all in a row.
    const kinds = model.steps.map(({ tokens }) => (tokens > 1 ? 'piece' : 'step'));
    const pieces = kinds.flatMap((kind, at) => (kind === 'piece' ? [at] : [])).filter((at) => at > 8);
    expect(pieces.some((at, index) => index > 0 && at - (pieces[index - 1] as number) > 1)).toBe(true);
  });

  it('takes the rows of a prefix that it has, and computes the rest', async () => {
    const model = new ToyModel();
    const loop = loopOf(model, { draft: false });
    await run(loop, request(prompt(100), 10)).result;
    const before = model.steps.length;
    const turn = [...prompt(100), ...expected(prompt(100), 10), ...prompt(20, 9)];
    const second = run(loop, request(turn, 10));
    await second.result;
    expect(second.tokens).toEqual(expected(turn, 10));
    expect(loop.stats.cachedTokens).toBe(96);
    // What is left of the prompt fits one piece.
    expect(model.steps[before]).toEqual({ sequences: 1, tokens: turn.length - 96 });
  });

  it('keeps nothing where it is told not to', async () => {
    const loop = loopOf(new ToyModel(), { keepPrefixes: false });
    await run(loop, request(prompt(100), 10)).result;
    await run(loop, request(prompt(100), 10)).result;
    expect(loop.stats).toMatchObject({ cachedTokens: 0, prefixBytes: 0 });
  });

  it.each([
    { exact: false, how: 'all of it in pieces', steps: [52, 1, 1] },
    { exact: true, how: 'as it was computed there, where it is to be exact', steps: [40, 1, 1] },
  ])('goes on where another stopped: $how', async ({ exact, steps }) => {
    const model = new ToyModel();
    const whole = expected(prompt(40), 30);
    const resumed = request([...prompt(40), ...whole.slice(0, 12)], 30, { promptLength: 40 });
    const { tokens, firsts, result } = run(loopOf(model, { exact, draft: false }), resumed);
    await expect(result).resolves.toMatchObject({ generated: 30 });
    expect(tokens).toEqual(whole.slice(12));
    expect(firsts[0]).toBe(12);
    expect(model.steps.slice(0, 3).map((step) => step.tokens)).toEqual(steps);
  });

  it('computes each by itself, in the same pieces whoever else is there, where it is to be exact', async () => {
    const alone = new ToyModel({ rule: circling });
    await run(loopOf(alone, { exact: true }), request(prompt(300), 20)).result;
    const together = new ToyModel({ rule: circling });
    const loop = loopOf(together, { exact: true });
    const runs = [300, 301, 7].map((length) => run(loop, request(prompt(length), 20)));
    await Promise.all(runs.map(({ result }) => result));
    for (const [at, { tokens }] of runs.entries()) {
      expect(tokens).toEqual(expected(prompt([300, 301, 7][at] as number), 20, circling));
    }
    expect(alone.steps.map(({ tokens }) => tokens)).toEqual([128, 128, 44, ...Array.from({ length: 19 }, () => 1)]);
    expect(together.steps.every(({ sequences }) => sequences === 1)).toBe(true);
    const pieces = together.steps.map(({ tokens }) => tokens).filter((tokens) => tokens > 1);
    expect(pieces.sort((a, b) => a - b)).toEqual([7, 44, 45, 128, 128, 128, 128]);
    expect(loop.stats).toMatchObject({ cachedTokens: 0, prefixBytes: 0, draftedTokens: 0 });
  });

  it('answers at once what needs no step', async () => {
    const model = new ToyModel();
    const loop = loopOf(model);
    const stopped = request([...prompt(4), 9], 30, { promptLength: 4, stopIds: [9] });
    await expect(run(loop, stopped).result).resolves.toMatchObject({ finish: 'stop', generated: 1 });
    await expect(run(loop, request(prompt(4), 0)).result).resolves.toMatchObject({ finish: 'length', generated: 0 });
    expect(model.steps).toEqual([]);
  });

  it('ends with a stop id, which is a token all the same', async () => {
    const want = expected(prompt(6), 40);
    const stop = want[17] as number;
    const count = want.indexOf(stop) + 1;
    const { tokens, result } = run(loopOf(new ToyModel()), request(prompt(6), 40, { stopIds: [stop] }));
    await expect(result).resolves.toMatchObject({ finish: 'stop', generated: count });
    expect(tokens).toEqual(want.slice(0, count));
  });

  it('drafts what repeats itself, and says the same', async () => {
    const drafting = new ToyModel({ rule: circling });
    const plain = new ToyModel({ rule: circling });
    const a = run(loopOf(drafting), request(prompt(20), 200));
    const b = run(loopOf(plain, { draft: false }), request(prompt(20), 200));
    await Promise.all([a.result, b.result]);
    expect(a.tokens).toEqual(b.tokens);
    expect(a.tokens).toHaveLength(200);
    expect(plain.steps.length).toBeGreaterThanOrEqual(200);
    expect(drafting.steps.length).toBeLessThan(150);
  });

  it('frees a place within a step of the cancellation, and leaves the others alone', async () => {
    const controller = new AbortController();
    let stepsAfter = 0;
    const model = new ToyModel({
      before: ({ lengths }) => {
        if (controller.signal.aborted && lengths.length > 1) stepsAfter++;
      },
    });
    const loop = loopOf(model);
    const other = run(loop, request(prompt(8), 60));
    const gone = run(loop, request(prompt(9, 1), 400), controller.signal, ({ firstIndex }) => {
      if (firstIndex === 20) controller.abort(new WeftError({ code: 'cancelled', message: 'Enough.' }));
      return undefined;
    });
    await expect(gone.result).rejects.toMatchObject({ code: 'cancelled' });
    await other.result;
    expect(other.tokens).toEqual(expected(prompt(8), 60));
    expect(stepsAfter).toBe(0);
    expect(gone.tokens.length).toBeLessThanOrEqual(22);
  });

  it('fails the one whose logits are no numbers; its rows touch nobody after it', async () => {
    const bad = prompt(7, 3);
    const model = new ToyModel({
      logits: (history) =>
        bad.every((id, at) => history[at] === id) && history.length > 12
          ? new Float32Array(TOY_LAYOUT.vocabularySize).fill(Number.NaN)
          : undefined,
    });
    const loop = loopOf(model);
    const good = run(loop, request(prompt(8), 40));
    const failed = run(loop, request(bad, 40));
    await expect(failed.result).rejects.toMatchObject({ code: 'internal' });
    await good.result;
    expect(good.tokens).toEqual(expected(prompt(8), 40));
  });

  it('finds the one by which the graph fails', async () => {
    const bad = expected(prompt(6), 20)[10] as number;
    const model = new ToyModel({
      before: ({ ids }) => {
        if (ids.includes(bad)) throw new WeftError({ code: 'internal', message: 'The runtime reported: no.' });
      },
    });
    const fine = Array.from({ length: 50 }, (_, salt) => salt).filter(
      (salt) => ![...expected(prompt(6, salt), 20), ...prompt(6, salt)].includes(bad),
    );
    const loop = loopOf(model);
    const failing = run(loop, request(prompt(6), 20));
    const others = fine.slice(0, 3).map((salt) => ({ salt, one: run(loop, request(prompt(6, salt), 20)) }));
    await expect(failing.result).rejects.toMatchObject({ code: 'internal' });
    for (const { salt, one } of others) {
      await one.result;
      expect(one.tokens).toEqual(expected(prompt(6, salt), 20));
    }
  });

  it('says of prompts that are alone what they are, the short rest behind kept rows included', async () => {
    const prompts: (readonly [number, boolean])[] = [];
    const model = new ToyModel({ before: ({ ids, prompt = false }) => void prompts.push([ids.length, prompt]) });
    const loop = loopOf(model, { draft: false });
    for (let time = 0; time < 2; time++) await run(loop, request(prompt(40), 3)).result;
    const alone = prompts.splice(0);
    const other = run(loop, request(prompt(5, 1), 60), undefined, ({ firstIndex }) => {
      if (firstIndex === 2) void run(loop, request(prompt(40, 2), 1));
      return undefined;
    });
    await other.result;
    // Beside somebody who decodes none is.
    expect(prompts.filter(([, isPrompt]) => isPrompt)).toEqual([[5, true]]);
    expect(alone).toEqual([
      [40, true],
      [1, false],
      [1, false],
      [8, true],
      [1, false],
      [1, false],
    ]);
  });

  it('does not wait with all for one whose mask takes long', async () => {
    let release: () => void = () => undefined;
    const slow: TokenConstraint = {
      mask: () => new Promise<void>((resolve) => (release = resolve)),
      accept: () => undefined,
      close: () => undefined,
    };
    const loop = loopOf(new ToyModel());
    const held = run(loop, request(prompt(5), 2), undefined, undefined, slow);
    const free = run(loop, request(prompt(6, 1), 50));
    await free.result;
    expect(held.tokens).toEqual([]);
    const waits = setInterval(() => release(), 1);
    await held.result;
    clearInterval(waits);
    expect(held.tokens).toEqual(expected(prompt(5), 2));
  });

  it('does not wait with all for one whose link is full', async () => {
    let open: () => void = () => undefined;
    const loop = loopOf(new ToyModel());
    const held = run(loop, request(prompt(5), 4), undefined, () => new Promise<void>((resolve) => (open = resolve)));
    const free = run(loop, request(prompt(6, 1), 50));
    await free.result;
    expect(held.tokens).toHaveLength(1);
    const waits = setInterval(() => open(), 1);
    await held.result;
    clearInterval(waits);
    expect(held.tokens).toEqual(expected(prompt(5), 4));
  });

  it('refuses a prompt that its memory never holds, with the numbers', async () => {
    const loop = loopOf(new ToyModel(), { kvBytesMax: 128 * ROW });
    await expect(run(loop, request(prompt(200), 5)).result).rejects.toMatchObject({
      code: 'out_of_memory',
      facts: { limitBytes: String(128 * ROW) },
    });
  });

  it('ends an answer where its memory ends', async () => {
    const loop = loopOf(new ToyModel(), { kvBytesMax: 128 * ROW });
    const { tokens, result } = run(loop, request(prompt(100), 400));
    await expect(result).resolves.toMatchObject({ finish: 'length', generated: 28 });
    expect(tokens).toEqual(expected(prompt(100), 28));
  });

  it('computes again whoever had to give way, and loses no token', async () => {
    const loop = loopOf(new ToyModel(), { kvBytesMax: 512 * ROW, contextLength: 400 });
    const runs = Array.from({ length: 5 }, (_, salt) => run(loop, request(prompt(20, salt), 200)));
    await Promise.all(runs.map(({ result }) => result));
    for (const [salt, { tokens, firsts }] of runs.entries()) {
      expect(tokens).toEqual(expected(prompt(20, salt), 200));
      expect(firsts).toEqual([...firsts].sort((a, b) => a - b));
    }
  });

  it('tells of every row that it keeps, once and in order', async () => {
    const followed: number[] = [];
    const onRows = ({ from, count, rows, index, tokens, first }: RowsEvent): void => {
      expect(from).toBe(followed.length);
      for (let at = 0; at < count; at++) {
        const source = (index * TOY_LAYOUT.kvHeads * tokens + first + at) * TOY_LAYOUT.headSize;
        followed.push(((rows.keys[0] as Float32Array)[source] as number) / 100);
      }
    };
    const { tokens, result } = run(loopOf(new ToyModel({ rule: circling }), {}, onRows), request(prompt(20), 60));
    await result;
    const all = [...prompt(20), ...tokens];
    // The last token is drawn, and no row of it is computed any more.
    expect(followed).toEqual(all.slice(0, followed.length));
    expect(followed.length).toBeGreaterThanOrEqual(all.length - 1);
  });

  it('ends everything when it is closed', async () => {
    const loop = loopOf(new ToyModel(), { sequencesMax: 1 });
    const running = run(loop, request(prompt(5), 500), undefined, () => {
      void loop.close(over());
      return undefined;
    });
    const waiting = run(loop, request(prompt(5, 1), 5));
    await expect(running.result).rejects.toMatchObject({ code: 'stopping' });
    await expect(waiting.result).rejects.toMatchObject({ code: 'stopping' });
    expect(loop.stats).toMatchObject({ kvBytes: 0, prefixBytes: 0, sequences: 0, waiting: 0 });
    await expect(run(loop, request(prompt(5), 5)).result).rejects.toMatchObject({ code: 'stopping' });
  });

  it.each<[string, boolean]>([
    ['a long prompt grows', false],
    ['kept rows are copied for a newcomer', true],
  ])('gives others their tokens between the parts of what is copied while %s', async (_what, kept) => {
    /** Tokens that somebody else gets before the first one of a prompt of 200. */
    const meanwhile = async (copyBytes: number): Promise<number> => {
      const loop = loopOf(new ToyModel(), { copyBytes, draft: false, keepPrefixes: kept });
      const long = request(prompt(200), 1);
      if (kept) await run(loop, long).result;
      const before: number[] = [];
      const one = run(loop, request(prompt(5, 1), 200), undefined, ({ firstIndex }) => {
        if (firstIndex === 2) {
          const other = run(loop, long);
          void other.result.then(() => before.push(one.tokens.length));
        }
        return undefined;
      });
      await one.result;
      expect(one.tokens).toEqual(expected(prompt(5, 1), 200));
      return before[0] ?? Number.NaN;
    };
    expect(await meanwhile(1)).toBeGreaterThan(await meanwhile(1e9));
  });

  it('gives everyone the right tokens within its memory, whatever comes together', async () => {
    const job = fc.record({
      shared: fc.integer({ min: 0, max: 3 }),
      sharedLength: fc.integer({ min: 1, max: 120 }),
      own: fc.array(fc.integer({ min: 0, max: 31 }), { minLength: 1, maxLength: 40, size: 'max' }),
      count: fc.integer({ min: 1, max: 60 }),
      cancelAt: fc.option(fc.integer({ min: 0, max: 30 }), { freq: 4 }),
      after: fc.integer({ min: 0, max: 40 }),
      priority: fc.constantFrom('interactive' as const, 'batch' as const),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(job, { minLength: 1, maxLength: 10, size: 'max' }),
        fc.constantFrom(hashed, circling),
        fc.integer({ min: 256, max: 2048 }),
        fc.integer({ min: 1, max: 6 }),
        fc.constantFrom(ROW, 90 * ROW, 1e9),
        async (jobs, rule, rows, sequencesMax, copyBytes) => {
          const kvBytesMax = rows * ROW;
          let most = 0;
          let steps = 0;
          const waiting: { readonly at: number; readonly start: () => void }[] = [];
          const model = new ToyModel({
            rule,
            before: () => {
              steps++;
              const { kvBytes, prefixBytes } = loop.stats;
              most = Math.max(most, kvBytes + prefixBytes);
              for (const one of waiting.splice(0)) one.at <= steps ? one.start() : waiting.push(one);
            },
          });
          const loop = loopOf(model, { kvBytesMax, sequencesMax, contextLength: 250, copyBytes });
          const outcomes = jobs.map(async ({ shared, sharedLength, own, count, cancelAt, after, priority }, index) => {
            const ids = [...prompt(sharedLength, shared), ...own];
            const controller = new AbortController();
            if (index > 0) await new Promise<void>((start) => waiting.push({ at: after, start }));
            const item = ({ firstIndex }: TokenRun): undefined => {
              if (cancelAt !== null && firstIndex >= cancelAt)
                controller.abort(new WeftError({ code: 'cancelled', message: 'Enough.' }));
            };
            const one = run(loop, request(ids, count), controller.signal, item, undefined, priority);
            const done = await one.result.then(
              () => true,
              () => false,
            );
            const want = expected(ids, count, rule);
            expect(one.tokens).toEqual(done ? want : want.slice(0, one.tokens.length));
            if (cancelAt === null) expect(done).toBe(true);
            // Whoever waits for a step that never comes begins when the others have ended.
            for (const { start } of waiting.splice(0)) start();
          });
          await Promise.all(outcomes);
          expect(most).toBeLessThanOrEqual(kvBytesMax);
          await loop.close(over());
        },
      ),
      settings(100),
    );
  });
});
