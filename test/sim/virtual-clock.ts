// Time of a simulated world: it stands still while code runs and jumps to the next event. Everything that a promise
// waits for is carried on before it does, however many steps that takes.
import type { Clock, Timer } from '../../node/core/clock.ts';

/** Something that happens at one moment. Events of one moment happen in the order in which they were scheduled. */
export abstract class SimEvent {
  /** By the clock that it is scheduled on. */
  atMs = 0;
  /** Of the clock: breaks ties. */
  order = 0;
  /** Of the clock: where it lies in the heap; -1 = not scheduled. */
  place = -1;

  abstract fire(): void;
}

/** Children of a node of the heap. Four make it half as deep as two, at the same cost of a level. */
const FANOUT = 4;

/** Events between two turns of the real event loop, so that signals and timeouts of the process still get through. */
const BREATH = 4_096;

const HOUR_MS = 3_600_000;

/** 2026-01-01: what the machines' clocks say when the world begins. */
const EPOCH_MS = 1_767_225_600_000;

export class VirtualClock implements Clock {
  readonly #heap: SimEvent[] = [];
  #nowMs = 0;
  #orders = 0;
  #fired = 0;
  #settled = false;
  #running = false;

  now(): number {
    return this.#nowMs;
  }

  wallNow(): number {
    return EPOCH_MS + this.#nowMs;
  }

  after(ms: number, callback: () => void): Timer {
    const timer = new VirtualTimer(this, callback);
    // A time that is no number would break the heap's order without a word.
    this.schedule(timer, this.#nowMs + (ms > 0 ? ms : 0));
    return timer;
  }

  /** Events that have not happened yet. */
  get pending(): number {
    return this.#heap.length;
  }

  /** Events that have happened. */
  get fired(): number {
    return this.#fired;
  }

  /** Puts an event at this moment, or now where that has passed; one that is scheduled already is moved. */
  schedule(event: SimEvent, atMs: number): void {
    if (Number.isNaN(atMs)) throw new RangeError('No event can happen at NaN.');
    event.atMs = atMs > this.#nowMs ? atMs : this.#nowMs;
    event.order = this.#orders++;
    if (event.place < 0) this.#rise(this.#heap.length, event);
    else this.#settleAt(event.place, event);
  }

  /** Takes an event back; one that isn't scheduled is left as it is. */
  cancel(event: SimEvent): void {
    const { place } = event;
    if (place < 0) return;
    event.place = -1;
    const last = this.#heap.pop();
    if (last !== undefined && last !== event) this.#settleAt(place, last);
  }

  /** To be called by an event that carries on promises: they are, before the next one. Timers of {@link after} always are. */
  settled(): void {
    this.#settled = true;
  }

  /** Lets everything happen up to and including this moment. */
  async run(untilMs: number): Promise<void> {
    await this.#run(untilMs, () => false);
    if (untilMs > this.#nowMs) this.#nowMs = untilMs;
  }

  /**
   * Lets things happen until this settles, and no longer.
   * @param untilMs what looks again and again would else go on for ever. @default in an hour
   * @throws Error when nothing is left to happen that could settle it, or not up to and including this moment
   */
  async until<T>(promise: Promise<T>, untilMs = this.#nowMs + HOUR_MS): Promise<T> {
    let isOver = false;
    const end = (): void => {
      isOver = true;
    };
    promise.then(end, end);
    await this.#run(untilMs, () => isOver);
    if (isOver) return promise;
    throw new Error(this.pending === 0 ? `It waits for ever, from ${this.#nowMs} ms.` : `It goes on at ${untilMs} ms.`);
  }

  async #run(untilMs: number, isOver: () => boolean): Promise<void> {
    if (this.#running) throw new Error('The clock runs already.');
    this.#running = true;
    try {
      // What was begun before, from wherever, goes as far as it can.
      await turn();
      await carriedOn();
      const heap = this.#heap;
      for (let next = heap[0]; next !== undefined && next.atMs <= untilMs && !isOver(); next = heap[0]) {
        this.cancel(next);
        this.#nowMs = next.atMs;
        this.#fired++;
        this.#settled = false;
        next.fire();
        if (this.#settled) await carriedOn();
        if (this.#fired % BREATH === 0) await turn();
      }
    } finally {
      this.#running = false;
    }
  }

  /** An event has taken a place that may be too high or too low for it. */
  #settleAt(place: number, event: SimEvent): void {
    const parent = this.#heap[(place - 1) >> 2];
    if (place > 0 && parent !== undefined && before(event, parent)) this.#rise(place, event);
    else this.#sink(place, event);
  }

  #rise(from: number, event: SimEvent): void {
    const heap = this.#heap;
    let place = from;
    while (place > 0) {
      const above = (place - 1) >> 2;
      const parent = heap[above] as SimEvent;
      if (!before(event, parent)) break;
      heap[place] = parent;
      parent.place = place;
      place = above;
    }
    heap[place] = event;
    event.place = place;
  }

  #sink(from: number, event: SimEvent): void {
    const heap = this.#heap;
    let place = from;
    for (;;) {
      const first = place * FANOUT + 1;
      if (first >= heap.length) break;
      let least = first;
      let child = heap[first] as SimEvent;
      for (let other = first + 1; other < first + FANOUT && other < heap.length; other++) {
        const candidate = heap[other] as SimEvent;
        if (before(candidate, child)) {
          least = other;
          child = candidate;
        }
      }
      if (!before(child, event)) break;
      heap[place] = child;
      child.place = place;
      place = least;
    }
    heap[place] = event;
    event.place = place;
  }
}

const before = (a: SimEvent, b: SimEvent): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

class VirtualTimer extends SimEvent implements Timer {
  readonly #clock: VirtualClock;
  readonly #callback: () => void;

  constructor(clock: VirtualClock, callback: () => void) {
    super();
    this.#clock = clock;
    this.#callback = callback;
  }

  cancel(): void {
    this.#clock.cancel(this);
  }

  fire(): void {
    this.#clock.settled();
    this.#callback();
  }
}

/**
 * Resolves when no promise can go on any more: Node takes its queue of ticks up only once the queue of promise reactions
 * is empty. A turn of the event loop would tell the same, and cost ten times as much.
 */
function carriedOn(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
