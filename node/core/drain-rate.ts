// How fast a queue empties, from when its last requests left: what a caller who is refused is told to wait.
import type { Clock } from './clock.ts';

/** Requests from which the rate is taken. */
const SAMPLES = 64;

/** HTTP counts whole seconds, and nobody's guess is good for longer than a minute. */
export const RETRY_AFTER_MS = { min: 1_000, max: 60_000 } as const;

export class DrainRate {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #left: { readonly atMs: number; readonly cost: number }[] = [];

  constructor(components: { readonly clock: Pick<Clock, 'now'> }) {
    this.#clock = components.clock;
  }

  /** A request has left. @param cost in whatever unit the queue is measured */
  left(cost = 1): void {
    this.#left.push({ atMs: this.#clock.now(), cost });
    if (this.#left.length > SAMPLES) this.#left.shift();
  }

  /** Per millisecond; 0 while nothing is known. */
  get rates(): { readonly requests: number; readonly cost: number } {
    const first = this.#left[0];
    const elapsedMs = first === undefined ? 0 : this.#clock.now() - first.atMs;
    if (elapsedMs <= 0) return { requests: 0, cost: 0 };
    const cost = this.#left.reduce((sum, one) => sum + one.cost, 0);
    return { requests: this.#left.length / elapsedMs, cost: cost / elapsedMs };
  }

  /** Milliseconds until half of so many requests have left, within {@link RETRY_AFTER_MS}. */
  retryAfterMs(requests: number): number {
    const { requests: rate } = this.rates;
    return withinBounds(rate > 0 ? requests / 2 / rate : 0);
  }
}

/** A wait as a caller may be told. */
export function withinBounds(ms: number): number {
  return Math.round(Math.min(RETRY_AFTER_MS.max, Math.max(RETRY_AFTER_MS.min, ms)));
}
