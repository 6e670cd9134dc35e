// Rates that fade: how much a model is asked for, and how many tokens it gives. Both are fed by the engine for every
// request and token, so neither costs more than an addition.
import { DEMAND_HALF_LIFE_MS, TOKEN_RATE_BUCKET_MS, TOKEN_RATE_BUCKETS } from './limits.ts';

/** Requests, each of which counts half as much a half-life later. */
export class Demand {
  #count = 0;
  #atMs = 0;

  add(nowMs: number): void {
    this.#count = this.at(nowMs) + 1;
    this.#atMs = nowMs;
  }

  at(nowMs: number): number {
    return this.#count * 2 ** (-Math.max(0, nowMs - this.#atMs) / DEMAND_HALF_LIFE_MS);
  }
}

/** Tokens a second over the last few seconds; 0 when none came. */
export class TokenRate {
  readonly #buckets = new Array<number>(TOKEN_RATE_BUCKETS).fill(0);
  /** Number of the newest bucket, since the clock began. */
  #newest = 0;
  /** When the tokens that are in the buckets began to come. */
  #sinceMs = 0;

  add(tokens: number, nowMs: number): void {
    this.#turnTo(nowMs);
    if (this.#sum() === 0) this.#sinceMs = nowMs;
    const at = this.#newest % TOKEN_RATE_BUCKETS;
    this.#buckets[at] = (this.#buckets[at] ?? 0) + tokens;
  }

  at(nowMs: number): number {
    this.#turnTo(nowMs);
    const sum = this.#sum();
    if (sum === 0) return 0;
    // A stream that has just begun is not measured against seconds before it; one bucket is the shortest that says much.
    const windowMs = TOKEN_RATE_BUCKET_MS * (TOKEN_RATE_BUCKETS - 1) + (nowMs % TOKEN_RATE_BUCKET_MS);
    return (sum * 1_000) / Math.min(windowMs, Math.max(TOKEN_RATE_BUCKET_MS, nowMs - this.#sinceMs));
  }

  #turnTo(nowMs: number): void {
    const newest = Math.floor(nowMs / TOKEN_RATE_BUCKET_MS);
    const stale = Math.min(TOKEN_RATE_BUCKETS, newest - this.#newest);
    for (let step = 1; step <= stale; step++) this.#buckets[(this.#newest + step) % TOKEN_RATE_BUCKETS] = 0;
    this.#newest = Math.max(this.#newest, newest);
  }

  #sum(): number {
    return this.#buckets.reduce((sum, tokens) => sum + tokens, 0);
  }
}
