// Plans as data.
import { describe, expect, it } from 'vitest';
import { type Plan, planNodes } from '../../protocol/plan.ts';

const PRICE = { queueMs: 0, loadMs: 0, upMs: 0, computeMs: 1, downMs: 0, totalMs: 1 };
const BASE = { price: PRICE, others: [{ node: 'other', price: PRICE, samples: 0 }], rejected: [] };
const parts = ['a', 'b', 'a'].map((node) => ({ node, from: 0, to: 1, price: PRICE }));

describe('planNodes', () => {
  it.each<[Plan, readonly string[]]>([
    [{ ...BASE, kind: 'local', node: 'a' }, ['a']],
    [{ ...BASE, kind: 'remote', node: 'b' }, ['b']],
    [{ ...BASE, kind: 'cut', parts }, ['a', 'b']],
    [{ ...BASE, kind: 'scatter', parts }, ['a', 'b']],
    [{ ...BASE, kind: 'stages', parts }, ['a', 'b']],
    [{ ...BASE, kind: 'hedged', nodes: ['b', 'a'], afterMs: 5 }, ['b', 'a']],
  ])('names who gets work, each once, and no candidate: $kind', (plan, nodes) => {
    expect(planNodes(plan)).toEqual(nodes);
  });
});
