// Runs of any graph: how one request, or several that share a run, are sent to a runner, and what the answer does to the
// requests behind it. Called by the runner slot when a place in the runner is free; nothing here waits.
import { toWeftError, type WeftError } from '../../protocol/errors.ts';
import type { RunRequest, RunResult } from '../../protocol/infer.ts';
import { RUNNER_METHODS } from '../../protocol/methods.ts';
import type { NamedTensor } from '../../protocol/tensor.ts';
import { judgeRows, splitOutputs } from './independence.ts';
import {
  begin,
  isOwnFault,
  type JobComponents,
  only,
  type RunJob,
  type Send,
  timingOf,
  whileAnyWaits,
  worked,
} from './jobs.ts';
import type { ModelState } from './model-state.ts';
import type { RowsVerdict, SizeCurve } from './run-batching.ts';
import { partName } from './run-parts.ts';
import type { FormedRuns } from './run-queue.ts';

/** Sends what was formed: one request, several in one run, or two both ways. */
export function sendRuns(components: JobComponents, model: ModelState, formed: FormedRuns<RunJob>, send: Send): void {
  const { jobs, how, curve } = formed;
  if (how === 'together') {
    sendTogether(components, model, formed, send);
  } else if (how === 'verify') {
    void verify(components, model, jobs, curve, send);
  } else {
    for (const job of jobs) void sendAlone(components, model, job, curve, send);
  }
}

/** One run for one request. @returns its outputs; undefined when it failed. Never rejects. */
function sendAlone(
  components: JobComponents,
  model: ModelState,
  { pending, request }: RunJob,
  curve: SizeCurve | undefined,
  send: Send,
): Promise<readonly NamedTensor[] | undefined> {
  begin(components, pending);
  const rows = rowsOf(request);
  const predictedMs = curve?.predictMs(rows);
  return send(RUNNER_METHODS.run, request, { ...only(pending), predictedMs }).then(
    ({ outputs, timing }) => {
      worked(model, pending.background ? undefined : 1, timing.computeMs);
      if (model.answers > 1) curve?.worked(rows, timing.computeMs, bytesOf(outputs));
      pending.resolve({ outputs, node: components.node, timing: timingOf(model, pending, timing) });
      return outputs;
    },
    (error: unknown) => {
      pending.reject(toWeftError(error));
      return undefined;
    },
  );
}

/** One run for several requests. */
function sendTogether(components: JobComponents, model: ModelState, formed: FormedRuns<RunJob>, send: Send): void {
  const { jobs, rows, curve } = formed;
  for (const { pending } of jobs) begin(components, pending);
  const pendings = jobs.map(({ pending }) => pending);
  const options = {
    signal: whileAnyWaits(pendings),
    requestIds: pendings.map(({ requestId }) => requestId),
    budgetMs: Math.max(...pendings.map(({ remainingMs }) => remainingMs)),
    ...(pendings[0] === undefined ? {} : { priority: pendings[0].priority }),
    background: pendings.every(({ background }) => background),
    predictedMs: curve?.predictMs(rows),
  };
  send(RUNNER_METHODS.run, joined(jobs), options).then(
    ({ outputs, timing }) => {
      // The profile's unit is one request's run.
      worked(model, options.background ? undefined : 1, timing.computeMs / jobs.length);
      if (model.answers > 1) curve?.worked(rows, timing.computeMs, bytesOf(outputs));
      const parts = splitOutputs(
        outputs,
        jobs.map(({ request }) => rowsOf(request)),
      );
      if (parts === undefined) {
        // It was so when it was verified: what does not hold any more is not relied on again.
        model.batching.broken('An output had not as many rows as the inputs.');
        model.runs.again(jobs.filter(({ pending }) => !pending.settled));
        return;
      }
      for (const [index, { pending }] of jobs.entries()) {
        const whole = { outputs: parts[index] ?? [], node: components.node, timing: timingOf(model, pending, timing) };
        pending.resolve(whole satisfies RunResult);
      }
    },
    (error: unknown) => togetherFailed(model, jobs, toWeftError(error)),
  );
}

/** One bad request (an index beyond a table) must not fail those that shared its run: each goes alone then. */
function togetherFailed(model: ModelState, jobs: readonly RunJob[], error: WeftError): void {
  if (isOwnFault(error)) model.runs.again(jobs.filter(({ pending }) => !pending.settled));
  else for (const { pending } of jobs) pending.reject(error);
}

/**
 * Answers two requests from a run each, and runs them once more as one: whether the graph treats rows independently is
 * not in its manifest, and an answer that depends on who else asked would be wrong. Costs one run per loaded model.
 */
async function verify(
  components: JobComponents,
  model: ModelState,
  jobs: readonly RunJob[],
  curve: SizeCurve | undefined,
  send: Send,
): Promise<void> {
  const { batching } = model;
  batching.asked();
  const apart = jobs.map((job) => sendAlone(components, model, job, curve, send));
  const pendings = jobs.map(({ pending }) => pending);
  const options = {
    // Wanted whether or not those two still are: it is the model that is looked at.
    signal: new AbortController().signal,
    requestIds: pendings.map(({ requestId }) => requestId),
    budgetMs: RUNNER_METHODS.run.timeouts.totalMs,
    background: true,
  };
  const together = send(RUNNER_METHODS.run, joined(jobs), options).then(
    ({ outputs }) => outputs,
    (error: unknown) => toWeftError(error),
  );
  const [first, second] = await Promise.all(apart);
  const both = await together;
  batching.verified(verdictOf(jobs, [first, second], both));
}

function verdictOf(
  jobs: readonly RunJob[],
  apart: readonly (readonly NamedTensor[] | undefined)[],
  together: readonly NamedTensor[] | WeftError,
): RowsVerdict {
  const [first, second] = apart;
  // One that failed by itself, or a runner that is gone, says nothing of the graph.
  if (first === undefined || second === undefined) return { rows: 'unclear' };
  if (!('length' in together)) {
    if (!isOwnFault(together)) return { rows: 'unclear' };
    return { rows: 'dependent', reason: `It refuses requests that share a run: ${together.message}` };
  }
  return judgeRows(
    [first, second],
    splitOutputs(
      together,
      jobs.map(({ request }) => rowsOf(request)),
    ),
  );
}

/** One request for all: each input in parts, which the runner finds behind one another and joins without a copy. */
function joined(jobs: readonly RunJob[]): RunRequest {
  const [first] = jobs;
  if (first === undefined) throw new RangeError('There is no request to join.');
  const { model, inputs, outputs } = first.request;
  const parts = inputs.flatMap(({ name }) =>
    jobs.flatMap(({ request }, part) => {
      const input = request.inputs.find((candidate) => candidate.name === name);
      return input === undefined ? [] : [{ ...input, name: partName(name, part) }];
    }),
  );
  return { model, inputs: parts, outputs };
}

const rowsOf = (request: RunRequest): number => request.inputs[0]?.dims[0] ?? 0;

const bytesOf = (tensors: readonly NamedTensor[]): number =>
  tensors.reduce((sum, { data }) => sum + data.byteLength, 0);
