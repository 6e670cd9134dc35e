// Every bound of the demonstration, with its reason.

/** The whole of it: a promise to whoever watches, on two cores. */
export const DEMO_MS_MAX = 85_000;

/** From a daemon's process to its API: a second on an idle machine, and five start on two cores. */
export const READY_MS_MAX = 30_000;

/** How often a state is looked at that tells nobody when it changes. */
export const POLL_MS = 25;

/** Until all have found each other: links are dialled again after a failure, with growing pauses. */
export const FOUND_MS_MAX = 20_000;

/** A daemon ends within 2 s of being asked; what is left then is killed. */
export const STOP_MS_MAX = 4_000;

/** Bytes that wait in one direction of a link before its source is paused: 20 ms of the fastest link. */
export const LINK_QUEUE_BYTES_MAX = 4_194_304;

/** Of what a daemon prints, its end is kept: it says why it failed. */
export const OUTPUT_CHARS_MAX = 4_096;

/** A trace is whole a moment after its answer is. */
export const TRACE_MS_MAX = 2_000;

/** Tokens of the answers that are asked for at once: enough for both chat nodes to be busy. */
export const CHAT_TOKENS_MAX = 24;

/** Tokens of the answer that loses its node, and how many pieces of it are here by then. */
export const STREAM_TOKENS_MAX = 64;
export const PIECES_BEFORE_LOSS = 12;
