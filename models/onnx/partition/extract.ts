// Builds the model of one part of a graph: the nodes and weights that its outputs need, given its inputs. Every node of
// a mesh that has the verified graph builds the same part from the same names.
import { create } from '@bufbuild/protobuf';
import { WeftError } from '../../../protocol/errors.ts';
import { TENSOR_RANK_MAX, TENSORS_MAX } from '../../../protocol/limits.ts';
import type { GraphPart, PartInput } from '../../../protocol/part.ts';
import { DataType } from '../../../protocol/tensor.ts';
import { quoted } from '../check/names.ts';
import {
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../messages/onnx_pb.js';
import { onnxCorrupt } from '../protobuf.ts';
import { namesIn } from '../subgraphs.ts';
import { valueInfo } from '../tensors.ts';
import { GraphSources } from './sources.ts';

/**
 * The part as a model of its own. What depends on no input comes along, weights as references to where they lie in the
 * whole model's files. Inputs and outputs keep the names that they have in the whole.
 *
 * Measured with ONNX Runtime 1.30: an input must tell its element type, and a wrong one is refused when the session is
 * made or, worse, computed with; its shape may be absent, but a rank or fixed dimension that is told is checked at each run.
 * An output may go without both: the runtime infers them. An input may be an output as well, and so may a weight. Types that
 * its binding cannot carry as inputs or outputs: bfloat16, floats of 8 bits, integers of 4 bits, sequences and optionals.
 *
 * @param model unchanged; the result shares its nodes and weights, so neither may be edited afterwards
 * @throws WeftError `tensor_invalid` for a tensor that the model doesn't have, or has with another type; `bad_request`
 *   when an output needs something that the inputs don't give, an input isn't needed, or there are too many of them;
 *   `model_corrupt` for a graph that refers to what isn't there
 */
export function extractPart(model: ModelProto, part: GraphPart): ModelProto {
  const sources = new GraphSources(model);
  const inputs = checkedPorts(sources, part);
  const needed = neededBy(sources, part.outputs, inputs);
  for (const name of inputs.keys()) {
    if (!needed.tensors.has(name)) throw refused(`No output of the part needs its input ${quoted(name)}.`);
  }
  return create(ModelProtoSchema, {
    irVersion: model.irVersion,
    opsetImport: model.opsetImport,
    functions: model.functions,
    producerName: model.producerName,
    producerVersion: model.producerVersion,
    graph: partOf(sources.graph, part, inputs, needed),
  });
}

/** What is needed to compute tensors. */
interface Needed {
  readonly nodes: ReadonlySet<NodeProto>;
  /** Every tensor that is used, given or a weight. */
  readonly tensors: ReadonlySet<string>;
}

function neededBy(sources: GraphSources, outputs: readonly string[], inputs: ReadonlyMap<string, PartInput>): Needed {
  const nodes = new Set<NodeProto>();
  const tensors = new Set<string>();
  for (const output of outputs) {
    const waiting = [output];
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      if (tensors.has(name)) continue;
      tensors.add(name);
      if (inputs.has(name)) continue;
      const source = sources.of(name);
      if (source === undefined) throw onnxCorrupt(`nothing gives ${quoted(name)}`);
      if (source === 'input') {
        throw refused(`The part's output ${quoted(output)} needs ${quoted(name)}, which is none of its inputs.`);
      }
      if (source === 'weight' || nodes.has(source)) continue;
      nodes.add(source);
      waiting.push(...sources.uses(source));
    }
  }
  return { nodes, tensors };
}

function partOf(
  graph: GraphProto,
  part: GraphPart,
  inputs: ReadonlyMap<string, PartInput>,
  { nodes, tensors }: Needed,
): GraphProto {
  const given = (name: string): boolean => inputs.has(name);
  const used = (name: string): boolean => tensors.has(name) && !given(name);
  const ownInputs = new Map(graph.input.map((port) => [port.name, port]));
  const ownOutputs = new Map(graph.output.map((port) => [port.name, port]));
  const kept = graph.node.filter((node) => nodes.has(node));
  const made = new Set(kept.flatMap(({ output }) => output));
  return create(GraphProtoSchema, {
    name: graph.name,
    node: withoutGiven(graph, kept, given),
    initializer: graph.initializer.filter(({ name }) => used(name)),
    sparseInitializer: graph.sparseInitializer.filter(({ values }) => used(values?.name ?? '')),
    // In the order of the part, so that every node that builds it gets the same bytes.
    input: part.inputs.map((input) => ownInputs.get(input.name) ?? inputPort(input)),
    output: part.outputs.map((name) => ownOutputs.get(name) ?? create(ValueInfoProtoSchema, { name })),
    valueInfo: graph.valueInfo.filter(({ name }) => made.has(name) && !given(name)),
    quantizationAnnotation: graph.quantizationAnnotation.filter(({ tensorName }) => tensors.has(tensorName)),
  });
}

