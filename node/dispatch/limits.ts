// Bounds and times of dispatch.
import type { ErrorCode } from '../../protocol/errors.ts';

/** Requests placed from here that are not finished: what one process can hold without swapping its memory away. */
export const REQUESTS_IN_FLIGHT_MAX = 512;

/** Nodes that one request is tried on. A mesh in which this many fail in a row has another trouble. */
export const ATTEMPTS_MAX = 8;

/** For a request that names no budget: as long as the methods of work allow. */
export const BUDGET_DEFAULT_MS = 600_000;

/** Further tokens that a model is expected to draw before any answer of it was seen: most are shorter than their bound. */
export const OUTPUT_TOKENS_EXPECTED = 128;

/** Models whose answers' lengths are remembered, and answers of each: enough for a median, soon forgotten when it changes. */
export const OUTPUT_MODELS_MAX = 256;
export const OUTPUT_LENGTHS_KEPT = 64;

/** Nodes of which it is known how many requests they do at once. */
export const PLACES_NODES_MAX = 1024;

/** Models of which requests wait here, by class; those of further ones are sent at once. */
export const WAITING_LINES_MAX = 64;

/** While some wait, they look again after so long at the least, when nobody could be sent; and at the most, when nothing comes. */
export const LOOK_AGAIN_MS = { min: 2, max: 250 } as const;

/** Of so many requests that were waiting, one is the oldest of the batch class: nobody starves. */
export const BATCH_TURN_EVERY = 8;

/** Offers of one request that may be declined: each costs a round trip. The next one has no condition. */
export const DECLINES_MAX = 3;

/** A decline comes at once. One that comes so much later than work and link could have taken is a failure of its node. */
export const DECLINE_LATE_MS = 1_000;

/**
 * Declines in a row of offers that were all made after the one before had come, with the node's fresh load: a word that is
 * broken so often was not meant. The node is then left alone, each time for twice as long.
 */
export const DECLINES_IN_A_ROW_MAX = 8;
export const DECLINER_AVOID_MS = { min: 250, max: 8_000 } as const;

/** Share of requests that try a node which was never measured: at 1 of 16 it costs little, and is found out soon. */
export const EXPLORE_SHARE = 1 / 16;

/** Nodes whose failures are remembered; beyond it the oldest is forgotten. */
export const FAILED_NODES_MAX = 1024;

/** Nodes whose newest incarnation is remembered: more than any mesh has. */
export const INCARNATIONS_MAX = 4096;

/** How long a node that failed is asked only when no other is left, where its code isn't named below. */
export const AVOID_DEFAULT_MS = 1_000;

/** A peer that went silent is back within a few seconds, or its link is closed by then; a full one much sooner. */
export const AVOID_MS: Partial<Record<ErrorCode, number>> = {
  peer_lost: 3_000,
  peer_timeout: 5_000,
  peer_unreachable: 5_000,
  stopping: 5_000,
  overloaded: 250,
  quota_exceeded: 250,
};

/** Chunks of a batch that one worker has: while it computes one, the next is already there. */
export const CHUNKS_PER_WORKER_MAX = 2;

/** Workers of one batch, the soonest ones: what a decision looks at for every chunk. */
export const SCATTER_WORKERS_MAX = 32;

/** Failures in a row after which a worker gets nothing more of the batch. */
export const STRIKES_MAX = 2;

/** How long a worker that failed once gets nothing, where it names no time itself… */
export const STRUCK_PAUSE_MS = 100;

/** …and how long at most, whatever it says. */
export const STRUCK_PAUSE_MS_MAX = 5_000;

/** Times that a chunk may end with its runner before the batch is given up: it may well be what kills them. */
export const CHUNK_LOSSES_MAX = 3;

/** A chunk that takes so many times as long as predicted, and this much more, is stuck: it goes to another worker. */
export const STALL_FACTOR = 4;
export const STALL_MS = 1_000;

/** The same of a worker from which nothing came yet: it may have to load the model, and its speed is only a claim. */
export const STALL_FIRST_MS = 10_000;

/** While some workers are idle at the end of a batch, they are looked at this often: the others may have become late. */
export const TAIL_LOOK_MS = 25;

/** How long a worker may go on with what was cancelled. One that is seen no more of in that time counts as lost. */
export const CANCELLED_STOP_MS = 5_000;

