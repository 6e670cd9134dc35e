// Metrics by prom-client, in a registry of their own: two nodes in one process share nothing. Made by the composition
// root; every layer counts through the port.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { CounterName, GaugeName, HistogramName, Labels, Telemetry } from '../core/telemetry.ts';
import { LABEL_VALUE_LENGTH_MAX, SERIES_PER_METRIC_MAX } from './limits.ts';

interface MetricSpec {
  readonly help: string;
  readonly labels: readonly string[];
}

const COUNTERS: Record<CounterName, MetricSpec> = {
  weft_requests_total: {
    help: 'HTTP requests by endpoint, method and status; "aborted" where the client went away.',
    labels: ['endpoint', 'method', 'status'],
  },
  weft_requests_rejected_total: {
    help: 'HTTP requests that were refused for want of capacity or permission, by error code.',
    labels: ['reason'],
  },
  weft_tokens_prompt_total: { help: 'Tokens of prompts and texts in requests that this node coordinates.', labels: [] },
  weft_tokens_generated_total: { help: 'Tokens drawn for requests that this node coordinates.', labels: [] },
  weft_recoveries_total: { help: 'Work that was taken up again after a loss.', labels: ['reason'] },
  weft_declines_total: {
    help: 'Offers that a node declined because it would have taken longer than asked.',
    labels: [],
  },
  weft_cut_audits_total: {
    help: 'Parts of graphs that a peer had run and this node ran again to compare.',
    labels: ['result'],
  },
  weft_hedges_total: {
    help: 'Requests that were sent to a second node, because the first showed nothing.',
    labels: [],
  },
  weft_hedges_won_total: { help: 'Of those, the ones that the second node answered first.', labels: [] },
  weft_runner_restarts_total: { help: 'Runners started again after they ended by themselves.', labels: ['reason'] },
  weft_calls_rejected_total: { help: 'Calls of peers that were refused.', labels: ['reason'] },
  weft_link_bytes_total: {
    help: 'Bytes that crossed connections to peers, by direction (in, out).',
    labels: ['direction'],
  },
};

const HISTOGRAMS: Record<HistogramName, MetricSpec> = {
  weft_request_duration_seconds: { help: 'HTTP request received to answer sent.', labels: ['endpoint'] },
  weft_time_to_first_token_seconds: { help: 'Chat request received to first token.', labels: [] },
  weft_inter_token_seconds: { help: 'Mean time between tokens behind the first, for each answer.', labels: [] },
  weft_queue_wait_seconds: { help: 'Time that work waited for its turn, here or at the peer that did it.', labels: [] },
};

const GAUGES: Record<GaugeName, string> = {
  weft_requests_in_flight: 'Requests placed from this node that are not finished.',
  weft_peers_connected: 'Members that answer.',
  weft_prediction_error_ratio: 'Median of |measured / predicted - 1| of the last 256 answers, by their first byte.',
  weft_models_loaded: 'Models that runners of this node hold.',
  weft_runner_memory_bytes: 'Memory of the models that runners of this node hold.',
  weft_queued_seconds: 'Predicted time until work that arrives now would begin here.',
  weft_kv_bytes: 'Keys and values of sequences that this node decodes.',
  weft_prefix_bytes: 'Keys and values of prefixes that this node keeps for later prompts.',
  weft_sequences: 'Sequences that this node decodes.',
  weft_sequences_waiting: 'Sequences that wait for a slot or for memory.',
  weft_decode_tokens_per_second: 'Tokens of all sequences together, over the last seconds.',
  weft_prefill_tokens_total: 'Tokens of prompts that this node was given, those from kept prefixes included.',
  weft_prefix_hit_tokens_total: 'Tokens of prompts that were taken from kept prefixes.',
  weft_draft_tokens_total: 'Tokens that were drafted.',
  weft_draft_accepted_total: 'Drafted tokens that turned out right.',
};

/** From the time between two tokens (milliseconds) to a long generation (minutes). */
const BUCKETS_SECONDS = [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Shows stalls from 10 ms on. Measured: 0.3 % of a core; the lag that is reported includes these 10 ms. */
const EVENT_LOOP_PRECISION_MS = 10;

export interface PromTelemetryInit {
  /** CPU, memory, handles, garbage collection and event-loop lag of this process. @default true */
  readonly processMetrics?: boolean;
}

/**
 * Metrics never fail the work that they count: a label that a metric doesn't have is left out, and past a bound of
 * series per metric every further combination of labels is counted as "other".
 */
export class PromTelemetry implements Telemetry {
  readonly #registry = new Registry();
  readonly #counters: Record<CounterName, Counter>;
  readonly #histograms: Record<HistogramName, Histogram>;
  readonly #series = new Map<string, Set<string>>();

  constructor(init: PromTelemetryInit = {}) {
    const registers = [this.#registry];
    this.#counters = mapSpecs(
      COUNTERS,
      (name, { help, labels }) => new Counter({ name, help, labelNames: labels, registers }),
    );
    this.#histograms = mapSpecs(
      HISTOGRAMS,
      (name, { help, labels }) =>
        new Histogram({ name, help, labelNames: labels, buckets: BUCKETS_SECONDS, registers }),
    );
    if (init.processMetrics ?? true)
      collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: EVENT_LOOP_PRECISION_MS });
  }

  count(name: CounterName, labels: Labels = {}, by = 1): void {
    if (by > 0) this.#counters[name].inc(this.#bounded(name, labels, COUNTERS[name].labels), by);
  }

  observe(name: HistogramName, seconds: number, labels: Labels = {}): void {
    if (Number.isFinite(seconds))
      this.#histograms[name].observe(this.#bounded(name, labels, HISTOGRAMS[name].labels), seconds);
  }

  /** The last reader of a name counts. */
  gauge(name: GaugeName, read: () => number): void {
    this.#registry.removeSingleMetric(name);
    const shape = { name, help: GAUGES[name], registers: [this.#registry] };
    if (name.endsWith('_total')) {
      new Counter({
        ...shape,
        collect() {
          this.reset();
          this.inc(Math.max(0, read()));
        },
      });
      return;
    }
    new Gauge({
      ...shape,
      collect() {
        this.set(read());
      },
    });
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #bounded(name: string, labels: Labels, known: readonly string[]): Record<string, string> {
    const kept: Record<string, string> = {};
    for (const label of known) {
      const value = labels[label];
      if (value !== undefined) kept[label] = value.slice(0, LABEL_VALUE_LENGTH_MAX);
    }
    const key = JSON.stringify(kept);
    const series = this.#series.get(name) ?? new Set();
    this.#series.set(name, series);
    if (series.has(key)) return kept;
    if (series.size < SERIES_PER_METRIC_MAX) {
      series.add(key);
      return kept;
    }
    return Object.fromEntries(Object.keys(kept).map((label) => [label, 'other']));
  }
}

function mapSpecs<Name extends string, Metric>(
  specs: Record<Name, MetricSpec>,
  make: (name: Name, spec: MetricSpec & { readonly labels: string[] }) => Metric,
): Record<Name, Metric> {
  const entries = Object.entries<MetricSpec>(specs) as [Name, MetricSpec][];
  return Object.fromEntries(
    entries.map(([name, spec]) => [name, make(name, { ...spec, labels: [...spec.labels] })]),
  ) as Record<Name, Metric>;
}
