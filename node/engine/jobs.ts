// Generations and embeddings: how each is sent to a runner, and what its answer does to the requests behind it (runs of any
// graph: run-jobs.ts). Called by the runner slot when a place in the runner is free; nothing here waits.
import type { TokenRun } from '../../protocol/codec.ts';
import { ERRORS, toWeftError, type WeftError } from '../../protocol/errors.ts';
import type { RequestId } from '../../protocol/ids.ts';
import type {
  EncodeRequest,
  EncodeResult,
  GenerateRequest,
  GenerateResult,
  OnTokens,
  RunRequest,
  RunResult,
  Timing,
} from '../../protocol/infer.ts';
import { type MethodSpec, RUNNER_METHODS } from '../../protocol/methods.ts';
import type { Priority } from '../core/engine.ts';
import type { Row } from './batching.ts';
import type { ModelState } from './model-state.ts';
import type { Pending, PendingRequest } from './pending.ts';

export interface RunJob {
  readonly pending: Pending<RunResult>;
  readonly request: RunRequest;
}

export interface EncodeJob {
  readonly pending: Pending<EncodeResult>;
  readonly request: EncodeRequest;
  /** Where each text begins among the ids. */
  readonly offsets: Int32Array;
  /** Filled as batches come back. */
  readonly embeddings: Float32Array;
  textsLeft: number;
  computeMs: number;
}

export interface GenerateJob {
  readonly pending: Pending<GenerateResult>;
  readonly request: GenerateRequest;
  readonly onTokens: OnTokens;
}

/** How a call to the runner is made. */
export interface SendOptions {
  readonly signal: AbortSignal;
  /** Who is to blame when the runner dies by it. */
  readonly requestIds: readonly RequestId[];
  readonly budgetMs: number;
  /** @default 'interactive' */
  readonly priority?: Priority;
  /** @default false */
  readonly background?: boolean;
  /** How long it is expected to take in the runtime. @default not measured */
  readonly predictedMs?: number | undefined;
}

/** Makes a call to the model's runner. */
export type Send = <Request, Item, Response>(
  method: MethodSpec<Request, Item, Response>,
  request: Request,
  options: SendOptions,
  onItem?: (item: Item) => void,
) => Promise<Response>;

/** What answers are told to the engine through. */
export interface JobComponents {
  readonly now: () => number;
  readonly node: string;
}

/** One generation. Tokens go on as they come. */
export function sendGenerate(components: JobComponents, model: ModelState, job: GenerateJob, send: Send): void {
  const { pending, request, onTokens } = job;
  begin(components, pending);
  const before = request.ids.length;
  const runningBefore = running(model);
  const onItem = ({ firstIndex, ids, logprobs }: TokenRun): void => {
    model.ledger.worked();
    if (!pending.settled) onTokens(firstIndex, ids, logprobs);
  };
  const options = { ...only(pending), signal: untilSettled(pending) };
  send(RUNNER_METHODS.generate, request, options, onItem).then(
    ({ timing, ...result }) => {
      const { generated, cachedTokens = 0 } = result;
      const fresh = generated - (before - request.promptLength);
      // What was resumed was computed token by token: its time says nothing of a prompt's.
      const isPrompt = before === request.promptLength && fresh > 0 && !pending.background;
      // Kept prefixes cost nothing.
      worked(model, isPrompt ? before - cachedTokens : undefined, timing.prefillMs);
      if (model.answers > 1 && !pending.background) {
        const sequences = (runningBefore + running(model)) / 2;
        const decodeMs = timing.computeMs - timing.prefillMs;
        model.profile.decoded(fresh - 1, decodeMs, { context: before + fresh / 2, sequences });
      }
      pending.resolve({ ...result, node: components.node, timing: timingOf(model, pending, timing) });
    },
    (error: unknown) => pending.reject(toWeftError(error)),
  );
}

/** One batch of texts, of one request or of several. */
export function sendBatch(
  components: JobComponents,
  model: ModelState,
  rows: readonly Row<EncodeJob>[],
  send: Send,
): void {
  const first = rows[0];
  if (first === undefined) return;
  const jobs = [...new Set(rows.map(({ job }) => job))];
  for (const { pending } of jobs) begin(components, pending);
  const { model: ref, pooling, normalize } = first.job.request;
  const texts = gather(rows);
  const [count, width] = [rows.length, Math.max(...texts.lengths)];
  const options = {
    signal: whileWanted(rows, jobs),
    requestIds: jobs.map(({ pending }) => pending.requestId),
    budgetMs: Math.max(...jobs.map(({ pending }) => pending.remainingMs)),
    priority: first.job.pending.priority,
    background: jobs.every(({ pending }) => pending.background),
    predictedMs: model.curve.predictMs(count, width),
  };
  send(RUNNER_METHODS.encode, { model: ref, ...texts, pooling, normalize }, options).then(
    ({ embeddings, dimensions, timing }) => {
      worked(model, options.background ? undefined : count * width, timing.computeMs);
      if (model.answers > 1) model.curve.worked(count, width, timing.computeMs);
      for (const [at, { job, index }] of rows.entries()) {
        job.embeddings.set(embeddings.subarray(at * dimensions, (at + 1) * dimensions), index * dimensions);
        job.textsLeft--;
      }
      for (const job of jobs) {
        job.computeMs += timing.computeMs;
        if (job.textsLeft > 0) continue;
        const { pending } = job;
        const whole = timingOf(model, pending, { ...timing, computeMs: job.computeMs });
        pending.resolve({ embeddings: job.embeddings, dimensions, node: components.node, timing: whole });
      }
    },
    (error: unknown) => batchFailed(model, rows, jobs, toWeftError(error)),
  );
}

