// Runs a graph whose weights don't fit into memory together, a piece at a time: each is measured like a whole graph, and
// what it gives is what the next one takes. Runs in a runner process.
import { measuredCosts } from '../../../models/onnx/cost/node-costs.ts';
import { withNodeNames } from '../../../models/onnx/cost/node-names.ts';
import type { ModelProto } from '../../../models/onnx/messages/onnx_pb.js';
import { extractPart } from '../../../models/onnx/partition/extract.ts';
import { type NodeCosts, type StepGraph, stepGraph } from '../../../models/onnx/partition/step-graph.ts';
import { sizeOf, tensorsOfNode } from '../../../models/onnx/partition/weights.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { GraphPart } from '../../../protocol/part.ts';
import type { NamedTensor } from '../../../protocol/tensor.ts';
import { usualMs } from '../cutting/finalists.ts';
import { EXTENDED_RUNS, ROUNDS_MIN, TRACED_RUNS_MIN, WARM_RUNS } from '../cutting/limits.ts';
import { type CutSessions, warmed } from './cut-session.ts';

/** What running all pieces has shown. */
export interface MeasuredPieces {
  readonly costs: NodeCosts;
  readonly outputs: readonly NamedTensor[];
  /** Of all pieces together. */
  readonly wholeMs: number;
}

/** Steps `from` to `to`, that one excluded. */
export interface Piece {
  readonly from: number;
  readonly to: number;
}

/** Nothing is known of the graph but how it hangs together. */
const UNKNOWN: NodeCosts = { ms: () => 0, tensor: () => undefined };

/**
 * @param weightBytesMax of one piece, where its nodes allow it
 * @throws WeftError `model_load_failed`, `tensor_invalid` as the runtime reports
 */
export async function measurePieces(
  model: ModelProto,
  inputs: readonly NamedTensor[],
  sessions: CutSessions,
  { weightBytesMax, signal }: { readonly weightBytesMax: number; readonly signal: AbortSignal },
): Promise<MeasuredPieces> {
  const graph = stepGraph(model, UNKNOWN);
  const live = new Map(inputs.map((tensor) => [tensor.name, tensor]));
  const all = new Map<string, NamedTensor>(live);
  const ms = new Map<string, number>();
  const tensors = new Map<string, ReturnType<NodeCosts['tensor']>>();
  let wholeMs = 0;
  for (const [index, piece] of piecesOf(graph, weightBytesMax).entries()) {
    const { part, taken } = partOf(graph, piece, live);
    const given = await measureOne(extractPart(model, part), taken, sessions, { label: `${index}_`, signal });
    wholeMs += given.ms;
    for (const { node } of graph.steps.slice(piece.from, piece.to)) {
      for (const output of node.output) {
        ms.set(output, given.costs.ms(output));
        tensors.set(output, given.costs.tensor(output));
      }
    }
    for (const tensor of taken)
      if (!tensors.has(tensor.name)) tensors.set(tensor.name, given.costs.tensor(tensor.name));
    for (const tensor of given.outputs) {
      live.set(tensor.name, tensor);
      all.set(tensor.name, tensor);
    }
    forget(graph, piece.to, live);
  }
  const outputs = graph.tensors.flatMap(({ name, output }) => (output ? (all.get(name) ?? []) : []));
  return { costs: { ms: (output) => ms.get(output) ?? 0, tensor: (name) => tensors.get(name) }, outputs, wholeMs };
}

/** Ends of pieces lie where few tensors cross, in the second half of what fits. */
export function piecesOf(graph: StepGraph, weightBytesMax: number): Piece[] {
  const bytes = newBytes(graph);
  const crossing = crossings(graph);
  const pieces: Piece[] = [];
  for (let from = 0; from < bytes.length; from = pieces.at(-1)?.to ?? bytes.length) {
    let sum = 0;
    let end = from;
    while (end < bytes.length && (end === from || sum + (bytes[end] as number) <= weightBytesMax)) {
      sum += bytes[end++] as number;
    }
    let to = end;
    if (end < bytes.length) {
      for (let at = end; at > from && at >= (from + end) / 2; at--) {
        if ((crossing[at] as number) < (crossing[to] as number)) to = at;
      }
    }
    pieces.push({ from, to });
  }
  return pieces;
}

