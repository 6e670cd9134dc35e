// Tells admins of the mesh what happens on this node while it happens: the other end of PeerManagement's `watch`. Who may is decided
// as for `manage`, and again before each event: what an owner forbids ends at once.
import { type ControlEvent, WATCHED_EVENT_TYPES } from '../../protocol/api/control.ts';
import type { WatchItem } from '../../protocol/codec.ts';
import { WATCH_EVENT_BYTES_MAX } from '../../protocol/limits.ts';
import { PEER_METHODS } from '../../protocol/methods.ts';
import type { EventFeed } from '../core/event-feed.ts';
import type { Mesh } from '../core/mesh.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { WATCH_EVENTS_WAITING_MAX, WATCH_LENGTH_WAITING_MAX, WATCH_MARK_MS } from './limits.ts';
import type { ManageGuards } from './serve-manage.ts';

export interface ServeWatchComponents {
  readonly mesh: Pick<Mesh, 'handle'>;
  readonly feed: EventFeed;
  readonly guards: ManageGuards;
  readonly telemetry: Pick<Telemetry, 'count'>;
}

const TOLD: ReadonlySet<string> = new Set(WATCHED_EVENT_TYPES);

/** Answers `watch`: goes on until the caller has seen enough. */
export function serveWatch({ mesh, feed, guards, telemetry }: ServeWatchComponents): void {
  mesh.handle(PEER_METHODS.watch, async ({ types, since }, { caller, signal, item }) => {
    const admit = (): void => {
      try {
        guards.admin(caller);
        guards.setting();
      } catch (error) {
        telemetry.count('weft_calls_rejected_total', { reason: 'manage' });
        throw error;
      }
    };
    admit();
    const wanted = new Set(types.filter((type) => TOLD.has(type)));
    // What stops it beside the caller: an owner who forbids it, or a link that fails.
    const stop = new AbortController();
    const outbox = new Outbox({
      send: (each) => {
        admit();
        return item(each);
      },
      reset: () => feed.reset(),
      failed: (error) => stop.abort(error),
    });
    return feed.watch(
      { seen: since === '' ? undefined : since, types: wanted },
      {
        signal: AbortSignal.any([signal, stop.signal]),
        onOpen: () => undefined,
        onEvent: (event) => outbox.add(event),
        onMark: (id) => outbox.mark(id),
        markMs: WATCH_MARK_MS,
      },
    );
  });
}

/** Events on their way to one watcher. One that doesn't keep up is told that it missed some, and costs no more memory than the bound. */
class Outbox {
  readonly #send: (item: WatchItem) => Promise<void> | undefined;
  readonly #reset: () => ControlEvent;
  readonly #failed: (error: unknown) => void;
  #waiting: WatchItem[] = [];
  /** UTF-16 units of JSON among them. */
  #waitingLength = 0;
  #full = false;
  #over = false;

  constructor(init: {
    /** A promise where the link is full: nothing more until then. */
    readonly send: (item: WatchItem) => Promise<void> | undefined;
    readonly reset: () => ControlEvent;
    readonly failed: (error: unknown) => void;
  }) {
    this.#send = init.send;
    this.#reset = init.reset;
    this.#failed = init.failed;
  }

  add(event: ControlEvent): void {
    const json = JSON.stringify(event);
    const fits = Buffer.byteLength(json) <= WATCH_EVENT_BYTES_MAX;
    this.#add({ json: fits ? json : JSON.stringify(this.#reset()) });
  }

  mark(id: string): void {
    this.#add({ mark: id });
  }

  #add(item: WatchItem): void {
    if (this.#over) return;
    this.#waiting.push(item);
    this.#waitingLength += lengthOf(item);
    if (this.#waiting.length > WATCH_EVENTS_WAITING_MAX || this.#waitingLength > WATCH_LENGTH_WAITING_MAX) {
      const reset = { json: JSON.stringify(this.#reset()) };
      this.#waiting = [reset];
      this.#waitingLength = lengthOf(reset);
    }
    if (!this.#full) this.#drain();
  }

  #drain(): void {
    this.#full = false;
    try {
      for (;;) {
        const item = this.#waiting.shift();
        if (item === undefined) return;
        this.#waitingLength -= lengthOf(item);
        const room = this.#send(item);
        if (room === undefined) continue;
        this.#full = true;
        room.then(
          () => this.#drain(),
          (error: unknown) => this.#fail(error),
        );
        return;
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#over = true;
    this.#waiting = [];
    this.#failed(error);
  }
}

const lengthOf = (item: WatchItem): number => ('json' in item ? item.json.length : 0);
