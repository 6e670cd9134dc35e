// What live views show: the requests of the last minutes as they happen, and the pulses of the node. Bounded, whatever the mesh does;
// the reducers are pure.
import type { EventOf, NodeEvent, Pulse } from './contract.ts';
import { FINE_PULSES_MS, LIVE_REQUESTS_MAX, PULSE_STEP_MS, PULSES_KEPT_MS, PULSES_MAX } from './limits.ts';

/** One request as its events have told it so far. */
export interface LiveRequest {
  readonly requestId: string;
  readonly name: string;
  readonly model?: string;
  /** Node id of the peer that asked; absent for a client of this node's API. */
  readonly caller?: string;
  /** Where it is computed, once it is placed. */
  readonly nodes: readonly string[];
  readonly plan?: string;
  readonly startedAtMs: number;
  readonly predictedMs?: number;
  readonly status: 'running' | 'ok' | 'error' | 'cancelled';
  readonly code?: string;
  readonly durationMs?: number;
  readonly endedAtMs?: number;
  readonly promptTokens?: number;
  readonly completionTokens?: number;
  /** Items that are done, of how many. */
  readonly done?: number;
  readonly total?: number;
}

export interface LiveState {
  /** Newest last. */
  readonly requests: ReadonlyMap<string, LiveRequest>;
  /** Oldest first. */
  readonly pulses: readonly Pulse[];
}

export const EMPTY_LIVE: LiveState = { requests: new Map(), pulses: [] };

/** The state after these events; the same object where none of them changes it. */
export function reduceLive(state: LiveState, events: readonly NodeEvent[]): LiveState {
  let requests: Map<string, LiveRequest> | undefined;
  let pulses: Pulse[] | undefined;
  for (const event of events) {
    if (event.type === 'request') {
      requests ??= new Map(state.requests);
      const before = requests.get(event.data.requestId);
      requests.set(event.data.requestId, withChange(before, event));
    } else if (event.type === 'pulse') {
      pulses ??= [...state.pulses];
      if ((pulses.at(-1)?.atMs ?? 0) < event.data.atMs) pulses.push(event.data);
    }
  }
  if (requests === undefined && pulses === undefined) return state;
  return {
    requests: requests === undefined ? state.requests : bounded(requests),
    pulses: pulses === undefined ? state.pulses : thinned(pulses),
  };
}

/** Pulses of the node's own memory before the first that came as an event. */
export function withHistory(state: LiveState, history: readonly Pulse[]): LiveState {
  const first = state.pulses[0]?.atMs ?? Number.POSITIVE_INFINITY;
  const older = history.filter(({ atMs }) => atMs < first);
  return older.length === 0 ? state : { ...state, pulses: thinned([...older, ...state.pulses]) };
}

function withChange(before: LiveRequest | undefined, { data, atMs }: EventOf<'request'>): LiveRequest {
  const base: LiveRequest = before ?? {
    requestId: data.requestId,
    name: data.name,
    nodes: [],
    startedAtMs: data.durationMs === undefined ? atMs : atMs - data.durationMs,
    status: 'running',
  };
  const ended = data.phase === 'ended';
  return {
    ...base,
    ...given({
      model: data.model,
      caller: data.caller,
      nodes: data.nodes,
      plan: data.plan,
      predictedMs: data.predictedMs,
      code: data.code,
      durationMs: data.durationMs,
      promptTokens: data.promptTokens,
      completionTokens: data.completionTokens,
      done: data.done,
      total: data.total,
    }),
    ...(ended ? { status: data.status ?? 'ok', endedAtMs: atMs } : {}),
  };
}

/** Without what is not known. */
function given<T extends object>(fields: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

/** Those that have ended go first, the oldest of them before the others. */
function bounded(requests: Map<string, LiveRequest>): Map<string, LiveRequest> {
  let excess = requests.size - LIVE_REQUESTS_MAX;
  for (const onlyEnded of [true, false]) {
    for (const [id, request] of requests) {
      if (excess <= 0) return requests;
      if (onlyEnded && request.status === 'running') continue;
      requests.delete(id);
      excess -= 1;
    }
  }
  return requests;
}

/** Old pulses become fewer, so that an hour has room; what they count is added up. */
function thinned(pulses: readonly Pulse[]): readonly Pulse[] {
  if (pulses.length <= PULSES_MAX) return pulses;
  const newestMs = pulses.at(-1)?.atMs ?? 0;
  const kept: Pulse[] = [];
  for (const pulse of pulses) {
    const ageMs = newestMs - pulse.atMs;
    if (ageMs > PULSES_KEPT_MS) continue;
    const last = kept.at(-1);
    if (last !== undefined && ageMs > FINE_PULSES_MS && pulse.atMs - last.atMs < PULSE_STEP_MS - 500) {
      const { local, remote } = last.self;
      kept[kept.length - 1] = {
        ...last,
        self: { ...last.self, local: local + pulse.self.local, remote: remote + pulse.self.remote },
      };
    } else kept.push(pulse);
  }
  return kept.slice(-PULSES_MAX);
}
