// Rough costs of a graph that no device has run: by its multiplications and the bytes that it moves. Good enough to show
// where a graph could be cut; what a cut gains is for measured costs to tell.

import { attributeOf, intAttribute } from '../../models/onnx/attributes.ts';
import type { ModelProto, NodeProto, TensorProto, ValueInfoProto } from '../../models/onnx/messages/onnx_pb.js';
import { GraphSources } from '../../models/onnx/partition/sources.ts';
import type { NodeCosts, TensorCost } from '../../models/onnx/partition/step-graph.ts';
import { sizeOf } from '../../models/onnx/partition/weights.ts';
import { byteLength, dataTypeName } from '../../protocol/tensor.ts';

/** One core of a laptop, roughly: 5e9 multiplications, or 5e9 bytes, a second. */
const MS_PER_PRODUCT = 2e-7;
const MS_PER_BYTE = 2e-7;

/**
 * @param sizes of tensors where the caller knows them, such as from one run; the file's own notes serve otherwise, where
 *   all their dimensions are numbers
 * @returns milliseconds that are good for comparing nodes of the graph only
 * @throws WeftError `model_corrupt` for a graph that can't be one
 */
export function staticCosts(model: ModelProto, sizes?: (name: string) => TensorCost | undefined): NodeCosts {
  const sources = new GraphSources(model);
  const { graph } = sources;
  const noted = new Map([...graph.valueInfo, ...graph.input, ...graph.output].map((port) => [port.name, port]));
  const weights = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  for (const node of graph.node) {
    const value = node.opType === 'Constant' && node.domain === '' ? attributeOf(node, 'value')?.t : undefined;
    if (value !== undefined && node.output[0] !== undefined) weights.set(node.output[0], value);
  }
  const tensor = (name: string): TensorCost | undefined => sizes?.(name) ?? sizeOfPort(noted.get(name));
  const moved = (names: readonly string[]): number =>
    names.reduce((sum, name) => sum + (tensor(name)?.bytes ?? sizeOfWeight(weights.get(name))), 0);
  return {
    tensor,
    ms: (output) => {
      const node = sources.of(output);
      if (typeof node !== 'object') return 0;
      const bytes = moved(sources.uses(node)) + moved(node.output);
      return bytes * MS_PER_BYTE + products(node, weights, tensor) * MS_PER_PRODUCT;
    },
  };
}

const sizeOfWeight = (weight: TensorProto | undefined): number => (weight === undefined ? 0 : sizeOf(weight));

function sizeOfPort(port: ValueInfoProto | undefined): TensorCost | undefined {
  const type = port?.type?.value;
  if (type?.case !== 'tensorType' || type.value.shape === undefined) return undefined;
  const dims = type.value.shape.dim.map(({ value }) => (value.case === 'dimValue' ? Number(value.value) : undefined));
  if (!dims.every((dim) => dim !== undefined && Number.isSafeInteger(dim) && dim >= 0)) return undefined;
  try {
    const known = dataTypeName(type.value.elemType);
    return { type: known, dims: dims as number[], bytes: byteLength(known, dims as number[], 2 ** 40) ?? 0 };
  } catch {
    // A type or shape that none has: not known, then.
    return undefined;
  }
}

/** Multiplications of the operators that most of the time goes into; 0 for others, and where shapes aren't known. */
function products(
  node: NodeProto,
  weights: ReadonlyMap<string, TensorProto>,
  tensor: (name: string) => TensorCost | undefined,
): number {
  const dimsOf = (name: string | undefined): readonly number[] | undefined => {
    const weight = weights.get(name ?? '');
    if (weight !== undefined) return weight.dims.map(Number);
    const dims = tensor(name ?? '')?.dims;
    return dims?.every((dim) => typeof dim === 'number') ? (dims as readonly number[]) : undefined;
  };
  const outputs = count(dimsOf(node.output[0]));
  const [first, second] = [dimsOf(node.input[0]), dimsOf(node.input[1])];
  switch (node.opType) {
    case 'Conv':
    case 'FusedConv':
    case 'ConvInteger':
      return outputs * count(second?.slice(1));
    case 'QLinearConv':
      return outputs * count(dimsOf(node.input[3])?.slice(1));
    case 'ConvTranspose':
      return count(first) * count(second?.slice(1));
    case 'MatMul':
    case 'MatMulInteger':
      return outputs * (second?.at(-2) ?? first?.at(-1) ?? 0);
    case 'Gemm':
      return outputs * (first?.at(intAttribute(node, 'transA', 0) === 0 ? -1 : 0) ?? 0);
    case 'MatMulNBits':
      return outputs * intAttribute(node, 'K', 0);
    default:
      return 0;
  }
}

/** Elements; 0 for a shape that isn't known. */
const count = (dims: readonly number[] | undefined): number =>
  dims === undefined ? 0 : dims.reduce((product, dim) => product * dim, 1);
