// Texts that wait to be encoded, and how they form batches: by length, because padding costs as much as text; each batch
// around its oldest row, so that none waits for ever. One queue per model, used by the supervisor; no I/O.
import { type BatchCost, UNMEASURED_COST } from './batch-curve.ts';
import { type BatchLimits, cheapestBatch } from './forming.ts';
import { lengthClass } from './length-class.ts';
import { BATCH_ROWS_MAX, BATCH_TOKENS_MAX, CALL_OVERHEAD_MS } from './limits.ts';

/** One text of a request. `Job` is whatever the request is to the queue's user. */
export interface Row<Job> {
  readonly job: Job;
  /** Which of the request's texts. */
  readonly index: number;
  readonly length: number;
}

export const BATCH_LIMITS: BatchLimits = { rowsMax: BATCH_ROWS_MAX, tokensMax: BATCH_TOKENS_MAX };

/** What a batch is formed by. */
export interface FormOptions<Job> {
  /** What batches were measured to take. @default not measured */
  readonly cost?: BatchCost;
  /** The job that must be in it. @default the oldest */
  readonly seed?: Job;
}

/** A row in the queue. */
export interface WaitingRow<Job> extends Row<Job> {
  readonly arrival: number;
  readonly bucket: Bucket<Job>;
  taken: boolean;
}

/** A batch that could be run; its rows still wait. */
export interface FormedRows<Job> {
  readonly rows: readonly WaitingRow<Job>[];
  /** Tokens of its longest row. */
  readonly width: number;
  /** It can't take another row, and next to none of it is padding. */
  readonly full: boolean;
}

/** Of a full batch, the most that may be padding. */
const PADDING_SHARE_MAX = 1 / 16;
const COMPACT_ABOVE = 64;

/** Rows that may share a batch, by length class. */
interface Kind<Job> {
  readonly name: string;
  readonly classes: Map<number, Bucket<Job>>;
}

/** Rows of one kind and length class, oldest first. */
interface Bucket<Job> {
  readonly length: number;
  readonly kind: Kind<Job>;
  entries: WaitingRow<Job>[];
  head: number;
}

/** Rows in order of arrival, by what may share a batch. */
export class RowQueue<Job> {
  readonly #limits: BatchLimits;
  readonly #kinds = new Map<string, Kind<Job>>();
  /** The rows of each job, and how many of them have been passed. */
  readonly #jobs = new Map<Job, { entries: WaitingRow<Job>[]; next: number }>();
  #added = 0;

  constructor(limits: BatchLimits = BATCH_LIMITS) {
    this.#limits = limits;
  }

  /** How many times rows were added: one for each request. */
  get added(): number {
    return this.#added;
  }

  /**
   * @param arrival order among everything that waits; rows are added in this order
   * @param kind rows of different kinds never share a batch
   */
  add(rows: Iterable<Row<Job>>, arrival: number, kind: string): void {
    this.#added++;
    for (const { job, index, length } of rows) {
      const row = { job, index, length, arrival, bucket: this.#bucket(kind, lengthClass(length)), taken: false };
      row.bucket.entries.push(row);
      const waiting = this.#jobs.get(job);
      if (waiting === undefined) this.#jobs.set(job, { entries: [row], next: 0 });
      else waiting.entries.push(row);
    }
  }

  #bucket(name: string, length: number): Bucket<Job> {
    const kind = this.#kinds.get(name) ?? { name, classes: new Map() };
    this.#kinds.set(name, kind);
    const bucket = kind.classes.get(length) ?? { length, kind, entries: [], head: 0 };
    kind.classes.set(length, bucket);
    return bucket;
  }

