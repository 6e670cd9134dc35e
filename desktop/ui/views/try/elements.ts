// Elements of tensors as numbers, and back into little-endian bytes. Pure.
import type { DataTypeName } from '../../../../protocol/tensor.ts';

interface Form {
  readonly bytes: number;
  readonly integer: boolean;
  readonly read: (view: DataView, at: number) => number;
  readonly write: (view: DataView, at: number, value: number) => void;
}

/** Types whose elements are one number each. The others come and go as files or as JSON. */
const FORMS: Readonly<Partial<Record<DataTypeName, Form>>> = {
  float32: form(
    4,
    false,
    (v, at) => v.getFloat32(at, true),
    (v, at, x) => v.setFloat32(at, x, true),
  ),
  float64: form(
    8,
    false,
    (v, at) => v.getFloat64(at, true),
    (v, at, x) => v.setFloat64(at, x, true),
  ),
  float16: form(
    2,
    false,
    (v, at) => fromHalf(v.getUint16(at, true)),
    (v, at, x) => v.setUint16(at, toHalf(x), true),
  ),
  bfloat16: form(
    2,
    false,
    (v, at) => fromBits(v.getUint16(at, true) << 16),
    (v, at, x) => v.setUint16(at, bits(x) >>> 16, true),
  ),
  int8: form(
    1,
    true,
    (v, at) => v.getInt8(at),
    (v, at, x) => v.setInt8(at, x),
  ),
  uint8: form(
    1,
    true,
    (v, at) => v.getUint8(at),
    (v, at, x) => v.setUint8(at, x),
  ),
  bool: form(
    1,
    true,
    (v, at) => v.getUint8(at),
    (v, at, x) => v.setUint8(at, x === 0 ? 0 : 1),
  ),
  int16: form(
    2,
    true,
    (v, at) => v.getInt16(at, true),
    (v, at, x) => v.setInt16(at, x, true),
  ),
  uint16: form(
    2,
    true,
    (v, at) => v.getUint16(at, true),
    (v, at, x) => v.setUint16(at, x, true),
  ),
  int32: form(
    4,
    true,
    (v, at) => v.getInt32(at, true),
    (v, at, x) => v.setInt32(at, x, true),
  ),
  uint32: form(
    4,
    true,
    (v, at) => v.getUint32(at, true),
    (v, at, x) => v.setUint32(at, x, true),
  ),
  int64: form(
    8,
    true,
    (v, at) => Number(v.getBigInt64(at, true)),
    (v, at, x) => v.setBigInt64(at, BigInt(x), true),
  ),
  uint64: form(
    8,
    true,
    (v, at) => Number(v.getBigUint64(at, true)),
    (v, at, x) => v.setBigUint64(at, BigInt(x), true),
  ),
};

function form(bytes: number, integer: boolean, read: Form['read'], write: Form['write']): Form {
  return { bytes, integer, read, write };
}

export const isNumeric = (type: DataTypeName): boolean => FORMS[type] !== undefined;

export type Fill = 'constant' | 'ramp' | 'random';

/**
 * The bytes of so many elements: `constant` all of them the value; `ramp` from the value upwards in steps of one; `random` whole numbers
 * from 0 up to the value, or others between minus the value and the value, the same for the same seed.
 * @throws RangeError for a type without numbers
 */
export function filled(type: DataTypeName, count: number, fill: Fill, value: number, seed: number): Uint8Array {
  const { bytes, integer, write } = formOf(type);
  const view = new DataView(new ArrayBuffer(count * bytes));
  const draw = lots(seed);
  const whole = (x: number): number => (integer ? Math.trunc(x) : x);
  for (let at = 0; at < count; at += 1) {
    const drawn =
      fill === 'random' ? (integer ? Math.floor(draw() * (Math.abs(value) + 1)) : (2 * draw() - 1) * value) : 0;
    write(view, at * bytes, whole(fill === 'random' ? drawn : fill === 'ramp' ? value + at : value));
  }
  return new Uint8Array(view.buffer);
}

/** All elements, as far as a double holds them. @throws RangeError for a type without numbers */
export function numbersOf(type: DataTypeName, data: Uint8Array): Float64Array {
  const { bytes, read } = formOf(type);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const numbers = new Float64Array(Math.floor(data.byteLength / bytes));
  for (let at = 0; at < numbers.length; at += 1) numbers[at] = read(view, at * bytes);
  return numbers;
}

export interface Statistics {
  readonly count: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly deviation: number;
  /** Elements that are no numbers; the rest is of the others. */
  readonly notNumbers: number;
}

export function statisticsOf(numbers: Float64Array): Statistics {
  let count = 0;
  let mean = 0;
  let squares = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (const value of numbers) {
    if (Number.isNaN(value)) continue;
    count += 1;
    // Welford's way: no large sums that cancel.
    const off = value - mean;
    mean += off / count;
    squares += off * (value - mean);
    if (value < min) min = value;
    if (value > max) max = value;
  }
  const none = count === 0;
  return {
    count: numbers.length,
    min: none ? Number.NaN : min,
    max: none ? Number.NaN : max,
    mean: none ? Number.NaN : mean,
    deviation: none ? Number.NaN : Math.sqrt(squares / count),
    notNumbers: numbers.length - count,
  };
}

/** The largest elements of the last row (along the last axis), largest first. */
export function topOf(
  numbers: Float64Array,
  shape: readonly number[],
  max: number,
): readonly { readonly index: number; readonly value: number }[] {
  const width = shape.at(-1) ?? 0;
  if (width < 2 || numbers.length < width) return [];
  return [...numbers.subarray(numbers.length - width)]
    .map((value, index) => ({ index, value }))
    .filter(({ value }) => !Number.isNaN(value))
    .sort((a, b) => b.value - a.value)
    .slice(0, max);
}

function formOf(type: DataTypeName): Form {
  const found = FORMS[type];
  if (found === undefined) throw new RangeError(`${type} has no numbers`);
  return found;
}

/** Mulberry32: 0 to 1, the same for the same seed. */
function lots(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const scratch = new DataView(new ArrayBuffer(4));

function bits(value: number): number {
  scratch.setFloat32(0, value);
  return scratch.getUint32(0);
}

function fromBits(value: number): number {
  scratch.setUint32(0, value >>> 0);
  return scratch.getFloat32(0);
}

/** IEEE 754 binary16; what is too large becomes infinite. */
function toHalf(value: number): number {
  const sign = (bits(value) >>> 16) & 0x8000;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (size >= 65_520) return sign | 0x7c00;
  if (size < 2 ** -14) return sign | Math.round(size * 2 ** 24);
  const exponent = Math.floor(Math.log2(size));
  return sign | (((exponent + 15) << 10) + Math.round((size / 2 ** exponent - 1) * 1_024));
}

function fromHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1_024);
}
