// What Weft supports of OpenAI's API: /v1/chat/completions, /v1/embeddings and /v1/models. The gateway checks requests
// against these schemas and builds its answers to them; whatever a schema does not name is refused by name.
import { z } from 'zod';

/** Messages of one chat. A context of 128 Ki tokens holds fewer, with 20 tokens or more in each. */
export const MESSAGES_MAX = 4_096;

/** Parts of one message's content. */
export const CONTENT_PARTS_MAX = 256;

/** OpenAI's own bound. */
export const STOP_STRINGS_MAX = 4;

/** Each is searched for in the text at every token; nobody stops at a page of text. */
export const STOP_LENGTH_MAX = 1_024;

/** OpenAI's own bound. */
export const EMBEDDING_INPUTS_MAX = 2_048;

/** Names longer than this belong to no model; they come back in the error's text. */
export const MODEL_NAME_LENGTH_MAX = 256;

// ── Helpers ─────────────────────────────────────────────────────────────────────────────────────

/** Absent and null mean the same, as in OpenAI's API. */
function optional<Schema extends z.ZodType>(
  schema: Schema,
): z.ZodType<z.output<Schema> | undefined, z.input<Schema> | null | undefined> {
  return schema.nullish().transform((value) => value ?? undefined);
}

const numberIn = (min: number, max: number, text: string) => optional(z.number(text).min(min, text).max(max, text));
const flag = (text = 'must be true or false') => optional(z.boolean(text));

/** Marks an issue as "known, and not supported" instead of "wrong". */
export const UNSUPPORTED = { unsupported: true } as const;

type IsNeutral = (value: unknown) => boolean;
const never: IsNeutral = () => false;
const oneOf =
  (...values: readonly unknown[]): IsNeutral =>
  (value) =>
    values.includes(value);
const emptyArray: IsNeutral = (value) => Array.isArray(value) && value.length === 0;

/** A parameter of OpenAI's that is not supported: only absent, null and values that ask for nothing pass. */
const unsupported = (text: string, isNeutral: IsNeutral = never) =>
  z
    .unknown()
    .refine((value) => value === undefined || value === null || isNeutral(value), {
      message: text,
      params: UNSUPPORTED,
    })
    .optional();

/** A parameter that changes no answer here, whatever it says. */
const ignored = () => z.unknown().optional();

const model = z
  .string('must be the name of a model')
  .min(1, 'must be the name of a model')
  .max(MODEL_NAME_LENGTH_MAX, `must have at most ${MODEL_NAME_LENGTH_MAX} characters`);

/** An own field of an object from JSON. */
function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;
}

// ── Chat ────────────────────────────────────────────────────────────────────────────────────────

/** A string, or text parts, which are joined by line feeds. */
const content = z.unknown().transform((value, context): string => {
  if (typeof value === 'string') return value;
  const fail = (message: string, path: (string | number)[] = [], params?: typeof UNSUPPORTED): never => {
    context.addIssue({ code: 'custom', message, path, ...(params === undefined ? {} : { params }) });
    return z.NEVER;
  };
  if (!Array.isArray(value)) return fail('must be a string or an array of text parts');
  if (value.length === 0 || value.length > CONTENT_PARTS_MAX)
    return fail(`must have 1 to ${CONTENT_PARTS_MAX} text parts`);
  const texts: string[] = [];
  for (const [index, part] of value.entries()) {
    if (field(part, 'type') !== 'text')
      return fail('must be "text": other kinds of content are not supported', [index, 'type'], UNSUPPORTED);
    const text = field(part, 'text');
    if (typeof text !== 'string') return fail('must be a string', [index, 'text']);
    texts.push(text);
  }
  return texts.join('\n');
});

const Message = z.strictObject({
  role: z.unknown().transform((value, context): 'system' | 'user' | 'assistant' => {
    if (value === 'system' || value === 'user' || value === 'assistant') return value;
    const known = value === 'developer' || value === 'tool' || value === 'function';
    context.addIssue({
      code: 'custom',
      message: 'must be "system", "user" or "assistant"',
      ...(known ? { params: UNSUPPORTED } : {}),
    });
    return z.NEVER;
  }),
  content,
  name: unsupported('is not supported: chat templates have no place for it'),
  tool_calls: unsupported('is not supported', emptyArray),
  tool_call_id: unsupported('is not supported'),
  function_call: unsupported('is not supported'),
  // Fields of an answer, so that it can be sent back as it came.
  refusal: unsupported('is not supported'),
  annotations: unsupported('is not supported', emptyArray),
  audio: unsupported('is not supported'),
});

