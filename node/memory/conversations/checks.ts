// What is looked up for a request, and refused where it isn't there or there would be too much of it.
import { MESSAGES_MAX } from '../../../protocol/api/control/conversations.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { Message } from '../../core/conversations.ts';
import { CONVERSATION_LENGTH_MAX } from './limits.ts';
import type { ConversationRow, Tables } from './tables.ts';

/** @throws WeftError `not_found` */
export function known(tables: Tables, id: string): ConversationRow {
  const row = tables.conversation(id);
  if (row !== undefined) return row;
  throw new WeftError({
    code: 'not_found',
    message: 'No conversation of this id is kept here.',
    remedy: 'List the conversations of this node: it may have been deleted.',
  });
}

/** Of that conversation. @throws WeftError `not_found` */
export function knownMessage(tables: Tables, { n }: ConversationRow, id: string): Message {
  const message = tables.message(n, id);
  if (message !== undefined) return message;
  throw new WeftError({
    code: 'not_found',
    message: 'This conversation has no message of this id.',
    remedy: 'Read the conversation anew.',
  });
}

/** @throws WeftError `bad_request` when the conversation would have too many messages, or too long ones */
export function checkSize(row: ConversationRow, more: { readonly messages: number; readonly length: number }): void {
  const isMany = row.messages + more.messages > MESSAGES_MAX;
  if (!isMany && row.length + more.length <= CONVERSATION_LENGTH_MAX) return;
  const limit = isMany ? `${MESSAGES_MAX} messages` : `${CONVERSATION_LENGTH_MAX} characters`;
  throw new WeftError({
    code: 'bad_request',
    message: `A conversation has at most ${limit}, all branches together.`,
    remedy: 'Begin a new conversation.',
  });
}

/** Of conversations that the node keeps. */
export function tooMany(conversationsMax: number): WeftError {
  return new WeftError({
    code: 'quota_exceeded',
    message: `This node keeps ${conversationsMax} conversations, and no more.`,
    remedy: 'Delete some; export those that are still wanted.',
  });
}
