// What happened on this node lately, kept so that a watcher that lost its connection misses nothing. Every layer
// publishes; the control API's event stream subscribes.
import type { Clock } from '../core/clock.ts';
import type { Events, EventType, NodeEvent } from '../core/events.ts';
import type { Log } from '../core/log.ts';
import { EVENTS_BYTES_MAX, EVENTS_MAX } from './limits.ts';

export interface EventLogComponents {
  readonly clock: Pick<Clock, 'wallNow'>;
  /** Not one that publishes its lines here. */
  readonly log: Pick<Log, 'error'>;
}

export interface EventLogInit {
  /** @default EVENTS_MAX */
  readonly countMax?: number;
  /** As JSON. @default EVENTS_BYTES_MAX */
  readonly bytesMax?: number;
}

/** Bytes of an event beside its data: id, type and the lines that carry it. */
const OVERHEAD_BYTES = 64;

type Listener = (event: NodeEvent) => void;

export class EventLog implements Events {
  readonly #components: EventLogComponents;
  readonly #countMax: number;
  readonly #bytesMax: number;
  /** Oldest first, without a gap. */
  readonly #kept: { readonly event: NodeEvent; readonly bytes: number }[] = [];
  readonly #listeners = new Set<{ readonly call: Listener }>();
  /** Published, and not handed to every listener yet: a listener may publish too. */
  readonly #handingOut: NodeEvent[] = [];
  #bytes = 0;
  #last = 0;

  constructor(components: EventLogComponents, init: EventLogInit = {}) {
    this.#components = components;
    this.#countMax = init.countMax ?? EVENTS_MAX;
    this.#bytesMax = init.bytesMax ?? EVENTS_BYTES_MAX;
  }

  get last(): number {
    return this.#last;
  }

  /** Data that is no JSON value is a defect: it is logged, and the event left out. */
  publish(type: EventType, data: unknown): void {
    let bytes: number;
    try {
      bytes = OVERHEAD_BYTES + Buffer.byteLength(JSON.stringify(data));
    } catch (error) {
      this.#components.log.error({ error, type }, 'an event is no JSON value');
      return;
    }
    this.#last += 1;
    const event = { id: this.#last, type, atMs: this.#components.clock.wallNow(), data };
    this.#kept.push({ event, bytes });
    this.#bytes += bytes;
    while (this.#kept.length > this.#countMax || this.#bytes > this.#bytesMax) {
      this.#bytes -= this.#kept.shift()?.bytes ?? 0;
    }
    this.#handOut(event);
  }

  since(id: number): readonly NodeEvent[] | undefined {
    const first = this.#last - this.#kept.length + 1;
    if (!(id >= first - 1 && id <= this.#last)) return undefined;
    return this.#kept.slice(id - first + 1).map(({ event }) => event);
  }

  subscribe(listener: Listener): () => void {
    const entry = { call: listener };
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  /** In order for every listener, although one of them may publish. A listener that throws hears no more. */
  #handOut(event: NodeEvent): void {
    this.#handingOut.push(event);
    if (this.#handingOut.length > 1) return;
    for (let next = this.#handingOut[0]; next !== undefined; next = this.#handingOut[0]) {
      for (const listener of [...this.#listeners]) {
        try {
          listener.call(next);
        } catch (error) {
          this.#listeners.delete(listener);
          this.#components.log.error({ error }, 'a listener of the events failed, and is left out from now on');
        }
      }
      this.#handingOut.shift();
    }
  }
}
