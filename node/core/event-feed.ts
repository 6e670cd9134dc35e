// What a watcher of this node is told, whoever it is: a client of the control API, or an admin's node. One that comes back names the
// last event that it saw; whatever is still kept follows, or an event `reset` that says it isn't.
import { type ControlEvent, EVENT_ID_LENGTH_MAX } from '../../protocol/api/control.ts';
import { type Clock, every, type Random } from './clock.ts';
import type { Events, NodeEvent } from './events.ts';
import type { Pulses } from './pulse.ts';

export interface EventFeedComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly events: Events;
  readonly pulses: Pulses;
}

export interface Watch {
  /** Id of the last event that the watcher saw; undefined = it begins now. */
  readonly seen: string | undefined;
  readonly types: ReadonlySet<string>;
}

export interface WatchOptions {
  readonly signal: AbortSignal;
  /** It may be watched. */
  readonly onOpen: () => void;
  readonly onEvent: (event: ControlEvent) => void;
  /** Id of the last event that there was: a watcher that comes back goes on behind it. */
  readonly onMark: (id: string) => void;
  /** Milliseconds between two marks, which show a watcher of what seldom happens that it is told everything. */
  readonly markMs: number;
}

/** Characters of the part of an id that stands for this run of the node. */
const RUN_LENGTH = 8;

export class EventFeed {
  readonly #components: EventFeedComponents;
  // Numbers begin anew at each start of the node: an id of another run must not pass for one of this.
  readonly #run: string;

  constructor(components: EventFeedComponents) {
    this.#components = components;
    this.#run = Buffer.from(components.random.bytes(RUN_LENGTH / 2)).toString('hex');
  }

  /** Id of the newest event: where a watcher is that has been told everything. */
  get position(): string {
    return this.#idOf(this.#components.events.last);
  }

  /** An event that says that some were missed. */
  reset(): ControlEvent {
    return { id: this.position, type: 'reset', atMs: this.#components.clock.wallNow(), data: {} };
  }

  /** Tells a watcher what happens until the signal aborts, and throws its reason then. */
  async watch(watch: Watch, { signal, onOpen, onEvent, onMark, markMs }: WatchOptions): Promise<never> {
    signal.throwIfAborted();
    onOpen();
    const unfollow = this.follow(watch, onEvent);
    onMark(this.position);
    const marking = every(this.#components.clock, markMs, () => onMark(this.position));
    const ended = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => ended.resolve(), { once: true });
    if (!signal.aborted) await ended.promise;
    marking.cancel();
    unfollow();
    throw signal.reason;
  }

  /** Tells what was missed at once, and then each event as it happens. Returns what ends it. */
  follow({ seen, types }: Watch, tell: (event: ControlEvent) => void): () => void {
    const { events, pulses } = this.#components;
    const send = (event: NodeEvent): void => {
      if (types.has(event.type)) tell({ ...event, id: this.#idOf(event.id) } as ControlEvent);
    };
    const last = seen === undefined ? events.last : this.#numberOf(seen);
    const missed = last === undefined ? undefined : events.since(last);
    if (missed === undefined) tell(this.reset());
    for (const event of missed ?? []) send(event);
    // No await stands between the two: nothing falls into the gap.
    const unsubscribe = events.subscribe(send);
    // Not kept, and not to be taken up again: each has the id of the last event that is.
    const unwatch = types.has('pulse')
      ? pulses.watch((data) => tell({ id: this.position, type: 'pulse', atMs: data.atMs, data } as ControlEvent))
      : undefined;
    return () => {
      unsubscribe();
      unwatch?.();
    };
  }

  #idOf(number: number): string {
    return `${this.#run}-${number}`;
  }

  /** The number of an id of this run, or a number alone; undefined for an id of another run. */
  #numberOf(id: string): number | undefined {
    const digits = id.length > EVENT_ID_LENGTH_MAX ? null : /^(?:([0-9a-z]+)-)?(\d{1,15})$/.exec(id);
    return digits === null || (digits[1] ?? this.#run) !== this.#run ? undefined : Number(digits[2]);
  }
}
