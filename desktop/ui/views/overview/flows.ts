// Requests on their way between this node and the others: how many are under way on each link, and the dots that travel on it when one
// is sent or answered. Pure.
import type { NodeEvent } from '../../data/contract.ts';
import type { LiveRequest } from '../../data/live.ts';

/** A dot is on its way for this long. */
export const TRAVEL_MS = 700;

/** Dots on the whole map: more would be a blur. */
export const DOTS_MAX = 120;

/** One request that travels on the link of a node. */
export interface Dot {
  readonly node: string;
  /** From this node to the other one. */
  readonly outward: boolean;
  readonly startMs: number;
}

let last:
  | { readonly requests: ReadonlyMap<string, LiveRequest>; readonly active: ReadonlyMap<string, number> }
  | undefined;

/**
 * How many requests are under way at each node, by its id; of those that a peer has sent, at that peer as well. Every link of the map
 * asks in each frame, so what was computed for a state is kept.
 */
export function activeByNode(requests: ReadonlyMap<string, LiveRequest>): ReadonlyMap<string, number> {
  if (last?.requests === requests) return last.active;
  const active = new Map<string, number>();
  for (const { status, nodes, caller } of requests.values()) {
    if (status !== 'running') continue;
    for (const node of caller === undefined ? nodes : [...nodes, caller]) active.set(node, (active.get(node) ?? 0) + 1);
  }
  last = { requests, active };
  return active;
}

/**
 * Dots after these events: out where a request is placed, back where it has ended; the other way round for those of a peer.
 * @param requests as they are after the events
 */
export function dotsAfter(
  dots: readonly Dot[],
  events: readonly NodeEvent[],
  requests: ReadonlyMap<string, LiveRequest>,
  nowMs: number,
): readonly Dot[] {
  const next = dots.filter(({ startMs }) => nowMs - startMs < TRAVEL_MS);
  for (const event of events) {
    if (event.type !== 'request' || event.data.phase === 'progress') continue;
    const { requestId, phase, nodes, caller } = event.data;
    const known = requests.get(requestId);
    const asker = caller ?? known?.caller;
    if (phase !== 'begun') {
      for (const node of nodes ?? known?.nodes ?? []) next.push({ node, outward: phase === 'placed', startMs: nowMs });
    }
    if (asker !== undefined && phase !== 'placed')
      next.push({ node: asker, outward: phase === 'ended', startMs: nowMs });
  }
  return next.slice(-DOTS_MAX);
}
