// Every bound and deadline of the command line, with its reason.

/** Control calls answer from memory: whoever takes longer hangs. */
export const CONTROL_MS_MAX = 10_000;

/** Joining dials the inviter, proves the secret and stores the list; each step has its own shorter deadline. */
export const JOIN_MS_MAX = 60_000;

/** A cold model may have to be loaded, or moved to another node, before the answer begins. */
export const ANSWER_MS_MAX = 300_000;

/** Silence within a stream: longer than any recovery takes, shorter than a person's patience. */
export const STREAM_SILENCE_MS_MAX = 120_000;

/** One event of a stream. The longest are errors; a megabyte is far beyond all of them. */
export const SSE_EVENT_CHARS_MAX = 1_048_576;

/** A body that is read whole: the most embeddings that a request of 16 MiB can ask for fit many times. */
export const BODY_BYTES_MAX = 1_073_741_824;

/** What is read from a pipe: the API's own limit for a body. */
export const STDIN_BYTES_MAX = 16_777_216;

/** Texts of one embedding request; longer lists are sent in several. */
export const EMBED_TEXTS_MAX = 256;

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
