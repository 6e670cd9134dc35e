import { describe, expect, it } from 'vitest';
import { choose } from '../../../node/scheduler/choose.ts';
import { explain } from '../../../node/scheduler/explain.ts';
import type { Plan } from '../../../protocol/plan.ts';
import { offer, PROFILE, peer, request, snapshot, UNMEASURED } from './builders.ts';

describe('explain', () => {
  it('says where, at what price, and what it was better than', () => {
    const peers = [
      peer('fast', { offers: [offer({ profile: { ...PROFILE, decodeMs: 1 } })] }),
      peer('new', { offers: [offer({ profile: UNMEASURED, state: 'disk' })] }),
      peer('gone', { state: 'gone' }),
    ];
    const plan = choose(request(), snapshot({ self: { offers: [offer()] }, peers }));
    const lines = explain(plan, (node) => node.toUpperCase());
    expect(lines[0]).toBe('on FAST: 42.0 ms = up 1.0 ms + compute 40.0 ms + down 1.0 ms');
    expect(lines[1]).toBe('not SELF: 88.0 ms slower, 130 ms = compute 130 ms');
    expect(lines[2]).toMatch(/^not NEW: .* slower, .*load 1580 ms.*, a guess: never measured$/);
    expect(lines[3]).toBe('not GONE: gone: not connected');
  });

  it('names every node of a plan in parts', () => {
    const { price } = choose(request(), snapshot({ self: { offers: [offer()] } }));
    const base = { price, others: [], rejected: [] };
    const part = (node: string) => ({ node, from: 0, to: 1, price });
    const stages: Plan = { kind: 'stages', parts: [part('a'), part('b')], ...base };
    const hedged: Plan = { kind: 'hedged', nodes: ['a', 'b'], afterMs: 5, ...base };
    expect(explain(stages, (node) => node)[0]).toMatch(/^stages over a, b: /);
    expect(explain(hedged, (node) => node)[0]).toMatch(/^raced on a, b: /);
  });
});
