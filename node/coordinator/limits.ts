// Bounds of the coordinator: what one request may hold, and what is kept between requests.

/** Tokenizers kept ready: SmolLM2's takes some 50 MB of heap once its vocabulary is parsed. */
export const TASKS_KEPT_MAX = 8;

/** Manifest and tokenizer of a model, from the peers that offer it: a few MB over a slow link. */
export const METADATA_TIMEOUT_MS = 30_000;

/** Answers to one chat: `n`. More are several requests, which take their turns with everyone else's. */
export const CHOICES_MAX = 16;

/** Answers of one completion request, over all its prompts. */
export const COMPLETION_CHOICES_MAX = 128;

/** Answers of one request that are under way together: one request shall not fill the mesh. */
export const CHOICES_IN_FLIGHT_MAX = 4;

/** Strings that end an answer: each is looked for at every character. OpenAI takes 4. */
export const STOPS_MAX = 16;

/** Schemas of all tools of one chat, as JSON text: read in 40 ms, before anything else is done for the request. */
export const TOOLS_CHARS_MAX = 256 << 10;

/** Texts of one embedding request: as many as OpenAI takes. */
export const INPUTS_MAX = 2048;

/**
 * Tokens of one EncodeRequest, a thousand texts of a paragraph: dispatch spreads it over the nodes, and can do that best where it
 * sees the whole. What is longer goes out in several.
 */
export const ENCODE_TOKENS_MAX = 131_072;

/** EncodeRequests of one embedding request that are under way together. */
export const ENCODES_IN_FLIGHT_MAX = 4;

/** Texts tokenised on this thread between two turns of its event loop, in characters. */
export const CHARS_PER_TURN_MAX = 16_384;

/** Characters of a name from outside that an error repeats. */
export const NAME_SHOWN_MAX = 96;

/** Models that "there is no such model" lists. */
export const NAMES_LISTED_MAX = 12;

/** Documents of one request for reranking: a search engine's first page is 10 to 100. Cohere recommends up to this many. */
export const DOCUMENTS_MAX = 1_000;

/** Spectra of sounds that are held while they are written down: four hours of them. */
export const SOUND_BYTES_HELD_MAX = 512 << 20;

/** Shortest sound, as OpenAI has it: shorter ones hold no word. */
export const SOUND_S_MIN = 0.1;

/** A window that would go on sooner than this is taken as whole, so that a sound has few more windows than it is long. */
export const WINDOW_ADVANCE_S_MIN = 1;

/** Text that sets the style of a transcript: longer ones are cut to half of the context anyway. */
export const TRANSCRIPT_PROMPT_CHARS_MAX = 16_384;
