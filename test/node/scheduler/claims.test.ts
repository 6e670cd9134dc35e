// Whose turn it is.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Claim, goesBefore, isVoid, settleMs } from '../../../node/scheduler/claims.ts';
import { CLAIM_MS, CLAIM_PULL_MS, CLAIM_RTT_MS_MAX } from '../../../node/scheduler/limits.ts';
import { runs } from '../../support/property.ts';

const claim = (node: string, ageMs: number): Claim => ({ node, kind: 'load', ageMs });

describe('claims', () => {
  it('the earlier one goes first, whatever the names', () => {
    expect(goesBefore(claim('z', 5_000), claim('a', 10), 1_000)).toBe(true);
    expect(goesBefore(claim('a', 10), claim('z', 5_000), 1_000)).toBe(false);
  });

  it('of two that may not have known of each other, the lesser node goes first', () => {
    expect(goesBefore(claim('a', 10), claim('b', 900), 1_000)).toBe(true);
    expect(goesBefore(claim('b', 900), claim('a', 10), 1_000)).toBe(false);
  });

  it('two nodes that claim before they hear each other agree who goes first, at whatever delay', () => {
    const rtt = fc.double({ min: 0, max: CLAIM_RTT_MS_MAX / 2, noNaN: true });
    fc.assert(
      fc.property(
        rtt,
        rtt,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 5_000, noNaN: true }),
        (there, back, share, laterMs) => {
          // b claims before it hears of a; both look once their claim is settled, or some time later.
          const byMs = share * there;
          const settledMs = settleMs(there + back);
          const aLooks = settledMs + laterMs;
          const aSees = goesBefore(claim('a', aLooks), claim('b', aLooks - byMs - back), settledMs);
          const bLooks = settledMs + laterMs;
          const bSees = goesBefore(claim('a', bLooks + byMs - there), claim('b', bLooks), settledMs);
          // a has heard of b by then.
          expect(byMs + back).toBeLessThanOrEqual(settledMs);
          expect(aSees).toBe(bSees);
        },
      ),
      runs(300),
    );
  });

  it('waits longer on longer links, and never for ever', () => {
    expect(settleMs(200)).toBe(settleMs(0) + 400);
    expect(settleMs(1e12)).toBe(settleMs(CLAIM_RTT_MS_MAX));
    expect(settleMs(Number.NaN)).toBe(settleMs(0));
  });

  it('is void when it is too old, whatever age it says', () => {
    expect(isVoid(claim('a', CLAIM_MS))).toBe(false);
    expect(isVoid(claim('a', CLAIM_MS + 1))).toBe(true);
    expect(isVoid(claim('a', Number.NaN))).toBe(true);
    expect(isVoid({ node: 'a', kind: 'pull', ageMs: CLAIM_PULL_MS })).toBe(false);
  });
});
