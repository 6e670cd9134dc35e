// POST /v1/chat/completions: requests, answers and events.
import { z } from 'zod';
import { TOOLS_MAX, TOP_LOGPROBS_MAX } from '../../limits.ts';
import { ModelName } from '../shared-fields.ts';
import {
  checkSame,
  checkTogether,
  counted,
  custom,
  emptyArray,
  type Fail,
  field,
  flag,
  ignored,
  integerIn,
  oneOf,
  optional,
  SAMPLING,
  type Shape,
  STREAMING,
  together,
  tokenCount,
  UNSUPPORTED,
  unsupported,
} from './fields.ts';
import {
  CALL_ID_LENGTH_MAX,
  type Call,
  checkTools,
  FORMAT_TEXT,
  type Format,
  FUNCTION,
  functionType,
  type InputMessage,
  SCHEMA,
  toolChoice,
  tools,
  toTool,
} from './tools.ts';

/** Messages of one chat. A context of 128 Ki tokens holds fewer, with 20 tokens or more in each. */
export const MESSAGES_MAX = 4_096;

/** Parts of one message's content. */
export const CONTENT_PARTS_MAX = 256;

/** Text of parts that are all of these types, joined by line feeds. */
export function textOfParts(value: unknown, types: readonly string[], fail: Fail): string {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return fail('must be a string or an array of text parts');
  if (value.length === 0 || value.length > CONTENT_PARTS_MAX)
    return fail(`must have 1 to ${CONTENT_PARTS_MAX} text parts`);
  const texts = value.map((part: unknown, index) => {
    if (!types.some((type) => type === field(part, 'type')))
      return fail(`must be "${types[0]}": other kinds of content are not supported`, [index, 'type'], UNSUPPORTED);
    const text = field(part, 'text');
    return typeof text === 'string' ? text : fail('must be a string', [index, 'text']);
  });
  return texts.join('\n');
}

/** What {@link textOfParts} reads. */
export const textOrParts = (types: readonly string[]): Shape => ({
  anyOf: [
    { type: 'string' },
    {
      type: 'array',
      items: {
        type: 'object',
        properties: { type: { enum: types }, text: { type: 'string' } },
        required: ['type', 'text'],
      },
      minItems: 1,
      maxItems: CONTENT_PARTS_MAX,
    },
  ],
});

const ROLES: Readonly<Record<string, InputMessage['role']>> = {
  system: 'system',
  developer: 'system',
  user: 'user',
  assistant: 'assistant',
  tool: 'tool',
};

const role = custom(
  (value, fail): InputMessage['role'] => {
    const known = typeof value === 'string' && Object.hasOwn(ROLES, value) ? ROLES[value] : undefined;
    const text = 'must be "system", "developer", "user", "assistant" or "tool"';
    return known ?? fail(text, [], value === 'function' ? UNSUPPORTED : undefined);
  },
  { enum: Object.keys(ROLES) },
);

const callId = z
  .string('must be a string')
  .min(1, 'must not be empty')
  .max(CALL_ID_LENGTH_MAX, `must have at most ${CALL_ID_LENGTH_MAX} characters`);

const ToolCallGiven = z
  .strictObject(
    {
      id: callId,
      type: functionType,
      function: z.strictObject(
        {
          name: z.string('must be a string'),
          arguments: z.string('must be JSON text'),
          // Clients that parse the arguments send the message back with what they found.
          parsed_arguments: ignored(),
        },
        'must be an object',
      ),
    },
    'must be an object',
  )
  .transform(({ id, function: { name, arguments: text } }): Call => ({ id, name, arguments: text }));

const Message = z
  .strictObject(
    {
      role,
      content: optional(custom((value, fail) => textOfParts(value, ['text'], fail), textOrParts(['text']))),
      name: unsupported('is not supported: chat templates have no place for it'),
      tool_calls: optional(counted(ToolCallGiven, { what: 'calls', text: 'must be an array', min: 0, max: TOOLS_MAX })),
      tool_call_id: optional(callId),
      function_call: unsupported(),
      // Fields of an answer, so that it can be sent back as it came.
      refusal: unsupported(),
      annotations: unsupported('is not supported', emptyArray),
      audio: unsupported(),
      parsed: ignored(),
    },
    'must be an object',
  )
  .transform((message, context): InputMessage => {
    const { role, content, tool_calls: toolCalls = [], tool_call_id: toolCallId } = message;
    const fail = (name: string, text: string): void =>
      context.addIssue({ code: 'custom', message: text, path: [name], input: message });
    if (content === undefined && toolCalls.length === 0) fail('content', 'must be a string or an array of text parts');
    if (toolCalls.length > 0 && role !== 'assistant')
      fail('tool_calls', 'is only allowed in messages of the assistant');
    if ((toolCallId === undefined) === (role === 'tool'))
      fail('tool_call_id', 'must stand in every message of a tool, and in no other');
    return {
      role,
      content: content ?? '',
      ...(toolCalls.length > 0 ? { toolCalls } : {}),
      ...(toolCallId === undefined ? {} : { toolCallId }),
    };
  });

const Tool = z
  .strictObject({ type: functionType, function: z.strictObject(FUNCTION, 'must be an object') }, 'must be an object')
  .transform((tool) => toTool(tool.function));

