// How fast bytes come: over the last seconds, from the first of them on.

const BUCKETS = 12;

export class RateMeter {
  readonly #bucketMs: number;
  /** Newest last. */
  #buckets: { readonly fromMs: number; bytes: number }[] = [];
  #sinceMs: number | undefined;

  /** @param windowMs what lies longer back doesn't count */
  constructor(windowMs: number) {
    this.#bucketMs = windowMs / BUCKETS;
  }

  /** From now on bytes are awaited: time before that says nothing about speed. */
  begin(nowMs: number): void {
    this.#buckets = [];
    this.#sinceMs = nowMs;
  }

  add(nowMs: number, bytes: number): void {
    this.#sinceMs ??= nowMs;
    const newest = this.#buckets.at(-1);
    if (newest !== undefined && nowMs - newest.fromMs < this.#bucketMs) newest.bytes += bytes;
    else this.#buckets.push({ fromMs: nowMs, bytes });
    if (this.#buckets.length > BUCKETS + 1) this.#buckets.shift();
  }

  /** Bytes per second; undefined before the first byte. */
  rate(nowMs: number): number | undefined {
    const windowMs = this.#bucketMs * BUCKETS;
    const fromMs = Math.max(this.#sinceMs ?? nowMs, nowMs - windowMs);
    let bytes = 0;
    for (const bucket of this.#buckets) if (bucket.fromMs >= fromMs) bytes += bucket.bytes;
    if (this.#buckets.length === 0 || nowMs <= fromMs) return undefined;
    return (bytes * 1_000) / (nowMs - fromMs);
  }
}
