// Texts that wait to be encoded, and how they form batches: of similar length, because padding costs as much as text;
// oldest first, so that none waits for ever. One queue per model, used by the supervisor; no I/O.
import { BATCH_ROWS_MAX, BATCH_TOKENS_MAX } from './limits.ts';

/** One text of a request. `Job` is whatever the request is to the queue's user. */
export interface Row<Job> {
  readonly job: Job;
  /** Which of the request's texts. */
  readonly index: number;
  readonly length: number;
}

/** Limits of one batch. */
export interface BatchLimits {
  readonly rowsMax: number;
  /** Rows × longest row; a longer row goes alone. */
  readonly tokensMax: number;
}

export const BATCH_LIMITS: BatchLimits = { rowsMax: BATCH_ROWS_MAX, tokensMax: BATCH_TOKENS_MAX };

/**
 * The longest length that shares batches with this one: classes are 8 tokens wide up to 128, then an eighth of the
 * power of two below, so that at most an eighth of a long batch is padding.
 */
export function lengthClass(length: number): number {
  const width = Math.max(8, 2 ** Math.floor(Math.log2(Math.max(1, length))) / 8);
  return Math.ceil(length / width) * width;
}

const COMPACT_ABOVE = 256;

interface Bucket<Job> {
  readonly rows: Row<Job>[];
  readonly arrivals: number[];
  head: number;
}

/** Rows in order of arrival, by what may share a batch. */
export class RowQueue<Job> {
  readonly #limits: BatchLimits;
  readonly #buckets = new Map<string, Bucket<Job>>();

  constructor(limits: BatchLimits = BATCH_LIMITS) {
    this.#limits = limits;
  }

  /**
   * @param arrival order among everything that waits; rows are added in this order
   * @param kind rows of different kinds never share a batch
   */
  add(rows: Iterable<Row<Job>>, arrival: number, kind: string): void {
    for (const row of rows) {
      const key = `${kind}/${lengthClass(row.length)}`;
      let bucket = this.#buckets.get(key);
      if (bucket === undefined) {
        bucket = { rows: [], arrivals: [], head: 0 };
        this.#buckets.set(key, bucket);
      }
      bucket.rows.push(row);
      bucket.arrivals.push(arrival);
    }
  }

  /**
   * Arrival of the oldest row; undefined when nothing waits.
   * @param isWanted rows of other jobs (cancelled, failed) are dropped
   */
  oldest(isWanted: (job: Job) => boolean): number | undefined {
    return this.#oldestBucket(isWanted)?.[1];
  }

  /** The next batch: the oldest row and those behind it in its class, up to the limits. Empty when nothing waits. */
  take(isWanted: (job: Job) => boolean): Row<Job>[] {
    const found = this.#oldestBucket(isWanted);
    if (found === undefined) return [];
    const [bucket] = found;
    const batch: Row<Job>[] = [];
    let longest = 0;
    while (bucket.head < bucket.rows.length && batch.length < this.#limits.rowsMax) {
      const row = bucket.rows[bucket.head] as Row<Job>;
      if (isWanted(row.job)) {
        const width = Math.max(longest, row.length);
        if (batch.length > 0 && (batch.length + 1) * width > this.#limits.tokensMax) break;
        longest = width;
        batch.push(row);
      }
      bucket.head++;
    }
    // What was taken goes, now and then: a class that always has rows would otherwise grow for ever.
    if (bucket.head > COMPACT_ABOVE && 2 * bucket.head > bucket.rows.length) {
      bucket.rows.splice(0, bucket.head);
      bucket.arrivals.splice(0, bucket.head);
      bucket.head = 0;
    }
    return batch;
  }

  #oldestBucket(isWanted: (job: Job) => boolean): [Bucket<Job>, number] | undefined {
    let oldest: [Bucket<Job>, number] | undefined;
    for (const [key, bucket] of this.#buckets) {
      while (bucket.head < bucket.rows.length && !isWanted((bucket.rows[bucket.head] as Row<Job>).job)) bucket.head++;
      const arrival = bucket.arrivals[bucket.head];
      if (arrival === undefined) this.#buckets.delete(key);
      else if (oldest === undefined || arrival < oldest[1]) oldest = [bucket, arrival];
    }
    return oldest;
  }
}
