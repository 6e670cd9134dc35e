// What keeps each query fresh: the one table of it. Nothing polls; a query is read once and then whenever an event says that its answer
// has changed. Only queries that are shown are read again; the others are marked, and read when they are shown next.
import type { EventType, NodeEvent } from './contract.ts';

/** First part of a query's key. */
export type QueryName =
  | 'status'
  | 'peers'
  | 'members'
  | 'models'
  | 'model'
  | 'mesh-models'
  | 'ps'
  | 'requests'
  | 'request'
  | 'transfers'
  | 'config'
  | 'sharing'
  | 'invitations'
  | 'history'
  | 'conversations'
  | 'conversation'
  | 'cuts'
  | 'doctor'
  | 'logs'
  | 'sessions'
  | 'node';

export interface Freshness {
  /** Kinds of events after which the answer may be another one. */
  readonly events: readonly EventType[];
  /** Of these, only the ones that tell something for this query. @default all */
  readonly when?: (event: NodeEvent) => boolean;
  /** Milliseconds between two readings at least. */
  readonly everyMs: number;
}

const ended = (event: NodeEvent): boolean => event.type !== 'request' || event.data.phase === 'ended';
const settled = (event: NodeEvent): boolean =>
  event.type !== 'transfer' || ['done', 'failed', 'cancelled'].includes(event.data.phase);
/** Not the many small steps of loading. */
const arrived = (event: NodeEvent): boolean => event.type !== 'model' || event.data.state !== 'loading';

/**
 * After `reset` all of them are read anew. `transfers` and `requests` are also patched by the events themselves (patches.ts), `status`
 * and `peers` by pulses: what stands here is for the rest of their fields.
 */
export const FRESHNESS: Readonly<Record<QueryName, Freshness>> = {
  status: { events: ['node', 'model'], when: arrived, everyMs: 1_000 },
  peers: { events: ['node'], everyMs: 500 },
  members: { events: ['node'], everyMs: 500 },
  models: { events: ['node', 'model', 'transfer'], when: (event) => settled(event) && arrived(event), everyMs: 500 },
  model: { events: ['model', 'transfer'], when: (event) => settled(event) && arrived(event), everyMs: 1_000 },
  'mesh-models': {
    events: ['node', 'model', 'transfer'],
    when: (event) => settled(event) && arrived(event),
    everyMs: 2_000,
  },
  ps: { events: ['model', 'request'], when: (event) => arrived(event) && ended(event), everyMs: 1_000 },
  requests: { events: [], everyMs: 1_000 },
  request: { events: [], everyMs: 1_000 },
  transfers: { events: [], everyMs: 1_000 },
  config: { events: ['settings'], everyMs: 1_000 },
  sharing: { events: ['settings'], everyMs: 500 },
  // Somebody who comes in has used one.
  invitations: { events: ['node'], everyMs: 500 },
  history: { events: [], everyMs: 5_000 },
  conversations: { events: ['conversation'], everyMs: 250 },
  conversation: { events: ['conversation'], everyMs: 250 },
  cuts: { events: [], everyMs: 1_000 },
  doctor: { events: [], everyMs: 1_000 },
  logs: { events: [], everyMs: 1_000 },
  sessions: { events: [], everyMs: 1_000 },
  // Of another node there is no stream: its own `node` events tell that it has changed.
  node: { events: ['node'], everyMs: 1_000 },
};

/** What is to be read again because of these events: all of a name, or one key of it. */
export function staleAfter(events: readonly NodeEvent[]): ReadonlyMap<QueryName, ReadonlySet<string> | 'all'> {
  const stale = new Map<QueryName, Set<string> | 'all'>();
  for (const event of events) {
    for (const [name, { events: types, when }] of Object.entries(FRESHNESS) as [QueryName, Freshness][]) {
      if (event.type !== 'reset' && (!types.includes(event.type) || when?.(event) === false)) continue;
      const key = event.type === 'reset' ? undefined : keyOf(name, event);
      const before = stale.get(name);
      if (key === undefined || before === 'all') stale.set(name, 'all');
      else stale.set(name, (before ?? new Set<string>()).add(key));
    }
  }
  return stale;
}

/** Second part of the key of the one query that an event is about. */
function keyOf(name: QueryName, event: NodeEvent): string | undefined {
  if (name === 'conversation' && event.type === 'conversation') return event.data.id;
  if (name === 'node' && event.type === 'node') return event.data.node;
  return undefined;
}