const stop = optional(
  z.unknown().transform((value, context): readonly string[] => {
    const stops: readonly unknown[] = Array.isArray(value) ? value : [value];
    const valid = (one: unknown): one is string =>
      typeof one === 'string' && one.length > 0 && one.length <= STOP_LENGTH_MAX;
    if (stops.length <= STOP_STRINGS_MAX && stops.every(valid)) return stops;
    context.addIssue({
      code: 'custom',
      message: `must be a string or at most ${STOP_STRINGS_MAX} strings of 1 to ${STOP_LENGTH_MAX} characters`,
    });
    return z.NEVER;
  }),
);

const tokenCount = numberIn(1, 2 ** 31 - 1, 'must be an integer of at least 1').refine(
  (value) => value === undefined || Number.isInteger(value),
  'must be an integer of at least 1',
);

/** `POST /v1/chat/completions`. */
export const ChatCompletionRequest = z
  .strictObject({
    model,
    messages: z
      .array(z.unknown(), 'must be an array of messages')
      .min(1, 'must hold at least one message')
      .max(MESSAGES_MAX, `must hold at most ${MESSAGES_MAX} messages`)
      // Behind a pipe, so that a million messages are counted before any is looked at.
      .pipe(z.array(Message)),
    max_tokens: tokenCount,
    max_completion_tokens: tokenCount,
    temperature: numberIn(0, 2, 'must be a number from 0 to 2'),
    top_p: numberIn(0, 1, 'must be a number above 0, up to 1').refine(
      (value) => value !== 0,
      'must be a number above 0, up to 1',
    ),
    seed: optional(z.int('must be an integer between -(2^53 - 1) and 2^53 - 1')),
    stop,
    stream: flag(),
    stream_options: optional(
      z.strictObject(
        {
          include_usage: flag(),
          include_obfuscation: unsupported('is not supported', oneOf(false)),
        },
        'must be an object',
      ),
    ),

    audio: unsupported('is not supported'),
    frequency_penalty: unsupported('is not supported; only 0 is accepted', oneOf(0)),
    function_call: unsupported('is not supported', oneOf('none', 'auto')),
    functions: unsupported('is not supported', emptyArray),
    logit_bias: unsupported(
      'is not supported',
      (value) => typeof value === 'object' && value !== null && Object.keys(value).length === 0,
    ),
    logprobs: unsupported('is not supported; only false is accepted', oneOf(false)),
    modalities: unsupported('is not supported; only ["text"] is accepted', (value) =>
      Array.isArray(value) ? value.length === 1 && value[0] === 'text' : false,
    ),
    moderation: unsupported('is not supported'),
    n: unsupported('is not supported; only 1 is accepted', oneOf(1)),
    prediction: unsupported('is not supported'),
    presence_penalty: unsupported('is not supported; only 0 is accepted', oneOf(0)),
    reasoning_effort: unsupported('is not supported', oneOf('none')),
    response_format: unsupported(
      'is not supported; only { "type": "text" } is accepted',
      (value) => field(value, 'type') === 'text',
    ),
    tool_choice: unsupported('is not supported', oneOf('none', 'auto')),
    tools: unsupported('is not supported', emptyArray),
    top_logprobs: unsupported('is not supported', oneOf(0)),
    verbosity: unsupported('is not supported', oneOf('medium')),
    web_search_options: unsupported('is not supported'),

    metadata: ignored(),
    parallel_tool_calls: ignored(),
    prompt_cache_key: ignored(),
    prompt_cache_options: ignored(),
    prompt_cache_retention: ignored(),
    safety_identifier: ignored(),
    service_tier: ignored(),
    store: ignored(),
    user: ignored(),
  })
  .superRefine((request, context) => {
    const fail = (name: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [name], message, input: request });
    if (request.stream_options !== undefined && request.stream !== true)
      fail('stream_options', 'is only allowed when "stream" is true');
    if (
      request.max_tokens !== undefined &&
      request.max_completion_tokens !== undefined &&
      request.max_tokens !== request.max_completion_tokens
    ) {
      fail('max_tokens', 'must equal "max_completion_tokens" when both are given');
    }
  });
export type ChatCompletionRequest = z.output<typeof ChatCompletionRequest>;

const Usage = z.object({ prompt_tokens: z.int(), completion_tokens: z.int(), total_tokens: z.int() });
const FinishReason = z.enum(['stop', 'length']);

/** Weft's own part of an answer: who worked on it, how fast, and what had been predicted. */
const WeftChat = z.object({
  nodes: z.array(z.string()),
  ttft_ms: z.number(),
  tokens_per_second: z.number(),
  plan: z.object({ kind: z.string(), predicted_ms: z.number() }),
});

