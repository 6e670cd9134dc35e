// What was written and not sent yet, and how a conversation that doesn't exist yet is to be held: kept while other views are shown.
// In the page's memory only: conversations lie on the node, never in the browser's storage.
import { useSyncExternalStore } from 'react';
import type { ConversationSettings } from '../../../../protocol/api/control/conversations.ts';
import { api } from '../../data/client.ts';
import { DRAFTS_MAX } from './limits.ts';

/** Of the conversation that has no id yet. */
export const NEW = 'new';

/** How a conversation is held. */
export interface Manner {
  /** Null = the first that writes text. */
  readonly model: string | null;
  readonly system: string;
  readonly settings: ConversationSettings;
}

const PLAIN_MANNER: Manner = { model: null, system: '', settings: {} };

const drafts = new Map<string, string>();
let manner = PLAIN_MANNER;
const listeners = new Set<() => void>();

function tell(): void {
  for (const listener of listeners) listener();
}

// Another person may sign in.
api.onSignedOut(() => {
  drafts.clear();
  manner = PLAIN_MANNER;
  tell();
});

/** @param key a conversation's id, {@link NEW}, or `edit:` and a message's id */
export const draftOf = (key: string): string => drafts.get(key) ?? '';

export function setDraft(key: string, draft: string): void {
  drafts.delete(key);
  if (draft !== '') drafts.set(key, draft);
  for (const oldest of drafts.keys()) {
    if (drafts.size <= DRAFTS_MAX) break;
    drafts.delete(oldest);
  }
  tell();
}

/** For the next new conversation. */
export function setNewManner(next: Manner): void {
  manner = next;
  tell();
}

export const clearNewManner = (): void => setNewManner({ ...PLAIN_MANNER, model: manner.model });

const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

export const useDraft = (key: string): string => useSyncExternalStore(subscribe, () => draftOf(key));

export const useNewManner = (): Manner => useSyncExternalStore(subscribe, () => manner);
