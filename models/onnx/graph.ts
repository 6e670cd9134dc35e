// Edits the top graph of an ONNX model in place: who gives and who uses each tensor, new nodes, other inputs, and what
// no output needs any more taken away. Used by what rewrites and what cuts graphs. Subgraphs (If, Loop, Scan) stay as
// they are, but the tensors that they take from the top graph count as uses of their node.
import { create } from '@bufbuild/protobuf';
import { type AttributeValue, attribute, attributeOf } from './attributes.ts';
import {
  type GraphProto,
  type ModelProto,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  type TensorProto,
  type ValueInfoProto,
} from './messages/onnx_pb.js';
import { onnxCorrupt } from './protobuf.ts';
import { captured, innerGraphs, namesIn, renameCaptured } from './subgraphs.ts';
import { tensorValues } from './tensors.ts';

/** A node to add. */
export interface NodeInit {
  readonly op: string;
  /** Empty for an optional input that is left out. */
  readonly inputs: readonly string[];
  /** @default one of a fresh name */
  readonly outputs?: readonly string[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  /** Added to the model's operator sets, as version 1, when it is not among them. @default ONNX's own */
  readonly domain?: string;
}

export class GraphEditor {
  readonly model: ModelProto;
  readonly graph: GraphProto;
  readonly #producers = new Map<string, NodeProto>();
  readonly #consumers = new Map<string, Set<NodeProto>>();
  readonly #initializers: Map<string, TensorProto>;
  /** Names of the graph's inputs, those that are initializers too included. */
  #inputs: Set<string>;
  /** Every name of a tensor or node, in subgraphs too. */
  readonly #names: Set<string>;
  #fresh = 0;

  /**
   * @param model changed in place; nothing else may change its nodes or initializers meanwhile
   * @throws WeftError `model_corrupt` when it has no graph, or a tensor has two sources
   */
  constructor(model: ModelProto) {
    if (model.graph === undefined) throw onnxCorrupt('it has no graph');
    this.model = model;
    this.graph = model.graph;
    this.#names = namesIn(this.graph);
    this.#initializers = new Map(this.graph.initializer.map((tensor) => [tensor.name, tensor]));
    this.#inputs = new Set(this.graph.input.map(({ name }) => name));
    const double =
      this.#initializers.size < this.graph.initializer.length || this.#inputs.size < this.graph.input.length;
    if (double) throw onnxCorrupt('a tensor has two sources');
    for (const node of this.graph.node) this.#index(node);
  }

  /** Nodes in the order in which they run once `finish` was called. */
  get nodes(): readonly NodeProto[] {
    return this.graph.node;
  }

  /** The node that gives the tensor; undefined for inputs, initializers and unknown names. */
  producer(tensor: string): NodeProto | undefined {
    return this.#producers.get(tensor);
  }

