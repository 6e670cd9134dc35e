// Bounds on what crosses a process. Each is checked before anything of that size is allocated.

/** Largest frame header. The longest is a sync with a few hundred adverts in it. */
export const HEADER_BYTES_MAX = 1 << 20;

/**
 * Strings, bytes, map entries and list elements of one message, nested ones included; a submessage counts four, as it
 * takes about four times as long to build (2.7 µs against 0.9). A mebibyte of small offers has 140,000, so the bound on
 * bytes is met first by whoever is honest; whoever is not gets 0.1 s of work instead of 1.4.
 */
export const MESSAGE_ELEMENTS_MAX = 150_000;

/** Tensor bytes in one frame: large pieces are fast (208 MB/s at 1 MiB, 93 at 16 KiB on loopback). */
export const FRAME_BODY_BYTES_MAX = 1 << 20;

/** Tensor bytes of one message over all its frames; a method's quota may allow less. */
export const MESSAGE_BYTES_MAX = 256 << 20;

/** Rank of a tensor. ONNX sets none; no operator of the standard needs more. */
export const TENSOR_RANK_MAX = 16;

/** Tensors in one message: a KV cache of 64 layers has 128, a stage's in and outputs fewer. */
export const TENSORS_MAX = 512;

/** Longest tensor name. */
export const TENSOR_NAME_LENGTH_MAX = 512;

/** Length of a dimension's name where a part of a graph is described; exporters write sums and divisions of names. */
export const DIM_NAME_LENGTH_MAX = 256;

/** UTF-16 units of all names of one part together: they travel in a frame's header, at three bytes each at most. */
export const PART_NAME_UNITS_MAX = HEADER_BYTES_MAX / 8;

/** Calls that one link may have open at once, whatever the methods' own quotas. */
export const CALLS_PER_LINK_MAX = 256;

/** Refusals that a caller may leave unread before its link is closed; one that keeps to the line above never has more. */
export const REFUSALS_UNREAD_MAX = 256;

/** Length of an error's message, remedy, and each fact's name and value, in UTF-16 units. */
export const ERROR_TEXT_LENGTH_MAX = 2048;

/** Facts of an error. */
export const ERROR_FACTS_MAX = 16;

/** Points of a batch curve: sizes 1 to 32,768 by powers of two. */
export const BATCH_POINTS_MAX = 16;

/** Bytes of a text file (tokenizer, config) that a node fetches from a peer to coordinate a model. */
export const SMALL_FILE_BYTES_MAX = 64 << 20;

/** Length of a W3C traceparent: version 00 takes 55. A longer one counts as none: it must never fail a request. */
export const TRACE_PARENT_LENGTH_MAX = 64;

/** Largest top-k that can be sent; larger than any vocabulary. */
export const TOP_K_MAX = 2 ** 32 - 1;

/** Tokens with a logit bias in one request; OpenAI takes 300. */
export const LOGIT_BIAS_MAX = 1024;

/** A bias lies between minus and plus this, as in OpenAI's API: enough to ban a token, or to force one. */
export const LOGIT_BIAS_ABS_MAX = 100;

/** Presence and frequency penalties lie between minus and plus this, as in OpenAI's API. */
export const PENALTY_ABS_MAX = 2;

/** The repetition penalty divides logits: within these no logit of a working model becomes infinite. */
export const REPETITION_PENALTY_MIN = 0.01;
export const REPETITION_PENALTY_MAX = 100;

/** Alternatives of a token whose log probabilities are reported, as in OpenAI's API. */
export const TOP_LOGPROBS_MAX = 20;

/** Tools that one answer may call, as in OpenAI's API. */
export const TOOLS_MAX = 128;

/** Longest name of a tool, as in OpenAI's API. */
export const TOOL_NAME_LENGTH_MAX = 64;

/** Bytes of one JSON schema as text. */
export const SCHEMA_BYTES_MAX = 64 << 10;

/** Bytes of all schemas of one request: they travel in a frame's header, which has twice the room. */
export const CONSTRAINT_BYTES_MAX = HEADER_BYTES_MAX / 2;

/** Name of an operation that one node asks another to do as its owner would. */
export const OPERATION_LENGTH_MAX = 64;

/** Bytes of JSON that come with such an operation: all settings at once take a few kilobytes. */
export const MANAGE_REQUEST_BYTES_MAX = 64 << 10;

/** And of the JSON that answers it: half of a frame's header, where it travels. Lists are cut to fit. */
export const MANAGE_ANSWER_BYTES_MAX = HEADER_BYTES_MAX / 2;

/** Bytes of JSON of one event that a node tells another: a log line has at most a few kilobytes. */
export const WATCH_EVENT_BYTES_MAX = 64 << 10;

/** Kinds of events that one node asks another for. */
export const WATCH_TYPES_MAX = 32;

/** Length of the name of such a kind, and of an event's id. */
export const WATCH_TEXT_LENGTH_MAX = 64;

/** How deep that JSON may be nested: what a node answers has six levels. */
export const MANAGE_DEPTH_MAX = 32;

/** What one node is about to do with models, at a time; more are not believed. */
export const INTENTS_MAX = 16;

/** Characters of a digest, its algorithm included: sha256 takes 71. */
export const DIGEST_LENGTH_MAX = 128;

/** Models whose demand a node tells: those for which most time is lost. */
export const DEMANDS_MAX = 32;
