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

/** Generations that one runner has at once: 16 in a batch give all that a CPU can. Memory may admit fewer. */
export const GENERATIONS_IN_FLIGHT_MAX = 16;

/**
 * While both wait, one turn in so many is batch work's: at an eighth interactive work hardly notices, and a queue of batch
 * work still goes forward.
 */
export const BATCH_TURN_EVERY = 8;

/**
 * Share of the places for generations that batch work leaves to interactive work, which would otherwise wait for a whole
 * answer to end. Of 16 it costs batch work 3 % of its tokens per second, below 4 there is none to spare.
 */
export const INTERACTIVE_PLACES_SHARE = 1 / 4;

/**
 * Predicted time of the runs in flight above which batch work isn't sent behind them: interactive work that comes meanwhile
 * waits for one run then, not for two. What the device idles between two longer ones is about a hundredth of them at most.
 */
export const BATCH_AHEAD_MS_MAX = 50;

/** Texts in one batch: no gain above 16 even at 8 tokens each (MiniLM on one core: 289 texts/s at 16, 295 at 32). */
export const BATCH_ROWS_MAX = 16;

/**
 * Tokens in one batch, padding included; a longer text goes alone. Throughput peaks at 128 to 512 tokens and falls by
 * a third at 2,048 (16 texts of 128 tokens), where activations leave the cache and memory grows to 1 GB.
 */
export const BATCH_TOKENS_MAX = 512;

/** Rows of any other graph in one run, and bytes of their inputs: 26 pictures of 224 × 224 in float32. */
export const RUN_BATCH_ROWS_MAX = 32;
export const RUN_BATCH_BYTES_MAX = 16 << 20;
/** Bytes of the answer to one such run, as it was learned: it is held until the last of its requests has its part. */
export const RUN_ANSWER_BYTES_MAX = 64 << 20;

/** A larger batch must make a row cheaper by this share, or it only makes the first one wait for the last. */
export const RUN_BATCH_GAIN_MIN = 0.03;
/** Runs of a size before it is judged, and runs after which a size that did not pay is tried once more. */
export const RUN_SIZE_SAMPLES_MIN = 2;
export const RUN_SIZE_RETRY_AFTER = 64;
/** Shapes of requests whose times are kept per model. */
export const RUN_SHAPES_MAX = 16;

/** Pairs of requests that said nothing of whether a graph's rows are independent, after which none is asked any more. */
export const ROWS_UNCLEAR_MAX = 8;
/** Of a row's largest value: what another kernel for another size changes is a thousand times less. */
export const ROWS_TOLERANCE = 1e-4;

/** What a call to a runner takes beside its run: 0.2 to 0.7 ms were measured (MiniLM, one text of 16 tokens). */
export const CALL_OVERHEAD_MS = 0.4;

/**
 * A batch is closed this long, and by this share of the run before it, before the device is expected to be free: a timer
 * is late by a millisecond or two, a run shorter than predicted by a tenth. Too late costs half a millisecond of idling.
 */
export const WINDOW_LEAD_MS = 3;
export const WINDOW_LEAD_SHARE = 0.1;

/** Longest that a request on an idle device waits for others, and the shortest that a timer can hold. */
export const WINDOW_MS_MAX = 4;
export const WINDOW_MS_MIN = 1;
/** Requests before their rate counts as known. */
export const ARRIVALS_MIN = 8;

/** Batch shapes (rows × length class) of which times are kept, and how many of each: recent ones, for their median. */
export const CURVE_CELLS_MAX = 128;
export const CURVE_CELL_SAMPLES = 8;

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

/**
 * As much of the machine's memory where the weights go to another device: the file is read once on its way there. What the
 * driver takes besides is seen at the first load.
 */
export const HOST_PER_FILE_BYTE = 1.25;

/** Samples over which medians are taken. */
export const PROFILE_SAMPLES = 32;

/** Real requests before a measured claim is corrected by them. */
export const RESIDUAL_SAMPLES_MIN = 8;

/**
 * Bounds of that correction. An idle machine was measured, so real requests are slower for many reasons and faster for
 * few: kept prefixes and accepted drafts, which the next request may not have.
 */
export const RESIDUAL_MIN = 0.5;
export const RESIDUAL_MAX = 8;

/** How long the node has had no request before a model is measured, and how often that is looked at. */
export const PROFILE_QUIET_MS = 3_000;
export const PROFILE_LOOK_MS = 1_000;

/** Time of one step of a measurement; a step that takes longer tells only that larger ones would as well. */
export const PROFILE_STEP_MS_MAX = 5_000;

/** Time that the measurement of one model may take in all. SmolLM2 on two cores takes 4 s. */
export const PROFILE_MS_MAX = 20_000;

