// /v1/responses, in the part that apps use: requests, answers and events.
import { z } from 'zod';
import { ModelName } from '../shared-fields.ts';
import { WeftChat } from './chat.ts';
import {
  custom,
  emptyArray,
  field,
  flag,
  ignored,
  isObject,
  oneOf,
  optional,
  temperature,
  together,
  tokenCount,
  topP,
  unsupported,
} from './fields.ts';
import { input, storedId } from './response-items.ts';
import {
  checkTools,
  FORMAT_TEXT,
  type Format,
  FUNCTION,
  functionType,
  SCHEMA,
  toolChoice,
  tools,
  toTool,
} from './tools.ts';

/** OpenAI's own bounds; metadata comes back in the answer. */
const METADATA_ENTRIES_MAX = 16;
const METADATA_NAME_LENGTH_MAX = 64;
const METADATA_VALUE_LENGTH_MAX = 512;

const metadata = optional(
  custom(
    (value, fail): Readonly<Record<string, string>> => {
      if (!isObject(value)) return fail('must be an object of strings');
      const entries = Object.entries(value);
      if (entries.length > METADATA_ENTRIES_MAX) return fail(`must have at most ${METADATA_ENTRIES_MAX} entries`);
      const read = entries.map(([name, text]): [string, string] => {
        if (name.length > METADATA_NAME_LENGTH_MAX)
          return fail(`must have names of at most ${METADATA_NAME_LENGTH_MAX} characters`);
        if (typeof text !== 'string' || text.length > METADATA_VALUE_LENGTH_MAX)
          return fail(`must be a string of at most ${METADATA_VALUE_LENGTH_MAX} characters`, [name]);
        return [name, text];
      });
      // Defines each entry, where an assignment to `__proto__` would do something else.
      return Object.fromEntries(read);
    },
    { type: 'object', additionalProperties: { type: 'string' }, maxProperties: METADATA_ENTRIES_MAX },
  ),
);

const format = optional(
  z
    .discriminatedUnion(
      'type',
      [
        z.strictObject({ type: z.literal('text') }),
        z.strictObject({ type: z.literal('json_object') }),
        z.strictObject({ type: z.literal('json_schema'), ...SCHEMA }),
      ],
      FORMAT_TEXT,
    )
    .transform((format): Format => {
      if (format.type !== 'json_schema') return { kind: format.type };
      return { kind: 'json_schema', name: format.name, schema: format.schema };
    }),
);

const Tool = z.strictObject({ type: functionType, ...FUNCTION }, 'must be an object').transform(toTool);

const GO_ON = 'Go on with "previous_response_id", or send the whole conversation as "input".';

/** `POST /v1/responses`. */
export const ResponseRequest = z
  .strictObject({
    model: ModelName,
    input,
    instructions: optional(z.string('must be a string')),
    max_output_tokens: tokenCount(),
    temperature: temperature(),
    top_p: topP(),
    tools: tools(Tool),
    tool_choice: toolChoice((value) => field(value, 'name'), { name: { type: 'string' } }),
    parallel_tool_calls: flag(),
    text: optional(
      z.strictObject({ format, verbosity: unsupported('is not supported', oneOf('medium')) }, 'must be an object'),
    ),
    stream: flag(),
    stream_options: optional(
      z.strictObject({ include_obfuscation: unsupported('is not supported', oneOf(false)) }, 'must be an object'),
    ),
    metadata,
    previous_response_id: optional(storedId),
    store: flag(),

    access_programs: unsupported(),
    background: unsupported('is not supported', oneOf(false)),
    context_management: unsupported('is not supported', emptyArray),
    conversation: unsupported('is not supported', undefined, GO_ON),
    image: unsupported(),
    include: unsupported('is not supported', emptyArray),
    max_tool_calls: unsupported(),
    moderation: unsupported(),
    prompt: unsupported(),
    reasoning: unsupported('is not supported', (value) => isObject(value) && Object.values(value).every(oneOf(null))),
    top_logprobs: unsupported('is not supported', oneOf(0)),
    truncation: unsupported('is not supported; only "disabled" is accepted', oneOf('disabled')),

    prompt_cache_key: ignored(),
    prompt_cache_options: ignored(),
    prompt_cache_retention: ignored(),
    safety_identifier: ignored(),
    service_tier: ignored(),
    user: ignored(),
  })
  .superRefine(together(checkTools));
export type ResponseRequest = z.output<typeof ResponseRequest>;

const Status = z.enum(['in_progress', 'completed', 'incomplete']);

