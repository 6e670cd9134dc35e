import { describe, expect, it } from 'vitest';
import { DrainRate } from '../../../node/core/drain-rate.ts';

describe('the rate at which a queue drains', () => {
  it('says how long half of it takes, by what left lately', () => {
    let now = 0;
    const rate = new DrainRate({ clock: { now: () => now } });
    expect(rate.retryAfterMs(1_000)).toBe(1_000);
    for (let count = 0; count < 200; count++) {
      now += 100;
      rate.left(3);
    }
    // Ten a second or a little more: the first of the samples left at the beginning of the time.
    expect(rate.rates.requests).toBeCloseTo(64 / 6_300, 5);
    expect(rate.rates.cost).toBeCloseTo((3 * 64) / 6_300, 5);
    expect(rate.retryAfterMs(100)).toBe(Math.round((50 * 6_300) / 64));
  });

  it('sends nobody away for more than a minute', () => {
    let now = 0;
    const rate = new DrainRate({ clock: { now: () => now } });
    rate.left();
    now = 3_600_000;
    expect(rate.retryAfterMs(100)).toBe(60_000);
  });
});
