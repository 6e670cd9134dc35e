// Measures a model and the two parts of each of its cuts, in interleaved rounds: those of even number are what is known when a
// plan is chosen, those of odd number are what it is judged by.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { disagreement, rounds, type Tolerance } from '../../../models/onnx/cost/agreement.ts';
import { measuredCosts } from '../../../models/onnx/cost/node-costs.ts';
import { withNodeNames } from '../../../models/onnx/cost/node-names.ts';
import { type CutSample, calibrate, partLoad } from '../../../models/onnx/cost/part-time.ts';
import type { ModelProto } from '../../../models/onnx/messages/onnx_pb.js';
import { cutTable } from '../../../models/onnx/partition/cut-table.ts';
import { extractPart } from '../../../models/onnx/partition/extract.ts';
import { planCuts } from '../../../models/onnx/partition/plan-cuts.ts';
import { chooseFinalists } from '../../../node/engine/cutting/finalists.ts';
import {
  PARTS_TOLERANCE,
  PARTS_TOLERANCE_ABSOLUTE,
  ROUNDED_PARTS_TOLERANCE,
} from '../../../node/engine/cutting/limits.ts';
import { CutSessions, type TimedSession } from '../../../node/engine/runner/cut-session.ts';
import { type CutTable, partBetween } from '../../../protocol/cut-table.ts';
import type { NamedTensor } from '../../../protocol/tensor.ts';
import { type BenchOptions, interleave, median } from '../harness.ts';
import type { CutCase } from './cases.ts';
import { fewerSegments } from './fewer.ts';

/** Medians of the two halves of the rounds, milliseconds. */
export interface Halves {
  readonly known: number;
  readonly judged: number;
}

/** A model of which every cut was run. */
export interface MeasuredCase {
  readonly cutCase: CutCase;
  /** As a node would make it of the known half: a profile, set right by the parts of a few cuts. */
  readonly table: CutTable;
  /** By the profile alone, of each segment. */
  readonly shares: readonly number[];
  /** Those few cuts. */
  readonly seen: ReadonlySet<number>;
  readonly whole: Halves;
  /** By the cut point in front of which they end, from 1 on; undefined where there is nothing to run. */
  readonly heads: readonly (Halves | undefined)[];
  readonly tails: readonly (Halves | undefined)[];
  /** For each series its samples. */
  readonly samples: Readonly<Record<string, readonly number[]>>;
}

export type MeasureOptions = Pick<BenchOptions, 'rounds' | 'threads' | 'say'>;

/** Runs that a session gets before it counts. */
const WARM_RUNS = 2;
const TRACED_RUNS = 8;

/** Parts between two runs of the whole in a round. */
const PARTS_PER_WHOLE = 6;

/** Both parts of every cut are open at the same time. */
const SEGMENTS_MAX = 13;

/** A sample is as many runs as this takes. */
const SAMPLE_MS = 8;
const SAMPLE_RUNS_MAX = 12;

/** All cases, one after the other: their sessions are not there at the same time. */
export async function measureCases(cases: readonly CutCase[], options: MeasureOptions): Promise<MeasuredCase[]> {
  const measured: MeasuredCase[] = [];
  for (const cutCase of cases) {
    const one = await measureCase(cutCase, options);
    options.say(
      `  ${cutCase.name.padEnd(20)} whole ${one.whole.known.toFixed(2)} ms, ${one.table.segments.length - 1} cuts` +
        `${one.table.reason === undefined ? '' : ` (${one.table.reason})`}`,
    );
    measured.push(one);
  }
  return measured;
}

