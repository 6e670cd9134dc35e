// Finds the places where a graph can be cut and no other place is better: a chain of segments, each of which a node can
// run as a part, and the tensors that cross between them. Called where a model was measured.
import type { CutTensor, SharedWeights } from '../../../protocol/cut-table.ts';
import { TENSORS_MAX } from '../../../protocol/limits.ts';
import { dataTypeName } from '../../../protocol/tensor.ts';
import { quoted } from '../check/names.ts';
import type { ModelProto } from '../messages/onnx_pb.js';
import { type Boundary, undominated } from './boundaries.ts';
import { bytesOf, conesOf, type FoldedGraph, fewestLiveBytes, foldReplicas, lifetimes } from './crossings.ts';
import { chooseReplicas } from './replicas.ts';
import { type NodeCosts, stepGraph } from './step-graph.ts';
import { WeightUses } from './weight-uses.ts';
import { sizeOf } from './weights.ts';

/** What lies between two neighbouring cut points. */
export interface CutChainSegment {
  /** The first output of each of its nodes, in an order in which they can run. Cones that are repeated stand where they are used first. */
  readonly nodes: readonly string[];
  /** By the costs. */
  readonly ms: number;
  /** Of weights that no other segment uses. */
  readonly weightBytes: number;
}

/** A graph as segments that run one after another; at least one. */
export interface CutChain {
  readonly segments: readonly CutChainSegment[];
  readonly shared: readonly SharedWeights[];
  /** Tensors that cross, and the graph's inputs and outputs; types and bytes by the costs. */
  readonly tensors: readonly CutTensor[];
  /** Nodes that several segments repeat rather than send what they make, by first output. */
  readonly repeated: readonly string[];
  /** Why there is one segment only, or fewer than there would be, for people. @default nothing was in the way */
  readonly reason?: string;
}

export interface PlanCutsOptions {
  /** Inputs of the graph that no segment but those that can't do without may read: raw data that stays where it is. */
  readonly raw?: readonly string[];
}

/**
 * @param costs of one device; a tensor that they don't know, or of a type that the runtime's binding can't carry, never
 *   crosses. Without times all nodes count alike
 * @throws WeftError `model_corrupt` for a graph that can't be one
 */
export function planCuts(model: ModelProto, costs: NodeCosts, options: PlanCutsOptions = {}): CutChain {
  const steps = stepGraph(model, costs);
  const replicas = chooseReplicas(model, steps, new Set(options.raw ?? []));
  const graph = foldReplicas(steps, replicas);
  const order = fewestLiveBytes(graph);
  const weights = new WeightUses(graph);
  const { open, barred } = boundaries(graph, order, weights);
  const cuts = undominated(open).map(({ after }) => after);
  const reason = whyFew(graph, cuts.length, barred, costs);
  return { ...chainOf(graph, order, cuts, weights), ...(reason !== undefined && { reason }) };
}

/** Places between the steps: those where everything that crosses can, and a tensor of each of the others. */
function boundaries(
  graph: FoldedGraph,
  order: readonly number[],
  weights: WeightUses,
): { readonly open: Boundary[]; readonly barred: readonly string[] } {
  const { first, last } = lifetimes(graph, order);
  const begins: number[][] = order.map(() => []);
  const ends: number[][] = order.map(() => []);
  const live = new Set<number>();
  for (const [tensor, end] of last.entries()) {
    if (end < 0) continue;
    if ((first[tensor] as number) < 0) live.add(tensor);
    else begins[first[tensor] as number]?.push(tensor);
    ends[end]?.push(tensor);
  }
  const ms = order.map((place) => graph.steps[place]?.ms ?? 0);
  // Without times, all nodes count alike.
  const times = progress(ms.some((each) => each > 0) ? ms : ms.map(() => 1));
  const loads = progress(weights.newBytes(order));
  const barring = new Set<number>();
  const open: Boundary[] = [];
  const barred: string[] = [];
  let bytes = [...live].reduce((sum, tensor) => sum + bytesOf(graph, tensor), 0);
  const change = (tensor: number, by: 1 | -1): void => {
    bytes += by * bytesOf(graph, tensor);
    if (by === 1) live.add(tensor);
    else live.delete(tensor);
    if (graph.tensors[tensor]?.cost !== undefined) return;
    if (by === 1) barring.add(tensor);
    else barring.delete(tensor);
  };
  for (let position = 0; position + 1 < order.length; position++) {
    for (const tensor of begins[position] ?? []) change(tensor, 1);
    for (const tensor of ends[position] ?? []) change(tensor, -1);
    const [bar] = barring;
    if (bar !== undefined) barred.push(graph.tensors[bar]?.name ?? '');
    else if (live.size > TENSORS_MAX) barred.push('');
    else {
      open.push({ after: position + 1, time: times[position] as number, weights: loads[position] as number, bytes });
    }
  }
  return { open, barred };
}

