// Where the tensors of a graph's top level come from, and what its nodes use. Only looks: the graph is shared by
// everybody who cuts it. Subgraphs (If, Loop, Scan) count as uses of their node by the tensors that they capture.
import type { GraphProto, ModelProto, NodeProto } from '../messages/onnx_pb.js';
import { onnxCorrupt } from '../protobuf.ts';
import { captured, innerGraphs } from '../subgraphs.ts';

/** What gives a tensor: a node, the caller, or the file. */
export type TensorSource = NodeProto | 'input' | 'weight';

export class GraphSources {
  readonly graph: GraphProto;
  readonly #sources = new Map<string, TensorSource>();
  readonly #uses = new Map<NodeProto, readonly string[]>();

  /** @throws WeftError `model_corrupt` when it has no graph, or a tensor has two sources */
  constructor(model: ModelProto) {
    if (model.graph === undefined) throw onnxCorrupt('it has no graph');
    this.graph = model.graph;
    for (const { name } of this.graph.initializer) this.#add(name, 'weight');
    for (const { values } of this.graph.sparseInitializer) this.#add(values?.name ?? '', 'weight');
    for (const { name } of this.graph.input) {
      // An initializer that is also listed as an input has a value without the caller.
      if (this.#sources.get(name) !== 'weight') this.#add(name, 'input');
    }
    for (const node of this.graph.node) {
      for (const name of node.output) if (name !== '') this.#add(name, node);
    }
  }

  /** Undefined for a name that nothing gives. */
  of(tensor: string): TensorSource | undefined {
    return this.#sources.get(tensor);
  }

  /** Tensors that the node needs, each once, those that its subgraphs capture included. */
  uses(node: NodeProto): readonly string[] {
    const known = this.#uses.get(node);
    if (known !== undefined) return known;
    const names = new Set(node.input);
    for (const inner of innerGraphs(node)) for (const name of captured(inner)) names.add(name);
    names.delete('');
    const uses = [...names];
    this.#uses.set(node, uses);
    return uses;
  }

  #add(name: string, source: TensorSource): void {
    if (this.#sources.has(name)) throw onnxCorrupt('a tensor has two sources');
    this.#sources.set(name, source);
  }
}
