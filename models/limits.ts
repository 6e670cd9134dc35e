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

/** Bytes of the ONNX file held in memory while it is walked. */
export const ONNX_WINDOW_BYTES = 64 << 10;

/** Messages within messages. A graph within a graph (If, Loop, Scan) is three deeper, and real ones stay under four. */
export const ONNX_DEPTH_MAX = 32;

/** Inputs, or outputs, of a graph: a KV cache of 128 layers has 512 and a few. */
export const ONNX_PORTS_MAX = 4096;

/** Initializers of a graph and of the graphs within it. Large language models have thousands. */
export const ONNX_INITIALIZERS_MAX = 1 << 20;

/** Tensors up to this size are kept in a model that is read to be edited; of larger ones, only where they are. */
export const INLINE_TENSOR_BYTES_MAX = 16 << 10;

/**
 * Memory that a model may take once it is read to be edited, its large tensors aside: half a million nodes. A file of
 * empty messages of two bytes each would otherwise take 250 times its size.
 */
export const ONNX_HEAP_BYTES_MAX = 512 << 20;

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