const responseFormat = optional(
  z
    .discriminatedUnion(
      'type',
      [
        z.strictObject({ type: z.literal('text') }),
        z.strictObject({ type: z.literal('json_object') }),
        z.strictObject({ type: z.literal('json_schema'), json_schema: z.strictObject(SCHEMA, 'must be an object') }),
      ],
      FORMAT_TEXT,
    )
    .transform((format): Format => {
      if (format.type !== 'json_schema') return { kind: format.type };
      const { name, schema } = format.json_schema;
      return { kind: 'json_schema', name, schema };
    }),
);

/** `POST /v1/chat/completions`. */
export const ChatCompletionRequest = z
  .strictObject({
    model: ModelName,
    messages: counted(Message, { what: 'messages', text: 'must be an array of messages', min: 1, max: MESSAGES_MAX }),
    max_tokens: tokenCount(),
    max_completion_tokens: tokenCount(),
    ...SAMPLING,
    ...STREAMING,
    logprobs: flag(),
    top_logprobs: integerIn(0, TOP_LOGPROBS_MAX, `must be an integer from 0 to ${TOP_LOGPROBS_MAX}`),
    response_format: responseFormat,
    tools: tools(Tool),
    tool_choice: toolChoice((value) => field(field(value, 'function'), 'name'), {
      function: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
    }),
    parallel_tool_calls: flag(),

    audio: unsupported(),
    function_call: unsupported('is not supported; use "tool_choice"', oneOf('none', 'auto')),
    functions: unsupported('is not supported; use "tools"', emptyArray),
    modalities: unsupported('is not supported; only ["text"] is accepted', (value) =>
      Array.isArray(value) ? value.length === 1 && value[0] === 'text' : false,
    ),
    moderation: unsupported(),
    prediction: unsupported(),
    reasoning_effort: unsupported('is not supported', oneOf('none')),
    verbosity: unsupported('is not supported', oneOf('medium')),
    web_search_options: unsupported(),

    metadata: ignored(),
    prompt_cache_key: ignored(),
    prompt_cache_options: ignored(),
    prompt_cache_retention: ignored(),
    safety_identifier: ignored(),
    service_tier: ignored(),
    store: ignored(),
    user: ignored(),
  })
  .superRefine(
    together((request, misfit) => {
      checkTogether(request, misfit);
      checkTools(request, misfit);
      checkSame(request.max_tokens, request.max_completion_tokens, () =>
        misfit('max_tokens', 'must equal "max_completion_tokens" when both are given'),
      );
      if ((request.top_logprobs ?? 0) > 0 && request.logprobs !== true)
        misfit('top_logprobs', 'is only allowed when "logprobs" is true');
    }),
  );
export type ChatCompletionRequest = z.output<typeof ChatCompletionRequest>;

/** Tokens of a request and its answers. */
export const Usage = z.object({
  prompt_tokens: z.int(),
  /** Of the prompt: what was not computed again. */
  prompt_tokens_details: z.object({ cached_tokens: z.int() }).optional(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
});
const FinishReason = z.enum(['stop', 'length', 'tool_calls']);

/** Weft's own part of an answer: who worked on it, how fast, and what had been predicted. */
export const WeftChat = z.object({
  nodes: z.array(z.string()),
  ttft_ms: z.number(),
  tokens_per_second: z.number(),
  plan: z.object({ kind: z.string(), predicted_ms: z.number() }),
});

const TokenText = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()) });
const Logprobs = z.object({
  content: z.array(TokenText.extend({ top_logprobs: z.array(TokenText) })),
  refusal: z.null(),
});

const ToolCall = z.object({
  id: z.string(),
  type: z.literal('function'),
  function: z.object({ name: z.string(), arguments: z.string() }),
});

/** The answer of `POST /v1/chat/completions`. */
export const ChatCompletion = z.object({
  id: z.string(),
  object: z.literal('chat.completion'),
  created: z.int(),
  model: z.string(),
  system_fingerprint: z.string(),
  choices: z.array(
    z.object({
      index: z.int(),
      message: z.object({
        role: z.literal('assistant'),
        /** Null where there are calls of tools and nothing else. */
        content: z.string().nullable(),
        refusal: z.null(),
        tool_calls: z.array(ToolCall).optional(),
      }),
      logprobs: Logprobs.nullable(),
      finish_reason: FinishReason,
    }),
  ),
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
        index: z.int(),
        delta: z.object({
          role: z.literal('assistant').optional(),
          content: z.string().nullable().optional(),
          refusal: z.null().optional(),
          /** Whole calls, each once. */
          tool_calls: z.array(ToolCall.extend({ index: z.int() })).optional(),
        }),
        logprobs: Logprobs.nullable(),
        finish_reason: FinishReason.nullable(),
      }),
    )
    .max(1),
  /** Present only where `stream_options.include_usage` asked for it: null in all events but the last. */
  usage: Usage.nullable().optional(),
  /** In the event that has the last choice's finish reason. */
  weft: WeftChat.optional(),
});
export type ChatCompletionChunk = z.infer<typeof ChatCompletionChunk>;
