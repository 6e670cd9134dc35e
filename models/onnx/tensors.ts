// Small tensors of an ONNX graph as numbers, and new ones made of numbers.
import { create } from '@bufbuild/protobuf';
import {
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './messages/onnx_pb.js';

/** Elements that are looked at as numbers: shapes, axes, scales and masks are far smaller, weights larger. */
const VALUES_MAX = 16 << 10;

/** A float32 tensor. */
export function floatTensor(name: string, dims: readonly number[], values: Iterable<number>): TensorProto {
  return rawTensor(name, DataType.FLOAT, dims, Float32Array.from(values));
}

/** An int64 tensor; the values are safe integers. */
export function int64Tensor(name: string, dims: readonly number[], values: readonly number[]): TensorProto {
  return rawTensor(name, DataType.INT64, dims, BigInt64Array.from(values, BigInt));
}

/** A tensor with these bytes, little-endian as they are on every machine that Node runs on. */
export function rawTensor(
  name: string,
  dataType: DataType,
  dims: readonly number[],
  values: NodeJS.TypedArray,
): TensorProto {
  const rawData = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return create(TensorProtoSchema, { name, dataType, dims: dims.map(BigInt), rawData });
}

/** An input or output: a number for a fixed dimension, a name for one that a run decides. */
export function valueInfo(name: string, dataType: DataType, dims: readonly (number | string)[]): ValueInfoProto {
  const dim = dims.map((size) => ({
    value:
      typeof size === 'number'
        ? { case: 'dimValue' as const, value: BigInt(size) }
        : { case: 'dimParam' as const, value: size },
  }));
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: 'tensorType', value: { elemType: dataType, shape: { dim } } } },
  });
}

/**
 * The values of a small tensor that lies in the graph; whole numbers beyond 2^53 lose their last digits.
 * @returns undefined for one whose bytes lie elsewhere, that is too large, malformed or of another type than numbers
 */
export function tensorValues(tensor: TensorProto): readonly number[] | undefined {
  const count = tensor.dims.reduce((product, dim) => product * Number(dim), 1);
  if (tensor.dataLocation === DataLocation.EXTERNAL || !(count >= 0 && count <= VALUES_MAX)) return undefined;
  const values = tensor.rawData.byteLength > 0 ? rawValues(tensor) : listedValues(tensor);
  return values?.length === count ? values : undefined;
}

function rawValues({ dataType, rawData }: TensorProto): readonly number[] | undefined {
  const view = new DataView(rawData.buffer, rawData.byteOffset, rawData.byteLength);
  const each = (size: number, read: (offset: number) => number): number[] | undefined =>
    view.byteLength % size === 0
      ? Array.from({ length: view.byteLength / size }, (_, index) => read(index * size))
      : undefined;
  switch (dataType) {
    case DataType.FLOAT:
      return each(4, (offset) => view.getFloat32(offset, true));
    case DataType.DOUBLE:
      return each(8, (offset) => view.getFloat64(offset, true));
    case DataType.FLOAT16:
      return each(2, (offset) => float16(view.getUint16(offset, true)));
    case DataType.BFLOAT16:
      return each(2, (offset) => bfloat16(view.getUint16(offset, true)));
    case DataType.INT64:
      return each(8, (offset) => Number(view.getBigInt64(offset, true)));
    case DataType.INT32:
      return each(4, (offset) => view.getInt32(offset, true));
    case DataType.INT8:
      return each(1, (offset) => view.getInt8(offset));
    case DataType.UINT8:
    case DataType.BOOL:
      return each(1, (offset) => view.getUint8(offset));
    default:
      return undefined;
  }
}

function listedValues(tensor: TensorProto): readonly number[] | undefined {
  switch (tensor.dataType) {
    case DataType.FLOAT:
      return tensor.floatData;
    case DataType.DOUBLE:
      return tensor.doubleData;
    case DataType.FLOAT16:
      return tensor.int32Data.map(float16);
    case DataType.BFLOAT16:
      return tensor.int32Data.map(bfloat16);
    case DataType.INT64:
      return tensor.int64Data.map(Number);
    case DataType.INT32:
    case DataType.INT8:
    case DataType.UINT8:
    case DataType.BOOL:
      return tensor.int32Data;
    default:
      return undefined;
  }
}

/** IEEE 754 binary16. */
export function float16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The upper half of a float32. */
const bfloat16 = (bits: number): number => new Float32Array(Uint32Array.of(bits << 16).buffer)[0] as number;
