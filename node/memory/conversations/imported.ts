// A conversation that comes from a file, as it is kept: under new ids, with nothing in it that only an answer under way has.
import { WeftError } from '../../../protocol/errors.ts';
import type { ImportedConversation, Message } from '../../core/conversations.ts';
import { CONVERSATION_LENGTH_MAX } from './limits.ts';
import { cleanTitle } from './title.ts';
import { checkTree } from './tree.ts';

export interface ImportedInit {
  /** Milliseconds since 1970: nothing was said later. */
  readonly now: number;
  readonly newId: (prefix: string) => string;
}

/** @throws WeftError `bad_request` for messages that are no tree, or too long together */
export function imported(conversation: ImportedConversation, { now, newId }: ImportedInit): ImportedConversation {
  const { messages, leaf } = conversation;
  const length = messages.reduce((sum, { content }) => sum + content.length, 0);
  if (length > CONVERSATION_LENGTH_MAX) {
    throw new WeftError({
      code: 'bad_request',
      message: `A conversation has at most ${CONVERSATION_LENGTH_MAX} characters, this one has ${length}.`,
      remedy: 'Leave some of its messages out.',
    });
  }
  checkTree(messages, leaf);
  const ids = new Map(messages.map(({ id }) => [id, newId('msg_')]));
  const renamed = (id: string | null): string | null => (id === null ? null : (ids.get(id) ?? null));
  const past = (ms: number): number => Math.min(Math.trunc(ms), now);
  return {
    ...conversation,
    title: cleanTitle(conversation.title),
    leaf: renamed(leaf ?? messages.at(-1)?.id ?? null),
    createdAtMs: past(conversation.createdAtMs),
    updatedAtMs: past(conversation.updatedAtMs),
    messages: messages.map((message): Message => {
      const { id, parent, role, content, state, createdAtMs } = message;
      const common = { id: ids.get(id) ?? id, parent: renamed(parent), content, createdAtMs: past(createdAtMs) };
      if (role === 'user') return { ...common, role, state: 'done' };
      return { ...message, ...common, state: state === 'streaming' ? 'stopped' : state };
    }),
  };
}
