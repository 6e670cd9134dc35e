// What a runner gets next: looks through the models that share it, forms the batch around what must go first, and says when
// to send it. No I/O; asked by the runner slot whenever something has come, gone or become due.

import type { Priority } from '../core/engine.ts';
import { batchMs } from './batch-curve.ts';
import type { FormedRows } from './batching.ts';
import type { EncodeJob, GenerateJob, RunJob } from './jobs.ts';
import { BATCH_ROWS_MAX, BATCH_TOKENS_MAX } from './limits.ts';
import type { ModelState } from './model-state.ts';
import type { PendingRequest } from './pending.ts';
import type { FormedRuns } from './run-queue.ts';
import { closesAtMs, type DeviceForecast, type Formed, type Head, isUrgent, nextOf, type Rank } from './window.ts';

/** Work to be sent. Batches and runs still wait in their queues. */
export type Work =
  | { readonly kind: 'batch'; readonly model: ModelState; readonly formed: FormedRows<EncodeJob> }
  | { readonly kind: 'run'; readonly model: ModelState; readonly formed: FormedRuns<RunJob> }
  | { readonly kind: 'generation'; readonly model: ModelState; readonly job: GenerateJob };

/** Places of one kind in the runner. */
export interface Places {
  /** There is one. */
  readonly free: boolean;
  /** There is one for batch work, whose turn it needn't be for that. */
  readonly freeForBatch: boolean;
  /** Batch work goes before interactive work, and may take the last place. */
  readonly isBatchTurn: boolean;
}

/** What the decision stands on, beside the models. */
export interface Runner {
  readonly nowMs: number;
  /** For batches and runs. */
  readonly short: Places;
  readonly generation: Places;
  readonly forecast: DeviceForecast;
  /** What was sent last went before older work, because of its deadline. */
  readonly lastJumped: boolean;
}

export interface Next {
  readonly work: Work | undefined;
  /** Batch work waits for places of the kind that it takes. */
  readonly batchWaits: boolean;
  /** It goes before older work of its class. */
  readonly jumped: boolean;
  /** With nothing to send now: when to ask again, unless something happens before. */
  readonly wakeAtMs: number | undefined;
}

type Candidate = Head &
  (
    | { readonly kind: 'batch'; readonly model: ModelState; readonly seed: EncodeJob; readonly waiting: number }
    | { readonly kind: 'run'; readonly model: ModelState; readonly seed: RunJob; readonly waiting: number }
    | { readonly kind: 'generation'; readonly model: ModelState; readonly seed: GenerateJob }
  );

/** @param models that are loaded */
export function nextWork(models: Iterable<ModelState>, runner: Runner): Next {
  const all: Candidate[] = [];
  const batchWaits = { short: false, generation: false };
  for (const model of models) all.push(...candidatesOf(model, runner, batchWaits));
  let candidates = all;
  let wakeAtMs: number | undefined;
  for (;;) {
    const candidate = candidates[nextOf(candidates, runner.lastJumped) ?? -1];
    if (candidate === undefined) return { work: undefined, batchWaits: false, jumped: false, wakeAtMs };
    const { kind, model, rank, arrival } = candidate;
    const found = {
      batchWaits: batchWaits[kind === 'generation' ? 'generation' : 'short'],
      jumped: all.some((other) => other.rank === rank && other.arrival < arrival),
      wakeAtMs: undefined,
    };
    if (kind === 'generation') return { work: { kind, model, job: candidate.seed }, ...found };
    const { work, closesAt } = shortWork(candidate, runner, candidates.length > 1);
    if (work !== undefined && closesAt <= runner.nowMs) return { work, ...found };
    if (work !== undefined) wakeAtMs = closesAt;
    // All of them wait for the same device; a generation has a place of its own.
    candidates = candidates.filter((other) => other.kind === 'generation');
  }
}

/** Of what class the work is. Work of several requests is of one. */
export function priorityOf(work: Work): Priority {
  if (work.kind === 'generation') return work.job.pending.priority;
  const first = work.kind === 'batch' ? work.formed.rows[0]?.job : work.formed.jobs[0];
  return first?.pending.priority ?? 'interactive';
}

