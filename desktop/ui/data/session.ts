// Whether this page is signed in to its node, and the way back after a sign-in.
import { useSyncExternalStore } from 'react';
import { api } from './client.ts';
import { forgetLive, hub } from './events.ts';

/** `unknown` until the node has answered for the first time. */
export type SignedIn = 'unknown' | 'yes' | 'no';

let state: SignedIn = 'unknown';
let back = '/';
const listeners = new Set<() => void>();

function enter(next: SignedIn): void {
  if (next === state) return;
  state = next;
  for (const listener of listeners) listener();
}

api.onSignedOut(() => {
  const here = location.hash.replace(/^#/, '') || '/';
  if (!here.startsWith('/sign-in')) back = here;
  hub.stop('signed-out');
  forgetLive();
  enter('no');
});

/** The node has taken this page in. */
export function signedIn(): void {
  enter('yes');
  hub.start();
}

/** Where to go after a sign-in. */
export const wayBack = (): string => back;

export function useSignedIn(): SignedIn {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => state,
  );
}