async function measureOne(
  piece: ModelProto,
  inputs: readonly NamedTensor[],
  sessions: CutSessions,
  { label, signal }: { readonly label: string; readonly signal: AbortSignal },
): Promise<{ readonly ms: number; readonly outputs: readonly NamedTensor[]; readonly costs: NodeCosts }> {
  const session = await sessions.open(piece);
  const times: number[] = [];
  let outputs: readonly NamedTensor[] = [];
  try {
    for (let run = 0; run < WARM_RUNS + ROUNDS_MIN; run++) {
      signal.throwIfAborted();
      const ran = await session.run(inputs);
      outputs = ran.outputs;
      if (run >= WARM_RUNS) times.push(ran.ms);
    }
  } finally {
    await session.close();
  }
  const named = withNodeNames(piece);
  if (named.graph === undefined) throw new WeftError({ code: 'model_corrupt', message: 'The model has no graph.' });
  const all = await sessions.trace(named, inputs, { level: 'all', runs: WARM_RUNS + TRACED_RUNS_MIN, signal });
  const extended = await sessions.trace(named, inputs, { level: 'extended', runs: WARM_RUNS + EXTENDED_RUNS, signal });
  const sizes = new Map(inputs.map(({ name, type, dims, data }) => [name, { type, dims, bytes: data.byteLength }]));
  const { costs } = measuredCosts(named.graph, { all: warmed(all), extended: warmed(extended) }, sizes, label);
  const ms = usualMs(times);
  // Each piece has its share of the clock's time, not of the kernels' own.
  const kernels = named.graph.node.reduce((sum, { output }) => sum + costs.ms(output[0] ?? ''), 0);
  const scale = kernels > 0 ? ms / kernels : 1;
  return { ms, outputs, costs: { ms: (output) => costs.ms(output) * scale, tensor: (name) => costs.tensor(name) } };
}

function partOf(
  { steps, tensors }: StepGraph,
  { from, to }: Piece,
  live: ReadonlyMap<string, NamedTensor>,
): { readonly part: GraphPart; readonly taken: readonly NamedTensor[] } {
  const inside = steps.slice(from, to);
  const used = new Set(inside.flatMap(({ uses }) => uses));
  const later = new Set(steps.slice(to).flatMap(({ uses }) => uses));
  const taken = [...used].flatMap((place) => {
    const tensor = tensors[place];
    if (tensor === undefined || tensor.from >= from) return [];
    const value = live.get(tensor.name);
    if (value === undefined) throw new WeftError({ code: 'internal', message: `No piece gives "${tensor.name}".` });
    return [value];
  });
  const outputs = inside
    .flatMap(({ makes }) => makes)
    .flatMap((place) => (later.has(place) || tensors[place]?.output ? (tensors[place]?.name ?? []) : []));
  return { part: { inputs: taken.map(({ name, type }) => ({ name, type })), outputs }, taken };
}

/** What no later step uses. */
function forget({ steps, tensors }: StepGraph, done: number, live: Map<string, NamedTensor>): void {
  const needed = new Set(steps.slice(done).flatMap(({ uses }) => uses.map((place) => tensors[place]?.name)));
  for (const name of [...live.keys()]) if (!needed.has(name)) live.delete(name);
}

/** Bytes of the weights that each step is the first to use. */
function newBytes({ steps, sources }: StepGraph): number[] {
  const weights = new Map(sources.graph.initializer.map((tensor) => [tensor.name, tensor]));
  const seen = new Set<string>();
  return steps.map(({ node }) => {
    let bytes = 0;
    for (const tensor of tensorsOfNode(node)) bytes += sizeOf(tensor);
    for (const name of sources.uses(node)) {
      const weight = weights.get(name);
      if (weight === undefined || seen.has(name)) continue;
      seen.add(name);
      bytes += sizeOf(weight);
    }
    return bytes;
  });
}

/** Tensors that live on across each place between the steps. */
function crossings({ steps, tensors }: StepGraph): number[] {
  const last = new Int32Array(tensors.length).fill(-1);
  for (const [place, { uses }] of steps.entries()) for (const tensor of uses) last[tensor] = place;
  const change = new Int32Array(steps.length + 1);
  for (const [tensor, { from }] of tensors.entries()) {
    const end = last[tensor] as number;
    if (from < 0 || end <= from) continue;
    change[from + 1] = (change[from + 1] as number) + 1;
    change[end + 1] = (change[end + 1] as number) - 1;
  }
  let count = 0;
  return [...change].map((by) => {
    count += by;
    return count;
  });
}
