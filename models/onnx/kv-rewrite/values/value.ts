// Small tensors as numbers, or as shapes alone: what the rewriter computes of a graph to see what it does. Axes along
// which nothing changes are kept once, so that a mask that all heads share costs no more than one.
import { LOOK_ELEMENTS_MAX, LOOK_WORK_MAX } from '../limits.ts';
import { Refusal } from '../site.ts';

/** What whole numbers, fractions and truths differ in: how they divide and how they are cast. */
export type ValueType = 'int' | 'float' | 'bool';

export interface Value {
  readonly type: ValueType;
  readonly dims: readonly number[];
  /** Undefined where only the shape is known. */
  readonly data: Float64Array | undefined;
  /** For each axis, how far apart in `data` its elements lie; 0 where they are one. */
  readonly strides: readonly number[];
  readonly offset: number;
}

/** Counts what is computed for one graph. */
export class Work {
  #left = LOOK_WORK_MAX;

  /** @throws Refusal when it is too much */
  take(count: number): void {
    this.#left -= count;
    if (!(this.#left >= 0)) throw tooMuch();
  }

  /** Memory for so many values. @throws Refusal when it is too much */
  allocate(count: number): Float64Array {
    if (!(count <= LOOK_ELEMENTS_MAX)) throw tooMuch();
    this.take(count);
    return new Float64Array(count);
  }
}

const tooMuch = (): Refusal => new Refusal('it takes too much to see what its masks and positions are');

export const sizeOf = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1);

/** @returns undefined where a dimension is none */
export function shapeOnly(type: ValueType, dims: readonly number[]): Value | undefined {
  const sound = dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0) && sizeOf(dims) <= Number.MAX_SAFE_INTEGER;
  return sound ? { type, dims, data: undefined, strides: [], offset: 0 } : undefined;
}

export function rowMajor(dims: readonly number[]): number[] {
  const strides = new Array<number>(dims.length).fill(1);
  for (let axis = dims.length - 2; axis >= 0; axis--) {
    strides[axis] = (strides[axis + 1] as number) * (dims[axis + 1] as number);
  }
  return strides;
}

/** A tensor whose elements lie in row-major order. */
export function dense(type: ValueType, dims: readonly number[], data: Float64Array): Value {
  return { type, dims, data, strides: rowMajor(dims), offset: 0 };
}

/** The same number everywhere. */
export function filled(type: ValueType, dims: readonly number[], value: number): Value {
  return { type, dims, data: Float64Array.of(value), strides: dims.map(() => 0), offset: 0 };
}

/** A list of whole numbers. */
export const list = (values: readonly number[]): Value => dense('int', [values.length], Float64Array.from(values));

/** @returns undefined where the shapes don't go together */
export function broadcast(shapes: readonly (readonly number[])[]): number[] | undefined {
  const rank = Math.max(0, ...shapes.map((dims) => dims.length));
  const result = new Array<number>(rank).fill(1);
  for (const dims of shapes) {
    for (const [index, dim] of dims.entries()) {
      const axis = rank - dims.length + index;
      if (dim === 1 || dim === result[axis]) continue;
      if (result[axis] !== 1) return undefined;
      result[axis] = dim;
    }
  }
  return result;
}

/** A function of numbers that stand in the same place. */
export type Element = (a: number, b: number, c: number) => number;

/** Applies a function to each place of one to three tensors. */
export function elementwise(
  work: Work,
  type: ValueType,
  operands: readonly Value[],
  element: Element,
): Value | undefined {
  const dims = broadcast(operands.map((operand) => operand.dims));
  if (dims === undefined) return undefined;
  if (operands.some(({ data }) => data === undefined)) return shapeOnly(type, dims);
  const strides = operands.map((operand) => alignedStrides(operand, dims));
  // Along these axes every operand repeats itself, and so does the result.
  const once = dims.map((dim, axis) => (dim > 0 && strides.every((each) => each[axis] === 0) ? 1 : dim));
  const result = work.allocate(sizeOf(once));
  const [a, b, c] = operands.map(({ data }) => data);
  walk(once, strides, operands, result, (x, y, z) => element(a?.[x] as number, b?.[y] as number, c?.[z] as number));
  const lying = rowMajor(once);
  return {
    type,
    dims,
    data: result,
    strides: dims.map((_, axis) => (once[axis] === 1 ? 0 : lying[axis]) as number),
    offset: 0,
  };
}

function alignedStrides({ dims, strides }: Value, to: readonly number[]): number[] {
  const missing = to.length - dims.length;
  return to.map((_, axis) => (axis < missing || dims[axis - missing] === 1 ? 0 : (strides[axis - missing] as number)));
}

function walk(
  dims: readonly number[],
  strides: readonly (readonly number[])[],
  operands: readonly Value[],
  result: Float64Array,
  at: (x: number, y: number, z: number) => number,
): void {
  if (result.length === 0) return;
  const axes = dims.length;
  const inner = axes === 0 ? 1 : (dims[axes - 1] as number);
  const index = new Array<number>(Math.max(0, axes - 1)).fill(0);
  let [x, y, z] = [operands[0]?.offset ?? 0, operands[1]?.offset ?? 0, operands[2]?.offset ?? 0];
  const step = (operand: number, axis: number): number => strides[operand]?.[axis] ?? 0;
  const [dx, dy, dz] = [step(0, axes - 1), step(1, axes - 1), step(2, axes - 1)];
  for (let out = 0; out < result.length; ) {
    for (let i = 0; i < inner; i++) result[out++] = at(x + i * dx, y + i * dy, z + i * dz);
    for (let axis = axes - 2; axis >= 0; axis--) {
      const next = (index[axis] as number) + 1;
      const wraps = next === dims[axis];
      index[axis] = wraps ? 0 : next;
      const by = wraps ? 1 - next : 1;
      x += by * step(0, axis);
      y += by * step(1, axis);
      z += by * step(2, axis);
      if (!wraps) break;
    }
  }
}

/** The elements in row-major order; undefined where they are not known. */
export function elements(work: Work, value: Value): Float64Array | undefined {
  const { dims, data, strides, offset } = value;
  if (data === undefined) return undefined;
  const lying = rowMajor(dims);
  const isDense =
    offset === 0 &&
    data.length === sizeOf(dims) &&
    dims.every((dim, axis) => dim === 1 || strides[axis] === lying[axis]);
  if (isDense) return data;
  const result = work.allocate(sizeOf(dims));
  walk(dims, [alignedStrides(value, dims)], [value], result, (x) => data[x] as number);
  return result;
}

/** The elements of a list or a single number, where they are few; undefined where they are not known. */
export function numbers(value: Value | undefined, most = 64): number[] | undefined {
  if (value?.data === undefined || value.dims.length > 1 || sizeOf(value.dims) > most) return undefined;
  const { data, offset } = value;
  const stride = value.strides[0] ?? 0;
  return Array.from({ length: sizeOf(value.dims) }, (_, index) => data[offset + index * stride] as number);
}

/** As `numbers`, of whole ones. */
export function integers(value: Value | undefined): number[] | undefined {
  const found = numbers(value);
  return found?.every((number) => Number.isInteger(number)) ? found : undefined;
}

/** An axis counted from the front; undefined where there is none. */
export function axisOf(axis: number, rank: number): number | undefined {
  const found = axis < 0 ? axis + rank : axis;
  return Number.isInteger(found) && found >= 0 && found < rank ? found : undefined;
}
