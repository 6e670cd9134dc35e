import { describe, expect, it } from 'vitest';
import { MESH_LIMITS } from '../../../node/mesh/limits.ts';
import { LinkEstimator } from '../../../node/mesh/links.ts';
import { ManualClock } from './manual-clock.ts';

function estimator(): { readonly clock: ManualClock; readonly link: LinkEstimator } {
  const clock = new ManualClock();
  return { clock, link: new LinkEstimator({ clock }, { limits: MESH_LIMITS }) };
}

describe('LinkEstimator', () => {
  it('knows nothing at first', () => {
    expect(estimator().link.estimate()).toEqual({
      rttMs: undefined,
      rttFloorMs: undefined,
      goodputBytesPerSecond: undefined,
      path: undefined,
    });
  });

  it('smooths round trips and keeps their floor', () => {
    const { link } = estimator();
    for (const rttMs of [200, 30, 10, 40, 18, 2]) link.sawRoundTrip(rttMs);
    // The least of the first four, which are cold; then an eighth of the way to each.
    expect(link.estimate().rttMs).toBeCloseTo(11 - 9 / 8, 6);
    expect(link.estimate().rttFloorMs).toBe(2);
  });

  it('forgets a floor that is too old', () => {
    const { link, clock } = estimator();
    link.sawRoundTrip(1);
    clock.stall(MESH_LIMITS.links.rttWindowMs + 1);
    link.sawRoundTrip(20);
    expect(link.estimate().rttFloorMs).toBe(20);
  });

  it('forgets a floor behind as many samples as it keeps', () => {
    const { link } = estimator();
    link.sawRoundTrip(1);
    for (let sample = 0; sample < MESH_LIMITS.links.samplesMax; sample++) link.sawRoundTrip(20);
    expect(link.estimate().rttFloorMs).toBe(20);
  });

  it('takes goodput from large transfers only, at a high quantile', () => {
    const { link } = estimator();
    link.sawTransfer(MESH_LIMITS.links.goodputBytesMin - 1, 1);
    link.sawTransfer(1 << 20, 0);
    expect(link.estimate().goodputBytesPerSecond).toBeUndefined();
    for (let sample = 1; sample <= 10; sample++) link.sawTransfer(1_000_000, 1_000 / sample);
    expect(link.estimate().goodputBytesPerSecond).toBeCloseTo(10e6, 0);
    for (let sample = 0; sample < MESH_LIMITS.links.samplesMax; sample++) link.sawTransfer(1_000_000, 1_000);
    expect(link.estimate().goodputBytesPerSecond).toBeCloseTo(1e6, 0);
  });

  it('starts anew on another path', () => {
    const { link } = estimator();
    link.onPath('relay');
    link.sawRoundTrip(80);
    link.onPath('relay');
    expect(link.estimate().rttMs).toBe(80);
    link.onPath('direct');
    expect(link.estimate()).toMatchObject({ rttMs: undefined, path: 'direct' });
  });
});
