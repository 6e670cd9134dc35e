// The one connection to the node's event stream: opens it, comes back behind the last event that was seen, waits longer after each
// failure, and says how it stands. What reads the stream, waits and draws lots is given to it.
import { ApiError } from './client.ts';
import type { EventType, NodeEvent } from './contract.ts';
import { ATTEMPTS_BEFORE_OFFLINE, RECONNECT_MS_MAX, RECONNECT_MS_MIN, SILENCE_MS_MAX } from './limits.ts';
import type { SseEvent } from './sse.ts';

/** How the pages stand to their node. */
export type ConnectionState = 'connecting' | 'live' | 'reconnecting' | 'offline' | 'signed-out';

export interface EventConnectionComponents {
  /** Reads the stream of these types until it ends; throws ApiError. */
  readonly open: (init: {
    /** All types where it is undefined. */
    readonly types: readonly EventType[] | undefined;
    readonly lastId: string;
    readonly signal: AbortSignal;
    readonly onOpen: () => void;
    readonly onEvents: (events: readonly SseEvent[], lastId: string) => void;
  }) => Promise<void>;
  /** Calls back after so many milliseconds; returns what calls it off. */
  readonly after: (ms: number, callback: () => void) => () => void;
  /** 0 to 1. */
  readonly random: () => number;
}

export interface EventConnectionInit {
  readonly onEvents: (events: readonly NodeEvent[]) => void;
  readonly onState: (state: ConnectionState) => void;
}

export class EventConnection {
  readonly #components: EventConnectionComponents;
  readonly #init: EventConnectionInit;
  #types: readonly EventType[] = [];
  #lastId = '';
  #state: ConnectionState = 'connecting';
  #failures = 0;
  /** An older node refuses kinds of events that it doesn't know: then all that it has are asked for. */
  #allTypes = false;
  #current: AbortController | undefined;
  #wake: (() => void) | undefined;
  /** Of the loop that may go on; undefined while it is stopped. */
  #run: symbol | undefined;

  constructor(components: EventConnectionComponents, init: EventConnectionInit) {
    this.#components = components;
    this.#init = init;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Connects, and stays connected until it is stopped or the node refuses this page. */
  start(types: readonly EventType[]): void {
    this.#types = types;
    if (this.#run !== undefined) return;
    const run = Symbol('run');
    this.#run = run;
    this.#failures = 0;
    this.#enter('connecting');
    void this.#stay(run);
  }

  /** Other types from now on: the connection is opened anew, behind the last event. */
  retype(types: readonly EventType[]): void {
    this.#types = types;
    if (!this.#allTypes) this.#current?.abort();
  }

  /** Tries again at once, for instance when the network is back. */
  retryNow(): void {
    this.#wake?.();
  }

  stop(state: ConnectionState = 'connecting'): void {
    this.#run = undefined;
    this.#current?.abort();
    this.#wake?.();
    this.#enter(state);
  }

  async #stay(run: symbol): Promise<void> {
    while (this.#run === run) {
      const controller = new AbortController();
      this.#current = controller;
      let cancelSilence = (): void => undefined;
      const heard = (): void => {
        cancelSilence();
        cancelSilence = this.#components.after(SILENCE_MS_MAX, () => controller.abort());
      };
      let opened = false;
      let failure: unknown;
      heard();
      try {
        await this.#components.open({
          types: this.#allTypes ? undefined : this.#types,
          lastId: this.#lastId,
          signal: controller.signal,
          onOpen: () => {
            opened = true;
            heard();
          },
          onEvents: (events, lastId) => {
            heard();
            if (this.#run !== run) return;
            if (lastId !== '') this.#lastId = lastId;
            // Only now: a proxy that answers for a node that is gone opens streams that say nothing.
            this.#failures = 0;
            this.#enter('live');
            this.#init.onEvents(events.flatMap(parse));
          },
        });
      } catch (error) {
        failure = error;
      } finally {
        cancelSilence();
      }
      if (this.#run !== run) return;
      if (failure instanceof ApiError && failure.status === 401) return this.stop('signed-out');
      if (failure instanceof ApiError && failure.status === 400 && !this.#allTypes) {
        this.#allTypes = true;
        continue;
      }
      // Ended in good order, or by retype: the next one follows at once, as long as they tell something.
      if (opened && this.#failures === 0 && (failure === undefined || controller.signal.aborted)) {
        this.#failures = 1;
        continue;
      }
      this.#failures += 1;
      this.#enter(this.#failures > ATTEMPTS_BEFORE_OFFLINE ? 'offline' : 'reconnecting');
      await this.#pause();
    }
  }

  #pause(): Promise<void> {
    const ceiling = Math.min(RECONNECT_MS_MAX, RECONNECT_MS_MIN * 2 ** Math.min(this.#failures - 1, 10));
    return new Promise((resolve) => {
      const cancel = this.#components.after(ceiling * (0.5 + this.#components.random() / 2), () => {
        this.#wake = undefined;
        resolve();
      });
      this.#wake = () => {
        this.#wake = undefined;
        cancel();
        resolve();
      };
    });
  }

  #enter(state: ConnectionState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#init.onState(state);
  }
}

/** What can't be read is passed over: a newer node may send what this version doesn't know. */
function parse({ data }: SseEvent): NodeEvent[] {
  try {
    const event = JSON.parse(data) as NodeEvent;
    return typeof event.type === 'string' && typeof event.data === 'object' && event.data !== null ? [event] : [];
  } catch {
    return [];
  }
}
