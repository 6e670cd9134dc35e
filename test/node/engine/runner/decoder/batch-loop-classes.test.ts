// Interactive and batch sequences in one loop: who goes first, who gives way, and that nobody waits for ever.
import { afterEach, describe, expect, it } from 'vitest';
import { BATCH_TURN_EVERY } from '../../../../../node/engine/limits.ts';
import type { BatchLoop } from '../../../../../node/engine/runner/decoder/batch-loop.ts';
import { closeLoops, expected, loopOf, prompt, ROW, type Run, request, run } from './toy-loop.ts';
import { ToyModel } from './toy-model.ts';

afterEach(closeLoops);

const batch = (loop: BatchLoop, salt: number, count: number, length = 5): Run =>
  run(loop, request(prompt(length, salt), count), undefined, undefined, undefined, 'batch');
const interactive = (loop: BatchLoop, salt: number, count: number, length = 5): Run =>
  run(loop, request(prompt(length, salt), count));

/** The order in which they end. */
async function ending(all: Readonly<Record<string, Run>>): Promise<string[]> {
  const order: string[] = [];
  await Promise.all(Object.entries(all).map(([name, { result }]) => result.then(() => order.push(name))));
  return order;
}

describe('interactive sequences', () => {
  it('take the place of batch work, which goes on later and loses no token', async () => {
    const loop = loopOf(new ToyModel(), { sequencesMax: 1 });
    const late: { run?: Run } = {};
    const early = run(
      loop,
      request(prompt(5), 60),
      undefined,
      ({ firstIndex }) => {
        if (firstIndex >= 10) late.run ??= interactive(loop, 1, 20);
        return undefined;
      },
      undefined,
      'batch',
    );
    const waiting = batch(loop, 2, 5);
    await early.result;
    // The other of its class, which came later, has waited for it.
    expect(waiting.tokens).toEqual([]);
    expect(late.run?.tokens).toEqual(expected(prompt(5, 1), 20));
    await waiting.result;
    expect(early.tokens).toEqual(expected(prompt(5), 60));
    expect(early.firsts).toEqual([...early.firsts].sort((a, b) => a - b));
  });

  it('come before batch work that waits already', async () => {
    const loop = loopOf(new ToyModel(), { sequencesMax: 1 });
    const first = interactive(loop, 0, 10);
    const order = await ending({ first, batch: batch(loop, 1, 10), second: interactive(loop, 2, 10) });
    expect(order).toEqual(['first', 'second', 'batch']);
  });

  it('get their first token before that of a shorter prompt of batch work', async () => {
    const loop = loopOf(new ToyModel(), { keepPrefixes: false });
    const firsts: string[] = [];
    const noting = (name: string, length: number, priority: 'batch' | 'interactive'): Promise<unknown> =>
      run(
        loop,
        request(prompt(length, length), 2),
        undefined,
        ({ firstIndex }) => {
          if (firstIndex === 0) firsts.push(name);
          return undefined;
        },
        undefined,
        priority,
      ).result;
    await Promise.all([noting('batch', 100, 'batch'), noting('interactive', 200, 'interactive')]);
    expect(firsts).toEqual(['interactive', 'batch']);
  });

  it('keep their memory when it is short: batch work that came before them gives way', async () => {
    const steps: number[] = [];
    const model = new ToyModel({ before: () => void steps.push(loop.stats.sequences) });
    const loop = loopOf(model, { kvBytesMax: 320 * ROW, contextLength: 300, keepPrefixes: false });
    const all = { batch: batch(loop, 0, 200), interactive: interactive(loop, 1, 200) };
    expect(await ending(all)).toEqual(['interactive', 'batch']);
    expect(all.batch.tokens).toEqual(expected(prompt(5), 200));
    expect(all.interactive.tokens).toEqual(expected(prompt(5, 1), 200));
    expect(Math.max(...steps)).toBe(2);
  });
});

describe('batch sequences', () => {
  it('give way once: whoever comes in the middle of a long prompt does not make it begin for ever', async () => {
    let came = 0;
    const interactives: Promise<unknown>[] = [];
    const model = new ToyModel({
      before: () => {
        // Whenever the prompt is alone, somebody comes before its next piece.
        if (loop.stats.waiting > 0 || running > 0 || came >= 100) return;
        came++;
        running++;
        const { result } = interactive(loop, came % 7, 2);
        interactives.push(result.finally(() => running--));
      },
    });
    let running = 0;
    const loop = loopOf(model, { sequencesMax: 1, exact: true });
    const one = batch(loop, 9, 5, 400);
    await one.result;
    expect(one.tokens).toEqual(expected(prompt(400, 9), 5));
    expect(came).toBeGreaterThan(0);
    expect(came).toBeLessThan(10);
    came = 100;
    await Promise.all(interactives);
  });

  it('have one turn in so many, and keep it to their end, however much interactive work comes', async () => {
    const loop = loopOf(new ToyModel(), { sequencesMax: 1 });
    const order: string[] = [];
    const done: Promise<unknown>[] = [];
    let over = false;
    /** As soon as one has ended there are two more: there is always one that waits. */
    const next = (salt: number): void => {
      if (over) return;
      const { result } = interactive(loop, salt % 7, 3);
      done.push(
        result.then(() => {
          order.push('interactive');
          next(salt + 1);
        }),
      );
    };
    next(1);
    next(2);
    const one = batch(loop, 9, 40);
    await one.result;
    over = true;
    expect(order.length).toBeLessThanOrEqual(BATCH_TURN_EVERY + 1);
    expect(order.length).toBeGreaterThanOrEqual(BATCH_TURN_EVERY - 1);
    expect(one.tokens).toEqual(expected(prompt(5, 9), 40));
    while (done.length > 0) await done.shift();
  });
});
