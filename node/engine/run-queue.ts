// Requests on any graph that wait, and which of them share the next run. One queue per model; no I/O.
import type { RunRequest, RunResult } from '../../protocol/infer.ts';
import { TENSORS_MAX } from '../../protocol/limits.ts';
import { RUN_BATCH_BYTES_MAX, RUN_BATCH_ROWS_MAX } from './limits.ts';
import type { Pending } from './pending.ts';
import { type Batchable, batchable, type RunBatching, type SizeCurve } from './run-batching.ts';

/** One request. */
export interface QueuedRun {
  readonly pending: Pick<Pending<RunResult>, 'settled' | 'arrival' | 'background' | 'priority'>;
  readonly request: RunRequest;
}

/** Requests that could go together; they still wait. */
export interface FormedRuns<Job> {
  readonly jobs: readonly Job[];
  /** `verify`: two, to be run apart and together, because it isn't known yet whether they may. */
  readonly how: 'alone' | 'verify' | 'together';
  /** Rows of all of them, and of the first one alone; 0 where they can't be counted. */
  readonly rows: number;
  readonly rowsOfFirst: number;
  /** Times of this shape; undefined for a request that never shares a run. */
  readonly curve: SizeCurve | undefined;
  /** Nothing that could come would change it. */
  readonly full: boolean;
}

interface Entry<Job> {
  readonly job: Job;
  readonly alone: boolean;
  /** Looked at when it is first asked for. */
  fit: Batchable | 'never' | undefined;
}

/** Requests in order of arrival. */
export class RunQueue<Job extends QueuedRun> {
  #entries: Entry<Job>[] = [];
  #added = 0;

  /** How many were added. */
  get added(): number {
    return this.#added;
  }

  push(job: Job): void {
    this.#added++;
    this.#entries.push({ job, alone: false, fit: undefined });
  }

  /** They failed together, which one of them may be to blame for: each goes alone, before all that came later. */
  again(jobs: readonly Job[]): void {
    this.#entries.unshift(...jobs.map((job): Entry<Job> => ({ job, alone: true, fit: 'never' })));
  }

  /** Those that are wanted; the others are dropped. */
  jobs(): readonly Job[] {
    if (this.#entries.some(({ job }) => job.pending.settled)) {
      this.#entries = this.#entries.filter(({ job }) => !job.pending.settled);
    }
    return this.#entries.map(({ job }) => job);
  }

  /** The oldest, or the one that is asked for, and those behind it that may share its run and pay. */
  form(batching: RunBatching, seed?: Job): FormedRuns<Job> | undefined {
    const jobs = this.jobs();
    const first = this.#entries[seed === undefined ? 0 : Math.max(0, jobs.indexOf(seed))];
    if (first === undefined) return undefined;
    const fit = fitOf(first);
    if (fit === undefined) {
      return { jobs: [first.job], how: 'alone', rows: 0, rowsOfFirst: 0, curve: undefined, full: true };
    }
    const curve = batching.curve(fit.shape);
    const alone = { jobs: [first.job], rows: fit.rows, rowsOfFirst: fit.rows, curve };
    const { next } = batching;
    if (next === 'alone') return { ...alone, how: 'alone', full: true };
    const rowsMax = next === 'verify' ? RUN_BATCH_ROWS_MAX : curve.rowsMax();
    const requestsMax = next === 'verify' ? 2 : Math.max(1, Math.floor(TENSORS_MAX / first.job.request.inputs.length));
    let { rows, bytes } = fit;
    const together = [first.job];
    for (const entry of this.#entries) {
      if (together.length >= requestsMax || rows >= rowsMax) break;
      const other = entry === first ? undefined : fitOf(entry);
      if (other?.shape !== fit.shape || !sameClass(entry.job, first.job)) continue;
      if (rows + other.rows > rowsMax || bytes + other.bytes > RUN_BATCH_BYTES_MAX) continue;
      rows += other.rows;
      bytes += other.bytes;
      together.push(entry.job);
    }
    if (next === 'verify') {
      if (together.length < 2) return { ...alone, how: 'alone', full: true };
      return { ...alone, jobs: together, rows, how: 'verify', full: true };
    }
    const full = together.length >= requestsMax || rows + fit.rows > rowsMax || bytes + fit.bytes > RUN_BATCH_BYTES_MAX;
    return {
      jobs: together,
      rows,
      rowsOfFirst: fit.rows,
      curve,
      how: together.length > 1 ? 'together' : 'alone',
      full,
    };
  }

  remove(jobs: readonly Job[]): void {
    const gone = new Set(jobs);
    this.#entries = this.#entries.filter(({ job }) => !gone.has(job));
  }
}

/** What goes first must not be slowed by what would have waited. */
const sameClass = ({ pending: a }: QueuedRun, { pending: b }: QueuedRun): boolean =>
  a.background === b.background && a.priority === b.priority;

function fitOf<Job extends QueuedRun>(entry: Entry<Job>): Batchable | undefined {
  entry.fit ??= batchable(entry.job.request) ?? 'never';
  return entry.fit === 'never' ? undefined : entry.fit;
}