  /**
   * Jobs that have rows here, in the order in which they came.
   * @param isWanted rows of other jobs (cancelled, failed) are dropped
   */
  jobs(isWanted: (job: Job) => boolean): Job[] {
    const unwanted = [...this.#jobs.keys()].filter((job) => !isWanted(job));
    for (const job of unwanted) this.#drop(job);
    return [...this.#jobs.keys()];
  }

  /** The batch around a row that takes the least time together with all that waits beside it; nothing is taken yet. */
  form({ cost = UNMEASURED_COST, seed }: FormOptions<Job> = {}): FormedRows<Job> | undefined {
    const first = (seed === undefined ? undefined : this.#firstOf(seed)) ?? this.#oldest();
    if (first === undefined) return undefined;
    const near = this.#near(first).sort((a, b) => a.length - b.length || a.arrival - b.arrival);
    const lengths = near.map(({ length }) => length);
    const { from, to } = cheapestBatch(lengths, near.indexOf(first), cost, this.#limits, CALL_OVERHEAD_MS);
    const rows = near.slice(from, to);
    const width = lengths[to - 1] ?? 0;
    const { rowsMax, tokensMax } = this.#limits;
    const closed = rows.length >= rowsMax || (rows.length + 1) * width > tokensMax;
    const tokens = rows.reduce((sum, { length }) => sum + length, 0);
    return { rows, width, full: closed && tokens >= (1 - PADDING_SHARE_MAX) * rows.length * width };
  }

  /** Takes rows of {@link form} out. */
  remove(rows: readonly WaitingRow<Job>[]): void {
    for (const row of rows) row.taken = true;
    for (const job of new Set(rows.map((row) => row.job))) this.#firstOf(job);
    // Nothing of what was taken is held until somebody asks again.
    for (const bucket of new Set(rows.map((row) => row.bucket))) this.#headOf(bucket);
  }

  /** Forms a batch and takes it out. Empty when nothing waits. */
  take(options: FormOptions<Job> = {}): readonly Row<Job>[] {
    const rows = this.form(options)?.rows ?? [];
    this.remove(rows);
    return rows;
  }

  #firstOf(job: Job): WaitingRow<Job> | undefined {
    const waiting = this.#jobs.get(job);
    if (waiting === undefined) return undefined;
    while (waiting.entries[waiting.next]?.taken === true) waiting.next++;
    const entry = waiting.entries[waiting.next];
    if (entry === undefined) this.#jobs.delete(job);
    return entry;
  }

  #drop(job: Job): void {
    const rows = this.#jobs.get(job)?.entries ?? [];
    this.#jobs.delete(job);
    for (const row of rows) row.taken = true;
    for (const bucket of new Set(rows.map((row) => row.bucket))) {
      bucket.entries = bucket.entries.filter(({ taken }) => !taken);
      bucket.head = 0;
      this.#headOf(bucket);
    }
  }

  #oldest(): WaitingRow<Job> | undefined {
    let oldest: WaitingRow<Job> | undefined;
    for (const { classes } of this.#kinds.values()) {
      for (const bucket of classes.values()) {
        const row = this.#headOf(bucket);
        if (row !== undefined && (oldest === undefined || row.arrival < oldest.arrival)) oldest = row;
      }
    }
    return oldest;
  }

  /** The oldest row of a class. What was taken goes, and so does a class, or a kind, with nothing left. */
  #headOf(bucket: Bucket<Job>): WaitingRow<Job> | undefined {
    while (bucket.entries[bucket.head]?.taken === true) bucket.head++;
    // Now and then: a class that always has rows would otherwise grow for ever.
    if (bucket.head > COMPACT_ABOVE && 2 * bucket.head > bucket.entries.length) {
      bucket.entries = bucket.entries.slice(bucket.head);
      bucket.head = 0;
    }
    const row = bucket.entries[bucket.head];
    const { kind, length } = bucket;
    if (row === undefined && kind.classes.delete(length) && kind.classes.size === 0) this.#kinds.delete(kind.name);
    return row;
  }

  /** Rows that may share a batch with this one: the oldest of its class, and of the classes next to it on either side. */
  #near(seed: WaitingRow<Job>): WaitingRow<Job>[] {
    const { rowsMax } = this.#limits;
    const classes = [...seed.bucket.kind.classes.values()].sort((a, b) => a.length - b.length);
    const own = classes.indexOf(seed.bucket);
    const found = [seed, ...this.#oldestOf(seed.bucket, rowsMax - 1, seed)];
    for (const step of [-1, 1]) {
      // A split that is best for two batches' worth on either side is, for the one that holds the seed, next to best of all.
      let room = 2 * rowsMax;
      for (let at = own + step; room > 0; at += step) {
        const bucket = classes[at];
        if (bucket === undefined) break;
        const rows = this.#oldestOf(bucket, Math.min(room, rowsMax));
        found.push(...rows);
        room -= rows.length;
      }
    }
    return found;
  }

  #oldestOf(bucket: Bucket<Job>, count: number, except?: WaitingRow<Job>): WaitingRow<Job>[] {
    const found: WaitingRow<Job>[] = [];
    this.#headOf(bucket);
    for (let at = bucket.head; at < bucket.entries.length && found.length < count; at++) {
      const row = bucket.entries[at];
      if (row !== undefined && row !== except && !row.taken) found.push(row);
    }
    return found;
  }
}
