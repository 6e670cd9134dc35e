// Bounds of the engine: queues, batches, memory, processes and waits. Each number has its reason.

/** Requests that wait for, or are in, one runner. More than a minute's worth of embeddings; beyond it `overloaded`. */
export const QUEUE_LENGTH_MAX = 512;

/** Predicted time of the work that waits for one runner, unless the composition root says otherwise. */
export const QUEUE_MS_MAX = 30_000;

/**
 * Calls other than generation that a runner is given at once: one computes, one waits in its socket, so that it never
 * idles for a round trip. A runner's loop stands still during a run, so more would only delay answers.
 */
export const CALLS_IN_FLIGHT_MAX = 2;

/** Generations that one runner interleaves, token by token, each with its own KV cache. */
export const GENERATIONS_IN_FLIGHT_MAX = 4;

/** Texts in one batch: no gain above 16 even at 8 tokens each (MiniLM on one core: 289 texts/s at 16, 295 at 32). */
export const BATCH_ROWS_MAX = 16;

/**
 * Tokens in one batch, padding included; a longer text goes alone. Throughput peaks at 128 to 512 tokens and falls by
 * a third at 2,048 (16 texts of 128 tokens), where activations leave the cache and memory grows to 1 GB.
 */
export const BATCH_TOKENS_MAX = 512;

/** Texts in one encode request: 25 MB of answer at 384 dimensions. */
export const TEXTS_PER_REQUEST_MAX = 16_384;

/** Stop ids of one generation. */
export const STOP_IDS_MAX = 256;

/**
 * Tokens of a prompt that are computed at a time. 64 to 256 are equally fast (SmolLM2: 512 tokens in 2.7 s on one
 * core, 3.1 s in one piece); logits of 128 positions are 25 MB, and a cancellation is seen between two pieces.
 */
export const PREFILL_TOKENS = 128;

/**
 * Generated tokens that a resumed stream computes again one by one, which repeats the stream exactly and takes as long as
 * it took at first: about 10 s for this many on one core. A longer one is computed in pieces, three times as fast.
 */
export const REPLAY_TOKENS_MAX = 512;

/** A new process: until its lifeline answers for the first time. A loaded machine takes seconds to start Node. */
export const RUNNER_START_TIMEOUT_MS = 20_000;

/** A runner that was told to end is killed after this. */
export const RUNNER_STOP_GRACE_MS = 500;

/** After SIGKILL: until the operating system reports the end. */
export const RUNNER_KILL_WAIT_MS = 2_000;

/** Beyond its deadline a call is cancelled; a runner that is still busy with it after this is killed. */
export const OVERRUN_GRACE_MS = 5_000;
/** How often that is looked at, while there is work: one timer for all calls. */
export const OVERRUN_CHECK_MS = 1_000;

/** How often the lifeline is asked, and how long it may be silent, unless the composition root says otherwise. */
export const LIVENESS_INTERVAL_MS = 250;
export const LIVENESS_TIMEOUT_MS = 1_500;

/** A runner that lived shorter than this is started again with a growing pause; any other at once. */
export const RUNNER_STABLE_MS = 1_000;
export const RESTART_PAUSE_MS = 50;
export const RESTART_PAUSE_MS_MAX = 1_000;

/** The lifeline's heap. Node does not start a worker with less (measured: 16 and 2 MB work, below they fail). */
export const LIFELINE_HEAP_MB = 16;
export const LIFELINE_YOUNG_MB = 2;

/** What a process takes before it has a model: Node and the runtime's library (measured: 60 to 75 MB). */
export const RUNNER_BASE_BYTES = 64 << 20;

/**
 * Resident bytes per byte of weights while no load has been measured: SmolLM2 q4 takes 2.0; MiniLM int8, whose
 * weights are expanded, 8, which the first measurement corrects.
 */
export const RESIDENT_PER_FILE_BYTE = 2.5;

/** Samples over which medians are taken. */
export const PROFILE_SAMPLES = 32;

/** Requests whose deaths are remembered per model. */
export const BLAMED_REQUESTS_MAX = 64;

/** Bytes of a runner's stderr that are kept for the log. */
export const STDERR_TAIL_CHARS = 4_096;

/** Longest keep-alive that a timer can hold; above it a model stays for good. */
export const KEEP_ALIVE_MS_MAX = 2_147_483_647;

/**
 * Longest that the grammar library may work on one schema. Real ones take 5 to 400 ms; the worker is ended beyond it and
 * the schema refused.
 */
export const GRAMMAR_COMPILE_MS_MAX = 4_000;

/** Longest for the mask of one token, or for the tokens of a resumed stream. Real ones take 0.01 to 1 ms each. */
export const GRAMMAR_MASK_MS_MAX = 2_000;

/** Until the grammar worker has loaded its library and a model's vocabulary: 0.2 s on an idle machine. */
export const GRAMMAR_START_MS_MAX = 20_000;

/** How long the runner's thread stands still for a mask that is nearly ready, before it waits in its loop instead. */
export const GRAMMAR_SPIN_MS = 2;
/** How often a mask that takes longer is asked for, and its worker checked. */
export const GRAMMAR_POLL_MS = 20;

/** Grammars kept compiled, and vocabularies prepared (16 MB each for 49,152 tokens). */
export const GRAMMARS_CACHED_MAX = 32;
export const VOCABULARIES_CACHED_MAX = 4;

/** What the library's WebAssembly may grow to; beyond it an allocation fails and the worker is replaced. */
export const GRAMMAR_WASM_BYTES_MAX = 512 << 20;

/** The grammar worker's own heap: a tokenizer.json of 30 MB takes 150 MB while it is read. */
export const GRAMMAR_HEAP_MB = 512;

/** Workers that one generation may outlive. Its own grammar is not to blame for them, but something is. */
export const GRAMMAR_LOSSES_MAX = 3;
