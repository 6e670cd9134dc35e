// Bounds of the models layer. Each is checked before anything of that size is read, kept or computed.

/** Up to this size a file is `small`: verified at every load. Larger ones are verified at first use. */
export const SMALL_FILE_BYTES = 4 << 20;

/** Bytes of a chunk: what a transfer verifies before it writes, and re-fetches at most after a stop. */
export const CHUNK_BYTES = 4 << 20;

/** A manifest's JSON. One digest of 64 digits per 4 MiB: room for a model of 500 GB. */
export const MANIFEST_BYTES_MAX = 16 << 20;

/** Read at a time where a file streams through a digest: large reads are fast, and two of them are all that is held. */
export const READ_BYTES = 1 << 20;

/** Owner folders, and model folders of one owner, that a root may hold. A disk of models has dozens. */
export const FOLDERS_PER_LEVEL_MAX = 4096;

/** Models whose manifest and tokenizer are kept although their weights are elsewhere. The oldest leaves first. */
export const CACHED_MODELS_MAX = 64;

/** Graphs of one folder that are listed; the hub's largest have 60. */
export const GRAPHS_LISTED_MAX = 256;

/** Bytes of the ONNX file held in memory while it is walked. */
export const ONNX_WINDOW_BYTES = 64 << 10;

/** Messages within messages. A graph within a graph (If, Loop, Scan) is three deeper, and real ones stay under four. */
export const ONNX_DEPTH_MAX = 32;

/** Inputs, or outputs, of a graph: a KV cache of 128 layers has 512 and a few. */
export const ONNX_PORTS_MAX = 4096;

/** Initializers of a graph and of the graphs within it. Large language models have thousands. */
export const ONNX_INITIALIZERS_MAX = 1 << 20;

/** Nodes of a file, once its functions are put in the place of their calls. Real graphs have up to 100,000. */
export const ONNX_NODES_MAX = 1 << 20;

/** Functions of a file; exporters that write one per operator come to hundreds. */
export const ONNX_FUNCTIONS_MAX = 16 << 10;

/** Elements of one tensor. Runtimes count them in 32 bits here and there. */
export const ONNX_ELEMENTS_MAX = 2 ** 31 - 1;

/** Elements that an operator makes of nothing but numbers written in the file: 1 GiB of floats. Real masks have 2^24. */
export const ONNX_MADE_ELEMENTS_MAX = 2 ** 28;

/** Names and small constants that a check holds. A graph of 100,000 nodes takes 30 MB. */
export const ONNX_CHECK_BYTES_MAX = 256 << 20;

/** Files beside a graph that hold its weights: 500 GB in parts of 2 GB. */
export const ONNX_EXTERNAL_FILES_MAX = 1024;

/** Indices of a sparse tensor, each of which is looked at. */
export const SPARSE_INDEX_BYTES_MAX = 8 << 20;

/** Warnings about one model; those that follow say the same. */
export const WARNINGS_MAX = 16;

/** Tensors up to this size are kept in a model that is read to be edited; of larger ones, only where they are. */
export const INLINE_TENSOR_BYTES_MAX = 16 << 10;

/**
 * Memory that a model may take once it is read to be edited, its large tensors aside: half a million nodes. A file of
 * empty messages of two bytes each would otherwise take 250 times its size.
 */
export const ONNX_HEAP_BYTES_MAX = 512 << 20;

/** Places of a graph at which it is looked for cones that are cheaper to repeat than to send; of more, every so many. */
export const CONE_BOUNDARIES_MAX = 1024;

/** Nodes of the cones at one such place. A mask has some thirty. */
export const CONE_STEPS_MAX = 512;

/** Cones that are tried; each try looks at the whole graph once. */
export const CONE_TRIALS_MAX = 256;

/** Tensors that a node needs once its cheap cones are computed with it. Cones that widen the need are sent instead. */
export const CONE_INPUTS_MAX = 16;

/** Longest text that is tokenised on the caller's own thread: at most 13 ms (a run of 4,096 spaces), prose 4 ms. */
export const TEXT_CHARS_INLINE_MAX = 4096;

/** How much of a text is tokenised at a time, where it can be cut. Small enough to keep a heap flat. */
export const PIECE_CHARS = 8 << 10;

