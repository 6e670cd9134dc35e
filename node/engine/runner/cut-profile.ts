// Measures where a model's graph can be cut and what its parts take on this machine: profiles the whole, finds the cut
// points, checks that parts one after another give what the whole gives, and runs the parts of a few cuts. Runs in a runner
// process of its own, which may be ended at any time.
import { dirname, join } from 'node:path';
import type { Manifest } from '../../../models/manifest.ts';
import { disagreement, rounds, type Tolerance } from '../../../models/onnx/cost/agreement.ts';
import { measuredCosts } from '../../../models/onnx/cost/node-costs.ts';
import { withNodeNames } from '../../../models/onnx/cost/node-names.ts';
import { type CutSample, calibrate } from '../../../models/onnx/cost/part-time.ts';
import type { ModelProto } from '../../../models/onnx/messages/onnx_pb.js';
import { readModel } from '../../../models/onnx/model-file.ts';
import { cutTable } from '../../../models/onnx/partition/cut-table.ts';
import { extractPart } from '../../../models/onnx/partition/extract.ts';
import { planCuts } from '../../../models/onnx/partition/plan-cuts.ts';
import type { NodeCosts } from '../../../models/onnx/partition/step-graph.ts';
import { weightBytes } from '../../../models/onnx/partition/weights.ts';
import { type CutTable, partBetween } from '../../../protocol/cut-table.ts';
import { toWeftError, WeftError } from '../../../protocol/errors.ts';
import type { ModelRef } from '../../../protocol/ids.ts';
import type { NamedTensor } from '../../../protocol/tensor.ts';
import { chooseFinalists, inOne, shapesOf, usualMs } from '../cutting/finalists.ts';
import {
  EXTENDED_RUNS,
  MEASURE_MS_MAX,
  PARTS_TOLERANCE,
  PARTS_TOLERANCE_ABSOLUTE,
  PHASE_MS,
  ROUNDED_PARTS_TOLERANCE,
  ROUNDS_MAX,
  ROUNDS_MIN,
  TRACED_RUNS_MAX,
  TRACED_RUNS_MIN,
  WARM_RUNS,
} from '../cutting/limits.ts';
import { sampleInputs } from '../cutting/sample-inputs.ts';
import { measurePieces } from './cut-pieces.ts';
import { CutSessions, type TimedSession, warmed } from './cut-session.ts';
import { type SessionThreads, verifySession } from './session.ts';

export interface MeasureCutsInit extends SessionThreads {
  readonly model: ModelRef;
  readonly manifest: Manifest;
  /** Of the model's files. */
  readonly folder: string;
  /** An empty folder, for files as large as the model's weights. */
  readonly scratch: string;
  /** Where it is measured: as the table tells it. */
  readonly device: string;
  readonly version: string;
  /** Inputs of a request. @default inputs are made up */
  readonly sample: readonly NamedTensor[];
  /** Inputs that as few segments as possible may read. */
  readonly raw: readonly string[];
  /** Milliseconds since 1970. */
  readonly wallNow: () => number;
  /** Hash the large files too. */
  readonly verifyLarge: boolean;
  /** Bytes of weights that may be in memory at a time; 0 = all. */
  readonly weightBytesMax: number;
}

/**
 * Blocks this thread for the length of each run. The whole graph, and beside it one copy of it in parts, are in memory, or as
 * much of it at a time as `weightBytesMax` says.
 * @throws WeftError `model_corrupt`, `model_load_failed`; `tensor_invalid` for a sample that the graph refuses;
 *   `unsupported` where no inputs could be made up that it takes
 */
export async function measureCuts(init: MeasureCutsInit, signal: AbortSignal): Promise<CutTable> {
  await verifySession(init);
  const path = join(init.folder, ...init.manifest.graph.split('/'));
  const sessions = new CutSessions({ ...init, folder: dirname(path) });
  return new CutMeasurement(init, sessions, readModel(path), signal).measure();
}

/** The whole graph, running. */
interface Whole {
  readonly session: TimedSession;
  readonly inputs: readonly NamedTensor[];
  readonly outputs: readonly NamedTensor[];
}

class CutMeasurement {
  readonly #init: MeasureCutsInit;
  readonly #sessions: CutSessions;
  readonly #model: ModelProto;
  readonly #signal: AbortSignal;
  /** Of the whole's runs, all that count. */
  readonly #wholeMs: number[] = [];
  readonly #begunMs = performance.now();

  constructor(init: MeasureCutsInit, sessions: CutSessions, model: ModelProto, signal: AbortSignal) {
    this.#init = init;
    this.#sessions = sessions;
    this.#model = model;
    this.#signal = signal;
  }

