// Tensors as they cross processes: an ONNX element type, dimensions, and raw little-endian bytes.
// Views are zero-copy where alignment allows it. Shape × type is checked before anything is allocated.
import { WeftError } from './errors.ts';
import { MESSAGE_BYTES_MAX, TENSOR_RANK_MAX } from './limits.ts';

/** Element types with the numbers of `onnx.TensorProto.DataType`. */
export const DataType = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  complex64: 14,
  complex128: 15,
  bfloat16: 16,
  float8e4m3fn: 17,
  float8e4m3fnuz: 18,
  float8e5m2: 19,
  float8e5m2fnuz: 20,
  uint4: 21,
  int4: 22,
  float4e2m1: 23,
} as const;
export type DataTypeName = keyof typeof DataType;

/** Bits per element; sub-byte types are packed two to a byte, low nibble first. Strings have none: see {@link packStrings}. */
const BITS: Readonly<Record<DataTypeName, number>> = {
  float32: 32,
  uint8: 8,
  int8: 8,
  uint16: 16,
  int16: 16,
  int32: 32,
  int64: 64,
  string: 0,
  bool: 8,
  float16: 16,
  float64: 64,
  uint32: 32,
  uint64: 64,
  complex64: 64,
  complex128: 128,
  bfloat16: 16,
  float8e4m3fn: 8,
  float8e4m3fnuz: 8,
  float8e5m2: 8,
  float8e5m2fnuz: 8,
  uint4: 4,
  int4: 4,
  float4e2m1: 4,
};

const NAMES: ReadonlyMap<number, DataTypeName> = new Map(
  Object.entries(DataType).map(([name, id]) => [id, name as DataTypeName]),
);

/** A tensor whose `data` holds exactly `byteLength(type, dims)` little-endian bytes (strings: see {@link packStrings}). */
export interface Tensor {
  readonly type: DataTypeName;
  readonly dims: readonly number[];
  readonly data: Uint8Array;
}

/** A tensor with the name of the graph's input or output that it belongs to. */
export interface NamedTensor extends Tensor {
  readonly name: string;
}

const invalid = (message: string): WeftError => new WeftError({ code: 'tensor_invalid', message });

/** Name of an ONNX type number. @throws WeftError `tensor_invalid` for an unknown one */
export function dataTypeName(id: number): DataTypeName {
  const name = NAMES.get(id);
  if (name === undefined) throw invalid(`Element type ${id} is not one of ONNX's.`);
  return name;
}

/**
 * Number of elements. A scalar (no dimensions) has one.
 * @throws WeftError `tensor_invalid` for a negative, fractional or overflowing shape
 */
export function elementCount(dims: readonly number[]): number {
  if (dims.length > TENSOR_RANK_MAX)
    throw invalid(`A rank of ${dims.length} is above the limit of ${TENSOR_RANK_MAX}.`);
  let count = 1;
  let empty = false;
  for (const dim of dims) {
    if (!Number.isSafeInteger(dim) || dim < 0) throw invalid(`Dimension ${dim} is not a whole number of 0 or more.`);
    if (dim === 0) empty = true;
    else count *= dim;
    // Also with a zero elsewhere: [0, 2^40, 2^40] is refused rather than taken for nothing.
    if (count > Number.MAX_SAFE_INTEGER) throw invalid(`A shape of [${dims.join(', ')}] overflows.`);
  }
  return empty ? 0 : count;
}

/**
 * Bytes of a tensor of this type and shape; `undefined` for strings, whose size the shape doesn't give.
 * @throws WeftError `tensor_invalid` when the shape is invalid or the size is above `max`
 */
export function byteLength(
  type: DataTypeName,
  dims: readonly number[],
  max: number = MESSAGE_BYTES_MAX,
): number | undefined {
  const count = elementCount(dims);
  if (type === 'string') return undefined;
  const bytes = Math.ceil((count * BITS[type]) / 8);
  if (bytes > max) throw invalid(`A ${type} tensor of [${dims.join(', ')}] has ${bytes} bytes; the limit is ${max}.`);
  return bytes;
}

/** Checks that the bytes fit the shape. @throws WeftError `tensor_invalid` */
export function checkTensor(tensor: Tensor): void {
  const expected = byteLength(tensor.type, tensor.dims);
  if (expected === undefined) {
    unpackStrings(tensor.data, elementCount(tensor.dims));
  } else if (tensor.data.byteLength !== expected) {
    throw invalid(
      `A ${tensor.type} tensor of [${tensor.dims.join(', ')}] needs ${expected} bytes, but ${tensor.data.byteLength} came.`,
    );
  }
}