/**
 * The nodes, where one also makes a tensor that the part is given (its other outputs are needed) as a copy that gives
 * that tensor another name.
 */
function withoutGiven(graph: GraphProto, nodes: NodeProto[], given: (name: string) => boolean): NodeProto[] {
  if (!nodes.some(({ output }) => output.some(given))) return nodes;
  const taken = namesIn(graph);
  let count = 0;
  const fresh = (): string => {
    for (;;) {
      const name = `weft_given_${count++}`;
      if (!taken.has(name)) return name;
    }
  };
  return nodes.map((node) => {
    if (!node.output.some(given)) return node;
    const { $typeName: _, $unknown: __, ...fields } = node;
    return create(NodeProtoSchema, {
      ...fields,
      output: node.output.map((name) => (given(name) ? fresh() : name)),
    });
  });
}

/** @returns the part's inputs by name */
function checkedPorts(sources: GraphSources, part: GraphPart): ReadonlyMap<string, PartInput> {
  if (part.inputs.length > TENSORS_MAX || part.outputs.length > TENSORS_MAX) {
    throw refused(`A part takes, and gives, at most ${TENSORS_MAX} tensors.`);
  }
  if (part.outputs.length === 0) throw refused('The part gives nothing.');
  const inputs = new Map(part.inputs.map((input) => [input.name, input]));
  if (inputs.size < part.inputs.length || new Set(part.outputs).size < part.outputs.length) {
    throw refused('The part names a tensor twice.');
  }
  for (const input of part.inputs) checkInput(input);
  for (const name of [...inputs.keys(), ...part.outputs]) {
    if (sources.of(name) === undefined) throw invalid(`The model has no tensor ${quoted(name)}.`);
  }
  const { input, output, valueInfo: inner } = sources.graph;
  for (const port of [...input, ...output, ...inner]) {
    const claimed = inputs.get(port.name);
    const type = elementType(port);
    if (claimed !== undefined && type !== undefined && type !== DataType[claimed.type]) {
      throw invalid(`The part's input ${quoted(port.name)} is not of type ${claimed.type} in the model.`);
    }
  }
  return inputs;
}

/** Whoever asks for a part may be any node. @throws WeftError `tensor_invalid` for a type or shape that none has */
function checkInput({ name, type, dims }: PartInput): void {
  const sound = (dim: number | string): boolean => typeof dim === 'string' || (Number.isSafeInteger(dim) && dim >= 0);
  if (!Object.hasOwn(DataType, type) || (dims !== undefined && (dims.length > TENSOR_RANK_MAX || !dims.every(sound)))) {
    throw invalid(`The type or shape of the part's input ${quoted(name)} is none that a tensor has.`);
  }
}

/** Undefined where the file doesn't tell; 0 for what is no tensor. */
function elementType({ type }: ValueInfoProto): number | undefined {
  if (type === undefined || type.value.case === undefined) return undefined;
  return type.value.case === 'tensorType' ? type.value.value.elemType : 0;
}

/** The file's own notes of an inner tensor's shape are left alone: exporters often leave those of their sample in them. */
const inputPort = ({ name, type, dims }: PartInput): ValueInfoProto =>
  dims === undefined
    ? create(ValueInfoProtoSchema, {
        name,
        type: { value: { case: 'tensorType', value: { elemType: DataType[type] } } },
      })
    : valueInfo(name, DataType[type], dims);

const refused = (message: string): WeftError => new WeftError({ code: 'bad_request', message });
const invalid = (message: string): WeftError =>
  new WeftError({ code: 'tensor_invalid', message, remedy: 'Cut the model by the tensors of its own graph.' });