/** @param batchWaits is told of batch work that waits, whether or not there is a place for it */
function candidatesOf(
  model: ModelState,
  { nowMs, short, generation, forecast }: Runner,
  batchWaits: { short: boolean; generation: boolean },
): Candidate[] {
  const candidates: Candidate[] = [];
  const add = <Job extends { readonly pending: PendingRequest }>(
    lane: 'short' | 'generation',
    jobs: Iterable<Job>,
    ownMs: ((job: Job) => number | undefined) | undefined,
    otherMs: number,
    make: (head: Head, seed: Job, waiting: number) => Candidate,
  ): void => {
    let waiting = 0;
    let rank: Rank | undefined;
    let oldest: Job | undefined;
    let urgent: Job | undefined;
    const { freeForBatch, isBatchTurn } = lane === 'short' ? short : generation;
    const freeAtMs = forecast.freeAtMs();
    const freeInMs = typeof freeAtMs === 'number' ? Math.max(0, freeAtMs - nowMs) : 0;
    for (const job of jobs) {
      const { pending } = job;
      if (pending.settled || pending.arrival > model.lastServed) continue;
      waiting++;
      if (pending.priority === 'batch' && !pending.background) {
        batchWaits[lane] = true;
        if (!freeForBatch && !isBatchTurn) continue;
      }
      const ranked = rankOf(pending, isBatchTurn);
      if (rank !== undefined && ranked > rank) continue;
      if (ranked !== rank) oldest = urgent = undefined;
      rank = ranked;
      if (oldest === undefined || pending.arrival < oldest.pending.arrival) oldest = job;
      const own = ownMs?.(job);
      if (own === undefined || pending.background || !isUrgent(pending.remainingMs, freeInMs, own, otherMs)) continue;
      if (urgent === undefined || pending.remainingMs < urgent.pending.remainingMs) urgent = job;
    }
    for (const seed of new Set([oldest, urgent])) {
      if (seed === undefined || rank === undefined) continue;
      candidates.push(make({ arrival: seed.pending.arrival, rank, urgent: seed === urgent }, seed, waiting));
    }
  };
  if (short.free) {
    model.arrivals.saw(nowMs, model.rows.added + model.runs.added);
    model.batching.loadedOn(model.provider);
    const { curve, profile } = model;
    const cost = curve.samples > 0 ? curve.cost : undefined;
    const batch = (head: Head, seed: EncodeJob, waiting: number): Candidate => {
      return { ...head, kind: 'batch', model, seed, waiting };
    };
    const largestMs = cost === undefined ? 0 : batchMs(cost, BATCH_ROWS_MAX, BATCH_TOKENS_MAX / BATCH_ROWS_MAX);
    const textsMs =
      cost &&
      (({ request, textsLeft }: EncodeJob): number => {
        return batchMs(cost, textsLeft, request.ids.length / request.lengths.length);
      });
    add('short', model.rows.jobs(isWanted), textsMs, largestMs, batch);
    const runMs = profile.predictMs(1);
    const run = (head: Head, seed: RunJob, waiting: number): Candidate => ({
      ...head,
      kind: 'run',
      model,
      seed,
      waiting,
    });
    add('short', model.runs.jobs(), runMs > 0 ? () => runMs : undefined, runMs, run);
  }
  if (generation.free) {
    add('generation', model.generations, undefined, 0, (head, seed) => ({ ...head, kind: 'generation', model, seed }));
  }
  return candidates;
}

/** What somebody waits for goes before what nobody does, and of that the class whose turn it is. */
function rankOf({ background, priority }: PendingRequest, isBatchTurn: boolean): Rank {
  if (background) return 2;
  return (priority === 'batch') === isBatchTurn ? 0 : 1;
}

function shortWork(
  candidate: Exclude<Candidate, { kind: 'generation' }>,
  { nowMs, forecast }: Runner,
  others: boolean,
): { readonly work: Work | undefined; readonly closesAt: number } {
  const { model } = candidate;
  const { work, formed } = candidate.kind === 'batch' ? formedTexts(candidate) : formedRuns(candidate);
  if (work === undefined || formed === undefined) return { work: undefined, closesAt: nowMs };
  const closesAt = closesAtMs(formed, {
    nowMs,
    deviceFreeAtMs: forecast.freeAtMs(),
    deviceBusyMs: forecast.busyMs,
    gapMs: model.arrivals.gapMs,
    lastArrivalMs: model.arrivals.lastMs,
    contended: others || candidate.waiting > formed.requests,
  });
  return { work, closesAt };
}

interface FormedWork {
  readonly work: Work | undefined;
  readonly formed: Formed | undefined;
}

function formedTexts({ model, seed }: Extract<Candidate, { kind: 'batch' }>): FormedWork {
  const { curve } = model;
  const cost = curve.samples > 0 ? curve.cost : undefined;
  const formed = model.rows.form(cost === undefined ? { seed } : { seed, cost });
  if (formed === undefined) return { work: undefined, formed };
  const { rows, width } = formed;
  return {
    work: { kind: 'batch', model, formed },
    formed: {
      ...requestsOf(rows.map(({ job }) => job.pending)),
      full: formed.full,
      cost: cost && {
        nowMs: batchMs(cost, rows.length, width),
        oneMoreMs: batchMs(cost, rows.length + 1, width),
        aloneMs: batchMs(cost, 1, width),
      },
    },
  };
}

function formedRuns({ model, seed }: Extract<Candidate, { kind: 'run' }>): FormedWork {
  const formed = model.runs.form(model.batching, seed);
  if (formed === undefined) return { work: undefined, formed };
  const { jobs, rows, rowsOfFirst, curve, full } = formed;
  const [nowMs, oneMoreMs, aloneMs] = [rows, rows + rowsOfFirst, rowsOfFirst].map((count) => curve?.predictMs(count));
  const known = nowMs !== undefined && oneMoreMs !== undefined && aloneMs !== undefined;
  return {
    work: { kind: 'run', model, formed },
    formed: {
      ...requestsOf(jobs.map(({ pending }) => pending)),
      full,
      cost: known ? { nowMs, oneMoreMs, aloneMs } : undefined,
    },
  };
}

function requestsOf(all: readonly PendingRequest[]): Pick<Formed, 'requests' | 'oldestArrivedAtMs' | 'remainingMs'> {
  const requests = new Set(all);
  let oldestArrivedAtMs = Number.POSITIVE_INFINITY;
  let remainingMs = Number.POSITIVE_INFINITY;
  for (const request of requests) {
    oldestArrivedAtMs = Math.min(oldestArrivedAtMs, request.arrivedAtMs);
    remainingMs = Math.min(remainingMs, request.remainingMs);
  }
  return { requests: requests.size, oldestArrivedAtMs, remainingMs };
}

const isWanted = ({ pending }: { readonly pending: PendingRequest }): boolean => !pending.settled;
