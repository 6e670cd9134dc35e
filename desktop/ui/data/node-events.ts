// What happens on another node of the mesh, told through the node behind the page: heard while a view of that node is shown.
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useMemo, useRef, useState } from 'react';
import { api } from './client.ts';
import type { EventType, NodeEvent } from './contract.ts';
import type { ConnectionState } from './event-connection.ts';
import { EventHub } from './event-hub.ts';
import { nodePath } from './queries.ts';
import { Freshener } from './query-client.ts';

/** What changes the answers of a node that its page shows. */
const CHANGES: readonly EventType[] = ['model', 'transfer', 'settings'];

/**
 * Hears of events of another node, once per frame. The listener may change between renders.
 * @param node undefined: nobody is listened to
 * @param types the same array at each render
 * @returns how the way to that node stands
 */
export function useNodeEvents(
  node: string | undefined,
  types: readonly EventType[],
  listener: (events: readonly NodeEvent[]) => void,
): ConnectionState {
  const [state, setState] = useState<ConnectionState>('connecting');
  const latest = useRef(listener);
  useEffect(() => {
    latest.current = listener;
  });
  useEffect(() => {
    if (node === undefined) return;
    const hub = new EventHub({ api }, { path: nodePath('events', node), types });
    const unsubscribe = hub.onBatch((events) => latest.current(events));
    const unwatch = hub.onState(() => setState(hub.state));
    hub.start();
    return () => {
      unwatch();
      unsubscribe();
      hub.stop();
    };
  }, [node, types]);
  return state;
}

/** Keeps what is shown of another node fresh. */
export function useFreshNode(node: string | undefined): void {
  const client = useQueryClient();
  const freshener = useMemo(
    () =>
      new Freshener(
        { client, after: (ms, callback) => void setTimeout(callback, ms), now: () => performance.now() },
        { node },
      ),
    [client, node],
  );
  useNodeEvents(node, CHANGES, (events) => freshener.take(events));
}
