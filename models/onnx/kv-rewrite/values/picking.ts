// Operators that pick elements by place: parts of a tensor, rows of a table, tuples of indices.
import { attributeOf, intAttribute, intsAttribute } from '../../attributes.ts';
import type { Call, Operators } from './operator.ts';
import { axesOf } from './shaping.ts';
import { axisOf, dense, elements, integers, rowMajor, shapeOnly, sizeOf, type Value } from './value.ts';

function slice(call: Call): Value | undefined {
  const { node, inputs } = call;
  const [input] = inputs;
  const inAttributes = intsAttribute(node, 'starts', undefined) !== undefined;
  const starts = intsAttribute(node, 'starts', undefined) ?? integers(inputs[1]);
  const ends = intsAttribute(node, 'ends', undefined) ?? integers(inputs[2]);
  const axes = axesOf(call, 3);
  const steps = inAttributes || !node.input[4] ? undefined : integers(inputs[4]);
  if (input === undefined || starts === undefined || ends?.length !== starts.length || axes === undefined)
    return undefined;
  if (!inAttributes && node.input[4] && steps === undefined) return undefined;
  const dims = [...input.dims];
  const strides = [...input.strides];
  let { offset } = input;
  for (const [index, start] of starts.entries()) {
    const axis = axisOf(axes === 'none' ? index : (axes[index] ?? Number.NaN), dims.length);
    const step = steps?.[index] ?? 1;
    // Backwards is what nobody's mask does.
    if (axis === undefined || step < 1) return undefined;
    const dim = input.dims[axis] as number;
    const place = (at: number): number => Math.min(dim, Math.max(0, at < 0 ? at + dim : at));
    const from = place(start);
    dims[axis] = Math.max(0, Math.ceil((place(ends[index] as number) - from) / step));
    if (input.data === undefined) continue;
    offset += from * (input.strides[axis] as number);
    strides[axis] = step * (input.strides[axis] as number);
  }
  return { ...input, dims, strides, offset };
}

function gather({ node, inputs: [input, indices], work }: Call): Value | undefined {
  const axis = input && axisOf(intAttribute(node, 'axis', 0), input.dims.length);
  if (input === undefined || indices === undefined || axis === undefined) return undefined;
  const before = input.dims.slice(0, axis);
  const after = input.dims.slice(axis + 1);
  const dims = [...before, ...indices.dims, ...after];
  if (input.data === undefined || indices.data === undefined) return shapeOnly(input.type, dims);
  const from = elements(work, input) as Float64Array;
  const at = elements(work, indices) as Float64Array;
  const result = work.allocate(sizeOf(dims));
  const [inner, length] = [sizeOf(after), input.dims[axis] as number];
  let to = 0;
  for (let outer = 0; outer < sizeOf(before) && result.length > 0; outer++) {
    for (const index of at) {
      const place = index < 0 ? index + length : index;
      // Beyond the end of a table: the graph is looked at further than it reaches.
      if (!(place >= 0 && place < length)) return shapeOnly(input.type, dims);
      const begin = (outer * length + place) * inner;
      for (let each = 0; each < inner; each++) result[to++] = from[begin + each] as number;
    }
  }
  return dense(input.type, dims, result);
}

/** Tuples of indices into the first axes. */
function gatherNd({ node, inputs: [input, indices], work }: Call): Value | undefined {
  if (input === undefined || indices === undefined || intAttribute(node, 'batch_dims', 0) !== 0) return undefined;
  const depth = indices.dims.at(-1) ?? 0;
  if (depth < 1 || depth > input.dims.length) return undefined;
  const after = input.dims.slice(depth);
  const dims = [...indices.dims.slice(0, -1), ...after];
  const [from, at] = [elements(work, input), elements(work, indices)];
  if (from === undefined || at === undefined) return shapeOnly(input.type, dims);
  const result = work.allocate(sizeOf(dims));
  const width = sizeOf(after);
  for (let tuple = 0; tuple * depth < at.length; tuple++) {
    const begin = tupleOffset(at, tuple * depth, input.dims, depth);
    if (begin === undefined) return undefined;
    for (let each = 0; each < width; each++) result[tuple * width + each] = from[begin + each] as number;
  }
  return dense(input.type, dims, result);
}

function scatterNd({ node, inputs: [input, indices, updates], work }: Call): Value | undefined {
  if (input === undefined) return undefined;
  const [from, at, given] = [indices, updates, input].map((value) => value && elements(work, value)) as [
    Float64Array | undefined,
    Float64Array | undefined,
    Float64Array | undefined,
  ];
  const depth = indices?.dims.at(-1) ?? 0;
  const reduces = attributeOf(node, 'reduction') !== undefined;
  if (from === undefined || at === undefined || given === undefined || reduces)
    return shapeOnly(input.type, input.dims);
  if (depth < 1 || depth > input.dims.length) return undefined;
  const width = sizeOf(input.dims.slice(depth));
  const result = work.allocate(given.length);
  result.set(given);
  if (at.length * depth !== from.length * width) return undefined;
  for (let tuple = 0; tuple * depth < from.length; tuple++) {
    const begin = tupleOffset(from, tuple * depth, input.dims, depth);
    if (begin === undefined) return undefined;
    for (let each = 0; each < width; each++) result[begin + each] = at[tuple * width + each] as number;
  }
  return dense(input.type, input.dims, result);
}

/** Where the elements begin that a tuple names. */
function tupleOffset(tuples: Float64Array, at: number, dims: readonly number[], depth: number): number | undefined {
  const strides = rowMajor(dims);
  let offset = 0;
  for (let axis = 0; axis < depth; axis++) {
    const index = tuples[at + axis] as number;
    const place = index < 0 ? index + (dims[axis] as number) : index;
    if (!(place >= 0 && place < (dims[axis] as number))) return undefined;
    offset += place * (strides[axis] as number);
  }
  return offset;
}

function split(call: Call): readonly (Value | undefined)[] | undefined {
  const { node, inputs } = call;
  const [input] = inputs;
  const axis = input && axisOf(intAttribute(node, 'axis', 0), input.dims.length);
  if (input === undefined || axis === undefined) return undefined;
  const dim = input.dims[axis] as number;
  const even = Math.ceil(dim / node.output.length);
  const lengths =
    intsAttribute(node, 'split', undefined) ??
    (node.input[1] ? integers(inputs[1]) : node.output.map((_, index) => Math.min(even, dim - index * even)));
  if (lengths?.length !== node.output.length || lengths.reduce((sum, length) => sum + length, 0) !== dim)
    return undefined;
  let start = 0;
  return lengths.map((length) => {
    const offset = input.offset + start * (input.strides[axis] ?? 0);
    start += length;
    return length >= 0 ? { ...input, dims: input.dims.with(axis, length), offset } : undefined;
  });
}

export const PICKING: Operators = {
  Slice: slice,
  Split: split,
  Gather: gather,
  GatherND: gatherNd,
  ScatterND: scatterNd,
};
