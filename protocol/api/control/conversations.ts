// Conversations: chats that the node keeps, answers and continues by itself. A conversation is a tree: to edit a message or
// to answer again makes a sibling, and `leaf` says which branch is shown.
import { z } from 'zod';
import { ModelName } from '../shared-fields.ts';

/** Conversations that one answer lists. */
export const CONVERSATIONS_LISTED = { usual: 50, max: 200 } as const;

/** Characters of a search: a few words. */
export const SEARCH_LENGTH_MAX = 200;

/** Characters of a title; one that is made of a message is shorter. */
export const TITLE_LENGTH_MAX = 200;

/** Characters of one message: more than a context of 128 Ki tokens holds. */
export const MESSAGE_LENGTH_MAX = 500_000;

/** Characters of a system prompt. */
export const SYSTEM_LENGTH_MAX = 100_000;

/** Messages of one conversation, all branches together. */
export const MESSAGES_MAX = 2_000;

/** Characters of ids that are looked up. */
const ID_LENGTH_MAX = 64;

/** Nodes that are named at one answer, the last ones that worked on it. */
export const ANSWER_NODES_MAX = 64;

/** Characters of what an answer says of its error, its model and its nodes. */
export const ANSWER_TEXT_LENGTH_MAX = 1_000;

const LIMIT_TEXT = `must be an integer from 1 to ${CONVERSATIONS_LISTED.max}`;
const SEARCH_TEXT = `must be a text of at most ${SEARCH_LENGTH_MAX} characters`;
const TITLE_TEXT = `must be a text of at most ${TITLE_LENGTH_MAX} characters`;
const SYSTEM_TEXT = `must be a text of at most ${SYSTEM_LENGTH_MAX} characters`;
const CONTENT_TEXT = `must be a text of 1 to ${MESSAGE_LENGTH_MAX} characters that is more than spaces`;
const ID_TEXT = 'must be the id of a message of this conversation';
const FROM_TEXT = 'must be a whole number of characters';

/** The query of `GET /api/v1/conversations`. */
export const ConversationsQuery = z.strictObject({
  /** Words, or beginnings of words, that all stand in one message or in the title. */
  search: z.string(SEARCH_TEXT).max(SEARCH_LENGTH_MAX, SEARCH_TEXT).optional(),
  limit: z.coerce
    .number(LIMIT_TEXT)
    .int(LIMIT_TEXT)
    .min(1, LIMIT_TEXT)
    .max(CONVERSATIONS_LISTED.max, LIMIT_TEXT)
    .optional(),
  /** Id of the last conversation that was listed: those behind it follow. */
  before: z
    .string('must be the id of a conversation')
    .max(ID_LENGTH_MAX, 'must be the id of a conversation')
    .optional(),
});
export type ConversationsQuery = z.infer<typeof ConversationsQuery>;

const TEMPERATURE_TEXT = 'must be a number from 0 to 2';
const TOP_P_TEXT = 'must be a number above 0, up to 1';
const TOKENS_TEXT = 'must be an integer of at least 1';
const SEED_TEXT = 'must be an integer between -(2^53 - 1) and 2^53 - 1';

/** How answers are drawn; absent = as `/v1/chat/completions` does without it. */
export const ConversationSettings = z.strictObject(
  {
    temperature: z.number(TEMPERATURE_TEXT).min(0, TEMPERATURE_TEXT).max(2, TEMPERATURE_TEXT).optional(),
    topP: z.number(TOP_P_TEXT).gt(0, TOP_P_TEXT).max(1, TOP_P_TEXT).optional(),
    maxTokens: z
      .int(TOKENS_TEXT)
      .min(1, TOKENS_TEXT)
      .max(2 ** 31 - 1, TOKENS_TEXT)
      .optional(),
    seed: z.int(SEED_TEXT).optional(),
  },
  'must be an object of temperature, topP, maxTokens and seed',
);
export type ConversationSettings = z.infer<typeof ConversationSettings>;

const fields = {
  /** Empty = made of the first message. */
  title: z.string(TITLE_TEXT).max(TITLE_LENGTH_MAX, TITLE_TEXT).optional(),
  /** Hub id or short name; null = the first that writes text. */
  model: ModelName.nullable().optional(),
  /** The system prompt; empty = none. */
  system: z.string(SYSTEM_TEXT).max(SYSTEM_LENGTH_MAX, SYSTEM_TEXT).optional(),
  settings: ConversationSettings.optional(),
} as const;

