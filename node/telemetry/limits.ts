// Bounds of what telemetry keeps.

/** Combinations of labels that one metric keeps apart. Endpoints × methods × statuses stay below a hundred in use. */
export const SERIES_PER_METRIC_MAX = 512;

/** Label values are short words and model ids; a longer one is cut. */
export const LABEL_VALUE_LENGTH_MAX = 128;

/** Arrays and objects in a line go this deep, and this wide. */
export const LOG_DEPTH_MAX = 6;
export const LOG_WIDTH_MAX = 100;

/** Lines of the log that are kept: an hour of a busy node at `info`. */
export const LOG_LINES_MAX = 2_000;

/** Bytes of them all. */
export const LOG_BYTES_MAX = 1 << 20;

/** Longest line that is kept whole; of a longer one, level, time and the beginning of its message are. */
export const LOG_LINE_LENGTH_MAX = 8_192;

/** Requests whose way is kept: at 10 a second, those of the last minute. A full ring takes about 2 MB. */
export const TRACES_MAX = 600;

/** Spans of one request: seven for each attempt, and more than one attempt for each of several choices or recoveries. */
export const SPANS_PER_TRACE_MAX = 96;

/** Between two events that say how far a request of many items is: for people to look at, and few among those that are kept. */
export const PROGRESS_MS_MIN = 500;

/** Plans and failures of one request. */
export const PLANS_PER_TRACE_MAX = 16;
export const FAILURES_PER_TRACE_MAX = 16;

/**
 * Nodes in all that decisions are kept of, so that they can be made again: some 550 bytes each, 11 MB together. In a mesh of
 * ten, those of every request that is kept; in one of a thousand nodes, of which a decision keeps 64, the last 300.
 */
export const RECORD_NODES_MAX = 20_000;

/** Nodes that a kept plan names as unable, with the reason; `weft peers` shows the others. */
export const REJECTIONS_PER_PLAN_MAX = 16;

/** Names, model ids and codes in a trace; a longer one is cut. */
export const TRACE_TEXT_LENGTH_MAX = 256;

/** Events that are kept for watchers who come back: a minute at 30 a second. */
export const EVENTS_MAX = 2_048;

/**
 * Their bytes as JSON. Below half of what a watcher's connection may hold (node/gateway/limits.ts), as a watcher that
 * comes back gets all of them at once.
 */
export const EVENTS_BYTES_MAX = 384 << 10;

/** Spans that wait for the collector: some 500 requests. With it gone, later ones are dropped. */
export const EXPORT_QUEUE_MAX = 4_096;

/** Spans that go to the collector in one piece, and how long the first of them waits for others. */
export const EXPORT_BATCH_MAX = 512;
export const EXPORT_DELAY_MS = 2_000;

/** One attempt to reach the collector; also how long a stop waits for the last pieces. */
export const EXPORT_TIMEOUT_MS = 3_000;
