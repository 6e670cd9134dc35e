// What each node of a graph takes and each tensor weighs, as runs of the graph have shown it. Pure: made of the traces of
// two sessions, one whose graph is optimised as far as it runs and one that leaves every tensor in its own layout.
import type { GraphProto, ValueInfoProto } from '../messages/onnx_pb.js';
import type { NodeCosts, TensorCost } from '../partition/step-graph.ts';
import { mapTimes, survivors } from './mapping.ts';
import type { TensorSize, TracedRun } from './trace.ts';

/** One traced session. */
export interface TracedGraph {
  /** Behind those that only warm up. */
  readonly runs: readonly TracedRun[];
  readonly optimised: GraphProto;
}

/** Below this share of time that is mapped, the profile of the fully optimised graph tells too little. */
export const MAPPED_SHARE_MIN = 0.98;

/**
 * @param graph that both sessions were given, its nodes named by `withNodeNames`
 * @param all as it runs: times are taken from it where they can be mapped
 * @param extended without other layouts: times otherwise, and tensors always
 * @param inputs of the graph, as they were in the runs
 * @param label in the names that dimensions are given: of each graph that is a piece of another, another one
 * @returns with the share of all time that is surely mapped
 */
export function measuredCosts(
  graph: GraphProto,
  { all, extended }: { readonly all: TracedGraph; readonly extended: TracedGraph },
  inputs: ReadonlyMap<string, TensorSize>,
  label = '',
): { readonly costs: NodeCosts; readonly mappedShare: number } {
  let mapped = mapTimes(graph, all.optimised, usualTimes(all.runs));
  if (mapped.share < MAPPED_SHARE_MIN) {
    const other = mapTimes(graph, extended.optimised, usualTimes(extended.runs));
    if (other.share > mapped.share) mapped = other;
  }
  const places = new Map(graph.node.flatMap(({ output }, place) => output.map((name) => [name, place] as const)));
  const tensors = tensorCosts(graph, new Map([...inputs, ...sizesIn(graph, extended)]), label);
  const { ms, share } = mapped;
  return {
    costs: {
      ms: (output) => ms.get(places.get(output) ?? -1) ?? 0,
      tensor: (name) => tensors.get(name),
    },
    mappedShare: share,
  };
}

/**
 * Where the graph names the size of every input, every run has the same shapes. Elsewhere one run can't tell which sizes are:
 * each gets a name of its own, as two of one name would have to be equal.
 */
function tensorCosts(
  graph: GraphProto,
  sizes: ReadonlyMap<string, TensorSize>,
  label: string,
): ReadonlyMap<string, TensorCost> {
  const ports = new Map(graph.input.map((port) => [port.name, dimsOf(port)]));
  const weights = new Set(graph.initializer.map(({ name }) => name));
  const isFixed = [...ports].every(
    ([name, dims]) => weights.has(name) || dims?.every((dim) => typeof dim === 'number'),
  );
  return new Map(
    [...sizes].map(([name, { type, dims, bytes }], index) => {
      const told = isFixed ? dims : (ports.get(name) ?? dims.map((_, axis) => `weft_${label}${index}_${axis}`));
      return [name, { type, dims: told, bytes }];
    }),
  );
}

/** Undefined where the rank is not told. */
function dimsOf({ name, type }: ValueInfoProto): (number | string)[] | undefined {
  const shape = type?.value.case === 'tensorType' ? type.value.value.shape : undefined;
  return shape?.dim.map(({ value }, axis) =>
    value.case === 'dimValue' ? Number(value.value) : (value.value ?? `${name}_${axis}`),
  );
}

/** Milliseconds of every kernel over the runs, as an undisturbed one takes. */
export function usualTimes(runs: readonly TracedRun[]): ReadonlyMap<string, number> {
  const times = new Map<string, number[]>();
  for (const { ms } of runs) {
    for (const [name, took] of ms) {
      const known = times.get(name);
      if (known === undefined) times.set(name, [took]);
      else known.push(took);
    }
  }
  return new Map([...times].map(([name, took]) => [name, fasterMean(took)]));
}

/**
 * Mean of the faster half: what disturbs a kernel makes it slower, never faster. A mean, as kernels are timed in whole
 * microseconds, which a median would keep.
 */
function fasterMean(values: readonly number[]): number {
  const faster = values.toSorted((a, b) => a - b).slice(0, Math.ceil(values.length / 2));
  return faster.reduce((sum, value) => sum + value, 0) / faster.length;
}

/** Sizes of the tensors that are still there, by name. */
function sizesIn(graph: GraphProto, { runs, optimised }: TracedGraph): Map<string, TensorSize> {
  const sizes = new Map<string, TensorSize>();
  const there = survivors(graph, optimised);
  const made = runs.at(-1)?.made;
  for (const { name, output } of optimised.node) {
    const known = made?.get(name);
    const given = output.filter((tensor) => tensor !== '');
    // Outputs that are no tensors are missing in the list: then it can't be told which is which.
    if (known === undefined || known.length !== given.length) continue;
    for (const [index, tensor] of given.entries()) {
      const size = known[index];
      if (size !== undefined && there.has(tensor)) sizes.set(tensor, size);
    }
  }
  return sizes;
}
