// The app's store of answers, tied to its event stream; and the first word with the node.
import { ApiError, api } from './client.ts';
import type { SessionAnswer } from './contract.ts';
import { hub } from './events.ts';
import { createQueryClient, Freshener } from './query-client.ts';
import { signedIn } from './session.ts';

export const queryClient = createQueryClient();

const freshener = new Freshener({
  client: queryClient,
  after: (ms, callback) => void setTimeout(callback, ms),
  now: () => performance.now(),
});

/** Ties all together and asks the node whether it knows this page. Called once, by main.tsx. */
export function startData(): void {
  hub.onBatch((events) => freshener.take(events));
  let before = hub.state;
  hub.onState(() => {
    const now = hub.state;
    // What failed while the node was away is asked again when it is back.
    if (now === 'live' && before !== 'live') {
      void queryClient.invalidateQueries({ predicate: ({ state }) => state.status === 'error' });
    }
    before = now;
  });
  api.onSignedOut(() => queryClient.clear());
  addEventListener('online', () => hub.retryNow());
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') hub.retryNow();
  });
  void api.get<SessionAnswer>('/api/v1/session').then(signedIn, (error: unknown) => {
    // Refused: the sign-in view follows by itself. An older node has no sessions, and one that does not answer is waited for.
    if (!(error instanceof ApiError && error.status === 401)) signedIn();
  });
}

/** Answers that nothing on the screen uses are asked for anew when something does. */
export const forgetUnseen = (): void => queryClient.removeQueries({ type: 'inactive' });
