import { describe, expect, it } from 'vitest';
import { bindInMs, givenAheadMs } from '../../../node/scheduler/binding.ts';
import { AHEAD_MS_MIN, AHEAD_TRIPS } from '../../../node/scheduler/limits.ts';
import { weftPolicy } from '../../../node/scheduler/weft-policy.ts';
import type { WholePlan } from '../../../protocol/plan.ts';
import { MINILM, offer, peer, request, snapshot } from './builders.ts';

const price = { queueMs: 0, loadMs: 0, upMs: 1, computeMs: 10, downMs: 1, totalMs: 12 };
const other = { node: 'b', price, samples: 1 };

/** A plan for a node whose queue is that long. */
const plan = (queueMs: number, others: WholePlan['others'] = [other]): WholePlan => ({
  kind: 'remote',
  node: 'a',
  price: { ...price, queueMs, totalMs: price.totalMs + queueMs },
  samples: 1,
  others,
  rejected: [],
});

describe('when a request is bound to its node', () => {
  it('is at once, as long as the node has less ahead than keeps it busy', () => {
    expect(bindInMs(plan(AHEAD_MS_MIN), 0, 1, 1)).toBe(0);
    expect(bindInMs(plan(AHEAD_MS_MIN + 7), 0, 1, 1)).toBe(7);
  });

  it('is sooner where the way there is long', () => {
    expect(givenAheadMs(200)).toBe(200 * AHEAD_TRIPS);
    expect(givenAheadMs(1)).toBe(AHEAD_MS_MIN);
  });

  it('is at once where no answer from there would tell that it is free, or no other could be free sooner', () => {
    expect(bindInMs(plan(10_000), 0, 0, 1)).toBe(0);
    expect(bindInMs(plan(10_000, []), 0, 1, 1)).toBe(0);
  });

  it('is at once while the node has a place for it', () => {
    expect(bindInMs(plan(10_000), 0, 3, 4)).toBe(0);
    expect(bindInMs(plan(10_000), 0, 4, 4)).toBe(10_000 - 4 * AHEAD_MS_MIN);
  });
});

describe('what waits here already', () => {
  const profile = { fixedMs: 50, perTokenMs: 0, decodeMs: 0, loadMs: 0, samples: 9 };
  const busy = { requestsInFlight: 1, queuedMs: 300, latencyMs: 0, memoryFreeBytes: 0 };
  const slow = { ...profile, fixedMs: 5_000 };
  const known = snapshot({
    peers: [
      peer('fast', { offers: [offer({ model: MINILM, profile })], load: busy, callsInFlight: 1, heardAgoMs: 0 }),
      peer('slow', { offers: [offer({ model: MINILM, profile: slow })] }),
    ],
  });
  const chosen = (aheadMs?: number) =>
    weftPolicy.choose(request({ model: MINILM, ...(aheadMs !== undefined && { aheadMs }) }), known, () => 0.5);

  it('takes busy nodes first: behind enough of it a slow idle one is sooner', () => {
    expect(chosen().node).toBe('fast');
    expect(chosen(10).price.queueMs).toBeCloseTo(chosen().price.queueMs + 10, 3);
    expect(chosen(10_000)).toMatchObject({ node: 'slow', price: { queueMs: 0 } });
  });
});
