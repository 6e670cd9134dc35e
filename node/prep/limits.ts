// Bounds of the prep layer.

/** Texts that wait behind the one in work. A person's batch of documents fits, a flood doesn't. */
export const QUEUE_LENGTH_MAX = 64;

/** Characters of all waiting texts together: four bodies of the largest size. */
export const QUEUE_CHARS_MAX = 64 << 20;

/** Starting the process, loading a tokenizer and reading one text. The slowest text allowed, 1 Mi spaces, takes 9 s. */
export const WORK_MS_MAX = 30_000;

/** How long a text may wait for its turn. Clients give up about then. */
export const WAIT_MS_MAX = 60_000;

/** A cancelled text may go on for this long before the process is killed: starting anew costs 0.4 s. */
export const CANCEL_GRACE_MS = 250;

/** Without work for this long, the process is ended: it holds 100 MB and more. */
export const IDLE_MS = 60_000;

/** Heap of the process. The slowest text allowed takes 560 MB in all. */
export const HEAP_MB_MAX = 768;

/** Tokenizers kept in the process: 18 MB each for a vocabulary of 49,152. */
export const TOKENIZERS_MAX = 4;

/** A killed process is gone within milliseconds; one that isn't is stuck in the kernel, and nothing waits for it. */
export const EXIT_MS_MAX = 5_000;