/** Shares of the sum up to and with each. */
function progress(amounts: readonly number[]): number[] {
  const sum = amounts.reduce((total, amount) => total + amount, 0);
  let before = 0;
  return amounts.map((amount) => {
    if (sum > 0) before += amount / sum;
    return before;
  });
}

function chainOf(
  graph: FoldedGraph,
  order: readonly number[],
  cuts: readonly number[],
  weights: WeightUses,
): Omit<CutChain, 'reason'> {
  const ends = [...cuts, order.length];
  const segmentOf = new Map<number, number>();
  const seen = new Set<number>();
  const repeated = new Set<number>();
  const segments = ends.map((end, index) => {
    const own = order.slice(ends[index - 1] ?? 0, end);
    for (const place of own) segmentOf.set(place, index);
    const cones = conesOf(graph, own);
    for (const place of cones) if (seen.has(place)) repeated.add(place);
    const nodes = [...cones.filter((place) => !seen.has(place)), ...own];
    for (const place of cones) seen.add(place);
    weights.use(index, [...cones, ...own]);
    return { nodes, index };
  });
  const name = (place: number): string => graph.steps[place]?.node.output.find((output) => output !== '') ?? '';
  const { own, shared } = weights.bySegment(segments.length);
  return {
    segments: segments.map(({ nodes, index }) => ({
      nodes: nodes.map(name),
      ms: nodes.reduce((sum, place) => sum + (graph.steps[place]?.ms ?? 0), 0),
      weightBytes: own[index] as number,
    })),
    shared,
    tensors: crossingTensors(graph, order, segmentOf),
    repeated: [...repeated].map(name),
  };
}

function crossingTensors(
  graph: FoldedGraph,
  order: readonly number[],
  segmentOf: ReadonlyMap<number, number>,
): CutTensor[] {
  const users = new Map<number, Set<number>>();
  for (const place of order) {
    const segment = segmentOf.get(place) ?? 0;
    for (const tensor of graph.needs[place] ?? []) {
      const from = segmentOf.get(graph.tensors[tensor]?.from ?? -1) ?? -1;
      if (from >= segment) continue;
      const known = users.get(tensor);
      if (known === undefined) users.set(tensor, new Set([segment]));
      else known.add(segment);
    }
  }
  const made = graph.tensors.flatMap(({ name, cost, from, output }, tensor): CutTensor[] => {
    const to = [...(users.get(tensor) ?? [])].sort((a, b) => a - b);
    if (cost === undefined || (to.length === 0 && !output)) return [];
    const { type, dims, bytes } = cost;
    return [
      {
        name,
        type,
        ...(dims !== undefined && { dims }),
        bytes,
        from: segmentOf.get(from) ?? -1,
        to,
        ...(output && { output }),
      },
    ];
  });
  return [...made, ...weightOutputs(graph)];
}

/** Weights that are outputs as they are: any part can give them, so the first one does. */
function weightOutputs({ sources }: FoldedGraph): CutTensor[] {
  const outputs = new Set(sources.graph.output.map(({ name }) => name));
  return sources.graph.initializer
    .filter(({ name }) => outputs.has(name))
    .map((tensor) => ({
      name: tensor.name,
      type: dataTypeName(tensor.dataType),
      dims: tensor.dims.map(Number),
      bytes: sizeOf(tensor),
      from: 0,
      to: [],
      output: true,
    }));
}

/** A node that has more of the graph's time than this makes all cuts beside it worth little. */
const DOMINANT_SHARE = 0.9;

function whyFew(graph: FoldedGraph, cuts: number, barred: readonly string[], costs: NodeCosts): string | undefined {
  const { steps, once } = graph;
  const totalMs = steps.reduce((sum, { ms }) => sum + ms, 0);
  const dominant = steps.find(({ ms }) => totalMs > 0 && ms > DOMINANT_SHARE * totalMs);
  if (dominant !== undefined) {
    return `Nearly all of its time is in one ${dominant.node.opType}, ${quoted(dominant.node.output[0] ?? '')}, which runs as a whole.`;
  }
  // A tensor that isn't known is within what the runtime computes as one: there is nothing to tell about that.
  const first = barred.find((name) => cuts === 0 || name === '' || costs.tensor(name) !== undefined);
  if (first !== undefined) {
    const places = cuts === 0 ? 'It can be cut nowhere' : "It can't be cut everywhere";
    if (first === '') return `${places}: more than ${TENSORS_MAX} tensors would cross.`;
    const known = costs.tensor(first)?.type;
    const what = known === undefined ? 'no tensor, or of a type that is not known' : `of type ${known}`;
    return `${places}: ${quoted(first)} would cross, which is ${what}.`;
  }
  if (cuts > 0) return undefined;
  return once.length < 2 ? 'It has one node only that depends on its inputs.' : undefined;
}
