// Every bound of the conversations that a node keeps, with its reason. Those of single fields are in the protocol, where they
// are checked.

/** Conversations: twenty years of one and a half a day. Listing them is as quick as listing ten. */
export const CONVERSATIONS_MAX = 10_000;

/**
 * Characters of all messages of one conversation: a context of 128 Ki tokens four times over. It is read and written whole
 * where it is opened, exported and imported, which takes 20 to 300 ms of the main thread at this size.
 */
export const CONVERSATION_LENGTH_MAX = 2_000_000;

/** Answers under way. Executors refuse earlier, by load; this bounds what a loop of a script leaves behind. */
export const ANSWERS_MAX = 32;

/** A whole answer, as for any request of the HTTP API: it may wait for a model to come, and be repeated elsewhere. */
export const ANSWER_MS_MAX = 1_800_000;

/** What has come of an answer is written when this has passed since the first of it that isn't: what a crash may cost. */
export const SAVE_MS = 250;

/** Characters of one message that are searched: indexing so many takes 6 ms. */
export const INDEXED_LENGTH_MAX = 65_536;

/** Matches of a search that are looked at, the newest: 3 ms, however common a word is. */
export const MATCHES_MAX = 2_000;

/** Words of a search that count. */
export const SEARCH_TERMS_MAX = 8;

/** Characters around what was found. */
export const SNIPPET_LENGTH = 120;

/** Characters of a title that is made of a message. */
export const TITLE_LENGTH = 60;

/** Characters of a piece of an answer that is read from its beginning: well below what a stream may buffer. */
export const PIECE_LENGTH_MAX = 32_768;

/** Milliseconds that a statement waits for another process that reads the file, such as a backup. */
export const BUSY_MS_MAX = 250;

/** Memory of the pages that SQLite keeps. */
export const CACHE_KIB = 8_192;

/** The log of changes is cut to this after it was written back. */
export const WAL_BYTES_KEPT = 16 << 20;
