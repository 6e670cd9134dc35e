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
