// Whether the messages of a conversation that comes from a file are a tree.
import { WeftError } from '../../../protocol/errors.ts';
import type { Message } from '../../core/conversations.ts';

/**
 * Checks that messages are a tree, in whatever order they stand.
 * @param leaf of the conversation, which must be one of them
 * @throws WeftError `bad_request` for ids that are there twice or nowhere, for circles, and for roles that don't take turns
 */
export function checkTree(messages: readonly Message[], leaf: string | null): void {
  const byId = new Map(messages.map((message) => [message.id, message]));
  if (byId.size !== messages.length) throw noTree('Two messages have the same id.');
  if (leaf !== null && !byId.has(leaf)) throw noTree('The leaf is none of the messages.');
  for (const { parent, role } of messages) {
    const above = parent === null ? undefined : byId.get(parent);
    if (parent !== null && above === undefined) throw noTree('A message follows one that is not there.');
    const isTurn = role === 'user' ? above?.role !== 'user' : above?.role === 'user';
    if (!isTurn) throw noTree('Messages of users and assistants do not take turns.');
  }
  const children = Map.groupBy(messages, ({ parent }) => parent);
  let reached = 0;
  for (let level = children.get(null) ?? []; level.length > 0; ) {
    reached += level.length;
    level = level.flatMap(({ id }) => children.get(id) ?? []);
  }
  // Whatever can't be reached from a first message goes round in a circle.
  if (reached !== messages.length) throw noTree('Messages follow each other in a circle.');
}

function noTree(message: string): WeftError {
  return new WeftError({
    code: 'bad_request',
    message,
    remedy: 'Send a conversation as its export gives it.',
    facts: { param: 'conversation.messages' },
  });
}
