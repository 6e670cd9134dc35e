// Bounds of the prep layer.

/** Texts or sounds that wait behind the one in work. A person's batch of documents fits, a flood doesn't. */
export const QUEUE_LENGTH_MAX = 64;

/** Characters of all waiting texts, or bytes of all waiting sounds: four bodies of the largest size. */
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

/** Longest sound. An hour of Whisper's spectra takes 115 MB, or 184 MB with 128 bins. */
export const SOUND_SECONDS_MAX = 3_600;

/** Decoding an hour of MP3 and making its spectra takes 30 to 60 s on one core. */
export const SOUND_MS_MAX = 180_000;

/** Frames of a spectrogram that cross to the node at a time: a megabyte and 1 ms of its main thread. */
export const FRAMES_PER_MESSAGE = 3_000;

/** Channels of a sound: Vorbis and Opus give no meaning to more. */
export const CHANNELS_MAX = 8;

/** Samples a second of a sound: from telephones to studios. */
export const SAMPLE_RATE_MIN = 4_000;
export const SAMPLE_RATE_MAX = 192_000;

/**
 * Bytes given to a decoder at a time. A FLAC frame of 16 bytes unpacks to 65,536 samples in 8 channels: a KiB becomes 130
 * MB at most. MP3 has no such frames.
 */
export const PACKED_BYTES_PER_PIECE = 1 << 10;
export const MP3_BYTES_PER_PIECE = 16 << 10;

/** Reading the structure of a graph, for a part of it: 0.2 s for one of 10,000 nodes, beside the start of the process. */
export const PART_MS_MAX = 30_000;

/** Starting the process and reading the graph of a model, before the first byte is hashed and between two progress reports. */
export const INSPECT_MS_MAX = 60_000;

/**
 * Bytes hashed a millisecond at which an inspection is let go on: 5 MB/s, as a slow network folder gives. One core hashes a
 * hundred times as much.
 */
export const INSPECT_BYTES_PER_MS_MIN = 5_000;

/** Bytes of one model; more than that is a file without an end. */
export const INSPECT_BYTES_MAX = 4 * 2 ** 40;

/** Bytes hashed between two messages that say so. */
export const INSPECT_REPORT_BYTES = 16 << 20;

/** How long an inspection may wait for its turn behind another: its caller has a progress line and can give up. */
export const INSPECT_WAIT_MS_MAX = 6 * 3_600_000;

/** All memory of the process, heap and buffers. An hour of sound, and the slowest text allowed, take 0.6 GB each. */
export const RESIDENT_MB_MAX = 2_048;

/** How often it looks at that. A process that fills buffers as fast as it can takes 200 MB in this time. */
export const RESIDENT_CHECK_MS = 50;
