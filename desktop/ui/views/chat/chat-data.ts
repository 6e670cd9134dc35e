// What the chat view asks of the node, and how its answers find their way into the store. Events keep them fresh (data/freshness.ts):
// another window's messages appear by themselves.
import { keepPreviousData, type QueryClient, useInfiniteQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo } from 'react';
import type {
  Conversation,
  ConversationMessage,
  ConversationPatch,
  ConversationsAnswer,
  RegenerateAnswer,
  SendAnswer,
} from '../../../../protocol/api/control/conversations.ts';
import { type ApiError, api } from '../../data/client.ts';
import { type Answered, queryKey, useAnswer } from '../../data/queries.ts';
import type { Manner } from './drafts.ts';
import { LIST_PAGE } from './limits.ts';
import { withMessages } from './message-tree.ts';

export type Listed = ConversationsAnswer['conversations'][number];

const BASE = '/api/v1/conversations';
const pathOf = (id: string): string => `${BASE}/${encodeURIComponent(id)}`;
const messagePath = (id: string, message: string): string => `${pathOf(id)}/messages/${encodeURIComponent(message)}`;

export const streamPath = (id: string, message: string, from: number): string =>
  `${messagePath(id, message)}/stream?from=${from}`;

/** The conversations, or those in which the words stand; more of them by `fetchNextPage`. */
export function useConversations(search: string) {
  const query = useInfiniteQuery<
    ConversationsAnswer,
    ApiError,
    { pages: ConversationsAnswer[] },
    readonly string[],
    string
  >({
    queryKey: queryKey('conversations', undefined, search),
    queryFn: ({ pageParam, signal }) => {
      const asked = new URLSearchParams({ limit: String(LIST_PAGE) });
      if (search !== '') asked.set('search', search);
      if (pageParam !== '') asked.set('before', pageParam);
      return api.get<ConversationsAnswer>(`${BASE}?${asked}`, { signal });
    },
    initialPageParam: '',
    getNextPageParam: ({ conversations, more }) => (more ? conversations.at(-1)?.id : undefined),
    placeholderData: keepPreviousData,
  });
  const { data } = query;
  const conversations = useMemo(() => data?.pages.flatMap((page) => page.conversations), [data]);
  return { query, conversations };
}

export const useConversation = (id: string): Answered<Conversation> =>
  useAnswer('conversation', `conversations/${encodeURIComponent(id)}`, { key: [id], enabled: id !== '' });

export interface ChatActions {
  /** A conversation that is empty. */
  create(manner: Manner): Promise<Conversation>;
  send(id: string, parent: string | null, content: string): Promise<SendAnswer>;
  regenerate(id: string, message: string): Promise<ConversationMessage>;
  stop(id: string, message: string): Promise<void>;
  /** Shows another branch at once; the node hears of it. */
  show(id: string, leaf: string): Promise<void>;
  change(id: string, patch: ConversationPatch): Promise<Conversation>;
  remove(id: string): Promise<void>;
  importFile(file: Blob): Promise<Conversation>;
  /** Puts what has come of an answer into the store. */
  keep(id: string, message: ConversationMessage): void;
}

/** All of them throw ApiError. */
export function useChatActions(): ChatActions {
  const client = useQueryClient();
  return useMemo(() => actionsOf(client), [client]);
}

function actionsOf(client: QueryClient): ChatActions {
  const keyOf = (id: string): readonly string[] => queryKey('conversation', undefined, id);
  const put = (conversation: Conversation): Conversation => {
    client.setQueryData(keyOf(conversation.id), conversation);
    return conversation;
  };
  const patch = (id: string, change: (conversation: Conversation) => Conversation): void => {
    client.setQueryData<Conversation>(keyOf(id), (conversation) =>
      conversation === undefined ? undefined : change(conversation),
    );
  };
  /** What is being read was asked for before the change, and must not overwrite it. */
  const settle = (id: string): Promise<void> => client.cancelQueries({ queryKey: keyOf(id) });
  return {
    async create(manner) {
      return put(await api.post<Conversation>(BASE, manner));
    },
    async send(id, parent, content) {
      const sent = await api.post<SendAnswer>(`${pathOf(id)}/messages`, { parent, content });
      await settle(id);
      patch(id, (conversation) => withMessages(conversation, [sent.user, sent.answer], sent.answer.id));
      return sent;
    },
    async regenerate(id, message) {
      const { answer } = await api.post<RegenerateAnswer>(`${messagePath(id, message)}/regenerate`);
      await settle(id);
      patch(id, (conversation) => withMessages(conversation, [answer], answer.id));
      return answer;
    },
    async stop(id, message) {
      const { answer } = await api.post<RegenerateAnswer>(`${messagePath(id, message)}/stop`);
      await settle(id);
      patch(id, (conversation) => withMessages(conversation, [answer]));
    },
    async show(id, leaf) {
      await settle(id);
      patch(id, (conversation) => ({ ...conversation, leaf }));
      put(await api.patch<Conversation>(pathOf(id), { leaf }));
    },
    async change(id, changes) {
      return put(await api.patch<Conversation>(pathOf(id), changes));
    },
    async remove(id) {
      await api.delete(pathOf(id));
      await settle(id);
      client.removeQueries({ queryKey: keyOf(id) });
      await client.invalidateQueries({ queryKey: queryKey('conversations') });
    },
    async importFile(file) {
      const response = await api.raw('POST', `${BASE}/import`, {
        body: file,
        headers: { 'content-type': 'application/json' },
      });
      return put((await response.json()) as Conversation);
    },
    keep(id, message) {
      patch(id, (conversation) => withMessages(conversation, [message]));
    },
  };
}

/** Hands the conversation to the person as a file. @throws ApiError */
export async function exportConversation(id: string, format: 'json' | 'markdown'): Promise<void> {
  const response = await api.raw('GET', `${pathOf(id)}/export?format=${format}`);
  const [, name] = /filename="([^"]+)"/.exec(response.headers.get('content-disposition') ?? '') ?? [];
  const url = URL.createObjectURL(await response.blob());
  const link = document.createElement('a');
  link.href = url;
  link.download = name ?? `conversation.${format === 'json' ? 'json' : 'md'}`;
  link.click();
  // The download has taken its own hold of it by then.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
