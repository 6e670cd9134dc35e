// What one runner has taken in and not finished, by predicted time: how long newcomers of each class wait, when it is too
// much, and when to come back. One per runner slot; the engine asks it before it takes a request in.
import { WeftError } from '../../protocol/errors.ts';
import type { Clock } from '../core/clock.ts';
import { DrainRate, withinBounds } from '../core/drain-rate.ts';
import type { Priority } from '../core/engine.ts';
import type { BatchUnderWay } from './sending.ts';

/** Predicted milliseconds of a request: of a generation, which shares the runner with others, or of work that is done in turn. */
export type Cost = { readonly work: number } | { readonly generation: number };

export interface BacklogComponents {
  readonly clock: Pick<Clock, 'now'>;
  /** What the runner has of batch work: of all of it, interactive work waits for that alone. */
  readonly batchUnderWay: () => BatchUnderWay;
}

export interface BacklogInit {
  /** Predicted milliseconds until a newcomer's work would begin, above which none is taken in. Asked each time. */
  readonly queueMsMax: () => number;
  /** Requests that wait or run, whatever they cost: while nothing is measured, all cost nothing. */
  readonly requestsMax: number;
  /** Generations that run side by side, and those of batch work among them. */
  readonly generationsMax: number;
  readonly batchGenerationsMax: number;
}

/** Of one class. */
interface Sums {
  requests: number;
  workMs: number;
  generationsMs: number;
  generations: number;
}

const nothing = (): Sums => ({ requests: 0, workMs: 0, generationsMs: 0, generations: 0 });

export class Backlog {
  readonly #components: BacklogComponents;
  readonly #init: BacklogInit;
  readonly #drain: DrainRate;
  readonly #sums = { interactive: nothing(), batch: nothing() };

  constructor(components: BacklogComponents, init: BacklogInit) {
    this.#components = components;
    this.#init = init;
    this.#drain = new DrainRate(components);
  }

  /** Requests that are not answered yet. */
  get requests(): number {
    return this.#sums.interactive.requests + this.#sums.batch.requests;
  }

  /**
   * Predicted time until work that comes now begins. Batch work waits for all; interactive work for its own class and for
   * what the runner has of the other (that one turn in many is batch work's is left out: it is less than predictions err).
   */
  queuedMs(priority: Priority = 'interactive'): number {
    const { interactive, batch } = this.#sums;
    const isBatch = priority === 'batch';
    const ahead = isBatch ? { workMs: batch.workMs, generations: batch.generations } : this.#components.batchUnderWay();
    const { generationsMax, batchGenerationsMax } = this.#init;
    const places = isBatch ? batchGenerationsMax : generationsMax;
    // Generations share the runner: one that comes waits only when all places are taken, for a part of one of them.
    const full = Math.max(0, interactive.generations + ahead.generations - places + 1);
    const all = interactive.generations + batch.generations;
    const eachMs = all === 0 ? 0 : (interactive.generationsMs + batch.generationsMs) / all;
    return interactive.workMs + ahead.workMs + (full * eachMs) / places;
  }

  /**
   * Takes a request in.
   * @returns what takes it out again; called once
   * @throws WeftError `overloaded` with the fact `retryAfterMs`, by what stands before a request of this class
   */
  add(cost: Cost, priority: Priority = 'interactive'): () => void {
    const { requestsMax, queueMsMax } = this.#init;
    const queuedMs = this.queuedMs(priority);
    // A queue full of batch work refuses no interactive work.
    const before = priority === 'batch' ? this.requests : this.#sums.interactive.requests;
    const maxMs = queueMsMax();
    if (before >= requestsMax || queuedMs > maxMs) {
      const retryAfterMs = this.#retryAfterMs(before, queuedMs);
      throw new WeftError({
        code: 'overloaded',
        message:
          queuedMs > maxMs
            ? `Work for about ${Math.round(queuedMs / 1000)} s waits here already.`
            : `${before} requests wait here already.`,
        facts: { retryAfterMs: String(retryAfterMs) },
      });
    }
    const sums = this.#sums[priority];
    count(sums, cost, 1);
    return () => {
      count(sums, cost, -1);
      this.#drain.left('work' in cost ? cost.work : cost.generation);
    };
  }

  /** Until half of what waits is gone, at the rate at which requests left lately. */
  #retryAfterMs(requests: number, queuedMs: number): number {
    const { cost } = this.#drain.rates;
    // Predictions are for work in turn; batches and generations side by side end sooner, by as much as was seen.
    const byCost = cost > 0 ? queuedMs / 2 / cost : queuedMs / 2;
    return Math.max(this.#drain.retryAfterMs(requests), withinBounds(byCost));
  }
}

function count(sums: Sums, cost: Cost, sign: 1 | -1): void {
  sums.requests += sign;
  if ('work' in cost) {
    sums.workMs = Math.max(0, sums.workMs + sign * cost.work);
  } else {
    sums.generations += sign;
    sums.generationsMs = Math.max(0, sums.generationsMs + sign * cost.generation);
  }
  // Sums of fractions leave crumbs behind.
  if (sums.requests === 0) sums.workMs = sums.generationsMs = 0;
}
