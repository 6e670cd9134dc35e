// Bounds of what telemetry keeps.

/** Combinations of labels that one metric keeps apart. Endpoints × methods × statuses stay below a hundred in use. */
export const SERIES_PER_METRIC_MAX = 512;

/** Label values are short words and model ids; a longer one is cut. */
export const LABEL_VALUE_LENGTH_MAX = 128;

/** Arrays and objects in a line go this deep, and this wide. */
export const LOG_DEPTH_MAX = 6;
export const LOG_WIDTH_MAX = 100;
