// Bounds of the chat view.

/** Conversations that the list reads at a time. */
export const LIST_PAGE = 50;

/** A search is asked for once the typing has paused this long. */
export const SEARCH_PAUSE_MS = 200;

/** A block of code that is still being written is coloured up to this length; longer ones when they are whole. */
export const OPEN_CODE_LENGTH_MAX = 6_000;

/** Code past this length is never coloured: it would hold up the page. */
export const CODE_LENGTH_MAX = 60_000;

/** First pause before a broken stream is joined again; doubles up to {@link REJOIN_MS_MAX}. */
export const REJOIN_MS_MIN = 500;

export const REJOIN_MS_MAX = 8_000;

/** Nearer to the end than this counts as being there. */
export const AT_END_PX = 48;

/** Drafts that are kept while other views are shown. */
export const DRAFTS_MAX = 100;

/** Candidates and refusals that the reason of a choice names. */
export const REASONS_MAX = 4;
