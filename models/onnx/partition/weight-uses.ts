// Which weights the segments of a graph use: their own, and those that several hold, such as tied embeddings.
import type { SharedWeights } from '../../../protocol/cut-table.ts';
import { CONE_STEPS_MAX } from '../../limits.ts';
import type { NodeProto } from '../messages/onnx_pb.js';
import { conesOf, type FoldedGraph } from './crossings.ts';
import { rangeOf, sizeOf, tensorsOfNode } from './weights.ts';

type WeightUse = readonly [key: string, bytes: number];

/** Which weights the steps and what they are made of need. */
export class WeightUses {
  readonly #graph: FoldedGraph;
  /** Bytes of each weight, by where it lies or its name: tied weights may have two names. */
  readonly #bytes = new Map<string, number>();
  readonly #segments = new Map<string, Set<number>>();
  readonly #named = new Map<string, { readonly key: string; readonly bytes: number }>();
  readonly #stepNodes: ReadonlySet<NodeProto>;

  constructor(graph: FoldedGraph) {
    this.#graph = graph;
    this.#stepNodes = new Set(graph.steps.map(({ node }) => node));
    for (const tensor of graph.sources.graph.initializer) {
      const { location, offset } = rangeOf(tensor) ?? {};
      const key = location === undefined ? `name ${tensor.name}` : `file ${location} ${offset}`;
      this.#named.set(tensor.name, { key, bytes: sizeOf(tensor) });
    }
    for (const { values, indices } of graph.sources.graph.sparseInitializer) {
      if (values === undefined) continue;
      const bytes = sizeOf(values) + (indices === undefined ? 0 : sizeOf(indices));
      this.#named.set(values.name, { key: `name ${values.name}`, bytes });
    }
  }

  /** Bytes of weights that each step is the first to use. */
  newBytes(order: readonly number[]): number[] {
    const seen = new Set<string>();
    const visited = new Set<NodeProto>();
    return order.map((place) => {
      let bytes = 0;
      for (const [key, size] of this.#of([...conesOf(this.#graph, [place]), place], visited)) {
        if (seen.has(key)) continue;
        seen.add(key);
        bytes += size;
      }
      return bytes;
    });
  }

  /** Whether a node's weights, those that others make of weights for it included, are no more than that, and soon seen. */
  areWithin(node: NodeProto, bytesMax: number): boolean {
    let bytes = 0;
    for (const [, size] of this.#ofNodes([node], new Set(), CONE_STEPS_MAX)) {
      bytes += size;
      if (bytes > bytesMax) return false;
    }
    return true;
  }

  /** Notes that a segment has these steps. */
  use(segment: number, places: readonly number[]): void {
    for (const [key, bytes] of this.#of(places, new Set())) {
      this.#bytes.set(key, bytes);
      this.#segments.set(key, (this.#segments.get(key) ?? new Set()).add(segment));
    }
  }

  bySegment(count: number): { readonly own: readonly number[]; readonly shared: readonly SharedWeights[] } {
    const own: number[] = Array.from({ length: count }, () => 0);
    const groups = new Map<string, { bytes: number; readonly segments: readonly number[] }>();
    for (const [key, users] of this.#segments) {
      const bytes = this.#bytes.get(key) ?? 0;
      const segments = [...users].sort((a, b) => a - b);
      const [first = 0] = segments;
      if (segments.length === 1) own[first] = (own[first] as number) + bytes;
      else {
        const group = groups.get(segments.join()) ?? { bytes: 0, segments };
        group.bytes += bytes;
        groups.set(segments.join(), group);
      }
    }
    return { own, shared: [...groups.values()].filter(({ bytes }) => bytes > 0) };
  }

  /** @param visited nodes whose weights were given already */
  #of(places: readonly number[], visited: Set<NodeProto>): Generator<WeightUse> {
    const { steps } = this.#graph;
    return this.#ofNodes(
      places.flatMap((place) => steps[place]?.node ?? []),
      visited,
    );
  }

  /** @param nodesMax beyond which the rest is taken for endless */
  *#ofNodes(waiting: NodeProto[], visited: Set<NodeProto>, nodesMax = Number.POSITIVE_INFINITY): Generator<WeightUse> {
    const { sources } = this.#graph;
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      if (visited.has(node)) continue;
      visited.add(node);
      if (visited.size > nodesMax) {
        yield ['', Number.POSITIVE_INFINITY];
        return;
      }
      let inner = 0;
      for (const tensor of tensorsOfNode(node)) inner += sizeOf(tensor);
      if (inner > 0) yield [`node ${node.output.join('\0')}`, inner];
      for (const name of sources.uses(node)) {
        const weight = this.#named.get(name);
        if (weight !== undefined) yield [weight.key, weight.bytes];
        const source = sources.of(name);
        // What depends on no input is no step: it comes along with who uses it.
        if (typeof source === 'object' && !this.#stepNodes.has(source)) waiting.push(source);
      }
    }
  }
}
