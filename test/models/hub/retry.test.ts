// When a hub is asked again.
import { describe, expect, it } from 'vitest';
import { HUB_LIMITS } from '../../../models/hub/limits.ts';
import { backoffMs, mayPass, retryAfterMs } from '../../../models/hub/retry.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');

describe('what a server asks for', () => {
  it.each<[Record<string, string>, number | undefined]>([
    [{ 'retry-after': '120' }, 120_000],
    [{ 'retry-after': ' 0 ' }, 0],
    [{ 'retry-after': 'Thu, 01 Jan 2026 00:01:00 GMT' }, 60_000],
    [{ 'retry-after': 'Wed, 31 Dec 2025 00:00:00 GMT' }, 0],
    [{ 'retry-after': '-5x' }, undefined],
    [{ 'retry-after': 'soon' }, undefined],
    [{ ratelimit: '"api";r=0;t=55' }, 55_000],
    [{ ratelimit: '"api";r=7;t=55' }, undefined],
    [{ 'retry-after': 'soon', ratelimit: '"resolvers"; r = 0; t = 3' }, 3000],
    [{}, undefined],
  ])('%j is %s ms', (headers, ms) => {
    expect(retryAfterMs(headers, NOW)).toBe(ms);
  });
});

describe('a pause', () => {
  it('doubles up to its bound, less up to a half', () => {
    const pauses = (random: number): number[] =>
      [1, 2, 3, 4, 5, 6, 7, 60].map((failures) => backoffMs(failures, random, HUB_LIMITS));
    expect(pauses(0)).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 16_000, 16_000]);
    expect(pauses(1)).toEqual(pauses(0).map((ms) => ms / 2));
  });
});

it('only some statuses may pass', () => {
  expect([200, 206, 302, 400, 401, 403, 404, 408, 416, 425, 429, 451, 500, 502, 503, 504].filter(mayPass)).toEqual([
    408, 425, 429, 500, 502, 503, 504,
  ]);
});
