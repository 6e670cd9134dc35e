// A clock that a test moves by hand.
import type { Clock, Timer } from '../../../node/core/clock.ts';

export class ManualClock implements Clock {
  #now: number;
  #timers = new Set<{ readonly at: number; readonly callback: () => void }>();

  /** @param startMs what it says at first */
  constructor(startMs = 0) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  wallNow(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): Timer {
    const timer = { at: this.#now + ms, callback };
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  }

  /** Timers that are neither due nor stopped. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** Lets this many milliseconds pass; due timers call back in order. */
  advance(ms: number): void {
    this.#now += ms;
    for (const timer of [...this.#timers].sort((a, b) => a.at - b.at)) {
      if (timer.at > this.#now || !this.#timers.delete(timer)) continue;
      timer.callback();
    }
  }
}
