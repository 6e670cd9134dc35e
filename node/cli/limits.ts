// Every bound and deadline of the command line, with its reason.

/** Control calls answer from memory: whoever takes longer hangs. */
export const CONTROL_MS_MAX = 10_000;

/** fetch ends a wait for headers after this by itself. */
export const FETCH_MS_MAX = 300_000;

/** Joining dials the inviter, proves the secret and stores the list; each step has its own shorter deadline. */
export const JOIN_MS_MAX = 60_000;

/** A cold model may have to be loaded, or moved to another node, before the answer begins. */
export const ANSWER_MS_MAX = 300_000;

/** The longest life of a ticket: what the API takes. Here as well, so that a person reads it in their own units. */
export const TICKET_SECONDS_MAX = 604_800;

/** Silence within a stream: longer than any recovery takes, shorter than a person's patience. */
export const STREAM_SILENCE_MS_MAX = 120_000;

/** One event of a stream. The longest are errors; a megabyte is far beyond all of them. */
export const SSE_EVENT_CHARS_MAX = 1_048_576;

/** A body that is read whole: the most embeddings that a request of 16 MiB can ask for fit many times. */
export const BODY_BYTES_MAX = 1_073_741_824;

/** What is read from a pipe: the API's own limit for a body. */
export const STDIN_BYTES_MAX = 16_777_216;

/**
 * Texts of one embedding request, and their characters, which may take six bytes each of a body of 16 MiB; longer lists are sent
 * in several. A node spreads what it sees whole: many of them are done sooner together.
 */
export const EMBED_TEXTS_MAX = 512;
export const EMBED_CHARS_MAX = 2_097_152;

/** From so many texts on `weft embed` shows how far it is: fewer are never spread over nodes. */
export const EMBED_WATCHED_MIN = 32;

/** Messages that a chat keeps: older ones are dropped in pairs. The context ends most chats earlier. */
export const CHAT_MESSAGES_MAX = 1_000;

/** Lines typed or pasted while an answer streams; they are asked one after the other. */
export const CHAT_LINES_WAITING_MAX = 1_000;

/** Signals closer together are one: npm passes on the Ctrl-C that the terminal has sent as well. */
export const SIGNAL_REPEAT_MS_MIN = 300;

/** `weft serve` promises to end within 2 s of being asked; what isn't stopped by then is cut off. */
export const STOP_MS_MAX = 1_800;

/** What is left to a process whose work is done and stopped. */
export const END_MS_MAX = 100;

/** How long `weft serve` waits for peers to appear before it prints what it has found. */
export const PEERS_WAIT_MS = 500;
export const PEERS_POLL_MS = 25;

/** The self-check's answer: enough for a sentence. */
export const SELF_CHECK_TOKENS_MAX = 32;

/** Deleting a model waits for its requests under way, and for its runner to end. */
export const REMOVE_MS_MAX = 120_000;

/** Loading may hash tens of gigabytes first. */
export const LOAD_MS_MAX = 600_000;

/** Lines for sources of a pull; more are counted. A mesh has seldom more nodes with one model. */
export const SOURCES_SHOWN_MAX = 6;

/** Columns of the bar of a pull: under the first it says nothing, past the second it says no more. */
export const BAR_COLUMNS_MIN = 8;
export const BAR_COLUMNS_MAX = 40;

/** Without a terminal a line of progress is printed when this many more percent are there. */
export const PROGRESS_STEP_PERCENT = 10;

/** Deleting what nothing needs: thousands of files on a slow disk. */
export const CLEAN_UP_MS_MAX = 300_000;

/** Unloading waits for the model's requests under way. */
export const UNLOAD_MS_MAX = 120_000;

/** A daemon ends within 2 s of being asked; the rest is for a loaded machine. */
export const STOP_WAIT_MS = 15_000;
export const STOP_POLL_MS = 25;

/** And one that begins anew answers a second later; the rest is for a loaded machine, and for its models' folder. */
export const RESTART_WAIT_MS = 60_000;

/** A JSON schema of an answer; the API takes less. */
export const SCHEMA_FILE_BYTES_MAX = 1_048_576;

/** Lines of chats that are kept, and the longest of them: what a person may want to type again. */
export const HISTORY_LINES_MAX = 1_000;
export const HISTORY_LINE_LENGTH_MAX = 4_096;

/** What is read of the file that keeps them: twice as many lines of a usual length, and some long ones. */
export const HISTORY_BYTES_MAX = 4_194_304;

/** A file with a tensor for one request: what the API takes, in JSON at its most verbose. */
export const TENSOR_FILE_BYTES_MAX = 67_108_864;

/** Tries to find a daemon again whose event stream broke off: a restart by a service manager takes a second or two. */
export const RECONNECTS_MAX = 20;
export const RECONNECT_MS = 250;

/** The same for another node, which may have to start its machine anew. */
export const RECONNECT_OTHER_MS = 3_000;

/** Log lines that are remembered while `weft logs -f` begins, so that none is printed twice. */
export const LOG_LINES_REMEMBERED_MAX = 2_000;

/** `weft top` reads everything at this pace, and at most so often when events come. */
export const TOP_POLL_MS = 1_000;
export const TOP_REDRAW_MS_MIN = 200;

/** Requests that `weft top` asks for: more than any window shows. */
export const TOP_REQUESTS_MAX = 100;

/** Requests that `weft trace` lists: a screen of them. */
export const TRACES_LISTED = 20;

/** `weft bench`: requests under way at a time, answers of each lane, tokens of each answer, and time for embeddings. */
export const BENCH_IN_FLIGHT = [1, 8] as const;
export const BENCH_ANSWERS = 2;
export const BENCH_TOKENS = 64;
export const BENCH_SECONDS = { usual: 3, max: 600 } as const;