  /** Nodes that use the tensor, themselves or in their subgraphs. The graph's outputs are no nodes: see `isOutput`. */
  consumers(tensor: string): readonly NodeProto[] {
    return [...(this.#consumers.get(tensor) ?? [])];
  }

  /** The initializer of that name; sparse ones are left out. */
  initializer(name: string): TensorProto | undefined {
    return this.#initializers.get(name);
  }

  /** Whether the graph takes it from outside. An initializer that is also listed as an input is none. */
  isInput(name: string): boolean {
    return this.#inputs.has(name) && !this.#initializers.has(name);
  }

  isOutput(name: string): boolean {
    return this.graph.output.some((output) => output.name === name);
  }

  /**
   * Values of a small constant in the graph, in row-major order: an initializer, or what a Constant node gives.
   * @returns undefined for anything else, large tensors included
   */
  constant(name: string): readonly number[] | undefined {
    const tensor = this.constantTensor(name);
    if (tensor !== undefined) return tensorValues(tensor);
    const node = this.#producers.get(name);
    if (node?.opType !== 'Constant' || node.domain !== '') return undefined;
    const [value] = node.attribute;
    switch (value?.name) {
      case 'value_int':
        return [Number(value.i)];
      case 'value_float':
        return [value.f];
      case 'value_ints':
        return value.ints.map(Number);
      case 'value_floats':
        return value.floats;
      default:
        return undefined;
    }
  }

  /** The tensor of an initializer, or of a Constant node that holds one. */
  constantTensor(name: string): TensorProto | undefined {
    const initializer = this.#initializers.get(name);
    if (initializer !== undefined) return initializer;
    const node = this.#producers.get(name);
    return node?.opType === 'Constant' && node.domain === '' ? attributeOf(node, 'value')?.t : undefined;
  }

  /** Version of an operator set, or undefined when the model does not use it. @param domain ONNX's own by default */
  opset(domain = ''): number | undefined {
    const same = (other: string): boolean => (other === 'ai.onnx' ? '' : other) === domain;
    const found = this.model.opsetImport.find((set) => same(set.domain));
    return found === undefined ? undefined : Number(found.version);
  }

  /** `weft_…`, unused anywhere in the graph and never given twice. */
  freshName(hint: string): string {
    for (;;) {
      const name = `weft_${hint}_${this.#fresh++}`;
      if (this.#names.has(name)) continue;
      this.#names.add(name);
      return name;
    }
  }

  /** Adds a node; `finish` puts it where its inputs are there. @throws WeftError `model_corrupt` when an output is taken */
  addNode(init: NodeInit): NodeProto {
    const { op, inputs, outputs = [this.freshName(op)], attributes = {}, domain = '' } = init;
    const node = create(NodeProtoSchema, {
      name: this.freshName(`${op}_node`),
      opType: op,
      domain,
      input: [...inputs],
      output: [...outputs],
      attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
    });
    if (this.opset(domain) === undefined) {
      this.model.opsetImport.push(create(OperatorSetIdProtoSchema, { domain, version: 1n }));
    }
    this.#index(node);
    this.graph.node.push(node);
    for (const name of outputs) this.#names.add(name);
    return node;
  }

  /** Adds a node with one output of a fresh name, and gives that name. */
  apply(op: string, inputs: readonly string[], attributes?: NodeInit['attributes'], domain?: string): string {
    const output = this.freshName(op);
    this.addNode({
      op,
      inputs,
      outputs: [output],
      ...(attributes !== undefined && { attributes }),
      ...(domain !== undefined && { domain }),
    });
    return output;
  }

  /** Adds an initializer and gives its name. @throws WeftError `model_corrupt` when the name is taken */
  addInitializer(tensor: TensorProto): string {
    this.#checkFree(tensor.name);
    this.graph.initializer.push(tensor);
    this.#initializers.set(tensor.name, tensor);
    this.#names.add(tensor.name);
    return tensor.name;
  }

  /** Removes a node at once. What used its outputs must be given others. */
  removeNode(node: NodeProto): void {
    this.#forget(node);
    this.graph.node = this.graph.node.filter((other) => other !== node);
  }

  /** Makes a node take another tensor at that place. */
  setInput(node: NodeProto, index: number, tensor: string): void {
    this.#changeUses(node, () => {
      while (node.input.length <= index) node.input.push('');
      node.input[index] = tensor;
    });
  }

  /**
   * Makes everything that uses one tensor use another, subgraphs included. An output of the graph keeps what it gives:
   * see `setOutput`.
   * @param except nodes that keep using the old one
   */
  replaceUses(from: string, to: string, except: readonly NodeProto[] = []): void {
    for (const node of this.consumers(from)) {
      if (except.includes(node)) continue;
      this.#changeUses(node, () => {
        node.input = node.input.map((name) => (name === from ? to : name));
        for (const inner of innerGraphs(node)) renameCaptured(inner, from, to);
      });
    }
  }

  /** @throws WeftError `model_corrupt` when the name is taken */
  addInput(port: ValueInfoProto): void {
    this.#checkFree(port.name);
    this.graph.input.push(port);
    this.#inputs.add(port.name);
    this.#names.add(port.name);
  }

  /** What used it must be given another tensor. */
  removeInput(name: string): void {
    this.graph.input = this.graph.input.filter((input) => input.name !== name);
    this.#inputs.delete(name);
  }

  /** Gives a tensor of the graph to the outside, under its own name. */
  addOutput(port: ValueInfoProto): void {
    this.graph.output.push(port);
  }

  removeOutput(name: string): void {
    this.graph.output = this.graph.output.filter((output) => output.name !== name);
  }

  /** Makes an output of the graph give another tensor. What used the old one inside goes on using the old one. */
  setOutput(name: string, tensor: string): void {
    if (name === tensor) return;
    const old = this.#producers.get(name);
    if (old !== undefined) {
      const renamed = this.freshName(name);
      this.replaceUses(name, renamed);
      this.#producers.delete(name);
      old.output = old.output.map((output) => (output === name ? renamed : output));
      this.#producers.set(renamed, old);
    }
    this.addNode({ op: 'Identity', inputs: [tensor], outputs: [name] });
  }

