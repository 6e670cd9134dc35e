// What dispatch learns from the attempts of its requests: who is well, how far predictions were off, how long answers are,
// who holds which prefix. Everything that the next placement knows better goes through here.
import type { NodeId } from '../../protocol/ids.ts';
import type { Timing } from '../../protocol/infer.ts';
import { computeMs } from '../scheduler/estimate.ts';
import type { Hedging } from './hedging.ts';
import { PREDICTIONS_KEPT, PROMISE_FACTOR } from './limits.ts';
import { computedHere, computedThere, predictedThere, type Seen, stayedMs } from './measured.ts';
import type { NodeHealth } from './node-health.ts';
import type { OutputLengths } from './output-lengths.ts';
import type { PrefixMemory } from './prefix-memory.ts';
import type { Residuals } from './residuals.ts';
import { Surprises } from './surprises.ts';
import type { Trial } from './trial.ts';
import type { Work } from './work.ts';

export interface LessonsComponents {
  readonly health: NodeHealth;
  readonly residuals: Residuals;
  readonly hedging: Hedging;
  readonly lengths: OutputLengths;
  readonly prefixes: PrefixMemory;
}

export class Lessons {
  readonly #components: LessonsComponents;
  readonly #errors = new Float64Array(PREDICTIONS_KEPT);
  #predictions = 0;
  readonly #surprises = new Surprises();

  constructor(components: LessonsComponents) {
    this.#components = components;
  }

  /** The first of an answer came: whoever sends the same beginning finds it computed there. */
  begun(work: Work<unknown>, { placed }: Trial): void {
    const prefix = work.prefix?.();
    if (prefix !== undefined) this.#components.prefixes.note(work.model.digest, prefix, placed.plan.node);
  }

  /** The whole answer came. */
  succeeded(work: Work<unknown>, trial: Trial, { timing, finish }: Ended, nowMs: number): void {
    const { health, residuals, hedging, lengths } = this.#components;
    const { plan, firstByteMs, size, offer, claimedMs } = trial.placed;
    const { price, node } = plan;
    const { digest } = work.model;
    health.succeeded(node);
    const firstMs = (trial.firstMs ?? nowMs) - trial.startMs;
    hedging.note(work.method, digest, firstByteMs, firstMs);
    this.#errors[this.#predictions++ % PREDICTIONS_KEPT] = Math.abs(firstMs / Math.max(1, firstByteMs) - 1);
    const tookMs = nowMs - trial.startMs;
    if (claimedMs > 0 && offer !== undefined) {
      // A generation is judged by the tokens that came, not by those that were expected.
      const drawn = { ...size, outputTokens: work.progress };
      const scale =
        work.method === 'generate'
          ? computeMs(drawn, offer.profile, offer, 0) / computeMs(size, offer.profile, offer, 0)
          : 1;
      const computeWholeMs = price.computeMs * scale;
      const seen = {
        price: scale === 1 ? price : { ...price, computeMs: computeWholeMs },
        withinMs: plan.withinMs,
        claimedMs: claimedMs * scale,
        patience: PROMISE_FACTOR,
        timing,
        tookMs,
        sinceAcknowledgedMs: trial.acknowledgedMs === undefined ? undefined : nowMs - trial.acknowledgedMs,
      };
      const measuredMs = plan.kind === 'local' ? computedHere(seen) : this.#computedThere(node, seen);
      residuals.note(node, digest, claimedMs * scale, measuredMs);
    }
    if (work.method === 'generate') {
      lengths.note(digest, work.progress, finish !== 'length');
      this.begun(work, trial);
    }
  }

  #computedThere(node: NodeId, seen: Seen): number {
    const stayed = stayedMs(seen);
    const predicted = predictedThere(seen.price);
    this.#surprises.note(node, predicted, stayed);
    if (stayed <= predicted * PROMISE_FACTOR) return computedThere(seen);
    return computedThere({ ...seen, patience: this.#surprises.patience(node) });
  }

  /** Nothing of its answer came for so long that another node was first: at least so slow is it. */
  outrun(work: Work<unknown>, { placed, startMs }: Trial, nowMs: number): void {
    const { plan, claimedMs, firstByteMs } = placed;
    const { price } = plan;
    const lateMs = nowMs - startMs - firstByteMs;
    if (claimedMs <= 0 || lateMs <= 0) return;
    const measuredMs = price.computeMs + lateMs;
    this.#components.residuals.note(plan.node, work.model.digest, claimedMs, measuredMs);
  }

  /** It was ended from here before its end: what it has drawn is all that it had to. */
  left(work: Work<unknown>): void {
    if (work.method === 'generate' && work.progress > 0) {
      this.#components.lengths.note(work.model.digest, work.progress);
    }
  }

  /** Median of |measured / predicted - 1| of the last answers, by their first byte; 0 = there were none. */
  predictionError(): number {
    const errors = this.#errors.slice(0, Math.min(this.#predictions, PREDICTIONS_KEPT)).sort();
    return errors[errors.length >> 1] ?? 0;
  }
}

/** What is looked at of a result. */
export interface Ended {
  readonly timing: Timing;
  /** Of generations. */
  readonly finish?: 'stop' | 'length';
}
