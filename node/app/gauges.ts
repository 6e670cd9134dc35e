// Values that are read whenever metrics are collected; the engine and the mesh give theirs themselves.
import type { Dispatcher } from '../core/dispatcher.ts';
import type { GenerationStatus, LoadedModel, LocalEngine } from '../core/engine.ts';
import type { GaugeName, Telemetry } from '../core/telemetry.ts';

type Count = Exclude<keyof GenerationStatus, 'decoder' | 'decoderReason'>;

/** Of all text generators together, as it is now. */
const NOW: readonly (readonly [GaugeName, Count])[] = [
  ['weft_kv_bytes', 'kvBytes'],
  ['weft_prefix_bytes', 'prefixBytes'],
  ['weft_sequences', 'sequences'],
  ['weft_sequences_waiting', 'waiting'],
  ['weft_decode_tokens_per_second', 'tokensPerS'],
];

/** Of all text generators together, since the node was started. */
const SINCE_START: readonly (readonly [GaugeName, Count])[] = [
  ['weft_prefill_tokens_total', 'promptTokens'],
  ['weft_prefix_hit_tokens_total', 'cachedTokens'],
  ['weft_draft_tokens_total', 'draftedTokens'],
  ['weft_draft_accepted_total', 'acceptedTokens'],
];

/** Registers them. */
export function registerGauges(components: {
  readonly telemetry: Pick<Telemetry, 'gauge'>;
  readonly dispatcher: Pick<Dispatcher, 'inFlight'>;
  readonly engine: Pick<LocalEngine, 'loaded' | 'load'>;
}): void {
  const { telemetry, dispatcher, engine } = components;
  telemetry.gauge('weft_requests_in_flight', () => dispatcher.inFlight());
  telemetry.gauge('weft_queued_seconds', () => engine.load().queuedMs / 1_000);
  telemetry.gauge('weft_runner_memory_bytes', () =>
    engine.loaded().reduce((sum, { residentBytes }) => sum + residentBytes, 0),
  );
  for (const [name, count] of NOW) {
    telemetry.gauge(name, () => engine.loaded().reduce((sum, { generation }) => sum + (generation?.[count] ?? 0), 0));
  }
  for (const [name, count] of SINCE_START) {
    const total = new Total(count);
    telemetry.gauge(name, () => total.add(engine.loaded()));
  }
}

/** Counts of models begin anew at each load; their sum must not. */
class Total {
  readonly #count: Count;
  #last: ReadonlyMap<string, number> = new Map();
  #sum = 0;

  constructor(count: Count) {
    this.#count = count;
  }

  /** Adds what has come since the last reading. */
  add(models: readonly LoadedModel[]): number {
    const now = new Map<string, number>();
    for (const { id, runnerPid, generation } of models) {
      if (generation === undefined) continue;
      const key = `${id} ${runnerPid}`;
      const count = generation[this.#count];
      const before = this.#last.get(key) ?? 0;
      this.#sum += count >= before ? count - before : count;
      now.set(key, count);
    }
    this.#last = now;
    return this.#sum;
  }
}
