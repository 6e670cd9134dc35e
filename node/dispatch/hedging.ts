// When a request that nothing has come of yet is sent to a second node as well: after the time in which nineteen of twenty
// requests of its class had begun to answer, and within a share of all requests (Dean and Barroso, "The Tail at Scale", 2013).
import type { WorkRequests } from '../core/dispatcher.ts';
import { keepNewest } from '../core/keep-newest.ts';
import {
  HEDGE_AFTER_MS_MIN,
  HEDGE_MODELS_MAX,
  HEDGE_PATIENCE_MAX,
  HEDGE_QUANTILE,
  HEDGE_SAMPLES_KEPT,
  HEDGE_SAMPLES_MIN,
  HEDGE_SHARE,
  HEDGES_SAVED_MAX,
} from './limits.ts';

/** Requests of one kind on one model, measured by how many times longer than predicted they took to their first byte. */
interface Class {
  /** The newest replaces the oldest. */
  readonly ring: Float64Array;
  next: number;
  count: number;
  /** Infinite until there are enough of them. */
  slowest: number;
}

/** The quantile is taken anew after so many answers. */
const EVERY = 8;

export class Hedging {
  readonly #share: number;
  readonly #classes: Readonly<Record<keyof WorkRequests, Map<string, Class>>> = {
    run: new Map(),
    encode: new Map(),
    generate: new Map(),
  };
  #saved = 0;
  /** How many times longer than the slowest twentieth is waited: 1 as long as hedges win. */
  #patience = 1;

  /** @param share of all requests that may be hedged; 0 = none. @default HEDGE_SHARE */
  constructor(share = HEDGE_SHARE) {
    this.#share = share;
  }

  /** A request begins: it adds its share to what may be spent. */
  earn(): void {
    this.#saved = Math.min(HEDGES_SAVED_MAX, this.#saved + this.#share);
  }

  /** Takes a hedge out of what may be spent. @returns false when there is none */
  spend(): boolean {
    if (!this.mayHedge) return false;
    this.#saved -= 1;
    return true;
  }

  /**
   * A hedge was sent, and one of the two answered. Where the requests themselves are long, a second node is as slow as the
   * first: hedges that don't win are load and nothing else, and become rare.
   */
  settled(hedgeWon: boolean): void {
    const patience = hedgeWon ? this.#patience / 2 : this.#patience * 1.25;
    this.#patience = Math.max(1, Math.min(HEDGE_PATIENCE_MAX, patience));
  }

  get mayHedge(): boolean {
    // Twenty times a twentieth is a little less than one.
    return this.#saved >= 1 - 1e-9;
  }

  /** The first byte of an answer came, so long after it was asked for. */
  note(method: keyof WorkRequests, digest: string, predictedMs: number, measuredMs: number): void {
    if (this.#share <= 0 || !(predictedMs > 0) || !(measuredMs >= 0)) return;
    const classes = this.#classes[method];
    let known = classes.get(digest);
    if (known === undefined) {
      const ring = new Float64Array(HEDGE_SAMPLES_KEPT);
      known = { ring, next: 0, count: 0, slowest: Number.POSITIVE_INFINITY };
      classes.set(digest, known);
      keepNewest(classes, HEDGE_MODELS_MAX);
    }
    known.ring[known.next] = measuredMs / predictedMs;
    known.next = (known.next + 1) % HEDGE_SAMPLES_KEPT;
    if (known.count < HEDGE_SAMPLES_KEPT) known.count++;
    if (known.count < HEDGE_SAMPLES_MIN) return;
    if (known.next % EVERY !== 0 && known.slowest !== Number.POSITIVE_INFINITY) return;
    const sorted = known.ring.slice(0, known.count).sort();
    known.slowest = sorted[Math.ceil(known.count * HEDGE_QUANTILE) - 1] ?? Number.POSITIVE_INFINITY;
  }

  /** How long to wait for the first byte before a second node is asked; infinite while that isn't known. */
  afterMs(method: keyof WorkRequests, digest: string, predictedMs: number): number {
    const slowest = this.#classes[method].get(digest)?.slowest ?? Number.POSITIVE_INFINITY;
    return Math.max(HEDGE_AFTER_MS_MIN, predictedMs * slowest * this.#patience);
  }
}
