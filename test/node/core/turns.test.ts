import { describe, expect, it } from 'vitest';
import { Turns } from '../../../node/core/turns.ts';
import { never } from '../mesh/support.ts';

const isPending = async (promise: Promise<unknown>): Promise<boolean> => {
  const pending = Symbol('pending');
  await new Promise((resolve) => setImmediate(resolve));
  return (await Promise.race([promise, Promise.resolve(pending)])) === pending;
};

describe('Turns', () => {
  it('lets in so much at a time, in the order in which they came', async () => {
    const turns = new Turns(10);
    const first = await turns.take(6, never);
    const second = turns.take(6, never);
    const third = turns.take(1, never);
    // A light one doesn't overtake a heavy one: that would wait for ever.
    expect([await isPending(second), await isPending(third)]).toEqual([true, true]);
    first();
    (await second)();
    (await third)();
    expect(turns.isIdle).toBe(true);
  });

  it('lets in alone what is heavier than all', async () => {
    const turns = new Turns(10);
    const first = await turns.take(1, never);
    const heavy = turns.take(99, never);
    expect(await isPending(heavy)).toBe(true);
    first();
    const leave = await heavy;
    expect(await isPending(turns.take(1, never))).toBe(true);
    leave();
  });

  it('counts a place once, however often it is given back', async () => {
    const turns = new Turns(1);
    const leave = await turns.take(1, never);
    leave();
    leave();
    await turns.take(1, never);
    expect(await isPending(turns.take(1, never))).toBe(true);
  });

  it('forgets who gives up, and lets in whoever was behind', async () => {
    const turns = new Turns(10);
    await turns.take(6, never);
    const abort = new AbortController();
    const heavy = turns.take(6, abort.signal);
    const light = turns.take(4, never);
    abort.abort();
    await expect(heavy).rejects.toMatchObject({ code: 'cancelled' });
    await light;
    await expect(turns.take(1, abort.signal)).rejects.toMatchObject({ code: 'cancelled' });
  });
});
