// The app's one event stream, and the hooks by which views hear of it. Nothing in the pages polls: what happens comes from here, once
// per frame.
import { useEffect, useRef, useSyncExternalStore } from 'react';
import { api } from './client.ts';
import type { EventOf, EventType, Pulse } from './contract.ts';
import type { ConnectionState } from './event-connection.ts';
import { EventHub } from './event-hub.ts';
import { EMPTY_LIVE, type LiveRequest, type LiveState, reduceLive, withHistory } from './live.ts';

export type { ConnectionState } from './event-connection.ts';

export const hub = new EventHub({ api });

let live: LiveState = EMPTY_LIVE;
const liveListeners = new Set<() => void>();

function setLive(next: LiveState): void {
  if (next === live) return;
  live = next;
  for (const listener of liveListeners) listener();
}

hub.onBatch((events) => setLive(reduceLive(live, events)));

const subscribeLive = (listener: () => void): (() => void) => {
  liveListeners.add(listener);
  return () => liveListeners.delete(listener);
};

/** How the pages stand to their node. */
export function useConnection(): ConnectionState {
  return useSyncExternalStore(
    (listener) => hub.onState(listener),
    () => hub.state,
  );
}

/**
 * Resolves once the connection has been away and is back, as when a node starts anew; false where that does not come about.
 * @param timeoutMs in which it must
 */
export function backAgain(timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    let away = hub.state !== 'live';
    const end = (is: boolean): void => {
      clearTimeout(timer);
      unsubscribe();
      resolve(is);
    };
    const timer = setTimeout(() => end(false), timeoutMs);
    const unsubscribe = hub.onState(() => {
      if (hub.state !== 'live') away = true;
      else if (away) end(true);
    });
  });
}

/**
 * Hears of events of one type while the component is shown: once per frame, all since the last, in order. The listener may change
 * between renders. `reset` says that events were missed.
 */
export function useEvents<Type extends EventType>(
  type: Type,
  listener: (events: readonly EventOf<Type>[]) => void,
): void {
  const latest = useRef(listener);
  useEffect(() => {
    latest.current = listener;
  });
  useEffect(() => {
    const unwatch = type === 'log' ? hub.watchLog() : undefined;
    const unsubscribe = hub.onBatch((events) => {
      const mine = events.filter((event): event is EventOf<Type> => event.type === type);
      if (mine.length > 0) latest.current(mine);
    });
    return () => {
      unsubscribe();
      unwatch?.();
    };
  }, [type]);
}

/** The requests of the last minutes as they happen, newest last. */
export function useLiveRequests(): ReadonlyMap<string, LiveRequest> {
  return useSyncExternalStore(subscribeLive, () => live.requests);
}

/** The same for code that draws by itself, as they are now. */
export const liveRequests = (): ReadonlyMap<string, LiveRequest> => live.requests;

/**
 * Something of the live state, for parts that must not be drawn anew at every request. @param select gives equal values (by
 * `Object.is`) while nothing of interest has changed
 */
export function useLive<T>(select: (state: LiveState) => T): T {
  return useSyncExternalStore(subscribeLive, () => select(live));
}

/** Pulses that have come, oldest first, behind those of the node's own memory where they have been read. */
export function usePulses(): readonly Pulse[] {
  return useSyncExternalStore(subscribeLive, () => live.pulses);
}

/** Puts what the node remembers in front of what has come. */
export function addHistory(pulses: readonly Pulse[]): void {
  setLive(withHistory(live, pulses));
}

/** Forgets all that was live: another person may sign in. */
export function forgetLive(): void {
  setLive(EMPTY_LIVE);
}
