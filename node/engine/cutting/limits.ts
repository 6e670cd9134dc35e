// Bounds of the measurement of cuts. Each number has its reason.

/** Bytes of made-up inputs: a batch of pictures, not a video. */
export const SAMPLE_BYTES_MAX = 16 << 20;

/** Bytes of inputs that are made up in given shapes: a picture of 4,096 × 1,024 pixels and more. */
export const SHAPES_BYTES_MAX = 64 << 20;

/** Runs that only warm up: the first one plans memory, and misplaces shares by 2 to 12 hundredths. */
export const WARM_RUNS = 2;

/** Traced runs: at least so many, more while they are short, never more than so many (a trace of 1,000 kernels takes 1 MB a run). */
export const TRACED_RUNS_MIN = 5;
export const TRACED_RUNS_MAX = 24;
/** Runs whose tensors are looked at, and times where nothing better is known. */
export const EXTENDED_RUNS = 5;

/** Cuts whose parts are run: they tell what parts cost beside their share, and correct the shares. */
export const FINALISTS_MAX = 6;

/** Interleaved rounds of the whole and the parts of one cut. */
export const ROUNDS_MIN = 5;
export const ROUNDS_MAX = 25;

/** What one phase of the measurement (a trace, the rounds of one cut) may take beyond its least number of runs. */
export const PHASE_MS = 500;

/** After which no further cut is run: what has been measured until then will do. SmolLM2 takes 30 s on one core. */
export const MEASURE_MS_MAX = 60_000;

/** Outputs of parts against those of the whole, relative to the largest value; and absolutely, for outputs that are nearly 0. */
export const PARTS_TOLERANCE = 1e-4;
export const PARTS_TOLERANCE_ABSOLUTE = 1e-6;

/**
 * The same for graphs that round their activations to whole numbers: what is rounded otherwise once is a step of 1/127 from
 * there on. Of the Euclidean length of the whole's output.
 */
export const ROUNDED_PARTS_TOLERANCE = 0.1;

/** Tables that are kept on disk, the oldest leave first; and the size above which a file is none of ours. */
export const TABLES_KEPT_MAX = 256;
export const TABLE_BYTES_MAX = 1 << 20;

/** Least time of quiet before a measurement begins, and how often that is looked at. */
export const QUIET_MS = 250;
export const QUIET_LOOK_MS = 100;

/** Tensors, or groups of shared weights, of a table: 64 segments of a few each, and the inputs of a model with a cache. */
export const TABLE_TENSORS_MAX = 8_192;
/** Longest text of a table: the shapes of 512 inputs. */
export const TABLE_TEXT_LENGTH_MAX = 64 << 10;

/** How long a measurement waits for the node to have nothing else to do, in all. */
export const QUIET_WAIT_MS_MAX = 60_000;

/** The same where a request waits for it: longer than most others take. */
export const URGENT_WAIT_MS_MAX = 2_000;

/** Measurements of one table that requests interrupted. */
export const ATTEMPTS_MAX = 5;

/** Copies of the weights in memory: those of the whole, and of its parts beside it. */
export const COPIES = 2;

/**
 * What traces, tensors that are kept to compare and several sessions take beside weights: 115 MB with a small MobileNet, more than
 * 160 with MiniLM at 128 tokens on one thread. Past what was reserved the process is ended.
 */
export const MEASURING_BYTES = 256 << 20;

/** Least weights of a piece of a graph that doesn't fit as a whole: below it there is room for nothing. */
export const PIECE_BYTES_MIN = 8 << 20;
