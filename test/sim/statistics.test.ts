import { describe, expect, it } from 'vitest';
import { Latencies } from './statistics.ts';

describe('latencies of a run', () => {
  it('gives nearest-rank quantiles', () => {
    const latencies = new Latencies();
    for (let ms = 100; ms >= 1; ms--) latencies.note(ms);
    expect(latencies.summary()).toEqual({ requests: 100, failed: 0, failedShare: 0, p50: 50, p95: 95, p99: 99 });
  });

  it('counts a failed request as one that never ended', () => {
    const latencies = new Latencies();
    for (let ms = 1; ms <= 97; ms++) latencies.note(ms);
    for (let failed = 0; failed < 3; failed++) latencies.note(undefined);
    const summary = latencies.summary();
    expect(summary).toMatchObject({ requests: 100, failed: 3, failedShare: 0.03, p95: 95 });
    expect(summary.p99).toBe(Number.POSITIVE_INFINITY);
  });

  it('has nothing to say of no requests', () => {
    expect(new Latencies().summary()).toMatchObject({ requests: 0, failedShare: 0, p99: Number.NaN });
  });
});
