// Counts and durations, with units in their names and few label values.

export type Labels = Readonly<Record<string, string>>;

/** The metrics of a node. Names are fixed so that none is mistyped; prom-client sits behind it. */
export interface Telemetry {
  /** Adds to a counter. */
  count(name: CounterName, labels?: Labels, by?: number): void;
  /** Records a duration in seconds. */
  observe(name: HistogramName, seconds: number, labels?: Labels): void;
  /** Reads a value whenever metrics are collected. One whose name ends in `_total` never falls while the node runs. */
  gauge(name: GaugeName, read: () => number): void;
  /** Prometheus text format. */
  text(): Promise<string>;
}

export type CounterName =
  | 'weft_requests_total'
  | 'weft_requests_rejected_total'
  | 'weft_tokens_prompt_total'
  | 'weft_tokens_generated_total'
  | 'weft_recoveries_total'
  | 'weft_declines_total'
  | 'weft_hedges_total'
  | 'weft_cut_audits_total'
  | 'weft_hedges_won_total'
  | 'weft_runner_restarts_total'
  | 'weft_calls_rejected_total'
  | 'weft_link_bytes_total';
export type HistogramName =
  | 'weft_request_duration_seconds'
  | 'weft_time_to_first_token_seconds'
  | 'weft_inter_token_seconds'
  | 'weft_queue_wait_seconds';
export type GaugeName =
  | 'weft_requests_in_flight'
  | 'weft_peers_connected'
  | 'weft_prediction_error_ratio'
  | 'weft_models_loaded'
  | 'weft_runner_memory_bytes'
  | 'weft_queued_seconds'
  | 'weft_kv_bytes'
  | 'weft_prefix_bytes'
  | 'weft_sequences'
  | 'weft_sequences_waiting'
  | 'weft_decode_tokens_per_second'
  | 'weft_prefill_tokens_total'
  | 'weft_prefix_hit_tokens_total'
  | 'weft_draft_tokens_total'
  | 'weft_draft_accepted_total';
