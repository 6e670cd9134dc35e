// The headers that say how soon an answer is wanted: every endpoint takes them that runs models.

/** Milliseconds from the request's arrival until its whole answer must be there. */
export const DEADLINE_HEADER = 'x-weft-deadline-ms';

/** A day. */
export const DEADLINE_MS_MAX = 86_400_000;

/** Interactive work goes before batch work wherever both wait. */
export const PRIORITY_HEADER = 'x-weft-priority';

/** The first is the usual one. */
export const PRIORITIES = ['interactive', 'batch'] as const;
