// What a scraper reads of the node's state.
import { expect, it } from 'vitest';
import { registerGauges } from '../../../node/app/gauges.ts';
import type { LoadedModel } from '../../../node/core/engine.ts';
import { PromTelemetry } from '../../../node/telemetry/prom-telemetry.ts';
import { LOAD } from '../mesh/support.ts';

it('reads what is so at each collection', async () => {
  const telemetry = new PromTelemetry({ processMetrics: false });
  const loaded: Pick<LoadedModel, 'residentBytes'>[] = [];
  let queuedMs = 0;
  registerGauges({
    telemetry,
    dispatcher: { inFlight: () => 3 },
    engine: { loaded: () => loaded as LoadedModel[], load: () => ({ ...LOAD, queuedMs }) },
  });
  expect(await telemetry.text()).toMatch(/^weft_runner_memory_bytes 0$/m);
  loaded.push({ residentBytes: 1_000 }, { residentBytes: 24 });
  queuedMs = 250;
  const text = await telemetry.text();
  expect(text).toMatch(/^weft_requests_in_flight 3$/m);
  expect(text).toMatch(/^weft_queued_seconds 0.25$/m);
  expect(text).toMatch(/^weft_runner_memory_bytes 1024$/m);
});
