// Bounds of the chat view.

/** Conversations that the list reads at a time. */
export const LIST_PAGE = 50;

/** A search is asked for once the typing has paused this long. */
export const SEARCH_PAUSE_MS = 200;

/** A block that is longer is never coloured: it would hold up the page. */
export const CODE_LENGTH_MAX = 60_000;

/** A growing answer is rendered this often: it reads smoothly, and the page has time for everything else. */
export const PAINT_MS = 40;

/** First pause before a broken stream is joined again; doubles up to {@link REJOIN_MS_MAX}. */
export const REJOIN_MS_MIN = 500;

export const REJOIN_MS_MAX = 8_000;

/** Nearer to the end than this counts as being there. */
export const AT_END_PX = 48;

/** Messages that stand in the page at first, and come in at a time on the way up. */
export const PORTION_MESSAGES = 60;

/** A portion takes no more messages in once it has so many characters. */
export const PORTION_LENGTH = 150_000;

/** Older messages come in when the first one is nearer than this to what is seen. */
export const OLDER_AHEAD_PX = 1_000;

/** Drafts that are kept while other views are shown. */
export const DRAFTS_MAX = 100;

/** Candidates and refusals that the reason of a choice names. */
export const REASONS_MAX = 4;