/** Attempts at a measurement that requests interrupted; after them real requests are all that is known. */
export const PROFILE_ATTEMPTS_MAX = 20;

/** Measured profiles that are kept on disk, the oldest leave first; and the size above which a file is none of ours. */
export const PROFILES_KEPT_MAX = 256;
export const PROFILE_BYTES_MAX = 64 << 10;

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

/**
 * Kept free of every runner's reservation above what its models were seen to take: work needs activations beside the
 * weights (MiniLM: 293 MB loaded, 298 after batches of 512 tokens; SmolLM2: 284 loaded, 318 after 600 tokens).
 */
export const HEADROOM_SHARE = 0.1;
export const HEADROOM_BYTES = 16 << 20;

/** How far a runner may grow beyond what was reserved at its loads before it is ended. Twice the noise seen. */
export const CAP_MARGIN = 1.25;
export const CAP_SLACK_BYTES = 64 << 20;

/** Readings in a row above the cap that end a runner: one alone may be a peak that is gone already. */
export const CAP_READINGS = 2;
/** How often a runner reads its own size, 20 µs each, and how often when it grows towards its cap. */
export const CAP_CHECK_MS = 50;
export const CAP_CHECK_SOON_MS = 10;

/** Reserved ahead of a runner that has outgrown its reservation: idle models have left before it needs their room. */
export const GROWTH_STEP_BYTES = 32 << 20;

/**
 * Of what is free when a text generator is loaded, for its keys and values: the rest is left to other models, of which
 * more than one may hold keys and values as well.
 */
export const KV_SHARE = 0.25;
/** Tokens of the one sequence for which there must be room. */
export const KV_TOKENS_MIN = 1_024;

/**
 * Of what would stay free beside a text generator, its keys and values, for a second form of its weights: it makes long
 * prompts faster and nothing possible that wasn't, so most is left to models that are still to come. And what that form takes
 * per byte of the files: SmolLM2's 0.95.
 */
export const SPARE_SHARE = 0.25;
export const SPARE_PER_FILE_BYTE = 1.1;

/** After this long a request counts half as a sign that its model is wanted. */
export const DEMAND_HALF_LIFE_MS = 10 * 60_000;

/** Bytes a second at which a model is taken to load while no load has been measured. */
export const LOAD_BYTES_PER_MS = 200 * 1_024;

/** Tokens per second are counted over so many buckets: 4 s are short enough to be now, long enough not to flicker. */
export const TOKEN_RATE_BUCKETS = 8;
export const TOKEN_RATE_BUCKET_MS = 500;

/** How often a text generator is asked what it holds, at most: while it works, or while somebody looks. */
export const STATS_INTERVAL_MS = 1_000;

/**
 * A runner whose thread stands still for this long, and for so many times as long as its work was predicted to take, hangs.
 * Runs of any graph have no size by which their time could be predicted, so they get more.
 */
export const HANG_MS_MIN = 10_000;
export const HANG_RUN_MS_MIN = 60_000;
export const HANG_PREDICTED_FACTOR = 20;

/** One line of the lifeline: three numbers. What is longer is none. */
export const LIFELINE_LINE_CHARS_MAX = 128;

/** After which a runner that is above its cap dies though its last words are still on the way. */
export const LAST_WORDS_MS = 50;

/**
 * Parts of graphs that the engine knows at a time, in memory or not: a part that nobody has asked for lately is forgotten, and
 * with it what its runs took. A model that runs in parts has a few of them.
 */
export const PARTS_MAX = 128;

/** Reserved to look at the graph of a part, beside a runner: graphs without their weights have some megabytes. */
export const PART_GRAPH_BYTES = 16 << 20;

/** Steps in which the progress of a load is told. */
export const LOAD_PROGRESS_STEP = 0.05;

/** Rows by which a block of keys and values grows at least: an eighth of it, in whole steps of this many tokens. */
export const KV_CAPACITY_STEP = 64;

/** Tokens whose rows are kept and shared together: a prefix is found again in whole blocks of it. */
export const KV_BLOCK_TOKENS = 16;

/** Generations of a graph that could not be rewritten: each has a cache of its own, which every step copies. */
export const PLAIN_SEQUENCES_MAX = 4;

/** Sequences that one model decodes side by side; throughput grows little beyond (SmolLM2 on two cores: 247 tokens/s at 8, 268 at 16). */
export const SEQUENCES_MAX = 16;

/** Bytes of rows that are copied between two tokens of others: 3 to 8 ms where memory gives 2 to 5 GB/s. */
export const KV_COPY_BYTES = 16 << 20;
