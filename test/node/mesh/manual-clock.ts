// A clock that stands still until the test moves it.
import type { Clock, Timer } from '../../../node/core/clock.ts';

export class ManualClock implements Clock {
  #nowMs = 1_000;
  #timers: { readonly dueMs: number; readonly callback: () => void }[] = [];

  now(): number {
    return this.#nowMs;
  }

  wallNow(): number {
    return this.#nowMs;
  }

  after(ms: number, callback: () => void): Timer {
    const timer = { dueMs: this.#nowMs + ms, callback };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  get timers(): number {
    return this.#timers.length;
  }

  /** Moves on, calling timers in their order; promises settle between them. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const next = this.#timers.toSorted((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined || next.dueMs > untilMs) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.callback();
    }
    this.#nowMs = untilMs;
  }

  /** Lets time pass without a timer being called, as when the process stands still. */
  stall(ms: number): void {
    this.#nowMs += ms;
  }
}
