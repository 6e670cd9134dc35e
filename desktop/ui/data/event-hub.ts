// An event stream as one object: tells its listeners once per frame what has happened since the last, and how the connection
// stands. The app has one of its own node (events.ts), and one of another node while a view of that is shown (node-events.ts).
import { Batch } from './batch.ts';
import type { Client } from './client.ts';
import type { EventType, NodeEvent } from './contract.ts';
import { type ConnectionState, EventConnection } from './event-connection.ts';
import { HIDDEN_FLUSH_MS } from './limits.ts';

type BatchListener = (events: readonly NodeEvent[]) => void;

/** Asked for always. Log lines only while a view shows them: a node may write many. */
const USUAL_TYPES: readonly EventType[] = ['node', 'model', 'request', 'transfer', 'conversation', 'settings', 'pulse'];

export interface EventHubInit {
  /** @default that of the node behind the page */
  readonly path?: string;
  /** Asked for always. @default all but lines of the log */
  readonly types?: readonly EventType[];
}

export class EventHub {
  readonly #batchListeners = new Set<BatchListener>();
  readonly #stateListeners = new Set<() => void>();
  readonly #connection: EventConnection;
  readonly #usual: readonly EventType[];
  #logWatchers = 0;

  constructor({ api }: { readonly api: Client }, init: EventHubInit = {}) {
    const { path = '/api/v1/events' } = init;
    this.#usual = init.types ?? USUAL_TYPES;
    const batch = new Batch<NodeEvent>(
      { schedule: beforeNextPaint },
      {
        take: (events) => this.#tell(events),
        overflow: () => this.#tell([{ id: '', type: 'reset', atMs: Date.now(), data: {} }]),
      },
    );
    this.#connection = new EventConnection(
      {
        open: ({ types, lastId, signal, onOpen, onEvents }) =>
          api.stream(types === undefined ? path : `${path}?types=${types.join(',')}`, {
            lastEventId: lastId,
            signal,
            onOpen,
            onEvents,
          }),
        after: (ms, callback) => {
          const timer = setTimeout(callback, ms);
          return () => clearTimeout(timer);
        },
        random: Math.random,
      },
      {
        onEvents: (events) => batch.add(events),
        onState: () => {
          for (const listener of this.#stateListeners) listener();
        },
      },
    );
  }

  get state(): ConnectionState {
    return this.#connection.state;
  }

  start(): void {
    this.#connection.start(this.#types());
  }

  stop(state?: ConnectionState): void {
    this.#connection.stop(state);
  }

  retryNow(): void {
    this.#connection.retryNow();
  }

  /** @param listener gets all events since the last frame, in order */
  onBatch(listener: BatchListener): () => void {
    this.#batchListeners.add(listener);
    return () => this.#batchListeners.delete(listener);
  }

  onState(listener: () => void): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  /** Lines of the log come while somebody wants them. */
  watchLog(): () => void {
    this.#logWatchers += 1;
    if (this.#logWatchers === 1) this.#connection.retype(this.#types());
    return () => {
      this.#logWatchers -= 1;
      if (this.#logWatchers === 0) this.#connection.retype(this.#types());
    };
  }

  #types(): readonly EventType[] {
    return this.#logWatchers > 0 ? [...this.#usual, 'log'] : this.#usual;
  }

  #tell(events: readonly NodeEvent[]): void {
    for (const listener of this.#batchListeners) listener(events);
  }
}

/** Before the next paint; hidden pages are not painted and take what has come once a second. */
function beforeNextPaint(callback: () => void): void {
  if (document.visibilityState === 'hidden') setTimeout(callback, HIDDEN_FLUSH_MS);
  else requestAnimationFrame(() => callback());
}
