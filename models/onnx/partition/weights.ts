// Which bytes of which files a model's weights are: what a node must have before it can open a part of the model.
import { byteLength, dataTypeName } from '../../../protocol/tensor.ts';
import { quoted } from '../check/names.ts';
import {
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  TensorProto_DataLocation,
} from '../messages/onnx_pb.js';
import { onnxCorrupt } from '../protobuf.ts';

/** Bytes of one file. */
export interface WeightRange {
  /** Path from the folder of the graph, with `/`. */
  readonly location: string;
  readonly offset: number;
  /** At least 1. */
  readonly length: number;
}

/**
 * The bytes that the model refers to, in its own file or in others: by location and offset, each byte once, neighbours
 * joined.
 * @throws WeftError `model_corrupt` for a reference that can't be read
 */
export function weightRanges(model: ModelProto): WeightRange[] {
  const ranges: WeightRange[] = [];
  for (const tensor of tensorsOf(model)) {
    const range = rangeOf(tensor);
    if (range !== undefined && range.length > 0) ranges.push(range);
  }
  return joined(ranges);
}

/** All bytes of its weights, those in the model itself included: what a session of it holds at least. */
export function weightBytes(model: ModelProto): number {
  let bytes = weightRanges(model).reduce((sum, { length }) => sum + length, 0);
  for (const tensor of tensorsOf(model)) if (!isExternal(tensor)) bytes += sizeOf(tensor);
  return bytes;
}

/** Where the tensor's bytes lie; undefined for one that has them in itself. @throws WeftError `model_corrupt` */
export function rangeOf(tensor: TensorProto): WeightRange | undefined {
  if (!isExternal(tensor)) return undefined;
  const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
  const location = entries.get('location');
  const offset = Number(entries.get('offset') ?? 0);
  const length = Number(entries.get('length') ?? sizeOf(tensor));
  const sound = (count: number): boolean => Number.isSafeInteger(count) && count >= 0;
  if (location === undefined || !sound(offset) || !sound(length) || !sound(offset + length)) {
    throw onnxCorrupt(`the place of ${quoted(tensor.name)} can't be read`);
  }
  return { location, offset, length };
}

/** Bytes of a tensor, wherever they lie. @throws WeftError `model_corrupt` for a shape or type that none has */
export function sizeOf(tensor: TensorProto): number {
  try {
    const dims = tensor.dims.map(Number);
    const bytes = byteLength(dataTypeName(tensor.dataType), dims, Number.MAX_SAFE_INTEGER);
    return bytes ?? tensor.stringData.reduce((sum, text) => sum + text.byteLength, 0);
  } catch {
    throw onnxCorrupt(`the shape of ${quoted(tensor.name)} can't be`);
  }
}

const isExternal = ({ dataLocation }: TensorProto): boolean => dataLocation === TensorProto_DataLocation.EXTERNAL;

/** Every tensor in a model, whether an initializer or in an attribute, of graphs within graphs too. */
export function* tensorsOf(model: ModelProto): Generator<TensorProto> {
  if (model.graph !== undefined) yield* tensorsOfGraph(model.graph);
  for (const { node } of model.functions) for (const each of node) yield* tensorsOfNode(each);
}

function* tensorsOfGraph(graph: GraphProto): Generator<TensorProto> {
  yield* graph.initializer;
  for (const { values, indices } of graph.sparseInitializer) {
    if (values !== undefined) yield values;
    if (indices !== undefined) yield indices;
  }
  for (const node of graph.node) yield* tensorsOfNode(node);
}

/** Tensors in the attributes of a node, Constant's among them. */
export function* tensorsOfNode(node: NodeProto): Generator<TensorProto> {
  for (const attribute of node.attribute) yield* tensorsOfAttribute(attribute);
}

function* tensorsOfAttribute({
  t,
  tensors,
  g,
  graphs,
  sparseTensor,
  sparseTensors,
}: AttributeProto): Generator<TensorProto> {
  if (t !== undefined) yield t;
  yield* tensors;
  for (const sparse of sparseTensor === undefined ? sparseTensors : [sparseTensor, ...sparseTensors]) {
    if (sparse.values !== undefined) yield sparse.values;
    if (sparse.indices !== undefined) yield sparse.indices;
  }
  for (const graph of g === undefined ? graphs : [g, ...graphs]) yield* tensorsOfGraph(graph);
}

function joined(ranges: readonly WeightRange[]): WeightRange[] {
  const order = (a: WeightRange, b: WeightRange): number =>
    a.location === b.location ? a.offset - b.offset : a.location < b.location ? -1 : 1;
  const result: WeightRange[] = [];
  for (const range of [...ranges].sort(order)) {
    const last = result.at(-1);
    if (last === undefined || last.location !== range.location || last.offset + last.length < range.offset) {
      result.push(range);
      continue;
    }
    const end = Math.max(last.offset + last.length, range.offset + range.length);
    result[result.length - 1] = { ...last, length: end - last.offset };
  }
  return result;
}
