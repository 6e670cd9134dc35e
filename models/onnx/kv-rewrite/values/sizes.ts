// Operators of which only the shape is of interest: hidden states, whose sizes exporters read back.
import { intAttribute, intsAttribute } from '../../attributes.ts';
import type { Call, Operators } from './operator.ts';
import { axisOf, broadcast, shapeOnly, type Value } from './value.ts';

/** A float of the shape of the first input. */
const alike = ({ inputs: [input] }: Call): Value | undefined => input && shapeOnly('float', input.dims);

/** [… , m, k] · [… , k, n] */
function product({ node, inputs: [left, right] }: Call): Value | undefined {
  if (left === undefined || right === undefined || left.dims.length < 2 || right.dims.length < 2) return undefined;
  const [turnsLeft, turnsRight] = [intAttribute(node, 'transA', 0), intAttribute(node, 'transB', 0)];
  const rows = left.dims.at(turnsLeft === 1 ? -1 : -2) as number;
  const columns = right.dims.at(turnsRight === 1 ? -2 : -1) as number;
  const inner = left.dims.at(turnsLeft === 1 ? -2 : -1);
  const outer = broadcast([left.dims.slice(0, -2), right.dims.slice(0, -2)]);
  if (outer === undefined || inner !== right.dims.at(turnsRight === 1 ? -1 : -2)) return undefined;
  return shapeOnly('float', [...outer, rows, columns]);
}

function blockwiseProduct({ node, inputs: [left] }: Call): Value | undefined {
  return left && shapeOnly('float', [...left.dims.slice(0, -1), intAttribute(node, 'N', -1)]);
}

function mean({ node, inputs: [input] }: Call): Value | undefined {
  const axes = intsAttribute(node, 'axes', undefined) ?? [-1];
  if (input === undefined) return undefined;
  const reduced = new Set(axes.map((axis) => axisOf(axis, input.dims.length)));
  const kept = input.dims.map((dim, axis) => (reduced.has(axis) ? 1 : dim));
  const keeps = intAttribute(node, 'keepdims', 1) !== 0;
  return shapeOnly('float', keeps ? kept : kept.filter((_, axis) => !reduced.has(axis)));
}

/** Indices [a, b] into rows whose length is left open, where values are packed. */
function packedRows({ inputs: [rows, indices] }: Call): Value | undefined {
  return rows && indices && shapeOnly('float', [...indices.dims, ...rows.dims.slice(1)]);
}

export const SIZES: Operators = {
  MatMul: product,
  FusedMatMul: product,
  Gemm: product,
  MatMulInteger: product,
  DynamicQuantizeMatMul: product,
  MatMulIntegerToFloat: product,
  MatMulNBits: blockwiseProduct,
  GatherBlockQuantized: packedRows,
  ReduceMean: mean,
  LayerNormalization: alike,
  RMSNormalization: alike,
  SimplifiedLayerNormalization: alike,
  SkipLayerNormalization: (call) => [alike(call), undefined, undefined, alike(call)],
  SkipSimplifiedLayerNormalization: (call) => [alike(call), undefined, undefined, alike(call)],
  RotaryEmbedding: alike,
  MultiHeadAttention: alike,
  Softmax: alike,
  Erf: alike,
  Gelu: alike,
  FastGelu: alike,
  QuickGelu: alike,
  BiasGelu: alike,
  DequantizeLinear: alike,
  QuantizeLinear: alike,
  DynamicQuantizeLinear: (call) => [alike(call), shapeOnly('float', []), shapeOnly('int', [])],
};