const messageId = z.string(ID_TEXT).min(1, ID_TEXT).max(ID_LENGTH_MAX, ID_TEXT);

/** `POST /api/v1/conversations`. */
export const ConversationRequest = z.strictObject(fields);
export type ConversationRequest = z.infer<typeof ConversationRequest>;

/** `PATCH /api/v1/conversations/{id}`: what is left out stays; settings are replaced whole. */
export const ConversationPatch = z.strictObject({ ...fields, leaf: messageId.optional() });
export type ConversationPatch = z.infer<typeof ConversationPatch>;

const content = z
  .string(CONTENT_TEXT)
  .max(MESSAGE_LENGTH_MAX, CONTENT_TEXT)
  .refine((text) => text.trim() !== '', CONTENT_TEXT);

/** `POST /api/v1/conversations/{id}/messages`. */
export const SendRequest = z.strictObject({
  /** The answer that this goes on from; null = a first message. @default the leaf */
  parent: messageId.nullable().optional(),
  content,
  /** For this answer and those behind it. @default the conversation's */
  model: ModelName.optional(),
});
export type SendRequest = z.infer<typeof SendRequest>;

/** `POST /api/v1/conversations/{id}/messages/{messageId}/regenerate`. */
export const RegenerateRequest = z.strictObject({ model: ModelName.optional() });
export type RegenerateRequest = z.infer<typeof RegenerateRequest>;

/** The query of `GET /api/v1/conversations/{id}/messages/{messageId}/stream`. */
export const AnswerStreamQuery = z.strictObject({
  /** Characters (UTF-16 code units) that the reader has; the header `Last-Event-ID` comes first. @default 0 */
  from: z.coerce.number(FROM_TEXT).int(FROM_TEXT).min(0, FROM_TEXT).max(MESSAGE_LENGTH_MAX, FROM_TEXT).optional(),
});
export type AnswerStreamQuery = z.infer<typeof AnswerStreamQuery>;

/** One message. What is only of answers is left out of a user's, and where it isn't known. */
export const ConversationMessage = z.object({
  id: z.string(),
  /** The message that it follows; null for a first one. */
  parent: z.string().nullable(),
  role: z.enum(['user', 'assistant']),
  content: z.string(),
  /** `stopped`: by a person, or because the node ended; what had come is kept. */
  state: z.enum(['done', 'streaming', 'stopped', 'failed']),
  error: z.object({ code: z.string(), message: z.string(), remedy: z.string() }).optional(),
  /** Milliseconds since 1970, as all times of the wall clock. */
  createdAtMs: z.number(),
  /** Name that was asked for; the hub id once that is known. */
  model: z.string().optional(),
  /** Names its trace: `GET /api/v1/requests/{id}`, as long as that is kept. */
  requestId: z.string().optional(),
  /** Every node that worked on it, in order. */
  nodes: z.array(z.object({ node: z.string(), name: z.string() })).optional(),
  usage: z.object({ promptTokens: z.number(), completionTokens: z.number() }).optional(),
  ttftMs: z.number().optional(),
  tokensPerSecond: z.number().optional(),
});
export type ConversationMessage = z.infer<typeof ConversationMessage>;

/** `GET /api/v1/conversations`: where something was said last is first. */
export const ConversationsAnswer = z.object({
  conversations: z.array(
    z.object({
      id: z.string(),
      /** Empty until something was said. */
      title: z.string(),
      model: z.string().nullable(),
      createdAtMs: z.number(),
      /** When something was last said in it. */
      updatedAtMs: z.number(),
      messages: z.number(),
      /** Of a search: the text around what was found; left out where that is the title. */
      snippet: z.string().optional(),
    }),
  ),
  /** There are others behind the last one. */
  more: z.boolean(),
});
export type ConversationsAnswer = z.infer<typeof ConversationsAnswer>;

/** A conversation with all of its messages, oldest first. */
export const Conversation = z.object({
  id: z.string(),
  title: z.string(),
  model: z.string().nullable(),
  system: z.string(),
  settings: ConversationSettings,
  messages: z.array(ConversationMessage),
  /** Last message of the branch that is shown; null while there is none. */
  leaf: z.string().nullable(),
  createdAtMs: z.number(),
  updatedAtMs: z.number(),
});
export type Conversation = z.infer<typeof Conversation>;