/** The typed arrays that hold elements of 1, 2, 4 and 8 bytes. */
export type ElementArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

type ElementArrayConstructor = {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): ElementArray;
};

const ARRAYS: Partial<Record<DataTypeName, ElementArrayConstructor>> = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  complex64: Float32Array,
  complex128: Float64Array,
};

/**
 * The elements as a typed array, without a copy when the bytes are aligned to the element size, else of a copy.
 * 16-bit floats come as Uint16Array (their bits), complex numbers as pairs, one-byte, packed and string types as bytes.
 * Assumes a little-endian machine, as all of Weft's platforms are.
 */
export function elements(tensor: Tensor): ElementArray {
  const { data } = tensor;
  const Elements = ARRAYS[tensor.type];
  if (Elements === undefined) return data;
  const length = data.byteLength / Elements.BYTES_PER_ELEMENT;
  if (data.byteOffset % Elements.BYTES_PER_ELEMENT === 0) return new Elements(data.buffer, data.byteOffset, length);
  // Not data.slice(), which for a Buffer of Node's gives a view.
  return new Elements(new Uint8Array(data).buffer, 0, length);
}

function typed<T extends ElementArray>(tensor: NamedTensor, type: DataTypeName): T {
  if (tensor.type !== type) throw invalid(`"${tensor.name}" should be ${type}, but is ${tensor.type}.`);
  return elements(tensor) as T;
}

/** Elements of an int32 tensor. @throws WeftError `tensor_invalid` for another type */
export const int32Elements = (tensor: NamedTensor): Int32Array => typed<Int32Array>(tensor, 'int32');

/** Elements of a float32 tensor. @throws WeftError `tensor_invalid` for another type */
export const float32Elements = (tensor: NamedTensor): Float32Array => typed<Float32Array>(tensor, 'float32');

/** A tensor over the memory of a typed array, without a copy. */
export function tensorOf(name: string, type: DataTypeName, dims: readonly number[], array: ElementArray): NamedTensor {
  return { name, type, dims, data: new Uint8Array(array.buffer, array.byteOffset, array.byteLength) };
}

/** The tensor of that name. @throws WeftError `tensor_invalid` when it is missing */
export function tensorNamed(tensors: readonly NamedTensor[], name: string): NamedTensor {
  const tensor = tensors.find((candidate) => candidate.name === name);
  if (tensor === undefined) throw invalid(`The tensor "${name}" is missing.`);
  return tensor;
}

/** String elements as bytes: each its length as uint32 little-endian, then UTF-8. Lone surrogates become U+FFFD. */
export function packStrings(strings: readonly string[]): Uint8Array {
  const encoder = new TextEncoder();
  const parts = strings.map((text) => encoder.encode(text));
  const packed = new Uint8Array(parts.reduce((sum, part) => sum + 4 + part.byteLength, 0));
  const view = new DataView(packed.buffer);
  let offset = 0;
  for (const part of parts) {
    view.setUint32(offset, part.byteLength, true);
    packed.set(part, offset + 4);
    offset += 4 + part.byteLength;
  }
  return packed;
}

/** The strings of {@link packStrings}. @throws WeftError `tensor_invalid` when bytes and count disagree */
export function unpackStrings(data: Uint8Array, count: number): string[] {
  // Every element takes at least its length field, so the bytes bound the count before anything grows.
  if (count * 4 > data.byteLength) throw invalid(`${data.byteLength} bytes can't hold ${count} strings.`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const strings: string[] = [];
  let offset = 0;
  for (let index = 0; index < count; index++) {
    if (offset + 4 > data.byteLength) throw invalid(`String ${index} lies beyond the bytes that came.`);
    const length = view.getUint32(offset, true);
    offset += 4;
    if (offset + length > data.byteLength) throw invalid(`String ${index} is longer than the bytes that came.`);
    try {
      strings.push(decoder.decode(data.subarray(offset, offset + length)));
    } catch {
      throw invalid(`String ${index} is not UTF-8.`);
    }
    offset += length;
  }
  if (offset !== data.byteLength) throw invalid(`${data.byteLength - offset} bytes follow the last string.`);
  return strings;
}
