// Bounds of what the pages keep and of what they wait for.

/** Bytes of one server-sent event; the node's own events are far smaller. */
export const EVENT_CHARS_MAX = 1_048_576;

/** Events that wait for the next frame. More than a second of the busiest mesh; beyond it the pages read anew. */
export const EVENTS_WAITING_MAX = 2_048;

/** The node says something every 15 s at least: silence for longer than two of these is a dead connection. */
export const SILENCE_MS_MAX = 40_000;

/** First pause before connecting again; doubles up to {@link RECONNECT_MS_MAX}. */
export const RECONNECT_MS_MIN = 500;

/** A node that comes back is seen within this time. */
export const RECONNECT_MS_MAX = 10_000;

/** Attempts without an answer after which the shell says "offline" rather than "reconnecting". */
export const ATTEMPTS_BEFORE_OFFLINE = 3;

/** Hidden pages get no frames: they take events this often. */
export const HIDDEN_FLUSH_MS = 1_000;

/** Requests that live views show: more than any of them has room for. */
export const LIVE_REQUESTS_MAX = 240;

/** Requests of the list: as many as a node keeps. */
export const REQUESTS_LISTED_MAX = 600;

/** Pulses older than this are merged to one every {@link PULSE_STEP_MS}. */
export const FINE_PULSES_MS = 300_000;

/** Between two older pulses: the step of the node's own memory. */
export const PULSE_STEP_MS = 5_000;

/** How far back plots reach: as far as the node remembers. */
export const PULSES_KEPT_MS = 3_600_000;

/** More than these are thinned out: an hour at {@link PULSE_STEP_MS}, of it {@link FINE_PULSES_MS} at one a second, and slack. */
export const PULSES_MAX = 1_100;

/** Notices on the screen at a time. */
export const TOASTS_MAX = 4;
