// What a text generator was last heard to hold. Its runner is asked now and then, never waited for: a status is shown at
// once, and is at most about as old as the interval.
import type { Clock } from '../core/clock.ts';
import { STATS_INTERVAL_MS } from './limits.ts';

/** What it runs and holds now, and what it has done since it was loaded. */
export interface GeneratorReading {
  readonly sequences: number;
  readonly waiting: number;
  readonly kvBytes: number;
  readonly prefixBytes: number;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly draftedTokens: number;
  readonly acceptedTokens: number;
}

export const NOTHING_HELD: GeneratorReading = {
  sequences: 0,
  waiting: 0,
  kvBytes: 0,
  prefixBytes: 0,
  promptTokens: 0,
  cachedTokens: 0,
  draftedTokens: 0,
  acceptedTokens: 0,
};

export class GeneratorStats {
  #last = NOTHING_HELD;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;
  /** Counts loads: an answer from before one is about something that is gone. */
  #epoch = 0;

  get last(): GeneratorReading {
    return this.#last;
  }

  /** It was loaded, or lost: nothing is known. */
  reset(): void {
    this.#last = NOTHING_HELD;
    this.#askedAtMs = Number.NEGATIVE_INFINITY;
    this.#asking = undefined;
    this.#epoch++;
  }

  /** Asks unless that was done a moment ago, or an answer is still awaited. Failures leave what was known. */
  refresh(clock: Pick<Clock, 'now'>, ask: () => Promise<GeneratorReading>): void {
    const now = clock.now();
    if (this.#asking !== undefined || now - this.#askedAtMs < STATS_INTERVAL_MS) return;
    this.#askedAtMs = now;
    const epoch = this.#epoch;
    const asking = ask()
      .then(
        (reading) => {
          if (epoch === this.#epoch) this.#last = reading;
        },
        () => {
          /* the next one may succeed */
        },
      )
      .finally(() => {
        if (this.#asking === asking) this.#asking = undefined;
      });
    this.#asking = asking;
  }
}
