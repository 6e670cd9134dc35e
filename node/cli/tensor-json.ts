// Tensors as nested arrays of JSON, and back: what people type, and what they read. Pure; for `weft infer`.
import { WeftError } from '../../protocol/errors.ts';
import { TENSOR_RANK_MAX } from '../../protocol/limits.ts';
import {
  byteLength,
  DataType,
  type DataTypeName,
  elementCount,
  elements,
  packStrings,
  type Tensor,
  unpackStrings,
} from '../../protocol/tensor.ts';

/** An element as JSON has it; whole numbers that a double can't hold come as bigint. */
type Element = number | bigint | boolean | string;

/** Least and largest value of each type of whole numbers. */
const RANGES: Readonly<Partial<Record<DataTypeName, readonly [bigint, bigint]>>> = {
  int8: [-(2n ** 7n), 2n ** 7n - 1n],
  int16: [-(2n ** 15n), 2n ** 15n - 1n],
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint8: [0n, 2n ** 8n - 1n],
  uint16: [0n, 2n ** 16n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
};

/**
 * The tensor of a JSON text: nested arrays, or an object `{ "dtype", "shape", "data" }` with the elements in one array.
 * @param type what the model's input takes; without it the elements decide: int64, float32, bool or string
 * @throws WeftError `tensor_invalid` for anything else, and for elements that the type doesn't hold
 */
export function parseTensor(text: string, type: DataTypeName | undefined): Tensor {
  const value = parseExactly(text);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const { dtype = type, shape, data } = value as { dtype?: unknown; shape?: unknown; data?: unknown };
    if (dtype !== undefined && !isType(dtype)) throw invalid(`${JSON.stringify(dtype)} is no element type.`);
    const { dims, flat } = flatten(data);
    if (shape === undefined) return build(dims, flat, dtype);
    if (!isShape(shape)) throw invalid('The shape is no array of whole numbers.');
    if (elementCount(shape) !== flat.length) {
      throw invalid(`A shape of [${shape.join(', ')}] has ${elementCount(shape)} elements, and ${flat.length} came.`);
    }
    return build(shape, flat, dtype);
  }
  const { dims, flat } = flatten(value);
  return build(dims, flat, type);
}

/** The elements in nested arrays, as JSON text; NaN and infinities as strings, types that JSON can't hold as base64. */
export function formatTensor(tensor: Tensor): string {
  const texts = elementTexts(tensor);
  if (texts === undefined) {
    return JSON.stringify({
      dtype: tensor.type,
      shape: tensor.dims,
      base64: Buffer.from(tensor.data).toString('base64'),
    });
  }
  const dims = isComplex(tensor.type) ? [...tensor.dims, 2] : tensor.dims;
  let level = texts;
  for (const dim of dims.slice(1).toReversed()) level = grouped(level, dim);
  if (dims.length === 0) return level[0] ?? 'null';
  return elementCount(dims) === 0 ? emptyOf(dims) : `[${level.join(',')}]`;
}

const isType = (value: unknown): value is DataTypeName => typeof value === 'string' && Object.hasOwn(DataType, value);

const isShape = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((dim) => Number.isSafeInteger(dim) && dim >= 0);

const isComplex = (type: DataTypeName): boolean => type === 'complex64' || type === 'complex128';

/** JSON, with whole numbers past 2^53 as they were written. */
function parseExactly(text: string): unknown {
  try {
    if (!/\d{16}/.test(text)) return JSON.parse(text);
    const revive = (_key: string, value: unknown, context?: { readonly source?: string }) =>
      typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? '')
        ? BigInt(context?.source ?? 0)
        : value;
    return JSON.parse(text, revive);
  } catch (error) {
    throw new WeftError(
      { code: 'tensor_invalid', message: 'The tensor is not JSON.', remedy: 'Write arrays, such as [[1, 2], [3, 4]].' },
      { cause: error },
    );
  }
}

