import { describe, expect, it } from 'vitest';
import { quoteOf } from '../../../node/scheduler/quote.ts';
import { weftPolicy } from '../../../node/scheduler/weft-policy.ts';
import { IDLE, offer, peer, request, snapshot, UNMEASURED } from './builders.ts';

describe('a quote', () => {
  it('is queue, load and computing together', () => {
    expect(quoteOf(request(), offer(), IDLE)).toBe(130);
    expect(quoteOf(request(), offer(), { ...IDLE, queuedMs: 40 })).toBe(170);
    expect(quoteOf(request(), offer({ state: 'disk' }), IDLE)).toBe(630);
  });

  it('is a guess by the size where nothing was measured, and a number whatever is said', () => {
    expect(quoteOf(request(), offer({ profile: UNMEASURED }), IDLE)).toBeGreaterThan(130);
    expect(quoteOf(request(), offer(), { ...IDLE, queuedMs: Number.NaN })).toBeLessThan(Number.POSITIVE_INFINITY);
  });

  it('of an idle node is within the condition of the node that chose it', () => {
    const plan = weftPolicy.choose(request(), snapshot({ peers: [peer('a'), peer('b')] }), () => 0);
    expect(quoteOf(request(), offer(), IDLE)).toBeLessThanOrEqual(plan.withinMs ?? 0);
    expect(quoteOf(request(), offer(), { ...IDLE, queuedMs: 100 })).toBeGreaterThan(plan.withinMs ?? 0);
  });
});
