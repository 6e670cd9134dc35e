import { describe, expect, it } from 'vitest';
import type { EventKind } from './event-log.ts';
import { Invariants } from './invariants.ts';

type Step = readonly [kind: EventKind, atMs: number, node: string, request: number];

const GOOD: readonly Step[] = [
  ['submitted', 0, 'entry', 0],
  ['placed', 0, 'a', 0],
  ['sent', 0, 'a', 0],
  ['taken', 1, 'a', 0],
  ['begun', 1, 'a', 0],
  ['done', 9, 'a', 0],
  ['answered', 10, 'a', 0],
  ['outcome', 10, 'entry', 0],
];

/** What doesn't hold of these events. */
function broken(steps: readonly Step[], before: (invariants: Invariants) => void = () => undefined): string[] {
  const found: string[] = [];
  const invariants = new Invariants({ onBroken: (what) => found.push(what) });
  before(invariants);
  for (const step of steps) invariants.watch(...step);
  invariants.end();
  return found;
}

describe('what holds in every world', () => {
  it('has nothing against a request that is answered', () => {
    expect(broken(GOOD)).toEqual([]);
  });

  it.each<[string, readonly Step[], string]>([
    ['a lost request', GOOD.slice(0, 3), 'was lost'],
    ['a second outcome', [...GOOD, ['outcome', 11, 'entry', 0]], 'two outcomes'],
    ['a second answer', [...GOOD.slice(0, 7), ['answered', 10, 'b', 0], ...GOOD.slice(7)], 'answered twice'],
    ['an answer after the end', [...GOOD, ['answered', 11, 'b', 0]], 'after its end'],
    ['a plan after the end', [...GOOD, ['placed', 11, 'b', 0]], 'placed after its end'],
    ['work that never stops', [...GOOD.slice(0, 5), ...GOOD.slice(6)], 'still begun at a'],
    ['a request out of nowhere', GOOD.slice(1, 2), 'before it was submitted'],
    [
      'a request that goes round',
      [...GOOD.slice(0, 1), ...Array<Step>(10).fill(['placed', 1, 'a', 0])],
      'placed 10 times',
    ],
    ['a hedge where none was earned', [...GOOD.slice(0, 3), ['sent', 1, 'b', 0], ...GOOD.slice(3)], 'were hedged'],
  ])('finds %s', (_what, steps, message) => {
    expect(broken(steps).join('\n')).toContain(message);
  });

  it('finds a request to a node that has been silent for long, until it speaks again', () => {
    const late = GOOD.map(([kind, atMs, node, request]) => [kind, atMs + 5_000, node, request] as const);
    expect(broken(late, (it) => it.died('a', 2_900)).join()).toContain('silent for 2100.0 ms');
    expect(broken(late, (it) => it.died('a', 3_100))).toEqual([]);
    expect(
      broken(late, (it) => {
        it.died('a', 0);
        it.speaks('a');
      }),
    ).toEqual([]);
  });

  it('takes what a dead node had for gone', () => {
    const invariants = new Invariants({ onBroken: (what) => expect.fail(what) });
    for (const step of GOOD.slice(0, 5)) invariants.watch(...step);
    invariants.died('a', 5);
    invariants.watch('failed', 6, 'a', 0);
    invariants.watch('outcome', 6, 'entry', 0);
    invariants.end();
    expect(invariants.open).toBe(0);
  });
});
