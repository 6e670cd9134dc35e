// Requests on their way between this node and each of the others, from the live requests. Pure; asked for by every link of the map in
// each frame, so it is computed once for each state.
import type { LiveRequest } from '../../data/live.ts';

/** Between this node and another one. */
export interface Flow {
  /** Under way now. */
  readonly active: number;
  /** Ids of requests that were sent out, or answered, a moment ago, newest last. */
  readonly out: readonly string[];
  readonly back: readonly string[];
}

/** A dot is on its way for this long. */
export const TRAVEL_MS = 700;

/** Dots on one link at a time, in each direction. */
const DOTS_MAX = 5;

const NONE: Flow = { active: 0, out: [], back: [] };

interface Building {
  active: number;
  out: string[];
  back: string[];
}

let last:
  | { readonly requests: ReadonlyMap<string, LiveRequest>; readonly flows: ReadonlyMap<string, Flow> }
  | undefined;

/** By node id; the map of the last state is kept. @param self id of this node, whose own work is its entry */
export function flowsOf(requests: ReadonlyMap<string, LiveRequest>, self: string): ReadonlyMap<string, Flow> {
  if (last?.requests === requests) return last.flows;
  const flows = new Map<string, Building>();
  const at = (node: string): Building => {
    const flow = flows.get(node) ?? { active: 0, out: [], back: [] };
    flows.set(node, flow);
    return flow;
  };
  let newestMs = 0;
  for (const { startedAtMs, endedAtMs } of requests.values()) newestMs = Math.max(newestMs, endedAtMs ?? startedAtMs);
  for (const request of requests.values()) {
    const running = request.status === 'running';
    const fresh = request.endedAtMs !== undefined && newestMs - request.endedAtMs < TRAVEL_MS;
    if (!running && !fresh) continue;
    // One that came from a peer travels on that link the other way round.
    const outward = request.caller === undefined;
    for (const node of outward ? request.nodes : [request.caller, ...request.nodes]) {
      if (node === undefined) continue;
      const flow = at(node);
      if (running) flow.active += 1;
      const sent = node === request.caller ? !running : running;
      (sent ? flow.out : flow.back).push(request.requestId);
    }
    if (request.nodes.length === 0 && running) at(self).active += 1;
  }
  for (const flow of flows.values()) {
    flow.out = flow.out.slice(-DOTS_MAX);
    flow.back = flow.back.slice(-DOTS_MAX);
  }
  last = { requests, flows };
  return flows;
}

/** One node's, or that of no requests. */
export const flowAt = (flows: ReadonlyMap<string, Flow>, node: string): Flow => flows.get(node) ?? NONE;
