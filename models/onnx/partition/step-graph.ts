// The graph as whoever cuts it sees it: steps in an order in which they can run, and the tensors between them. What no
// output needs is left out, and so is what depends on no input: that is computed wherever it is used.
import { type DataTypeName, dataTypeName } from '../../../protocol/tensor.ts';
import type { ModelProto, NodeProto, ValueInfoProto } from '../messages/onnx_pb.js';
import { onnxCorrupt } from '../protobuf.ts';
import { innerGraphs } from '../subgraphs.ts';
import { GraphSources } from './sources.ts';

/** What is known of a tensor. */
export interface TensorCost {
  readonly type: DataTypeName;
  /** A number for a dimension that is the same in every run, a name for one that a run decides. */
  readonly dims?: readonly (number | string)[];
  /** In the run that was measured. */
  readonly bytes: number;
}

/** What is known of a graph on one device, by names of its tensors. */
export interface NodeCosts {
  /** Milliseconds of the node that gives this tensor first; all outputs of a node tell the same. */
  ms(output: string): number;
  /** Undefined for a tensor that isn't known: it can't cross. */
  tensor(name: string): TensorCost | undefined;
}

/** A node that runs. */
export interface Step {
  readonly node: NodeProto;
  readonly ms: number;
  /** Places in `tensors`, each once. */
  readonly uses: readonly number[];
  readonly makes: readonly number[];
}

/** A tensor that depends on an input. */
export interface StepTensor {
  readonly name: string;
  /** Undefined for one that can't cross. */
  readonly cost: TensorCost | undefined;
  /** Place of the step that makes it; −1 for an input of the graph. */
  readonly from: number;
  readonly output: boolean;
}

export interface StepGraph {
  readonly sources: GraphSources;
  readonly steps: readonly Step[];
  readonly tensors: readonly StepTensor[];
}

/**
 * @throws WeftError `model_corrupt` when it has no graph, a tensor has two sources or none that is needed, or nodes wait for
 *   each other
 */
export function stepGraph(model: ModelProto, costs: NodeCosts): StepGraph {
  const sources = new GraphSources(model);
  const order = runOrder(sources);
  const fixed = independent(sources, order, model);
  const outputs = new Map(sources.graph.output.map((port) => [port.name, port]));
  const tensors: StepTensor[] = [];
  const places = new Map<string, number>();
  const place = (name: string, from: number, cost: TensorCost | undefined): number => {
    places.set(name, tensors.length);
    return tensors.push({ name, cost, from, output: outputs.has(name) }) - 1;
  };
  for (const port of sources.graph.input) {
    if (sources.of(port.name) === 'input') place(port.name, -1, carried(costs.tensor(port.name), port));
  }
  const steps: Step[] = [];
  for (const node of order) {
    if (fixed.has(node)) continue;
    const uses = sources.uses(node).flatMap((name) => places.get(name) ?? []);
    const given = node.output.filter((name) => name !== '');
    const makes = given.map((name) => place(name, steps.length, carried(costs.tensor(name), outputs.get(name))));
    steps.push({ node, ms: Math.max(0, costs.ms(given[0] ?? '') || 0), uses, makes });
  }
  return { sources, steps, tensors };
}

/** Types that the runtime's binding takes and gives, measured with 1.30. */
const CARRIED: ReadonlySet<DataTypeName> = new Set<DataTypeName>([
  'float32',
  'float64',
  'float16',
  'int64',
  'int32',
  'int16',
  'int8',
  'uint64',
  'uint32',
  'uint16',
  'uint8',
  'bool',
  'string',
]);

/** What is known of a tensor that can cross. @param port what the file tells, where no run has told more */
function carried(known: TensorCost | undefined, port?: ValueInfoProto): TensorCost | undefined {
  const type = port?.type?.value;
  const told = type?.case === 'tensorType' ? { type: dataTypeName(type.value.elemType), bytes: 0 } : undefined;
  const cost = known ?? told;
  return cost !== undefined && CARRIED.has(cost.type) ? cost : undefined;
}

/** Nodes that an output needs, each behind those whose outputs it uses, else as they stand in the file. */
function runOrder(sources: GraphSources): ReadonlySet<NodeProto> {
  const sorted = new Set<NodeProto>();
  const entered = new Set<NodeProto>();
  const trail: { readonly node: NodeProto; readonly uses: Iterator<string> }[] = [];
  const enter = (name: string): void => {
    const source = sources.of(name);
    if (source === undefined) throw onnxCorrupt('nothing gives a tensor that is needed');
    if (typeof source === 'string' || sorted.has(source)) return;
    if (entered.has(source)) throw onnxCorrupt('its nodes wait for each other');
    entered.add(source);
    trail.push({ node: source, uses: sources.uses(source).values() });
  };
  for (const { name } of sources.graph.output) {
    enter(name);
    for (let last = trail.at(-1); last !== undefined; last = trail.at(-1)) {
      const { done, value } = last.uses.next();
      if (!done) {
        enter(value);
        continue;
      }
      sorted.add(last.node);
      trail.pop();
    }
  }
  return inFileOrder(sources, sorted);
}

/** The file's own order where it is one in which the nodes can run: it is the exporter's, and close to the author's. */
function inFileOrder(sources: GraphSources, sorted: ReadonlySet<NodeProto>): ReadonlySet<NodeProto> {
  const ran = new Set<NodeProto>();
  for (const node of sources.graph.node) {
    if (!sorted.has(node)) continue;
    for (const name of sources.uses(node)) {
      const source = sources.of(name);
      if (typeof source === 'object' && !ran.has(source)) return sorted;
    }
    ran.add(node);
  }
  return ran;
}

/** Nodes that depend on no input, and give nothing that leaves the graph. */
function independent(sources: GraphSources, order: ReadonlySet<NodeProto>, model: ModelProto): ReadonlySet<NodeProto> {
  const fixed = new Set<NodeProto>();
  const outputs = new Set(sources.graph.output.map(({ name }) => name));
  const isFixed = (name: string): boolean => {
    const source = sources.of(name);
    return source === 'weight' || (typeof source === 'object' && fixed.has(source));
  };
  const random = randomFunctions(model);
  for (const node of order) {
    if (node.output.some((name) => outputs.has(name)) || isRandom(node, random)) continue;
    if (sources.uses(node).every(isFixed)) fixed.add(node);
  }
  return fixed;
}

const RANDOM = new Set([
  'Bernoulli',
  'Multinomial',
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
]);

/** Whether two runs of the node differ: then it must run once, for all who use it. */
export function isRandom(node: NodeProto, functions: ReadonlySet<string>): boolean {
  return (
    RANDOM.has(node.opType) ||
    functions.has(functionKey(node.domain, node.opType)) ||
    innerGraphs(node).some((graph) => graph.node.some((inner) => isRandom(inner, functions)))
  );
}

/** Functions of the file that are random, themselves or by those that they call. */
export function randomFunctions({ functions }: ModelProto): ReadonlySet<string> {
  const random = new Set<string>();
  // Each round finds those that call the ones before; a chain is as long as there are functions.
  for (let before = -1; before < random.size; ) {
    before = random.size;
    for (const { domain, name, node } of functions) {
      if (node.some((inner) => isRandom(inner, random))) random.add(functionKey(domain, name));
    }
  }
  return random;
}

const functionKey = (domain: string, name: string): string => `${domain}\0${name}`;