/**
 * Longest stretch of text without a place to cut it. Byte-pair merging sorts such a stretch as one: 1 Mi spaces take
 * 9 s and 560 MB, 1 Mi letters 4.5 s and 380 MB.
 */
export const UNCUT_CHARS_MAX = 1 << 20;

/** Tokens that a windowed detokenizer holds back at most while a character is incomplete: UTF-8 needs four. */
export const HELD_TOKENS_MAX = 16;

/** Messages of one conversation: the template renders 8,192 in 0.1 s, on the thread that answers peers. */
export const CHAT_MESSAGES_MAX = 8192;

/** Characters of a template's own complaint that are passed on. */
export const TEMPLATE_MESSAGE_CHARS_MAX = 200;

/** A JSON schema's text. Real ones have 1 to 10 KB; this much is read in 10 ms. */
export const JSON_SCHEMA_BYTES_MAX = 64 << 10;

/** Schemas within schemas, and references followed one into another. */
export const JSON_SCHEMA_DEPTH_MAX = 32;

/** Schemas read for one schema, those that were put together included: what is written down for each is a few rules. */
export const JSON_SCHEMA_NODES_MAX = 4096;

/** Options of one `oneOf`: each is compared with each. */
export const JSON_SCHEMA_OPTIONS_MAX = 32;

/** Looks at the options of all `oneOf` of a schema, to see that they exclude one another: 32 options take some 3,000. */
export const JSON_SCHEMA_LOOKS_MAX = 50_000;

/**
 * Times that anything is repeated: characters of a string, items of an array. A larger maximum is taken as this one, a
 * larger minimum is refused.
 */
export const JSON_SCHEMA_REPEAT_MAX = 4096;

/** Groups within groups of a regular expression. */
export const PATTERN_DEPTH_MAX = 32;

/** Places in the values of one schema, told apart by what may stand there. Real schemas have hundreds. */
export const JSON_SCHEMA_PLACES_MAX = 10_000;

/**
 * Steps of making automata of all patterns, formats and bounds of one schema: 0.1 to 0.3 s. `^[a-z]{1,1000}$` takes 12,000,
 * a date 2,000.
 */
export const AUTOMATON_STEPS_MAX = 100_000;

/** Languages of a speech model; Whisper's has 100. */
export const LANGUAGES_MAX = 1024;

/** Tokens that a speech model never draws; Whisper names 90. */
export const SUPPRESSED_MAX = 4096;

/** Largest chunk that the store takes: as much is held in memory while it is verified. */
export const CHUNK_BYTES_MAX = 16 << 20;

/** Chunks of one file: what a manifest has room for. */
export const CHUNKS_MAX = 1 << 18;

/** Chunks being written, read or verified by the store's thread at once; who brings another one waits. */
export const DISK_JOBS_MAX = 8;

/** Files being hashed as a whole at once: the thread gives each a slice in turn. */
export const HASH_JOBS_MAX = 4;

/** The store's thread ends when it had nothing to do for this long. */
export const DISK_IDLE_MS = 5_000;

/**
 * Written bytes of a file between two waits for the disk. After a loss of power as much is hashed again, in 0.1 s; small
 * enough that the last wait of a large file is short.
 */
export const SYNC_BYTES = 64 << 20;

/** Verified chunks that are kept while pieces of them are read out. */
export const READ_CHUNKS_MAX = 4;

/** A chunk that was found good is taken for good this long, as far as nobody writes to its file: disks rot slowly. */
export const VERIFIED_MS = 10 * 60_000;

/** Files whose good chunks are remembered. */
export const VERIFIED_FILES_MAX = 64;

/** Free bytes that a pull leaves on the disk: journals, logs and settings need some. */
export const DISK_RESERVE_BYTES = 64 << 20;

/** Files that were begun, or belong to no model, stay this long for a pull that goes on with them. */
export const PARTIAL_KEPT_MS = 7 * 24 * 3_600_000;

/** Journals of begun files, and files of no model, that are looked at. */
export const STORE_FILES_MAX = 1 << 16;

/** Signatures kept of one manifest, and the length of each. */
export const SIGNATURES_MAX = 64;
export const SIGNATURE_CHARS_MAX = 64 << 10;