/** The answer of `POST …/messages`: the message, and the answer that has begun. */
export const SendAnswer = z.object({ user: ConversationMessage, answer: ConversationMessage });
export type SendAnswer = z.infer<typeof SendAnswer>;

/** The answer of `regenerate` and of `stop`. */
export const RegenerateAnswer = z.object({ answer: ConversationMessage });
export type RegenerateAnswer = z.infer<typeof RegenerateAnswer>;

/** The answer of `DELETE /api/v1/conversations/{id}`. */
export const ConversationDeleted = z.object({ id: z.string(), deleted: z.literal(true) });
export type ConversationDeleted = z.infer<typeof ConversationDeleted>;

/** `data:` of an event `delta` of an answer's stream; the last event, `done`, has the message. */
export const AnswerPiece = z.object({
  /** Characters before it. */
  at: z.number(),
  text: z.string(),
});
export type AnswerPiece = z.infer<typeof AnswerPiece>;

/** `data:` of the events of an answer's stream. */
export const AnswerStreamEvent = z.union([AnswerPiece, ConversationMessage]);
export type AnswerStreamEvent = z.infer<typeof AnswerStreamEvent>;

/** The query of `GET /api/v1/conversations/{id}/export`. */
export const ExportQuery = z.strictObject({
  /** `markdown` is the branch that is shown, to be read; `json` is everything, to be read in again. @default 'json' */
  format: z.enum(['json', 'markdown'], 'must be "json" or "markdown"').optional(),
});
export type ExportQuery = z.infer<typeof ExportQuery>;

const short = z
  .string('must be a text')
  .max(ANSWER_TEXT_LENGTH_MAX, `must have at most ${ANSWER_TEXT_LENGTH_MAX} characters`);
const wholeMs = z.number('must be milliseconds since 1970').nonnegative('must be milliseconds since 1970');
const count = z.int('must be a whole number').nonnegative('must be a whole number');
const measure = z.number('must be a number of 0 or more').nonnegative('must be a number of 0 or more');

/**
 * A conversation as a file: what `export?format=json` gives and `POST /api/v1/conversations/import` takes. Fields that this
 * version doesn't know are left out.
 */
export const ConversationFile = z.object({
  format: z.literal('weft-conversation', 'must be "weft-conversation"'),
  version: z.literal(1, 'must be 1: a newer version of Weft has made it'),
  conversation: z.object(
    {
      title: z.string(TITLE_TEXT).max(TITLE_LENGTH_MAX, TITLE_TEXT),
      model: ModelName.nullable(),
      system: z.string(SYSTEM_TEXT).max(SYSTEM_LENGTH_MAX, SYSTEM_TEXT),
      settings: z.object(ConversationSettings.shape, 'must be an object'),
      leaf: messageId.nullable(),
      createdAtMs: wholeMs,
      updatedAtMs: wholeMs,
      messages: z
        .array(
          z.object(
            {
              id: messageId,
              parent: messageId.nullable(),
              role: z.enum(['user', 'assistant'], 'must be "user" or "assistant"'),
              content: z
                .string('must be a text')
                .max(MESSAGE_LENGTH_MAX, `must have at most ${MESSAGE_LENGTH_MAX} characters`),
              state: z.enum(['done', 'streaming', 'stopped', 'failed'], 'must be "done", "stopped" or "failed"'),
              error: z.object({ code: short, message: short, remedy: short }, 'must be an object').optional(),
              createdAtMs: wholeMs,
              model: short.optional(),
              requestId: short.optional(),
              nodes: z
                .array(z.object({ node: short, name: short }, 'must be an object'), 'must be an array')
                .max(ANSWER_NODES_MAX, `must hold at most ${ANSWER_NODES_MAX} nodes`)
                .optional(),
              usage: z.object({ promptTokens: count, completionTokens: count }, 'must be an object').optional(),
              ttftMs: measure.optional(),
              tokensPerSecond: measure.optional(),
            },
            'must be a message',
          ),
          'must be an array of messages',
        )
        .max(MESSAGES_MAX, `must hold at most ${MESSAGES_MAX} messages`),
    },
    'must be a conversation',
  ),
});
export type ConversationFile = z.infer<typeof ConversationFile>;
