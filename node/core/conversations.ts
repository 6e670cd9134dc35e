// Conversations that this node keeps and answers by itself: what the control API asks of them. An answer goes on when
// nobody reads it, and what has come of it is on disk whatever becomes of the page that asked.
import type { NodeId, RequestId } from '../../protocol/ids.ts';
import type { RequestOptions } from './coordinator.ts';

/** How answers are drawn; absent = as the coordinator does it without. */
export interface ConversationSettings {
  readonly temperature?: number | undefined;
  readonly topP?: number | undefined;
  readonly maxTokens?: number | undefined;
  readonly seed?: number | undefined;
}

export type MessageState = 'done' | 'streaming' | 'stopped' | 'failed';

/** What is known of an answer beside its text. */
export interface AnswerFacts {
  readonly error?: { readonly code: string; readonly message: string; readonly remedy: string } | undefined;
  /** Name that was asked for; the hub id once that is known. */
  readonly model?: string | undefined;
  readonly requestId?: RequestId | undefined;
  /** Every node that worked on it, in order, with the names that they had then. */
  readonly nodes?: readonly { readonly node: NodeId; readonly name: string }[] | undefined;
  readonly usage?: { readonly promptTokens: number; readonly completionTokens: number } | undefined;
  readonly ttftMs?: number | undefined;
  readonly tokensPerSecond?: number | undefined;
}

export interface Message extends AnswerFacts {
  readonly id: string;
  /** The message that it follows; null for a first one. Users follow assistants, and assistants users. */
  readonly parent: string | null;
  readonly role: 'user' | 'assistant';
  readonly content: string;
  readonly state: MessageState;
  /** Milliseconds since 1970. */
  readonly createdAtMs: number;
}

/** What a conversation has beside its messages. */
export interface ConversationHead {
  /** Empty until something was said. */
  readonly title: string;
  /** Hub id or short name; null = the first that writes text. */
  readonly model: string | null;
  /** The system prompt; empty = none. */
  readonly system: string;
  readonly settings: ConversationSettings;
}

export interface Conversation extends ConversationHead {
  readonly id: string;
  /** All branches, oldest first. */
  readonly messages: readonly Message[];
  /** Last message of the branch that is shown. */
  readonly leaf: string | null;
  readonly createdAtMs: number;
  /** When something was last said in it. */
  readonly updatedAtMs: number;
}

/** A conversation in a list. */
export interface ConversationSummary {
  readonly id: string;
  readonly title: string;
  readonly model: string | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly messages: number;
  /** Of a search: the text around what was found, where that is a message. */
  readonly snippet?: string | undefined;
}

export interface ConversationQuery {
  /** Words, or beginnings of words, that all stand in one message or in the title. */
  readonly search?: string | undefined;
  readonly limit: number;
  /** Id of a conversation: those behind it. */
  readonly before?: string | undefined;
}

/** A conversation that comes from a file: its ids only tie its messages together. */
export type ImportedConversation = Omit<Conversation, 'id'>;

/** How the work on an answer is asked for. Its end doesn't depend on who asked. */
export interface AnswerOptions extends Pick<RequestOptions, 'requestId' | 'priority' | 'rawLocal'> {
  /** From now to the end of the answer. @default as long as any request may take */
  readonly deadlineMs?: number | undefined;
  /** W3C traceparent header that came with it. */
  readonly traceParent?: string | undefined;
}

/** A piece of an answer's text: `at` counts the characters (UTF-16 code units) before it. */
export interface AnswerPiece {
  readonly at: number;
  readonly text: string;
}

/**
 * Every method may throw WeftError `home_unwritable` or `disk_full` when the disk can't be read or written, and `not_found`
 * for a conversation or a message that there isn't.
 */
export interface Conversations {
  /** Where something was said last is first. */
  list(query: ConversationQuery): { readonly conversations: readonly ConversationSummary[]; readonly more: boolean };
  /** @throws WeftError `quota_exceeded` when the node keeps as many as it may */
  create(init: Partial<ConversationHead>): Conversation;
  get(id: string): Conversation;
  /** What is left out stays. */
  change(id: string, changes: Partial<ConversationHead> & { readonly leaf?: string | undefined }): Conversation;
  /** Answers under way end. */
  delete(id: string): void;
  /**
   * Keeps a message and begins to answer it.
   * @param request.parent the answer that it goes on from; null = a first message; undefined = the leaf
   * @throws WeftError `bad_request` for a parent that can't be gone on from, `quota_exceeded` when the conversation is full,
   *   `model_not_found` where no model is named and none writes text, `overloaded`
   */
  send(
    id: string,
    request: {
      readonly parent?: string | null | undefined;
      readonly content: string;
      readonly model?: string | undefined;
    },
    options: AnswerOptions,
  ): { readonly user: Message; readonly answer: Message };
  /** Answers again: a sibling of that answer, or a further answer to that user's message. @throws WeftError as {@link send} */
  regenerate(
    id: string,
    messageId: string,
    request: { readonly model?: string | undefined },
    options: AnswerOptions,
  ): Message;
  /** Ends an answer and keeps what has come; one that has ended stays as it is. */
  stop(id: string, messageId: string): Promise<Message>;
  /**
   * What comes of an answer behind its first `from` characters, and at last the message. Its text is read when it is asked
   * for, so that a slow reader costs no memory.
   * @throws the signal's reason when that aborts
   */
  follow(
    id: string,
    messageId: string,
    options: { readonly from: number; readonly signal: AbortSignal },
  ): AsyncIterable<AnswerPiece | Message>;
  /** Keeps a conversation under new ids. @throws WeftError `bad_request` where its messages are no tree, `quota_exceeded` */
  import(conversation: ImportedConversation): Conversation;
}