/** Shape and elements of nested arrays. @throws WeftError `tensor_invalid` for ragged ones, or those nested too deep */
function flatten(value: unknown): { dims: number[]; flat: Element[] } {
  const dims: number[] = [];
  for (let inner = value; Array.isArray(inner); inner = inner[0]) {
    if (dims.length === TENSOR_RANK_MAX) throw invalid(`Arrays are nested deeper than ${TENSOR_RANK_MAX} levels.`);
    dims.push(inner.length);
  }
  const flat: Element[] = [];
  const collect = (inner: unknown, depth: number): void => {
    const dim = dims[depth];
    if (dim === undefined) {
      if (!isElement(inner)) throw invalid('The elements are not all numbers, truth values or texts, equally deep.');
      flat.push(inner);
    } else if (!Array.isArray(inner) || inner.length !== dim) {
      throw invalid(`The arrays are ragged: at depth ${depth + 1} not all have ${dim} elements.`);
    } else {
      for (const element of inner) collect(element, depth + 1);
    }
  };
  collect(value, 0);
  return { dims, flat };
}

const isElement = (value: unknown): value is Element =>
  typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean' || typeof value === 'string';

function build(dims: readonly number[], flat: readonly Element[], asked: DataTypeName | undefined): Tensor {
  const type = asked ?? guess(flat);
  if (type === 'string') {
    return {
      type,
      dims,
      data: packStrings(flat.map((element) => (typeof element === 'string' ? element : String(element)))),
    };
  }
  const data = new Uint8Array(byteLength(type, dims) ?? 0);
  const view = new DataView(data.buffer);
  const write = writerOf(type, view);
  flat.forEach((element, at) => {
    write(at, element);
  });
  return { type, dims, data };
}

function guess(flat: readonly Element[]): DataTypeName {
  if (flat.length > 0 && flat.every((element) => typeof element === 'boolean')) return 'bool';
  if (flat.some((element) => typeof element === 'string')) return 'string';
  const whole = flat.every((element) => typeof element === 'bigint' || Number.isSafeInteger(element));
  return whole && flat.length > 0 ? 'int64' : 'float32';
}

/** @throws WeftError `tensor_invalid` for types that JSON has no elements for */
function writerOf(type: DataTypeName, view: DataView): (at: number, element: Element) => void {
  const float = (element: Element): number => toFloat(type, element);
  switch (type) {
    case 'float32':
      return (at, element) => view.setFloat32(at * 4, float(element), true);
    case 'float64':
      return (at, element) => view.setFloat64(at * 8, float(element), true);
    case 'float16':
      return (at, element) => view.setUint16(at * 2, halfBits(float(element)), true);
    case 'bfloat16':
      return (at, element) => view.setUint16(at * 2, brainBits(float(element)), true);
    case 'bool':
      return (at, element) => view.setUint8(at, toBool(element));
    case 'int8':
    case 'uint8':
      return (at, element) => view.setUint8(at, Number(toWhole(type, element) & 0xffn));
    case 'int16':
    case 'uint16':
      return (at, element) => view.setUint16(at * 2, Number(toWhole(type, element) & 0xffffn), true);
    case 'int32':
    case 'uint32':
      return (at, element) => view.setUint32(at * 4, Number(toWhole(type, element) & 0xffffffffn), true);
    case 'int64':
    case 'uint64':
      return (at, element) => view.setBigUint64(at * 8, BigInt.asUintN(64, toWhole(type, element)), true);
    default:
      throw invalid(`JSON has no elements of ${type}.`, 'Send the input as a .npy file, or through the API in base64.');
  }
}

const SPECIAL: ReadonlyMap<string, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

function toFloat(type: DataTypeName, element: Element): number {
  if (typeof element === 'number') return element;
  if (typeof element === 'bigint') return Number(element);
  const special = typeof element === 'string' ? SPECIAL.get(element) : undefined;
  if (special === undefined) throw invalid(`${JSON.stringify(element)} is no ${type}.`);
  return special;
}

function toBool(element: Element): number {
  if (element === true || element === 1) return 1;
  if (element === false || element === 0) return 0;
  throw invalid(`${typeof element === 'bigint' ? element : JSON.stringify(element)} is no bool.`);
}

