// Operators that make, move and count elements without computing with them.
import { attributeOf, intAttribute, intsAttribute } from '../../attributes.ts';
import { tensorValues } from '../../tensors.ts';
import { typeOf } from './elementwise.ts';
import type { Call, Operators } from './operator.ts';
import {
  axisOf,
  broadcast,
  dense,
  elements,
  elementwise,
  filled,
  integers,
  list,
  numbers,
  rowMajor,
  shapeOnly,
  sizeOf,
  type Value,
} from './value.ts';

/** Axes as an attribute, or as an input of later versions. Undefined when they are given and not known. */
export function axesOf({ node, inputs }: Call, input: number): readonly number[] | 'none' | undefined {
  const listed = intsAttribute(node, 'axes', undefined);
  if (listed !== undefined) return listed;
  if (!node.input[input]) return 'none';
  return integers(inputs[input]);
}

function shape({ node, inputs: [input] }: Call): Value | undefined {
  if (input === undefined) return undefined;
  const end = intAttribute(node, 'end', undefined);
  return list(input.dims.slice(intAttribute(node, 'start', 0), end));
}

function constantOfShape({ node, inputs }: Call): Value | undefined {
  const dims = integers(inputs[0]);
  const given = attributeOf(node, 'value')?.t;
  const type = given === undefined ? 'float' : typeOf(given.dataType);
  const [value] = given === undefined ? [0] : (tensorValues(given) ?? []);
  if (dims === undefined || type === undefined || value === undefined) return undefined;
  return shapeOnly(type, dims) && filled(type, dims, value);
}

function range({ inputs, work }: Call): Value | undefined {
  const [[start], [limit], [delta]] = [numbers(inputs[0]) ?? [], numbers(inputs[1]) ?? [], numbers(inputs[2]) ?? []];
  if (start === undefined || limit === undefined || delta === undefined) return undefined;
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  if (!Number.isSafeInteger(count)) return undefined;
  const data = work.allocate(count);
  for (let index = 0; index < count; index++) data[index] = start + index * delta;
  return dense(inputs[0]?.type ?? 'int', [count], data);
}

/** The same elements under other dimensions, one of which may be −1. */
export function reshape(
  call: Pick<Call, 'work'>,
  input: Value,
  wanted: readonly number[],
  zeroCopies: boolean,
): Value | undefined {
  const dims = wanted.map((dim, axis) => (dim === 0 && zeroCopies ? (input.dims[axis] ?? Number.NaN) : dim));
  const open = dims.indexOf(-1);
  if (open >= 0) {
    dims[open] = 1;
    dims[open] = sizeOf(input.dims) / sizeOf(dims);
  }
  const result = shapeOnly(input.type, dims);
  if (result === undefined || sizeOf(dims) !== sizeOf(input.dims)) return undefined;
  if (input.data === undefined) return result;
  if (input.strides.every((stride, axis) => stride === 0 || input.dims[axis] === 1)) {
    return filled(input.type, dims, input.data[input.offset] ?? 0);
  }
  const data = elements(call.work, input);
  return data && dense(input.type, dims, data);
}

function reshapeNode(call: Call): Value | undefined {
  const [input, to] = call.inputs;
  const dims = integers(to);
  return input && dims && reshape(call, input, dims, intAttribute(call.node, 'allowzero', 0) !== 1);
}

function flatten(call: Call): Value | undefined {
  const [input] = call.inputs;
  if (input === undefined) return undefined;
  const given = intAttribute(call.node, 'axis', 1);
  const axis = given < 0 ? given + input.dims.length : given;
  return reshape(call, input, [sizeOf(input.dims.slice(0, axis)), sizeOf(input.dims.slice(axis))], false);
}

function unsqueeze(call: Call): Value | undefined {
  const [input] = call.inputs;
  const axes = axesOf(call, 1);
  if (input === undefined || axes === undefined || axes === 'none') return undefined;
  const rank = input.dims.length + axes.length;
  const added = new Set(axes.map((axis) => axisOf(axis, rank)));
  if (added.has(undefined) || added.size < axes.length) return undefined;
  let next = 0;
  const order = Array.from({ length: rank }, (_, axis) => (added.has(axis) ? -1 : next++));
  return view(input, order);
}