/** The answer of `POST /v1/chat/completions`. */
export const ChatCompletion = z.object({
  id: z.string(),
  object: z.literal('chat.completion'),
  created: z.int(),
  model: z.string(),
  system_fingerprint: z.string(),
  choices: z.tuple([
    z.object({
      index: z.literal(0),
      message: z.object({ role: z.literal('assistant'), content: z.string(), refusal: z.null() }),
      logprobs: z.null(),
      finish_reason: FinishReason,
    }),
  ]),
  usage: Usage,
  weft: WeftChat,
});
export type ChatCompletion = z.infer<typeof ChatCompletion>;

/** One event of a streamed answer. */
export const ChatCompletionChunk = z.object({
  id: z.string(),
  object: z.literal('chat.completion.chunk'),
  created: z.int(),
  model: z.string(),
  system_fingerprint: z.string(),
  /** Empty in the event that carries the usage. */
  choices: z
    .array(
      z.object({
        index: z.literal(0),
        delta: z.object({
          role: z.literal('assistant').optional(),
          content: z.string().optional(),
          refusal: z.null().optional(),
        }),
        logprobs: z.null(),
        finish_reason: FinishReason.nullable(),
      }),
    )
    .max(1),
  /** Present only where `stream_options.include_usage` asked for it: null in all events but the last. */
  usage: Usage.nullable().optional(),
  /** In the event that has the finish reason. */
  weft: WeftChat.optional(),
});
export type ChatCompletionChunk = z.infer<typeof ChatCompletionChunk>;

// ── Embeddings ──────────────────────────────────────────────────────────────────────────────────

const input = z.unknown().transform((value, context): readonly string[] => {
  const fail = (message: string, path: number[] = [], params?: typeof UNSUPPORTED): never => {
    context.addIssue({ code: 'custom', message, path, ...(params === undefined ? {} : { params }) });
    return z.NEVER;
  };
  if (typeof value === 'string') return value === '' ? fail('must not be an empty string') : [value];
  if (!Array.isArray(value)) return fail('must be a string or an array of strings');
  if (typeof value[0] === 'number' || Array.isArray(value[0]))
    return fail('must be text: arrays of token ids are not supported', [], UNSUPPORTED);
  if (value.length === 0 || value.length > EMBEDDING_INPUTS_MAX)
    return fail(`must have 1 to ${EMBEDDING_INPUTS_MAX} strings`);
  for (const [index, text] of value.entries()) {
    if (typeof text !== 'string' || text === '') return fail('must be a string that is not empty', [index]);
  }
  return value;
});

/** `POST /v1/embeddings`. */
export const EmbeddingRequest = z.strictObject({
  model,
  input,
  encoding_format: optional(z.enum(['float', 'base64'], 'must be "float" or "base64"')),
  dimensions: unsupported('is not supported: vectors have the length that the model gives'),
  user: ignored(),
});
export type EmbeddingRequest = z.output<typeof EmbeddingRequest>;

/** The answer of `POST /v1/embeddings`. Base64 is that of little-endian float32. */
export const EmbeddingList = z.object({
  object: z.literal('list'),
  data: z.array(
    z.object({
      object: z.literal('embedding'),
      index: z.int(),
      embedding: z.union([z.array(z.number()), z.string()]),
    }),
  ),
  model: z.string(),
  usage: z.object({ prompt_tokens: z.int(), total_tokens: z.int() }),
  weft: z.object({ nodes: z.array(z.string()), plan: z.object({ kind: z.string(), predicted_ms: z.number() }) }),
});
export type EmbeddingList = z.infer<typeof EmbeddingList>;

// ── Models and errors ───────────────────────────────────────────────────────────────────────────

/** One model, as `GET /v1/models/{id}` answers. */
export const Model = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.int(),
  owned_by: z.string(),
  weft: z.object({
    task: z.string(),
    aliases: z.array(z.string()),
    context_length: z.int(),
    dimensions: z.int(),
    size_bytes: z.int(),
    nodes: z.array(z.object({ node: z.string(), name: z.string(), state: z.string(), self: z.boolean() })),
  }),
});
export type Model = z.infer<typeof Model>;

/** The answer of `GET /v1/models`. */
export const ModelList = z.object({ object: z.literal('list'), data: z.array(Model) });
export type ModelList = z.infer<typeof ModelList>;

/** Every refusal and failure, as a body or, once a stream has begun, as its last event. */
export const ErrorBody = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    /** The parameter at fault, such as `messages[0].content`. */
    param: z.string().nullable(),
    code: z.string(),
    /** A code of Weft's own table (protocol/errors.ts). */
    weft_code: z.string(),
    remedy: z.string(),
    request_id: z.string(),
  }),
});
export type ErrorBody = z.infer<typeof ErrorBody>;
