import { describe, expect, it } from 'vitest';
import { unmeetable } from '../../../node/scheduler/admission.ts';
import { weftPolicy } from '../../../node/scheduler/weft-policy.ts';
import { IDLE, offer, peer, request, snapshot, UNMEASURED } from './builders.ts';

const queued = (queuedMs: number) => ({ offers: [offer()], load: { ...IDLE, queuedMs } });
const planOf = (given: Parameters<typeof snapshot>[0]) => weftPolicy.choose(request(), snapshot(given), () => 0);

describe('admission', () => {
  it('lets through what is predicted to be in time', () => {
    expect(unmeetable(planOf({ self: queued(0) }), 130)).toBeUndefined();
  });

  it('refuses what is not, with the time that it would take and when to come back', () => {
    const plan = planOf({ self: queued(400) });
    expect(plan.price.totalMs).toBeGreaterThanOrEqual(530);
    const refused = unmeetable(plan, 300);
    expect(refused?.quotedMs).toBe(Math.ceil(plan.price.totalMs));
    expect(refused?.retryAfterMs).toBe(Math.ceil(plan.price.totalMs - 300));
  });

  it('names no wait longer than what waits: without a queue it would be as late later', () => {
    expect(unmeetable(planOf({ self: queued(0) }), 50)).toEqual({ quotedMs: 130, retryAfterMs: 1 });
  });

  it('judges by the soonest, and never by a guess', () => {
    const plan = planOf({ self: queued(0) });
    const sooner = { node: 'b', price: { ...plan.price, totalMs: 40 }, samples: 5 };
    expect(unmeetable({ ...plan, others: [sooner] }, 50)).toBeUndefined();
    expect(
      unmeetable(planOf({ self: queued(400), peers: [peer('new', { offers: [offer({ profile: UNMEASURED })] })] }), 9),
    ).toBe(undefined);
    expect(unmeetable(planOf({ peers: [peer('new', { offers: [offer({ profile: UNMEASURED })] })] }), 1)).toBe(
      undefined,
    );
  });

  it('refuses where no time is left', () => {
    expect(unmeetable(planOf({ self: queued(0) }), -1)).toMatchObject({ quotedMs: 130 });
    expect(unmeetable(planOf({ self: queued(0) }), Number.NaN)).toMatchObject({ quotedMs: 130 });
  });
});