function squeeze(call: Call): Value | undefined {
  const [input] = call.inputs;
  const axes = axesOf(call, 1);
  if (input === undefined || axes === undefined) return undefined;
  const removed = new Set(axes === 'none' ? undefined : axes.map((axis) => axisOf(axis, input.dims.length)));
  const order = [...input.dims.keys()].filter((axis) =>
    axes === 'none' ? input.dims[axis] !== 1 : !removed.has(axis),
  );
  const fits = [...removed].every((axis) => axis !== undefined && input.dims[axis] === 1);
  return fits ? view(input, order) : undefined;
}

function transpose({ node, inputs: [input] }: Call): Value | undefined {
  if (input === undefined) return undefined;
  const order = intsAttribute(node, 'perm', undefined) ?? [...input.dims.keys()].reverse();
  const sound = order.length === input.dims.length && [...order].sort((a, b) => a - b).every((axis, at) => axis === at);
  return sound ? view(input, order) : undefined;
}

/** The axes in another order; −1 = one of length 1 that wasn't there. */
function view(input: Value, order: readonly number[]): Value {
  return {
    ...input,
    dims: order.map((axis) => (axis < 0 ? 1 : (input.dims[axis] as number))),
    strides: input.data === undefined ? [] : order.map((axis) => (axis < 0 ? 0 : (input.strides[axis] as number))),
  };
}

function expand({ inputs: [input, to] }: Call): Value | undefined {
  const wanted = integers(to);
  if (input === undefined || wanted === undefined || wanted.some((dim) => dim < 0)) return undefined;
  const dims = broadcast([input.dims, wanted]);
  return dims && expandTo(input, dims);
}

/** As often as these dimensions say; they fit. */
export function expandTo(input: Value, dims: readonly number[]): Value | undefined {
  if (input.data === undefined) return shapeOnly(input.type, dims);
  if (shapeOnly(input.type, dims) === undefined) return undefined;
  const missing = dims.length - input.dims.length;
  const strides = dims.map((_, axis) =>
    axis < missing || input.dims[axis - missing] === 1 ? 0 : (input.strides[axis - missing] as number),
  );
  return { ...input, dims, strides };
}

function tile(call: Call): Value | undefined {
  const [input, repeats] = call.inputs;
  const times = integers(repeats);
  if (input === undefined || times?.length !== input.dims.length) return undefined;
  // [a, b] → [times a, a, times b, b] → [times a · a, times b · b]
  const split = view(
    input,
    [...input.dims.keys()].flatMap((axis) => [-1, axis]),
  );
  const dims = input.dims.flatMap((dim, axis) => [times[axis] as number, dim]);
  const spread = dims.every((dim) => dim >= 0) ? expandTo(split, dims) : undefined;
  return (
    spread &&
    reshape(
      call,
      spread,
      input.dims.map((dim, axis) => dim * (times[axis] as number)),
      false,
    )
  );
}

function concat({ node, inputs, work }: Call): Value | undefined {
  const [first] = inputs;
  const axis = first && axisOf(intAttribute(node, 'axis', 0), first.dims.length);
  if (first === undefined || axis === undefined) return undefined;
  const parts: Value[] = [];
  for (const part of inputs) {
    if (part === undefined || part.dims.length !== first.dims.length) return undefined;
    if (part.dims.some((dim, at) => at !== axis && dim !== first.dims[at])) return undefined;
    parts.push(part);
  }
  const dims = first.dims.with(
    axis,
    parts.reduce((sum, part) => sum + (part.dims[axis] as number), 0),
  );
  if (parts.some(({ data }) => data === undefined)) return shapeOnly(first.type, dims);
  const result = work.allocate(sizeOf(dims));
  const width = sizeOf(dims.slice(axis));
  let at = 0;
  for (const part of parts) {
    const data = elements(work, part) as Float64Array;
    const own = sizeOf(part.dims.slice(axis));
    for (let from = 0, to = at; from < data.length; from += own, to += width) {
      result.set(data.subarray(from, from + own), to);
    }
    at += own;
  }
  return dense(first.type, dims, result);
}