async function measureCase(cutCase: CutCase, { rounds, threads }: MeasureOptions): Promise<MeasuredCase> {
  const scratch = await mkdtemp(join(tmpdir(), 'weft-bench-'));
  const ref = { id: cutCase.name, digest: `sha256:${cutCase.name}` };
  const sessions = new CutSessions({ model: ref, folder: cutCase.folder, scratch, threads, shareCores: false });
  try {
    const model = cutCase.model();
    const profiled = await profile(model, cutCase, sessions);
    const open = await openAll(model, profiled, cutCase, sessions);
    const contenders = Object.fromEntries(turns(open));
    await interleave(WARM_RUNS, contenders);
    const taken = await interleave(rounds, contenders);
    for (const { session } of Object.values(open)) await session.close();
    return summary(cutCase, profiled, taken);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function profile(model: ModelProto, { name, inputs, raw }: CutCase, sessions: CutSessions): Promise<CutTable> {
  const named = withNodeNames(model);
  if (named.graph === undefined) throw new Error(`${name} has no graph.`);
  const traced = async (level: 'all' | 'extended') => {
    const { runs, optimised } = await sessions.trace(named, inputs, {
      level,
      runs: WARM_RUNS + TRACED_RUNS,
      signal: new AbortController().signal,
    });
    return { runs: runs.slice(WARM_RUNS), optimised };
  };
  const sizes = new Map(inputs.map(({ name: input, type, dims, data }) => [input, { type, dims, bytes: data.length }]));
  const { costs } = measuredCosts(named.graph, { all: await traced('all'), extended: await traced('extended') }, sizes);
  const table = cutTable(planCuts(model, costs, { raw }), {
    model: { id: name, digest: `sha256:${name}` },
    shapes: '',
    wholeMs: 0,
    partFixedMs: 0,
    partMsPerMb: 0,
    device: 'bench',
    version: '',
    measuredAtMs: 0,
  });
  return fewerSegments(table, SEGMENTS_MAX);
}

/** A session with the inputs that it gets in every run. */
export interface Ready {
  readonly session: TimedSession;
  readonly inputs: readonly NamedTensor[];
}

/** Who runs in a round: the whole every few parts, since every plan is compared with it. */
function* turns(open: Readonly<Record<string, Ready>>): Generator<[string, () => Promise<number[]>]> {
  for (const [at, [name, ready]] of Object.entries(open).entries()) {
    yield [name, async () => [await sampleMs(ready)]];
    const whole = open[WHOLE];
    if (at > 0 && at % PARTS_PER_WHOLE === 0 && whole !== undefined) {
      yield [`${WHOLE}_${at}`, async () => [await sampleMs(whole)]];
    }
  }
}

/** Milliseconds of a run: of short ones the mean of several. */
async function sampleMs({ session, inputs }: Ready): Promise<number> {
  let all = 0;
  let runs = 0;
  while (all < SAMPLE_MS && runs < SAMPLE_RUNS_MAX) {
    all += (await session.run(inputs)).ms;
    runs++;
  }
  return all / runs;
}

const WHOLE = 'whole';
const headOf = (cut: number): string => `head_${cut}`;
const tailOf = (cut: number): string => `tail_${cut}`;

/** Sessions of the whole and of both parts of each cut, each with its inputs; parts that give nothing are left out. */
async function openAll(
  model: ModelProto,
  table: CutTable,
  { inputs }: CutCase,
  sessions: CutSessions,
): Promise<Record<string, Ready>> {
  const whole = await sessions.open(model);
  const open: Record<string, Ready> = { [WHOLE]: { session: whole, inputs } };
  const { outputs: expected } = await whole.run(inputs);
  const last = table.segments.length;
  for (let cut = 1; cut < last; cut++) {
    let there = new Map(inputs.map((tensor) => [tensor.name, tensor]));
    for (const [name, from, to] of [
      [headOf(cut), 0, cut],
      [tailOf(cut), cut, last],
    ] as const) {
      const part = partBetween(table, from, to);
      if (part.outputs.length === 0) continue;
      const session = await sessions.open(extractPart(model, part));
      const own = part.inputs.map((input) => {
        const tensor = there.get(input.name);
        if (tensor === undefined) throw new Error(`Nobody gives ${input.name}.`);
        return tensor;
      });
      open[name] = { session, inputs: own };
      const { outputs } = await session.run(own);
      there = new Map([...there, ...outputs.map((tensor) => [tensor.name, tensor] as const)]);
    }
    const difference = disagreement(expected, there, toleranceOf(model));
    // A part that computes something else is no contender.
    if (difference !== undefined) throw new Error(`Cut ${cut} gives something else than the whole: ${difference}.`);
  }
  return open;
}

function toleranceOf({ graph }: ModelProto): Tolerance {
  const rounded = graph !== undefined && rounds(graph) ? { rounded: ROUNDED_PARTS_TOLERANCE } : {};
  return { relative: PARTS_TOLERANCE, absolute: PARTS_TOLERANCE_ABSOLUTE, ...rounded };
}

/** The part of these segments alone, with the inputs that the segments before it give. */
export async function openRange(cutCase: CutCase, table: CutTable, range: Range, threads: number): Promise<Ready> {
  const ref = { id: cutCase.name, digest: `sha256:${cutCase.name}` };
  const sessions = new CutSessions({ model: ref, folder: cutCase.folder, scratch: '', threads, shareCores: false });
  const model = cutCase.model();
  const { from, to } = range;
  if (from === 0 && to === table.segments.length) {
    return { session: await sessions.open(model), inputs: cutCase.inputs };
  }
  const there = new Map(cutCase.inputs.map((tensor) => [tensor.name, tensor]));
  const before = partBetween(table, 0, from);
  if (before.outputs.length > 0) {
    const head = await sessions.open(extractPart(model, before));
    const { outputs } = await head.run(before.inputs.map(({ name }) => there.get(name) as NamedTensor));
    for (const tensor of outputs) there.set(tensor.name, tensor);
    await head.close();
  }
  const part = partBetween(table, from, to);
  const session = await sessions.open(extractPart(model, part));
  return { session, inputs: part.inputs.map(({ name }) => there.get(name) as NamedTensor) };
}

/** Segments [from, to). */
export interface Range {
  readonly from: number;
  readonly to: number;
}

function summary(
  cutCase: CutCase,
  profiled: CutTable,
  taken: Readonly<Record<string, (readonly number[])[]>>,
): MeasuredCase {
  const isWhole = (name: string): boolean => name.startsWith(WHOLE);
  const wholes = Object.keys(taken).filter(isWhole);
  const samples: Record<string, readonly number[]> = Object.fromEntries(
    Object.entries(taken).flatMap(([name, list]) => (isWhole(name) ? [] : [[name, list.flat()]])),
  );
  samples[WHOLE] = (taken[WHOLE] ?? []).map((_, round) => median(wholes.flatMap((name) => taken[name]?.[round] ?? [])));
  const halves = (name: string): Halves | undefined => {
    const list = samples[name];
    if (list === undefined) return undefined;
    const half = (odd: number): number => median(list.filter((_, round) => round % 2 === odd));
    return { known: half(0), judged: half(1) };
  };
  const last = profiled.segments.length;
  const cuts = Array.from({ length: last - 1 }, (_, index) => index + 1);
  const heads = [undefined, ...cuts.map((cut) => halves(headOf(cut)))];
  const tails = [undefined, ...cuts.map((cut) => halves(tailOf(cut)))];
  const whole = halves(WHOLE) as Halves;
  const finalists = last > 1 ? chooseFinalists(profiled) : [];
  const seen = finalists.flatMap((at): CutSample[] => {
    const [before, after] = [heads[at], tails[at]];
    if (before === undefined || after === undefined) return [];
    const mb = (from: number, to: number): number => partLoad(profiled, from, to).mb;
    return [{ at, before: { ms: before.known, mb: mb(0, at) }, after: { ms: after.known, mb: mb(at, last) } }];
  });
  const shares = profiled.segments.map(({ share }) => share);
  const calibrated = calibrate(shares, whole.known, seen);
  const segments = profiled.segments.map((segment, at) => ({ ...segment, share: calibrated.shares[at] ?? 0 }));
  const table = { ...profiled, ...calibrated.costs, wholeMs: whole.known, segments };
  return { cutCase, table, shares, seen: new Set(seen.map(({ at }) => at)), whole, heads, tails, samples };
}
