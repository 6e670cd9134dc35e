// What a node sees of itself: metrics, events, the log's last lines, traces, and their export where one is asked for. Made
// by the composition root before the layers that are watched.
import type { Settings } from '../config/settings.ts';
import type { Clock, Random } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { EventLog } from '../telemetry/event-log.ts';
import { LogRing } from '../telemetry/log-ring.ts';
import { PromTelemetry } from '../telemetry/prom-telemetry.ts';
import { TraceRing } from '../telemetry/traces.ts';
import type { Teardown } from './teardown.ts';

export interface ObservingComponents {
  readonly clock: Clock;
  readonly random: Random;
  /** Prints whatever it is given. */
  readonly printed: Log;
  readonly teardown: Teardown;
}

export interface ObservingInit {
  readonly settings: Pick<Settings, 'logLevel' | 'otlpEndpoint' | 'name'>;
  readonly node: string;
  readonly version: string;
}

export interface Observing {
  readonly telemetry: PromTelemetry;
  readonly events: EventLog;
  readonly logs: LogRing;
  readonly traces: TraceRing;
}

export async function observing(components: ObservingComponents, init: ObservingInit): Promise<Observing> {
  const { clock, random, printed, teardown } = components;
  const { settings, node, version } = init;
  const telemetry = new PromTelemetry({ processMetrics: true });
  const events = new EventLog({ clock, log: printed });
  const logs = new LogRing({ clock, printed, events }, { level: settings.logLevel });
  const endpoint = settings.otlpEndpoint;
  if (endpoint === undefined) {
    return { telemetry, events, logs, traces: new TraceRing({ clock, random, events, telemetry }) };
  }
  // Loaded only where it is used: it would make every node start later and larger.
  const { OtlpExport } = await import('../telemetry/otlp.ts');
  const exporter = new OtlpExport({ clock, random, log: logs.log }, { endpoint, node, name: settings.name, version });
  teardown.add('trace export', () => exporter.stop());
  return { telemetry, events, logs, traces: new TraceRing({ clock, random, events, telemetry, exporter }) };
}
