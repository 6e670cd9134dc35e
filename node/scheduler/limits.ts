// Bounds and default figures of a decision. Every default stands in for a measurement that isn't there yet, and is on
// the pessimistic side: a node that was measured wins against a guess.

/** Candidates that a plan names beside the chosen one: enough for people and for a trace, small on the wire. */
export const OTHERS_MAX = 8;

/** Rejected nodes that a plan names. In a large mesh most nodes simply don't have the model. */
export const REJECTIONS_MAX = 32;

/** A link that was never measured: a home line to a cloud server. On a LAN the first probe corrects it. */
export const RTT_UNKNOWN_MS = 50;

/** 100 Mbit/s: what a wired or a good wireless link reaches at least. */
export const GOODPUT_UNKNOWN_BYTES_PER_SECOND = 12.5e6;

/** A newcomer costs this many times the slowest node that was measured, until load on the others makes it worth a try… */
export const NEWCOMER_FACTOR = 2;

/** …or until a request explores: then it is taken to be this many times as slow as the fastest, so that it is tried. */
export const EXPLORE_FACTOR = 0.5;

// Where no node was measured, work costs so much per byte of weights. SmolLM2 (108 MB) and MiniLM (23 MB) on one slow
// core took 4e-8 and 1.5e-8 ms for a token of input and 1.2e-7 for a token of output; these are 2 to 6 times as much.
export const GUESS_FIXED_MS = 5;
export const GUESS_INPUT_MS_PER_BYTE = 1e-7;
export const GUESS_OUTPUT_MS_PER_BYTE = 2.5e-7;
export const GUESS_LOAD_FIXED_MS = 500;
export const GUESS_LOAD_MS_PER_BYTE = 1e-5;

/** Longest time that is believed of any one part: an advert may say anything, a price must stay a number. */
export const PART_MS_MAX = 1e9;

/** And the most of anything that is counted: bytes, requests, tokens. */
export const AMOUNT_MAX = 1e15;

// How far claims are believed. A peer's figures are its own words; what was measured from here corrects them.

/** Factors of a correction: beyond them the prediction was of something else. */
export const CORRECTION_MIN = 1 / 64;
export const CORRECTION_MAX = 1e6;

/**
 * A node that no request was measured on from here is believed to be so many times as fast as the fastest that was. From one
 * slow core to a strong accelerator is about as much; who claims more gets one request, and is known after it.
 */
export const UNPROVEN_SPEEDUP_MAX = 64;

/** No request computes in less: a claim of nothing could not be corrected by a factor. */
export const COMPUTE_MS_MIN = 0.01;

// How widely the time of work spreads: ln(measured / predicted), as its standard deviation.

/** Where nothing was measured: encoders and single runs of graphs. */
export const SPREAD_UNKNOWN = 0.3;

/** Answers of any length at all; beyond it an average says nothing. */
export const SPREAD_MAX = 1.5;

/**
 * Of that spread, what is left in a compute time that is known from answers: the median of 32 of them (0.22), corrected by an
 * average of weight 1/8 (0.26).
 */
export const ESTIMATE_NOISE_SHARE = 0.34;

/** A node that would rather have others do it costs so many times its price on top: what takes five times as long is no help. */
export const YIELD_SHARE = 3;

/** A queue counts as so many standard deviations longer than it is predicted to be. */
export const RISK_DEVIATIONS = 1.5;

/**
 * A node is given so many of its round trips ahead, transfers included, so that it never waits for a request that is on its
 * way…
 */
export const AHEAD_TRIPS = 4;

/** …and so much at least: requests shorter than that make a batch there, and nobody notices a wait of a tenth of a second. */
export const AHEAD_MS_MIN = 100;

/** What it has ahead counts as so many standard deviations more: behind work of any length at all, a request is bound last. */
export const BIND_DEVIATIONS = 0.5;

/** Requests of other nodes that one node counts as, in the average of what these keep busy: one that drowns says little of all. */
export const FOREIGN_MAX = 4;

// The choice.

/**
 * A candidate is hot when more requests are in flight there than at this share of the pool: Prequal's value (NSDI'24). It
 * keeps several nodes that decide by the same figures from all going to the one that looks best.
 */
export const HOT_QUANTILE = 0.84;

/** Requests in flight are told apart up to so many; a node with more is as hot as any. */
export const REQUESTS_COUNTED_MAX = 255;

/**
 * A hot candidate is passed over for a cold one, but not at any price: the strong nodes of an unequal mesh always have the
 * most in flight, and are the best all the same.
 */
export const HOT_DETOUR_SHARE = 0.1;

/** Up to so many candidates a request is sent with a condition; among more, another idle one is nearly always known. */
export const CONDITION_CANDIDATES_MAX = 128;

/** An executor's estimate may be so much above what the next best would cost: a decline costs time too. */
export const CONDITION_SLACK_SHARE = 0.1;
export const CONDITION_SLACK_MS = 1;

// Prequal as its authors run it (NSDI'24, section 4).

/** Probes that a node keeps. */
export const PREQUAL_POOL_MAX = 16;

/** Probes that each request sends; and those that it removes. */
export const PREQUAL_PROBES = 3;
export const PREQUAL_REMOVED = 1;

/** A probe answers for so many requests: at three probes a request, new ones come faster than they are used up. */
export const PREQUAL_USES_MAX = 2;

/** Probes over which the quantile is taken. */
export const PREQUAL_RECENT_PROBES = 128;

/** Models whose offers are kept at hand: about 50 bytes for each of them and each node. */
export const KNOWN_MODELS_MAX = 64;

// Records of placements, for replays.

