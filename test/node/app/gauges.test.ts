// What a scraper reads of the node's state.
import { describe, expect, it } from 'vitest';
import { registerGauges } from '../../../node/app/gauges.ts';
import type { GenerationStatus, LoadedModel } from '../../../node/core/engine.ts';
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

describe('text generators', () => {
  const status = (over: Partial<GenerationStatus>): GenerationStatus => ({
    decoder: 'rewritten',
    decoderReason: undefined,
    sequences: 0,
    sequencesMax: 16,
    waiting: 0,
    tokensPerS: 0,
    kvBytes: 0,
    prefixBytes: 0,
    kvBytesMax: 0,
    kvBytesPerToken: 0,
    promptTokens: 0,
    cachedTokens: 0,
    draftedTokens: 0,
    acceptedTokens: 0,
    ...over,
  });
  const loaded: Pick<LoadedModel, 'id' | 'runnerPid' | 'residentBytes' | 'generation'>[] = [];
  const model = (id: string, runnerPid: number, over: Partial<GenerationStatus>) => ({
    id,
    runnerPid,
    residentBytes: 0,
    generation: status(over),
  });

  it('are summed up, and their counts never fall while models come and go', async () => {
    const telemetry = new PromTelemetry({ processMetrics: false });
    registerGauges({
      telemetry,
      dispatcher: { inFlight: () => 0 },
      engine: { loaded: () => loaded as LoadedModel[], load: () => LOAD },
    });
    loaded.push(
      model('a', 1, { kvBytes: 100, sequences: 3, cachedTokens: 50, acceptedTokens: 7 }),
      model('b', 2, { kvBytes: 20, prefixBytes: 5, waiting: 2, cachedTokens: 10 }),
      { id: 'encoder', runnerPid: 3, residentBytes: 9, generation: undefined },
    );
    const text = await telemetry.text();
    expect(text).toMatch(/^weft_kv_bytes 120$/m);
    expect(text).toMatch(/^weft_prefix_bytes 5$/m);
    expect(text).toMatch(/^weft_sequences 3$/m);
    expect(text).toMatch(/^weft_sequences_waiting 2$/m);
    expect(text).toMatch(/^weft_prefix_hit_tokens_total 60$/m);
    expect(text).toMatch(/^weft_draft_accepted_total 7$/m);
    expect(text).toContain('# TYPE weft_prefix_hit_tokens_total counter');

    // One is unloaded, the other was loaded anew in the same process and counts from nothing.
    loaded.splice(0, 3, model('b', 2, { cachedTokens: 4 }));
    expect(await telemetry.text()).toMatch(/^weft_prefix_hit_tokens_total 64$/m);
    loaded.splice(0, 1, model('b', 9, { cachedTokens: 6 }));
    const last = await telemetry.text();
    expect(last).toMatch(/^weft_prefix_hit_tokens_total 70$/m);
    expect(last).toMatch(/^weft_kv_bytes 0$/m);
  });
});
