// What a runner gets next: looks through the models that share it, forms the batch around what must go first, and says when
// to send it. No I/O; asked by the runner slot whenever something has come, gone or become due.
import { batchMs } from './batch-curve.ts';
import type { FormedRows } from './batching.ts';
import type { EncodeJob, GenerateJob, RunJob } from './jobs.ts';
import { BATCH_ROWS_MAX, BATCH_TOKENS_MAX } from './limits.ts';
import type { ModelState } from './model-state.ts';
import type { PendingRequest } from './pending.ts';
import type { FormedRuns } from './run-queue.ts';
import { closesAtMs, type DeviceForecast, type Formed, type Head, isUrgent, nextOf } from './window.ts';

/** Work to be sent. Batches and runs still wait in their queues. */
export type Work =
  | { readonly kind: 'batch'; readonly model: ModelState; readonly formed: FormedRows<EncodeJob> }
  | { readonly kind: 'run'; readonly model: ModelState; readonly formed: FormedRuns<RunJob> }
  | { readonly kind: 'generation'; readonly model: ModelState; readonly job: GenerateJob };

/** What the decision stands on, beside the models. */
export interface Runner {
  readonly nowMs: number;
  /** There is a place for a batch or a run; for a generation. */
  readonly shortFree: boolean;
  readonly generationFree: boolean;
  readonly forecast: DeviceForecast;
  /** What was sent last went before older work, because of its deadline. */
  readonly lastJumped: boolean;
}

export interface Next {
  readonly work: Work | undefined;
  /** It goes before older work. */
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
  let candidates: Candidate[] = [];
  for (const model of models) candidates.push(...candidatesOf(model, runner));
  const oldest = Math.min(...candidates.map(({ arrival }) => arrival));
  let wakeAtMs: number | undefined;
  for (;;) {
    const candidate = candidates[nextOf(candidates, runner.lastJumped) ?? -1];
    if (candidate === undefined) return { work: undefined, jumped: false, wakeAtMs };
    const jumped = candidate.arrival > oldest;
    const { kind, model } = candidate;
    if (kind === 'generation') return { work: { kind, model, job: candidate.seed }, jumped, wakeAtMs: undefined };
    const { work, closesAt } = shortWork(candidate, runner, candidates.length > 1);
    if (work !== undefined && closesAt <= runner.nowMs) return { work, jumped, wakeAtMs: undefined };
    if (work !== undefined) wakeAtMs = closesAt;
    // All of them wait for the same device; a generation has a place of its own.
    candidates = candidates.filter((other) => other.kind === 'generation');
  }
}

function candidatesOf(model: ModelState, { nowMs, shortFree, generationFree, forecast }: Runner): Candidate[] {
  const candidates: Candidate[] = [];
  const add = <Job extends { readonly pending: PendingRequest }>(
    jobs: Iterable<Job>,
    ownMs: ((job: Job) => number | undefined) | undefined,
    otherMs: number,
    make: (head: Head, seed: Job, waiting: number) => Candidate,
  ): void => {
    let waiting = 0;
    let oldest: Job | undefined;
    let urgent: Job | undefined;
    const freeAtMs = forecast.freeAtMs();
    const freeInMs = typeof freeAtMs === 'number' ? Math.max(0, freeAtMs - nowMs) : 0;
    for (const job of jobs) {
      const { pending } = job;
      if (pending.settled || pending.arrival > model.lastServed) continue;
      waiting++;
      if (oldest === undefined || goesBefore(pending, oldest.pending)) oldest = job;
      const own = ownMs?.(job);
      if (own === undefined || pending.background || !isUrgent(pending.remainingMs, freeInMs, own, otherMs)) continue;
      if (urgent === undefined || pending.remainingMs < urgent.pending.remainingMs) urgent = job;
    }
    for (const seed of new Set([oldest, urgent])) {
      if (seed === undefined) continue;
      const { arrival, background } = seed.pending;
      candidates.push(make({ arrival, background, urgent: seed === urgent }, seed, waiting));
    }
  };
  if (shortFree) {
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
    add(model.rows.jobs(isWanted), textsMs, largestMs, batch);
    const runMs = profile.predictMs(1);
    const run = (head: Head, seed: RunJob, waiting: number): Candidate => ({
      ...head,
      kind: 'run',
      model,
      seed,
      waiting,
    });
    add(model.runs.jobs(), runMs > 0 ? () => runMs : undefined, runMs, run);
  }
  if (generationFree) {
    add(model.generations, undefined, 0, (head, seed) => ({ ...head, kind: 'generation', model, seed }));
  }
  return candidates;
}

/** What somebody waits for goes before what nobody does. */
function goesBefore(a: PendingRequest, b: PendingRequest): boolean {
  return a.background === b.background ? a.arrival < b.arrival : b.background;
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