/** One bad text (an id beyond the vocabulary) must not fail the requests that shared its batch: each goes alone then. */
function batchFailed(
  model: ModelState,
  rows: readonly Row<EncodeJob>[],
  jobs: readonly EncodeJob[],
  error: WeftError,
): void {
  if (!isOwnFault(error) || jobs.length === 1) {
    for (const { pending } of jobs) pending.reject(error);
    return;
  }
  for (const job of jobs) {
    const { arrival } = job.pending;
    model.rows.add(
      rows.filter((row) => row.job === job),
      arrival,
      `alone-${arrival}`,
    );
  }
}

/** An error that one of the requests in a batch has caused, and that says nothing of the others. */
export function isOwnFault({ code }: WeftError): boolean {
  return !ERRORS[code].elsewhere && code !== 'cancelled' && code !== 'deadline_exceeded';
}

/** A request's texts, as rows to be queued. */
export function rowsOf(job: EncodeJob): Row<EncodeJob>[] {
  return Array.from(job.request.lengths, (length, index) => ({ job, index, length }));
}

/** @returns an encode job with nothing done */
export function encodeJob(pending: Pending<EncodeResult>, request: EncodeRequest, dimensions: number): EncodeJob {
  const texts = request.lengths.length;
  const offsets = new Int32Array(texts);
  for (let text = 1; text < texts; text++) {
    offsets[text] = (offsets[text - 1] as number) + (request.lengths[text - 1] as number);
  }
  const embeddings = new Float32Array(texts * dimensions);
  return { pending, request, offsets, embeddings, textsLeft: texts, computeMs: 0 };
}

function gather(rows: readonly Row<EncodeJob>[]): Pick<EncodeRequest, 'ids' | 'lengths' | 'firstLengths'> {
  const lengths = Int32Array.from(rows, ({ length }) => length);
  const ids = new Int32Array(rows.reduce((sum, { length }) => sum + length, 0));
  let to = 0;
  for (const { job, index, length } of rows) {
    const from = job.offsets[index] as number;
    ids.set(job.request.ids.subarray(from, from + length), to);
    to += length;
  }
  if (rows.every(({ job }) => job.request.firstLengths === undefined)) return { ids, lengths };
  const first = rows.map(({ job, index, length }) => job.request.firstLengths?.[index] ?? length);
  return { ids, lengths, firstLengths: Int32Array.from(first) };
}

/** Of a call that is one request's own. */
export function only(pending: PendingRequest): SendOptions {
  const { signal, requestId, remainingMs, priority, background } = pending;
  return { signal, requestIds: [requestId], budgetMs: remainingMs, priority, background };
}

/**
 * A generation is minutes of work: it ends with its request, whoever ended that. (The caller's own signal says nothing of
 * a model that is withdrawn, or of a deadline.)
 */
function untilSettled(pending: PendingRequest): AbortSignal {
  const controller = new AbortController();
  pending.onSettled(() => controller.abort());
  return controller.signal;
}

/** A batch is worth its work until the last of its requests has ended. */
function whileWanted(rows: readonly Row<EncodeJob>[], jobs: readonly EncodeJob[]): AbortSignal {
  const [first] = jobs;
  // The whole of one request: its caller's signal says all.
  if (jobs.length === 1 && first !== undefined && first.textsLeft === rows.length) return first.pending.signal;
  return whileAnyWaits(jobs.map(({ pending }) => pending));
}

/** Aborts once the last of the requests has ended. */
export function whileAnyWaits(requests: readonly PendingRequest[]): AbortSignal {
  const controller = new AbortController();
  const check = (): void => {
    if (requests.every(({ settled }) => settled)) controller.abort();
  };
  for (const request of requests) request.onSettled(check);
  return controller.signal;
}

/** The request has its first call. */
export function begin(components: JobComponents, pending: PendingRequest): void {
  pending.begunAtMs ??= components.now();
}

/** Requests of the model that the runner has, this one included. */
function running(model: ModelState): number {
  let count = 0;
  for (const { begunAtMs } of model.pending) if (begunAtMs !== undefined) count++;
  return count;
}

/** The first answer after a load is slower than those that follow, so it says nothing of them. */
export function worked(model: ModelState, tokens: number | undefined, computeMs: number): void {
  model.ledger.worked();
  model.answers++;
  if (model.answers > 1 && tokens !== undefined) model.profile.worked(tokens, computeMs);
}

/** Where the time of a request went, by what the runner has measured. */
export function timingOf(model: ModelState, pending: PendingRequest, measured: Timing): Timing {
  const queueMs = Math.max(0, (pending.begunAtMs ?? pending.arrivedAtMs) - pending.arrivedAtMs);
  return { ...measured, queueMs, loadMs: pending.waitedForLoad ? Math.min(queueMs, model.lastLoadMs) : 0 };
}
