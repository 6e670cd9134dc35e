import { expect, it } from 'vitest';
import { RateMeter } from '../../../../node/mesh/transfer/rate-meter.ts';

it('measures the last seconds, from the first byte that was awaited', () => {
  const meter = new RateMeter(3_000);
  expect(meter.rate(0)).toBeUndefined();
  meter.begin(1_000);
  expect(meter.rate(2_000)).toBeUndefined();
  meter.add(2_000, 500);
  expect(meter.rate(2_000)).toBe(500);
  meter.add(3_000, 1_500);
  expect(meter.rate(3_000)).toBe(1_000);
  // What lies back longer than the window has no say, and silence has.
  expect(meter.rate(5_500)).toBeCloseTo(500, 5);
  expect(meter.rate(60_000)).toBe(0);
});

it('keeps no more than the window', () => {
  const meter = new RateMeter(3_000);
  for (let atMs = 0; atMs < 100_000; atMs += 10) meter.add(atMs, 100);
  expect(meter.rate(100_000)).toBeGreaterThan(9_000);
  expect(meter.rate(100_000)).toBeLessThan(11_000);
});