  measure(): Promise<CutTable> {
    const { weightBytesMax } = this.#init;
    const fits = weightBytesMax === 0 || weightBytes(this.#model) <= weightBytesMax;
    return fits ? this.#measureWhole() : this.#measurePieces(weightBytesMax);
  }

  /** Without a whole to compare them with, what parts cost beside their share is left to real runs to show. */
  async #measurePieces(weightBytesMax: number): Promise<CutTable> {
    const pieces = await this.#onInputs(async (inputs) => ({
      inputs,
      ...(await measurePieces(this.#model, inputs, this.#sessions, { weightBytesMax, signal: this.#signal })),
    }));
    const table = { ...this.#table(pieces.costs, pieces.inputs), wholeMs: pieces.wholeMs };
    const reason = await this.#checkParts(table, pieces);
    return reason === undefined ? table : inOne(table, reason);
  }

  async #measureWhole(): Promise<CutTable> {
    const session = await this.#sessions.open(this.#model);
    try {
      const whole = await this.#firstRun(session);
      const costs = await this.#costs(whole.inputs);
      const table = this.#table(costs, whole.inputs);
      const reason = await this.#checkParts(table, whole);
      return await this.#calibrated(reason === undefined ? table : inOne(table, reason), whole);
    } finally {
      await session.close();
    }
  }

  #table(costs: NodeCosts, inputs: readonly NamedTensor[]): CutTable {
    const { model, raw, device, version, wallNow } = this.#init;
    const nothing = { wholeMs: 0, partFixedMs: 0, partMsPerMb: 0 };
    const measured = {
      model,
      shapes: shapesOf(inputs),
      ...(raw.length > 0 && { raw }),
      ...nothing,
      device,
      version,
      measuredAtMs: wallNow(),
    };
    return cutTable(planCuts(this.#model, costs, { raw }), measured);
  }

  #firstRun(session: TimedSession): Promise<Whole> {
    return this.#onInputs(async (inputs) => {
      const { outputs } = await session.run(inputs);
      for (let run = 1; run < WARM_RUNS; run++) await session.run(inputs);
      await this.#repeat(ROUNDS_MIN, ROUNDS_MAX, async () => {
        const { ms } = await session.run(inputs);
        this.#wholeMs.push(ms);
      });
      return { session, inputs, outputs };
    });
  }

  /** On the sample, or on the first inputs of those made up that the graph takes. */
  async #onInputs<T>(run: (inputs: readonly NamedTensor[]) => Promise<T>): Promise<T> {
    const { sample, manifest } = this.#init;
    let refusal: unknown;
    for (const inputs of sample.length > 0 ? [sample] : sampleInputs(manifest)) {
      this.#signal.throwIfAborted();
      try {
        return await run(inputs);
      } catch (error) {
        this.#signal.throwIfAborted();
        if (toWeftError(error).code !== 'tensor_invalid') throw error;
        refusal = error;
      }
    }
    if (sample.length > 0) throw toWeftError(refusal);
    throw new WeftError(
      {
        code: 'unsupported',
        message: 'No inputs could be made up on which the graph runs.',
        remedy: 'Measure it with the inputs of a real request.',
      },
      { cause: refusal },
    );
  }

  async #costs(inputs: readonly NamedTensor[]): Promise<NodeCosts> {
    const named = withNodeNames(this.#model);
    if (named.graph === undefined) throw new WeftError({ code: 'model_corrupt', message: 'The model has no graph.' });
    const signal = this.#signal;
    const runs = WARM_RUNS + runsWithin(usualMs(this.#wholeMs), TRACED_RUNS_MIN, TRACED_RUNS_MAX);
    const all = await this.#sessions.trace(named, inputs, { level: 'all', runs, signal });
    const extendedRuns = WARM_RUNS + EXTENDED_RUNS;
    const extended = await this.#sessions.trace(named, inputs, { level: 'extended', runs: extendedRuns, signal });
    const sizes = new Map(inputs.map(({ name, type, dims, data }) => [name, { type, dims, bytes: data.byteLength }]));
    return measuredCosts(named.graph, { all: warmed(all), extended: warmed(extended) }, sizes).costs;
  }

  /** Runs all segments one after another. @returns why they can't be used; undefined where they can */
  async #checkParts(
    table: CutTable,
    { inputs, outputs }: Pick<Whole, 'inputs' | 'outputs'>,
  ): Promise<string | undefined> {
    const count = table.segments.length;
    if (count === 1) return undefined;
    const live = new Map(inputs.map((tensor) => [tensor.name, tensor]));
    const given = new Map<string, NamedTensor>(live);
    for (let at = 0; at < count; at++) {
      this.#signal.throwIfAborted();
      try {
        const made = await this.#once(table, at, at + 1, live);
        for (const tensor of made) {
          live.set(tensor.name, tensor);
          given.set(tensor.name, tensor);
        }
      } catch (error) {
        this.#signal.throwIfAborted();
        return `Its parts don't run: ${toWeftError(error).message}`;
      }
      for (const { name, to } of table.tensors) if ((to.at(-1) ?? -1) <= at) live.delete(name);
    }
    const difference = disagreement(outputs, given, this.#tolerance());
    return difference === undefined ? undefined : `Its parts don't give what the whole gives: ${difference}.`;
  }

  async #once(
    table: CutTable,
    from: number,
    to: number,
    tensors: ReadonlyMap<string, NamedTensor>,
  ): Promise<readonly NamedTensor[]> {
    const part = await this.#open(table, from, to);
    if (part === undefined) return [];
    try {
      return (await part.session.run(inputsOf(part.inputs, tensors))).outputs;
    } finally {
      await part.session.close();
    }
  }

  /** Undefined for segments that give nothing. */
  async #open(table: CutTable, from: number, to: number) {
    const part = partBetween(table, from, to);
    if (part.outputs.length === 0) return undefined;
    const session = await this.#sessions.open(extractPart(this.#model, part));
    return { session, inputs: part.inputs.map(({ name }) => name) };
  }

  /** Adds what is measured of the whole and of the parts of a few cuts. */
  async #calibrated(table: CutTable, whole: Whole): Promise<CutTable> {
    const samples: CutSample[] = [];
    for (const at of chooseFinalists(table)) {
      this.#signal.throwIfAborted();
      if (samples.length > 0 && performance.now() - this.#begunMs > MEASURE_MS_MAX) break;
      const sample = await this.#runCut(table, at, whole);
      if (sample !== undefined) samples.push(sample);
    }
    const wholeMs = usualMs(this.#wholeMs);
    const shares = table.segments.map(({ share }) => share);
    const measured = calibrate(shares, wholeMs, samples);
    const { partFixedMs, partMsPerMb } = measured.costs;
    const segments = table.segments.map((segment, index) => ({ ...segment, share: measured.shares[index] ?? 0 }));
    return { ...table, segments, wholeMs, partFixedMs, partMsPerMb };
  }

  /** Both parts in turns with the whole; undefined where one of them gives nothing. */
  async #runCut(table: CutTable, at: number, whole: Whole): Promise<CutSample | undefined> {
    const count = table.segments.length;
    const before = await this.#open(table, 0, at);
    if (before === undefined) return undefined;
    try {
      const after = await this.#open(table, at, count);
      if (after === undefined) return undefined;
      try {
        return await this.#inTurns(at, whole, before, after);
      } finally {
        await after.session.close();
      }
    } finally {
      await before.session.close();
    }
  }

  async #inTurns(at: number, whole: Whole, before: OpenPart, after: OpenPart): Promise<CutSample> {
    const tensors = new Map(whole.inputs.map((tensor) => [tensor.name, tensor]));
    const first = inputsOf(before.inputs, tensors);
    const between = (await before.session.run(first)).outputs;
    for (const tensor of between) tensors.set(tensor.name, tensor);
    const second = inputsOf(after.inputs, tensors);
    const outputs = (await after.session.run(second)).outputs;
    const times = { whole: [] as number[], before: [] as number[], after: [] as number[] };
    await this.#repeat(ROUNDS_MIN, ROUNDS_MAX, async () => {
      times.whole.push((await whole.session.run(whole.inputs)).ms);
      times.before.push((await before.session.run(first)).ms);
      times.after.push((await after.session.run(second)).ms);
    });
    // The machine may be faster now than it was: what counts is how the parts compare with the whole beside them.
    const scale = usualMs(this.#wholeMs) / usualMs(times.whole);
    return {
      at,
      before: { ms: usualMs(times.before) * scale, mb: megabytes([...first, ...between]) },
      after: { ms: usualMs(times.after) * scale, mb: megabytes([...second, ...outputs]) },
    };
  }

  /** Until the phase is over, a few times at least. */
  async #repeat(least: number, most: number, once: () => Promise<void>): Promise<void> {
    const begun = performance.now();
    for (let round = 0; round < most; round++) {
      this.#signal.throwIfAborted();
      if (round >= least && performance.now() - begun > PHASE_MS) return;
      await once();
    }
  }

  #tolerance(): Tolerance {
    const { graph } = this.#model;
    const rounded = graph !== undefined && rounds(graph) ? { rounded: ROUNDED_PARTS_TOLERANCE } : {};
    return { relative: PARTS_TOLERANCE, absolute: PARTS_TOLERANCE_ABSOLUTE, ...rounded };
  }
}

interface OpenPart {
  readonly session: TimedSession;
  readonly inputs: readonly string[];
}

const runsWithin = (ms: number, least: number, most: number): number =>
  Math.max(least, Math.min(most, Math.ceil(PHASE_MS / Math.max(ms, 1e-3))));

const megabytes = (tensors: readonly NamedTensor[]): number =>
  tensors.reduce((sum, { data }) => sum + data.byteLength, 0) / 1e6;

function inputsOf(names: readonly string[], tensors: ReadonlyMap<string, NamedTensor>): NamedTensor[] {
  return names.map((name) => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new WeftError({ code: 'internal', message: `No part gives "${name}".` });
    return tensor;
  });
}