  /**
   * Makes the model whole again: takes away the nodes and initializers that no output needs, with what was noted of
   * their tensors, and brings the nodes into an order in which they can run.
   * @throws WeftError `model_corrupt` when nodes wait for each other
   */
  finish(): ModelProto {
    this.#prune();
    this.#sort();
    return this.model;
  }

  /** Drops the noted types and shapes of inner tensors, which a change may have made untrue. The runtime infers them. */
  forgetShapes(): void {
    this.graph.valueInfo = [];
  }

  #prune(): void {
    const live = new Set<NodeProto>();
    const used = new Set<string>();
    const waiting = this.graph.output.map((output) => output.name);
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      if (used.has(name)) continue;
      used.add(name);
      const node = this.#producers.get(name);
      if (node === undefined || live.has(node)) continue;
      live.add(node);
      for (const use of usesOf(node)) waiting.push(use);
    }
    for (const node of this.graph.node) if (!live.has(node)) this.#forget(node);
    this.graph.node = this.graph.node.filter((node) => live.has(node));
    // Files of IR version 3 list initializers as inputs too: one that lost its value would have to be fed.
    this.graph.input = this.graph.input.filter(({ name }) => used.has(name) || !this.#initializers.has(name));
    this.graph.initializer = this.graph.initializer.filter(({ name }) => used.has(name));
    this.graph.sparseInitializer = this.graph.sparseInitializer.filter(({ values }) => used.has(values?.name ?? ''));
    this.#inputs = new Set(this.graph.input.map(({ name }) => name));
    for (const name of this.#initializers.keys()) if (!used.has(name)) this.#initializers.delete(name);
    this.graph.valueInfo = this.graph.valueInfo.filter(({ name }) => this.#producers.has(name));
    this.graph.quantizationAnnotation = this.graph.quantizationAnnotation.filter(({ tensorName }) =>
      used.has(tensorName),
    );
  }

  /** Each node behind those whose outputs it uses, else in the order in which they stand. */
  #sort(): void {
    const sorted = new Set<NodeProto>();
    const entered = new Set<NodeProto>();
    const trail: { readonly node: NodeProto; readonly uses: Iterator<string> }[] = [];
    const enter = (node: NodeProto): void => {
      if (sorted.has(node)) return;
      if (entered.has(node)) throw onnxCorrupt('its nodes wait for each other');
      entered.add(node);
      trail.push({ node, uses: usesOf(node).values() });
    };
    for (const root of this.graph.node) {
      enter(root);
      for (let last = trail.at(-1); last !== undefined; last = trail.at(-1)) {
        const { done, value } = last.uses.next();
        const before = done ? undefined : this.#producers.get(value);
        if (before !== undefined) enter(before);
        if (!done) continue;
        sorted.add(last.node);
        trail.pop();
      }
    }
    this.graph.node = [...sorted];
  }

  #index(node: NodeProto): void {
    for (const name of node.output) {
      if (name === '') continue;
      this.#checkFree(name);
      this.#producers.set(name, node);
    }
    this.#addUses(node);
  }

  #forget(node: NodeProto): void {
    for (const name of node.output) if (this.#producers.get(name) === node) this.#producers.delete(name);
    this.#dropUses(node);
  }

  #changeUses(node: NodeProto, change: () => void): void {
    this.#dropUses(node);
    change();
    this.#addUses(node);
  }

  #addUses(node: NodeProto): void {
    for (const name of usesOf(node)) {
      const users = this.#consumers.get(name);
      if (users === undefined) this.#consumers.set(name, new Set([node]));
      else users.add(node);
    }
  }

  #dropUses(node: NodeProto): void {
    for (const name of usesOf(node)) this.#consumers.get(name)?.delete(node);
  }

  #checkFree(name: string): void {
    if (this.#producers.has(name) || this.#initializers.has(name) || this.#inputs.has(name))
      throw onnxCorrupt('a tensor has two sources');
  }
}

/** Tensors of the top graph that the node needs, some perhaps twice. */
const usesOf = (node: NodeProto): string[] => [
  ...node.input.filter((name) => name !== ''),
  ...innerGraphs(node).flatMap((graph) => [...captured(graph)]),
];
