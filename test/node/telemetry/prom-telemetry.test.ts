// Metrics as a scraper sees them.
import { register } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { SERIES_PER_METRIC_MAX } from '../../../node/telemetry/limits.ts';
import { PromTelemetry } from '../../../node/telemetry/prom-telemetry.ts';

const make = (): PromTelemetry => new PromTelemetry({ processMetrics: false });

describe('PromTelemetry', () => {
  it('counts, with labels and amounts', async () => {
    const telemetry = make();
    telemetry.count('weft_requests_total', { endpoint: '/v1/models', method: 'GET', status: '200' });
    telemetry.count('weft_requests_total', { endpoint: '/v1/models', method: 'GET', status: '200' });
    telemetry.count('weft_tokens_generated_total', undefined, 12);
    const text = await telemetry.text();
    expect(text).toContain('weft_requests_total{endpoint="/v1/models",method="GET",status="200"} 2');
    expect(text).toContain('weft_tokens_generated_total 12');
  });

  it('records durations in seconds', async () => {
    const telemetry = make();
    telemetry.observe('weft_time_to_first_token_seconds', 0.2);
    telemetry.observe('weft_time_to_first_token_seconds', Number.NaN);
    const text = await telemetry.text();
    expect(text).toContain('weft_time_to_first_token_seconds_bucket{le="0.1"} 0');
    expect(text).toContain('weft_time_to_first_token_seconds_bucket{le="0.25"} 1');
    expect(text).toContain('weft_time_to_first_token_seconds_count 1');
  });

  it('reads gauges at every collection, by the last reader that was given', async () => {
    const telemetry = make();
    let peers = 1;
    telemetry.gauge('weft_peers_connected', () => 99);
    telemetry.gauge('weft_peers_connected', () => peers);
    expect(await telemetry.text()).toContain('weft_peers_connected 1\n');
    peers = 2;
    expect(await telemetry.text()).toContain('weft_peers_connected 2\n');
  });

  it('never fails for a label that it does not know', async () => {
    const telemetry = make();
    telemetry.count('weft_recoveries_total', { colour: 'red' });
    expect(await telemetry.text()).toMatch(/^weft_recoveries_total 1$/m);
  });

  it('keeps a bounded number of series, and escapes what stands in labels', async () => {
    const telemetry = make();
    for (let index = 0; index < SERIES_PER_METRIC_MAX + 100; index += 1)
      telemetry.count('weft_requests_total', { endpoint: `/${index}`, method: 'GET', status: '200' });
    telemetry.count('weft_calls_rejected_total', { reason: 'a"b\n# TYPE x' });
    const text = await telemetry.text();
    expect(text.match(/^weft_requests_total\{/gm)).toHaveLength(SERIES_PER_METRIC_MAX + 1);
    expect(text).toContain('weft_requests_total{endpoint="other",method="other",status="other"} 100');
    expect(text).toContain('weft_calls_rejected_total{reason="a\\"b\\n# TYPE x"} 1');
  });

  it('shares nothing with another one, nor with the library', async () => {
    const [one, other] = [make(), make()];
    one.count('weft_runner_restarts_total');
    expect(await other.text()).not.toMatch(/^weft_runner_restarts_total 1$/m);
    expect(await register.metrics()).not.toContain('weft_');
  });

  it('tells of the process', async () => {
    const text = await new PromTelemetry().text();
    expect(text).toContain('process_resident_memory_bytes');
    expect(text).toContain('nodejs_eventloop_lag_seconds');
  });
});