function toWhole(type: DataTypeName, element: Element): bigint {
  const [min, max] = RANGES[type] ?? [0n, 0n];
  const whole =
    typeof element === 'bigint'
      ? element
      : typeof element === 'number' && Number.isInteger(element)
        ? BigInt(element)
        : undefined;
  if (whole === undefined || whole < min || whole > max) {
    throw invalid(`${typeof element === 'bigint' ? element : JSON.stringify(element)} is no ${type}.`);
  }
  return whole;
}

/** JSON text of each element; undefined for types that JSON can't hold. */
function elementTexts(tensor: Tensor): string[] | undefined {
  const { type, dims, data } = tensor;
  if (type === 'string') return unpackStrings(data, elementCount(dims)).map((text) => JSON.stringify(text));
  if (type === 'bool') return Array.from(data, (byte) => String(byte !== 0));
  if (type === 'int8') return Array.from(new Int8Array(data.buffer, data.byteOffset, data.byteLength), String);
  if (type === 'float16') return Array.from(elements(tensor) as Uint16Array, (bits) => floatText(fromHalf(bits)));
  if (type === 'bfloat16') return Array.from(elements(tensor) as Uint16Array, (bits) => floatText(fromBrain(bits)));
  if (type === 'float32' || type === 'complex64') return Array.from(elements(tensor) as Float32Array, singleText);
  if (type === 'float64' || type === 'complex128') return Array.from(elements(tensor) as Float64Array, floatText);
  return RANGES[type] === undefined ? undefined : Array.from(elements(tensor) as Int32Array, String);
}

const floatText = (value: number): string => (Number.isFinite(value) ? JSON.stringify(value) : `"${value}"`);

/** The fewest digits that give the same single-precision number: 0.1, not 0.10000000149011612. */
function singleText(value: number): string {
  if (!Number.isFinite(value)) return `"${value}"`;
  for (let digits = 6; digits < 9; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return JSON.stringify(short);
  }
  return JSON.stringify(Number(value.toPrecision(9)));
}

function grouped(texts: readonly string[], size: number): string[] {
  if (size === 0) return [];
  return Array.from(
    { length: texts.length / size },
    (_, at) => `[${texts.slice(at * size, (at + 1) * size).join(',')}]`,
  );
}

/** Nested arrays down to the axis that has no elements. */
function emptyOf(dims: readonly number[]): string {
  const empty = dims.indexOf(0);
  const outer = dims.slice(0, empty);
  // A shape such as [1000000, 0] is written as far as it is small.
  if (outer.reduce((product, dim) => product * dim, 1) > 1_024) return '[]';
  return outer.reduceRight((inner, dim) => `[${Array(dim).fill(inner).join(',')}]`, '[]');
}

const scratch = new DataView(new ArrayBuffer(8));

/** Bits of the nearest half-precision number, ties to even (IEEE 754 binary16). */
function halfBits(value: number): number {
  scratch.setFloat64(0, value);
  const high = scratch.getUint32(0);
  const sign = (high >>> 16) & 0x8000;
  if (Number.isNaN(value)) return sign | 0x7e00;
  const size = Math.abs(value);
  if (size >= 65_520) return sign | 0x7c00;
  // Below 2^-14 the step is 2^-24; above, a 1024th of the power of two.
  const exponent = Math.max(((high >>> 20) & 0x7ff) - 1023, -14);
  const steps = roundEven(size / 2 ** (exponent - 10));
  // Normal numbers have 1024 to 2048 steps: a carry into the next power of two comes out right by itself.
  return sign | (steps + (exponent + 14) * 1_024);
}

function roundEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1_024 + fraction) * 2 ** (exponent - 25));
}

/** The upper half of a single-precision number, rounded to even. */
function brainBits(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  if (Number.isNaN(value)) return 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

function fromBrain(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

function invalid(message: string, remedy?: string): WeftError {
  return new WeftError({ code: 'tensor_invalid', message, ...(remedy === undefined ? {} : { remedy }) });
}
