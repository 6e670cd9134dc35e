// Bounds on what is remembered of generations under way.

/** Generations at once: dispatch admits fewer. */
export const SESSIONS_MAX = 1024;

/** Token ids of all of them, room for what is still to come included: 64 MiB. */
export const SESSION_TOKENS_MAX = 16 << 20;
