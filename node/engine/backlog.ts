// What one runner has taken in and not finished, by predicted time: how long newcomers wait, when it is too much, and when
// to come back. One per runner slot; the engine asks it before it takes a request in.
import { WeftError } from '../../protocol/errors.ts';
import type { Clock } from '../core/clock.ts';
import { DrainRate, withinBounds } from '../core/drain-rate.ts';

/** Predicted milliseconds of a request: of a generation, which shares the runner with others, or of work that is done in turn. */
export type Cost = { readonly work: number } | { readonly generation: number };

export interface BacklogInit {
  /** Predicted milliseconds until a newcomer's work would begin, above which none is taken in. Asked each time. */
  readonly queueMsMax: () => number;
  /** Requests that wait or run, whatever they cost: while nothing is measured, all cost nothing. */
  readonly requestsMax: number;
  /** Generations that run side by side. */
  readonly generationsMax: number;
}

export class Backlog {
  readonly #init: BacklogInit;
  readonly #drain: DrainRate;
  #requests = 0;
  #workMs = 0;
  #generationsMs = 0;
  #generations = 0;

  constructor(components: { readonly clock: Pick<Clock, 'now'> }, init: BacklogInit) {
    this.#init = init;
    this.#drain = new DrainRate(components);
  }

  /** Requests that are not answered yet. */
  get requests(): number {
    return this.#requests;
  }

  /** Predicted time until work that comes now begins. */
  get queuedMs(): number {
    const { generationsMax } = this.#init;
    // Generations share the runner: one that comes waits only when all places are taken, for a part of one of them.
    const full = Math.max(0, this.#generations - generationsMax + 1);
    const waiting = this.#generations === 0 ? 0 : (full * this.#generationsMs) / this.#generations / generationsMax;
    return this.#workMs + waiting;
  }

  /**
   * Takes a request in.
   * @returns what takes it out again; called once
   * @throws WeftError `overloaded` with the fact `retryAfterMs`
   */
  add(cost: Cost): () => void {
    const { requestsMax, queueMsMax } = this.#init;
    const { queuedMs } = this;
    const maxMs = queueMsMax();
    if (this.#requests >= requestsMax || queuedMs > maxMs) {
      const retryAfterMs = this.#retryAfterMs(queuedMs);
      throw new WeftError({
        code: 'overloaded',
        message:
          queuedMs > maxMs
            ? `Work for about ${Math.round(queuedMs / 1000)} s waits here already.`
            : `${this.#requests} requests wait here already.`,
        facts: { retryAfterMs: String(retryAfterMs) },
      });
    }
    this.#count(cost, 1);
    return () => {
      this.#count(cost, -1);
      this.#drain.left('work' in cost ? cost.work : cost.generation);
    };
  }

  #count(cost: Cost, sign: 1 | -1): void {
    this.#requests += sign;
    if ('work' in cost) {
      this.#workMs = Math.max(0, this.#workMs + sign * cost.work);
    } else {
      this.#generations += sign;
      this.#generationsMs = Math.max(0, this.#generationsMs + sign * cost.generation);
    }
    // Sums of fractions leave crumbs behind.
    if (this.#requests === 0) this.#workMs = this.#generationsMs = 0;
  }

  /** Until half of what waits is gone, at the rate at which requests left lately. */
  #retryAfterMs(queuedMs: number): number {
    const { cost } = this.#drain.rates;
    // Predictions are for work in turn; batches and generations side by side end sooner, by as much as was seen.
    const byCost = cost > 0 ? queuedMs / 2 / cost : queuedMs / 2;
    return Math.max(this.#drain.retryAfterMs(this.#requests), withinBounds(byCost));
  }
}
