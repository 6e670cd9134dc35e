// What a run of many requests comes down to. A request that failed counts as one that never ended: a policy must not get
// a better p99 by failing the slow ones.

/** Latencies in milliseconds, of all requests; Infinity where so many failed. */
export interface Summary {
  readonly requests: number;
  readonly failed: number;
  readonly failedShare: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** Collects the latencies of a run. */
export class Latencies {
  readonly #ended: number[] = [];
  #failed = 0;

  /** @param latencyMs undefined: it failed */
  note(latencyMs: number | undefined): void {
    if (latencyMs === undefined) this.#failed++;
    else this.#ended.push(latencyMs);
  }

  summary(): Summary {
    const sorted = Float64Array.from(this.#ended).sort();
    const requests = sorted.length + this.#failed;
    const at = (share: number): number =>
      requests === 0 ? Number.NaN : (sorted[Math.max(0, Math.ceil(share * requests) - 1)] ?? Number.POSITIVE_INFINITY);
    return {
      requests,
      failed: this.#failed,
      failedShare: requests === 0 ? 0 : this.#failed / requests,
      p50: at(0.5),
      p95: at(0.95),
      p99: at(0.99),
    };
  }
}