/** A speed that was predicted weighs as much as so many milliseconds of work that were seen. */
export const CLAIM_WEIGHT_MS = 100;

/** What a measured speed keeps of the chunks before, at each new one: a node that turns slow is known by the second. */
export const RATE_KEEP_SHARE = 0.5;

/** Answers over which the error of predictions is told. */
export const PREDICTIONS_KEPT = 256;

/** (model, node) pairs whose predictions are corrected: a mesh of a thousand nodes with a dozen models each. */
export const RESIDUAL_MODELS_MAX = 256;
export const RESIDUAL_NODES_MAX = 1024;

/** A correction halves (as a power) in so long without news: a node that was slow is tried again within minutes. */
export const RESIDUAL_HALF_LIFE_MS = 30_000;

/** No node is believed to be further than this from its profile, however it looked. */
export const RESIDUAL_FACTOR_MAX = 256;

/** Answers over which it is told how long work stays at peers, and how many of other nodes say anything of one. */
export const SURPRISES_KEPT = 128;
export const SURPRISES_MIN = 8;

/** Hedges that don't win make the next ones wait longer, those that win make them wait less again; so many times at most. */
export const HEDGE_PATIENCE_MAX = 64;

/**
 * What an executor may take over its prediction before the rest counts as its computing, whatever it says: a queue that only
 * the executor has seen is believed so far.
 */
export const PROMISE_FACTOR = 2;

/** Wake-ups and writes on the way, which are nobody's computing. */
export const UNEXPLAINED_MS = 5;

/** Hedged requests over all requests. @see Dean and Barroso, "The Tail at Scale" (2013) */
export const HEDGE_SHARE = 0.05;

/** Hedges that may be saved up: a node that hangs takes several requests with it at once. */
export const HEDGES_SAVED_MAX = 8;

/** Answers of a class before its slowest twentieth is known, and how many are looked at. */
export const HEDGE_SAMPLES_MIN = 20;
export const HEDGE_SAMPLES_KEPT = 128;
export const HEDGE_QUANTILE = 0.95;
export const HEDGE_MODELS_MAX = 256;

/** Shorter waits are timers' own noise. */
export const HEDGE_AFTER_MS_MIN = 2;

/** A peer that has acknowledged must show something within so much, and within so many times what was predicted. */
export const SILENT_MS_MIN = 30_000;
export const SILENT_FACTOR = 10;

/** Tokens that are hashed together, as executors keep them. */
export const PREFIX_BLOCK_TOKENS = 16;

/** Blocks whose holders are remembered (a million tokens), and holders of each. */
export const PREFIX_BLOCKS_MAX = 65_536;
export const PREFIX_HOLDERS_MAX = 4;

/** Executors drop what nobody asks for. */
export const PREFIX_KEPT_MS = 600_000;

/** Texts of an encoding that is worth scattering, and what it must save over the best single node. */
export const SCATTER_ROWS_MIN = 32;
export const SCATTER_GAIN_SHARE = 0.2;
export const SCATTER_GAIN_MS = 20;

/** Parts of graphs whose last node is remembered, and for how long: an idle session leaves its node's memory after a while. */
export const PART_HOLDERS_MAX = 1024;
export const PART_KEPT_MS = 120_000;

/** Of the runs of one part on one peer, how many there are for one that is run here again: one in a thousand is extra work. */
export const AUDIT_EVERY = 1_000;
/** Tensors that are held for an audit, and how long one may take. */
export const AUDIT_BYTES_MAX = 64 << 20;
export const AUDIT_MS_MAX = 60_000;
/** Pairs of peers and parts whose runs are counted. */
export const AUDITED_PARTS_MAX = 1024;
/** For how long a peer that gave a wrong result gets no parts, unless this node is started again; and of how many that is known. */
export const DISTRUST_MS = 24 * 3_600_000;
export const DISTRUSTED_MAX = 256;
/**
 * Two processors give floats that differ in their last digits, graphs that round to whole numbers now and then another one, and
 * blocks on the way lose a hundredth: of the Euclidean length a tenth is none of these.
 */
export const AUDIT_TOLERANCE = { relative: 1e-3, absolute: 1e-5, rounded: 0.1 };

/** Models of which it is remembered what requests lost by being run whole. */
export const CUT_MODELS_MAX = 256;
