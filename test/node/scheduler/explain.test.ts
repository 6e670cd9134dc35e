import { describe, expect, it } from 'vitest';
import { explain } from '../../../node/scheduler/explain.ts';
import { weftPolicy } from '../../../node/scheduler/weft-policy.ts';
import type { Plan } from '../../../protocol/plan.ts';
import { offer, PROFILE, peer, request, snapshot, UNMEASURED } from './builders.ts';

describe('explain', () => {
  it('says where, at what price, and what it was better than', () => {
    const peers = [
      peer('fast', { offers: [offer({ profile: { ...PROFILE, decodeMs: 1 } })] }),
      peer('new', { offers: [offer({ profile: UNMEASURED, state: 'disk' })] }),
      peer('gone', { state: 'gone' }),
    ];
    const plan = weftPolicy.choose(request(), snapshot({ self: { offers: [offer()] }, peers }), () => 0);
    const lines = explain(plan, (node) => node.toUpperCase());
    expect(lines[0]).toBe('on FAST: 42.0 ms = up 1.0 ms + compute 40.0 ms + down 1.0 ms');
    expect(lines[1]).toMatch(/^on condition that it takes at most \d+ ms there$/);
    expect(lines[2]).toBe('not SELF: 88.0 ms slower, 130 ms = compute 130 ms');
    expect(lines[3]).toMatch(/^not NEW: .* slower, .*load 1580 ms.*, a guess: never measured$/);
    expect(lines[4]).toBe('not GONE: gone: not connected');
  });

  it('names every node of a plan in parts', () => {
    const { price } = weftPolicy.choose(request(), snapshot({ self: { offers: [offer()] } }), () => 0);
    const base = { price, others: [], rejected: [] };
    const part = (node: string) => ({ node, from: 0, to: 1, price });
    const stages: Plan = { kind: 'stages', parts: [part('a'), part('b')], ...base };
    const hedged: Plan = { kind: 'hedged', nodes: ['a', 'b'], afterMs: 5, ...base };
    expect(explain(stages, (node) => node)[0]).toMatch(/^stages over a, b: /);
    expect(explain(hedged, (node) => node)[0]).toMatch(/^raced on a, b: /);
  });

  it('says how far a price is measured, who chose, and what was declined', () => {
    const price = { queueMs: 0, loadMs: 0, upMs: 1, computeMs: 8, downMs: 1, totalMs: 10 };
    const plan: Plan = {
      kind: 'remote',
      node: 'a',
      price,
      samples: 12,
      correction: 1.6,
      policy: 'random',
      others: [
        { node: 'b', price: { ...price, queueMs: 20, totalMs: 30 }, samples: 3, correction: 1.01 },
        { node: 'c', price: { ...price, upMs: 0, totalMs: 9 }, samples: 3 },
      ],
      rejected: [],
    };
    expect(explain(plan, (node) => node.toUpperCase(), new Map([['b', 28]]))).toEqual([
      'on A: 10.0 ms = up 1.0 ms + compute 8.0 ms + down 1.0 ms, compute times 1.6 as measured from here',
      'chosen by random',
      'not B: 20.0 ms slower, 30.0 ms = queue 20.0 ms + up 1.0 ms + compute 8.0 ms + down 1.0 ms, after it declined with a quote of 28.0 ms',
      'not C: 1.0 ms faster, 9.0 ms = compute 8.0 ms + down 1.0 ms',
    ]);
  });
});