function trilu({ node, inputs: [input, diagonal], work }: Call): Value | undefined {
  if (input === undefined || input.dims.length < 2) return undefined;
  const [k] = node.input[1] ? (integers(diagonal) ?? []) : [0];
  if (k === undefined || input.data === undefined) return shapeOnly(input.type, input.dims);
  const upper = intAttribute(node, 'upper', 1) !== 0;
  const [rows, columns] = input.dims.slice(-2) as [number, number];
  const keeps = work.allocate(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      keeps[row * columns + column] = (upper ? column - row >= k : column - row <= k) ? 1 : 0;
    }
  }
  const mask = dense('bool', [rows, columns], keeps);
  return elementwise(work, input.type, [input, mask], (a, b) => (b === 0 ? 0 : a));
}

function cumSum({ node, inputs: [input, at], work }: Call): Value | undefined {
  if (input === undefined) return undefined;
  const [given] = integers(at) ?? [];
  const axis = given === undefined ? undefined : axisOf(given, input.dims.length);
  const data = elements(work, input);
  if (axis === undefined || data === undefined) return shapeOnly(input.type, input.dims);
  if (intAttribute(node, 'exclusive', 0) !== 0 || intAttribute(node, 'reverse', 0) !== 0) return undefined;
  const result = work.allocate(data.length);
  const inner = sizeOf(input.dims.slice(axis + 1));
  const length = input.dims[axis] as number;
  for (let index = 0; index < data.length; index++) {
    const isFirst = Math.floor(index / inner) % length === 0;
    result[index] = (data[index] as number) + (isFirst ? 0 : (result[index - inner] as number));
  }
  return dense(input.type, input.dims, result);
}

const reduce =
  (start: number, each: (sum: number, value: number) => number) =>
  (call: Call): Value | undefined => {
    const { node, work } = call;
    const [input] = call.inputs;
    const axes = axesOf(call, 1);
    if (input === undefined || axes === undefined) return undefined;
    const rank = input.dims.length;
    if (axes === 'none' && intAttribute(node, 'noop_with_empty_axes', 0) !== 0) return input;
    const reduced = new Set(
      axes === 'none' || axes.length === 0 ? input.dims.keys() : axes.map((axis) => axisOf(axis, rank)),
    );
    if (reduced.has(undefined)) return undefined;
    const kept = input.dims.map((dim, axis) => (reduced.has(axis) ? 1 : dim));
    const dims = intAttribute(node, 'keepdims', 1) === 0 ? kept.filter((_, axis) => !reduced.has(axis)) : kept;
    const data = elements(work, input);
    if (data === undefined) return shapeOnly(input.type, dims);
    const result = work.allocate(sizeOf(kept)).fill(start);
    const from = rowMajor(input.dims);
    const to = rowMajor(kept);
    for (let index = 0; index < data.length; index++) {
      let at = 0;
      for (let axis = 0; axis < rank; axis++) {
        const place = Math.floor(index / (from[axis] as number)) % (input.dims[axis] as number);
        if (!reduced.has(axis)) at += place * (to[axis] as number);
      }
      result[at] = each(result[at] as number, data[index] as number);
    }
    return dense(input.type, dims, result);
  };

export const SHAPING: Operators = {
  Shape: shape,
  Size: ({ inputs: [input] }) => input && filled('int', [], sizeOf(input.dims)),
  ConstantOfShape: constantOfShape,
  Range: range,
  Reshape: reshapeNode,
  Flatten: flatten,
  Unsqueeze: unsqueeze,
  Squeeze: squeeze,
  Transpose: transpose,
  Expand: expand,
  Tile: tile,
  Concat: concat,
  Trilu: trilu,
  CumSum: cumSum,
  ReduceSum: reduce(0, (sum, value) => sum + value),
  ReduceProd: reduce(1, (product, value) => product * value),
  ReduceMax: reduce(Number.NEGATIVE_INFINITY, (most, value) => Math.max(most, value)),
  ReduceMin: reduce(Number.POSITIVE_INFINITY, (least, value) => Math.min(least, value)),
};
