// Values that are read whenever metrics are collected; the engine and the mesh give theirs themselves.
import type { Dispatcher } from '../core/dispatcher.ts';
import type { LocalEngine } from '../core/engine.ts';
import type { Telemetry } from '../core/telemetry.ts';

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
}