const OutputText = z.object({
  type: z.literal('output_text'),
  text: z.string(),
  annotations: z.array(z.never()),
  logprobs: z.array(z.never()),
});

const MessageItem = z.object({
  type: z.literal('message'),
  id: z.string(),
  status: Status,
  role: z.literal('assistant'),
  content: z.array(OutputText),
});

const CallItem = z.object({
  type: z.literal('function_call'),
  id: z.string(),
  status: Status,
  call_id: z.string(),
  name: z.string(),
  arguments: z.string(),
});

/** What an answer consists of. */
export const OutputItem = z.discriminatedUnion('type', [MessageItem, CallItem]);
export type OutputItem = z.infer<typeof OutputItem>;

const json = z.record(z.string(), z.unknown());

/** The answer of `POST /v1/responses`, which `GET` gives again while it is kept: what was asked for, filled up with what it means here, and what came of it. */
export const Response = z.object({
  id: z.string(),
  object: z.literal('response'),
  created_at: z.int(),
  completed_at: z.int().nullable(),
  status: z.enum(['in_progress', 'completed', 'incomplete', 'failed']),
  error: z.object({ code: z.string(), message: z.string() }).loose().nullable(),
  incomplete_details: z.object({ reason: z.literal('max_output_tokens') }).nullable(),
  model: z.string(),
  output: z.array(OutputItem),
  usage: z
    .object({
      input_tokens: z.int(),
      input_tokens_details: z.object({ cached_tokens: z.int() }),
      output_tokens: z.int(),
      output_tokens_details: z.object({ reasoning_tokens: z.int() }),
      total_tokens: z.int(),
    })
    .nullable(),
  instructions: z.string().nullable(),
  max_output_tokens: z.int().nullable(),
  temperature: z.number(),
  top_p: z.number(),
  text: z.object({ format: json }),
  tools: z.array(json),
  tool_choice: z.union([z.string(), json]),
  parallel_tool_calls: z.boolean(),
  metadata: z.record(z.string(), z.string()),
  background: z.literal(false),
  store: z.boolean(),
  truncation: z.literal('disabled'),
  previous_response_id: z.string().nullable(),
  reasoning: z.object({ effort: z.null(), summary: z.null() }),
  weft: WeftChat.optional(),
});
export type Response = z.infer<typeof Response>;

/** The query of `GET /v1/responses/{id}`. */
export const ResponseQuery = z.strictObject({
  include: unsupported(),
  include_obfuscation: unsupported('is not supported', oneOf('false')),
  starting_after: unsupported(),
  stream: unsupported('is not supported', oneOf('false')),
});

/** The answer of `DELETE /v1/responses/{id}`. */
export const ResponseDeleted = z.object({ id: z.string(), object: z.literal('response'), deleted: z.literal(true) });
export type ResponseDeleted = z.infer<typeof ResponseDeleted>;

const at = { sequence_number: z.int(), output_index: z.int() };
const inItem = { ...at, item_id: z.string() };
const inPart = { ...inItem, content_index: z.int() };
const ofResponse = { sequence_number: z.int(), response: Response };

/** One event of a streamed answer, in the order of the table in docs/api.md. */
export const ResponseEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('response.created'), ...ofResponse }),
  z.object({ type: z.literal('response.in_progress'), ...ofResponse }),
  z.object({ type: z.literal('response.output_item.added'), ...at, item: OutputItem }),
  z.object({ type: z.literal('response.content_part.added'), ...inPart, part: OutputText }),
  z.object({
    type: z.literal('response.output_text.delta'),
    ...inPart,
    delta: z.string(),
    logprobs: z.array(z.never()),
  }),
  z.object({ type: z.literal('response.output_text.done'), ...inPart, text: z.string(), logprobs: z.array(z.never()) }),
  z.object({ type: z.literal('response.content_part.done'), ...inPart, part: OutputText }),
  z.object({ type: z.literal('response.function_call_arguments.delta'), ...inItem, delta: z.string() }),
  z.object({
    type: z.literal('response.function_call_arguments.done'),
    ...inItem,
    name: z.string(),
    arguments: z.string(),
  }),
  z.object({ type: z.literal('response.output_item.done'), ...at, item: OutputItem }),
  z.object({ type: z.literal('response.completed'), ...ofResponse }),
  z.object({ type: z.literal('response.incomplete'), ...ofResponse }),
  z.object({ type: z.literal('response.failed'), ...ofResponse }),
]);
export type ResponseEvent = z.infer<typeof ResponseEvent>;
