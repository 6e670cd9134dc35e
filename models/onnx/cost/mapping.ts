// Says of which nodes of a graph the kernels are that a runtime made of it: fused, renamed, moved into other layouts.
// Pure. The graph that was given to the runtime has been through `withNodeNames`.
import type { GraphProto, NodeProto } from '../messages/onnx_pb.js';
import { placeIn } from './node-names.ts';

/** Times of a graph's nodes, as far as they are known. */
export interface MappedTimes {
  /** Milliseconds by the node's place in the graph; those that are part of another's kernel, or were computed once, have none. */
  readonly ms: ReadonlyMap<number, number>;
  /** Of all time: what is surely of the nodes that it is counted with, 0 to 1. */
  readonly share: number;
}

/** Behind the name of the tensor that it makes: what a kernel in a layout of blocked channels is called. */
const BLOCKED = '_nchwc';

/** What optimisers put between kernels. It counts with its neighbour. */
const BETWEEN: ReadonlySet<string> = new Set(['ReorderInput', 'ReorderOutput', 'Transpose', 'Cast', 'Identity']);

/**
 * @param graph as it was written
 * @param optimised what the runtime made of it
 * @param kernels milliseconds by name of the node in `optimised`
 */
export function mapTimes(graph: GraphProto, optimised: GraphProto, kernels: ReadonlyMap<string, number>): MappedTimes {
  const places = placesIn(graph, optimised);
  const ms = new Map<number, number>();
  let all = 0;
  let sure = 0;
  for (const [name, took] of kernels) {
    all += took;
    const found = places.get(name) ?? own(placeIn(name), graph);
    if (found === undefined) continue;
    ms.set(found.place, (ms.get(found.place) ?? 0) + took);
    if (found.sure) sure += took;
  }
  return { ms, share: all > 0 ? sure / all : 0 };
}

/** Tensors of a graph that are still there, under their name, in what a runtime made of it. */
export function survivors(graph: GraphProto, optimised: GraphProto): ReadonlySet<string> {
  const made = new Set(optimised.node.flatMap(({ output }) => output));
  return new Set(graph.node.flatMap(({ output }) => output).filter((name) => name !== '' && made.has(name)));
}

interface Found {
  readonly place: number;
  readonly sure: boolean;
}

const own = (place: number | undefined, { node }: GraphProto): Found | undefined =>
  place === undefined || node[place] === undefined ? undefined : { place, sure: true };

/** By name of the node in the optimised graph. */
function placesIn(graph: GraphProto, optimised: GraphProto): ReadonlyMap<string, Found> {
  const makers = new Map(graph.node.flatMap(({ output }, place) => output.map((name) => [name, place] as const)));
  makers.delete('');
  const found = new Map<NodeProto, Found>();
  for (const node of optimised.node) {
    const place = placeOf(node, makers);
    if (place !== undefined && graph.node[place] !== undefined) found.set(node, { place, sure: true });
  }
  beside(optimised, found);
  return new Map([...found].map(([node, place]) => [node.name, place]));
}

/** The node that makes the same tensor; else the one of whose name its own is made. */
function placeOf({ name, output }: NodeProto, makers: ReadonlyMap<string, number>): number | undefined {
  for (const tensor of output) {
    const place = makers.get(tensor);
    if (place !== undefined) return place;
  }
  const blocked = name.endsWith(BLOCKED) ? makers.get(name.slice(0, -BLOCKED.length)) : undefined;
  return blocked ?? placeIn(name);
}

/** The others count with the first kernel that uses what they make, or with one whose tensors they take. */
function beside({ node: nodes }: GraphProto, found: Map<NodeProto, Found>): void {
  const users = new Map<string, NodeProto>();
  for (const node of nodes.toReversed()) for (const name of node.input) users.set(name, node);
  const makers = new Map(nodes.flatMap((node) => node.output.map((name) => [name, node] as const)));
  const take = (node: NodeProto, neighbours: readonly (NodeProto | undefined)[]): void => {
    if (found.has(node)) return;
    for (const neighbour of neighbours) {
      const place = neighbour && found.get(neighbour)?.place;
      if (place === undefined) continue;
      found.set(node, { place, sure: BETWEEN.has(node.opType) });
      return;
    }
  };
  // In the order in which they run, and back, each looks at one that has been looked at.
  for (const node of nodes.toReversed())
    take(
      node,
      node.output.map((name) => users.get(name)),
    );
  for (const node of nodes)
    take(
      node,
      node.input.map((name) => makers.get(name)),
    );
}
