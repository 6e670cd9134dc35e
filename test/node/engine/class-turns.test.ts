import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ClassTurns } from '../../../node/engine/class-turns.ts';
import { BATCH_TURN_EVERY } from '../../../node/engine/limits.ts';
import { runs } from '../../support/property.ts';

const waiting = (classes: string) => [...classes].map((name, at) => ({ at, isBatch: name === 'b' }));

/** Gives places away, one after the other, to what waits; new ones come each time. */
function served(arrivals: readonly string[]): string[] {
  const turns = new ClassTurns();
  const queue: { readonly isBatch: boolean; readonly name: string }[] = [];
  const order: string[] = [];
  for (const [turn, fresh] of arrivals.entries()) {
    queue.push(...[...fresh].map((name, at) => ({ isBatch: name === 'b', name: `${name}${turn}.${at}` })));
    const next = turns.next(queue);
    if (next === undefined) continue;
    queue.splice(queue.indexOf(next), 1);
    turns.took(
      next.isBatch ? 'batch' : 'interactive',
      queue.some(({ isBatch }) => isBatch),
    );
    order.push(next.name);
  }
  return order;
}

describe('turns of two classes', () => {
  it('are interactive work’s, in the order in which it came, then batch work’s', () => {
    const turns = new ClassTurns();
    expect(turns.next([])).toBeUndefined();
    expect(turns.next(waiting('bbib'))?.at).toBe(2);
    expect(turns.next(waiting('bb'))?.at).toBe(0);
    expect(served(['bbii', '', '', ''])).toEqual(['i0.2', 'i0.3', 'b0.0', 'b0.1']);
  });

  it('are batch work’s one in so many, the oldest first, however much interactive work comes', () => {
    const order = served(['bbi', ...Array.from({ length: 3 * BATCH_TURN_EVERY }, () => 'i')]);
    const batchAt = order.flatMap((name, at) => (name.startsWith('b') ? [at] : []));
    expect(batchAt).toEqual([BATCH_TURN_EVERY - 1, 2 * BATCH_TURN_EVERY - 1]);
    expect(order.filter((name) => name.startsWith('b'))).toEqual(['b0.0', 'b0.1']);
  });

  it('are not saved up while no batch work waits', () => {
    const order = served([...Array.from({ length: 5 * BATCH_TURN_EVERY }, () => 'i'), 'bi', 'i']);
    expect(order.slice(-2).every((name) => name.startsWith('i'))).toBe(true);
  });

  it('leave neither class waiting for ever', () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[bi]{0,3}$/), { minLength: 1, maxLength: 80 }), (arrivals) => {
        const all = [...arrivals, ...Array.from({ length: arrivals.join('').length }, () => '')];
        const order = served(all);
        expect(order).toHaveLength(arrivals.join('').length);
        for (const name of ['b', 'i']) {
          const own = order.filter((one) => one.startsWith(name));
          const came = own.toSorted((a, b) => Number(a.slice(1)) - Number(b.slice(1)) || a.localeCompare(b));
          // In each class the one that came first goes first.
          expect(own.map((one) => Math.floor(Number(one.slice(1))))).toEqual(
            came.map((one) => Math.floor(Number(one.slice(1)))),
          );
        }
      }),
      runs(200),
    );
  });
});