/** Nodes of a record: a mesh of more has many that are alike. */
export const RECORD_NODES_MAX = 64;

/** Characters of a text in a record: names and reasons are other nodes' words. */
export const RECORD_TEXT_MAX = 200;

// When a model that only peers have is brought here.

/** Requests in the window without which nothing is brought: one curious question costs no download. */
export const BRING_REQUESTS_MIN = 3;

/**
 * Of the time that the demand seen would take elsewhere, what a copy must save before it is fetched, and may lose before it
 * is given up again. Means over a window of a few requests repeat to within a fifth.
 */
export const BRING_GAIN_SHARE = 0.2;

/** After a copy was let go of, none is brought for so long: what made room for something else would come and go. */
export const BRING_AGAIN_MS = 30 * 60_000;

/** Left free on the disk by a copy that nobody asked for by name: a full disk is worse than slow answers. */
export const BRING_DISK_SPARE_BYTES = 2e9;

/** Memory per byte of the file, as the engine reserves it for a load that was never measured. */
export const BRING_MEMORY_PER_BYTE = 2.75;

// How a batch is spread over several nodes.

/**
 * Longest chunk by a rate that was measured: what a lost node costs, and how coarse the end can be. Shorter ones would cost
 * more: a worker's batches get smaller, and each chunk has its round trip.
 */
export const CHUNK_MS_MAX = 500;

/** Longest chunk by a rate that was only predicted: a node that is five times as slow is known after a second. */
export const CHUNK_MS_FIRST = 200;

/** Shares of less than twice this are not cut any further. */
export const CHUNK_MS_MIN = 40;

/** What an idle worker must save before it does again what another one has: below it, a little jitter doubles everything… */
export const DOUBLE_GAIN_MS = 10;

/** …and of the time that it would take for it. */
export const DOUBLE_GAIN_SHARE = 0.1;

// How many copies of a model are in memory.

/** Demand is a sum in which every request counts half as much so much later: long enough for bursts, short enough to follow. */
export const DEMAND_FADE_MS = 30_000;

/** Requests in that sum without which no copy is added. */
export const REPLICA_REQUESTS_MIN = 2;

/** Of what a copy costs, what it must save beyond that before it is added… */
export const REPLICA_GAIN_SHARE = 0.2;

/** …and what having it back may at most be worth when it leaves: far below, so that no demand lies at both. */
export const REPLICA_LEAVE_SHARE = 0.3;

/** After a copy was added anywhere, what it changed is awaited: the waits before it fade by half. */
export const REPLICA_ADDED_MS = 30_000;

/** A copy is used for so long before it may leave for lack of demand, and stays away as long after that. */
export const REPLICA_STAYS_MS = 120_000;
export const REPLICA_AWAY_MS = 300_000;

/** Computing that a node does in one: above it a queue has no end. */
export const REPLICA_UTILISATION_MAX = 0.95;

/** The better a node suits, the sooner it claims: this much for each time that it is as slow as a copy… */
export const HESITATE_MS = 500;
/** …this much where something must leave for it, and where it must be fetched. */
export const HESITATE_ROOM_MS = 2_000;
export const HESITATE_PULL_MS = 10_000;
/** A copy that all demand goes to hesitates so long to leave; one that nobody asks goes at once. */
export const HESITATE_LEAVE_MS = 5_000;
export const HESITATE_MS_MAX = 8_000;

/** A claim is acted upon after so long and twice the longest round trip: a heartbeat brings what an announcement lost. */
export const CLAIM_SETTLE_MS = 1_000;
/** Of the round trip there: a link that was never measured, or a lie, must not hold a claim for long. */
export const CLAIM_RTT_MS_MAX = 1_000;

/** A claim is void after this: from here on the model is being loaded, which its offer says, or its owner has failed. */
export const CLAIM_MS = 60_000;
/** A fetch takes longer; 8 GB at 100 Mbit/s are 11 minutes. */
export const CLAIM_PULL_MS = 30 * 60_000;
/** Whose claim came to nothing is not believed again for this model: the claims of one member must not keep all others away. */
export const CLAIM_BROKEN_MS = 10 * 60_000;

// Graphs in parts.

/**
 * A cut must be predicted to be sooner by both of these than the best whole plan. Times of parts are predicted to within 2 %
 * mostly and 10 % nearly always, and a plan over several nodes has more that can fail.
 */
export const CUT_GAIN_SHARE = 0.05;
export const CUT_GAIN_MS = 2;

/** Parts of one plan: each way between two nodes costs a round trip, so more are never sooner. */
export const CUT_PARTS_MAX = 4;

/** Peers that a search looks at, those that would run the whole graph soonest. */
export const CUT_PEERS_MAX = 16;

/**
 * Further parts that one search tries. The bound on what is left leads to the best plan almost directly; only memory that two
 * parts on one node share can make it look further: this many take some 20 ms.
 */
export const CUT_TRIES_MAX = 1_000_000;

/** Where raw inputs stay here, so much of the computing does as well unless told otherwise: a graph's first nodes may only reshape. */
export const RAW_SHARE_MIN = 0.1;

/** Of two plans for a stream, one that keeps up with this much less per millisecond of its answers' delay is as good. */
export const STREAM_DELAY_SHARE = 1e-3;

/** What is left of float32 as int8 in blocks of 32 with a scale of two bytes. */
export const COMPRESSED_SHARE = 34 / 128;
/** What both ends compute for 1e6 bytes of floats, of one core: 2 to 4 ms to make blocks, 0.5 to read them. */
export const COMPRESS_MS_PER_MB = 4;
/** What compression must save of each tensor. */
export const COMPRESS_GAIN_MS_MIN = 1;
