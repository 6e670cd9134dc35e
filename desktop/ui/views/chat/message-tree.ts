// The tree of a conversation's messages: which branch is shown, and which others there are. Pure.
import type { Conversation, ConversationMessage } from '../../../../protocol/api/control/conversations.ts';

/** One message of the branch that is shown, with all that stand in its place, itself among them, oldest first. */
export interface Shown {
  readonly message: ConversationMessage;
  readonly siblings: readonly ConversationMessage[];
}

/** From the first message to the leaf. A leaf that isn't there shows nothing. */
export function branchOf({ messages, leaf }: Pick<Conversation, 'messages' | 'leaf'>): readonly Shown[] {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const children = childrenOf(messages);
  const branch: Shown[] = [];
  for (let at = leaf; at !== null && branch.length < messages.length; ) {
    const message = byId.get(at);
    if (message === undefined) break;
    branch.unshift({ message, siblings: children.get(message.parent) ?? [message] });
    at = message.parent;
  }
  return branch;
}

/** The leaf to show for a message of another branch: the newest of those that follow it, down to the end. */
export function leafUnder(messages: readonly ConversationMessage[], id: string): string {
  const children = childrenOf(messages);
  let leaf = id;
  for (let left = messages.length; left > 0; left -= 1) {
    const next = children.get(leaf)?.at(-1);
    if (next === undefined) break;
    leaf = next.id;
  }
  return leaf;
}

/** With these in place of those of the same ids, or behind the others; and another leaf where one is named. */
export function withMessages(
  conversation: Conversation,
  messages: readonly ConversationMessage[],
  leaf: string | null = conversation.leaf,
): Conversation {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const kept = conversation.messages.map((message) => byId.get(message.id) ?? message);
  const known = new Set(conversation.messages.map(({ id }) => id));
  return { ...conversation, messages: [...kept, ...messages.filter(({ id }) => !known.has(id))], leaf };
}

function childrenOf(
  messages: readonly ConversationMessage[],
): ReadonlyMap<string | null, readonly ConversationMessage[]> {
  const children = new Map<string | null, ConversationMessage[]>();
  for (const message of messages) {
    const siblings = children.get(message.parent);
    if (siblings === undefined) children.set(message.parent, [message]);
    else siblings.push(message);
  }
  return children;
}
