// How the elements of each type are written into a tensor's bytes and read from them, where they have a form in JSON.
// Used by tensor-json.ts.
/// <reference lib="esnext.float16" />
import type { DataTypeName } from '../../protocol/tensor.ts';

/** How the elements of a type are written as JSON, and read. */
export interface ElementForm {
  /** Elements in JSON for each of the tensor's. */
  readonly perElement: 1 | 2;
  readonly write: (view: DataView, index: number, value: number | bigint) => void;
  readonly read: (view: DataView, index: number) => number | bigint;
  /** Whole numbers have bounds; others are floats. */
  readonly min?: bigint;
  readonly max?: bigint;
}

const LITTLE_ENDIAN = true;

const whole = (bits: number, signed: boolean): { readonly min: bigint; readonly max: bigint } => ({
  min: signed ? -(1n << BigInt(bits - 1)) : 0n,
  max: (1n << BigInt(signed ? bits - 1 : bits)) - 1n,
});

const FLOAT32: ElementForm = {
  perElement: 1,
  write: (view, index, value) => view.setFloat32(index * 4, Number(value), LITTLE_ENDIAN),
  read: (view, index) => view.getFloat32(index * 4, LITTLE_ENDIAN),
};

const FLOAT64: ElementForm = {
  perElement: 1,
  write: (view, index, value) => view.setFloat64(index * 8, Number(value), LITTLE_ENDIAN),
  read: (view, index) => view.getFloat64(index * 8, LITTLE_ENDIAN),
};

/** Two to a byte, the low half first. */
const nibbles = (signed: boolean): ElementForm => ({
  perElement: 1,
  ...whole(4, signed),
  write: (view, index, value) => {
    const at = index >> 1;
    const shift = (index & 1) * 4;
    view.setUint8(at, view.getUint8(at) | ((Number(value) & 0xf) << shift));
  },
  read: (view, index) => {
    const nibble = (view.getUint8(index >> 1) >> ((index & 1) * 4)) & 0xf;
    return signed && nibble > 7 ? nibble - 16 : nibble;
  },
});

/** Types that have a form in JSON; strings and booleans have forms of their own, the others come as base64 only. */
export const ELEMENT_FORMS: Partial<Record<DataTypeName, ElementForm>> = {
  float32: FLOAT32,
  float64: FLOAT64,
  complex64: { ...FLOAT32, perElement: 2 },
  complex128: { ...FLOAT64, perElement: 2 },
  float16: {
    perElement: 1,
    write: (view, index, value) => view.setFloat16(index * 2, Number(value), LITTLE_ENDIAN),
    read: (view, index) => view.getFloat16(index * 2, LITTLE_ENDIAN),
  },
  bfloat16: {
    perElement: 1,
    write: (view, index, value) => view.setUint16(index * 2, bfloat16Bits(Number(value)), LITTLE_ENDIAN),
    read: (view, index) => floatOfBits(view.getUint16(index * 2, LITTLE_ENDIAN) << 16),
  },
  int8: {
    perElement: 1,
    ...whole(8, true),
    write: (view, index, value) => view.setInt8(index, Number(value)),
    read: (view, index) => view.getInt8(index),
  },
  uint8: {
    perElement: 1,
    ...whole(8, false),
    write: (view, index, value) => view.setUint8(index, Number(value)),
    read: (view, index) => view.getUint8(index),
  },
  int16: {
    perElement: 1,
    ...whole(16, true),
    write: (view, index, value) => view.setInt16(index * 2, Number(value), LITTLE_ENDIAN),
    read: (view, index) => view.getInt16(index * 2, LITTLE_ENDIAN),
  },
  uint16: {
    perElement: 1,
    ...whole(16, false),
    write: (view, index, value) => view.setUint16(index * 2, Number(value), LITTLE_ENDIAN),
    read: (view, index) => view.getUint16(index * 2, LITTLE_ENDIAN),
  },
  int32: {
    perElement: 1,
    ...whole(32, true),
    write: (view, index, value) => view.setInt32(index * 4, Number(value), LITTLE_ENDIAN),
    read: (view, index) => view.getInt32(index * 4, LITTLE_ENDIAN),
  },
  uint32: {
    perElement: 1,
    ...whole(32, false),
    write: (view, index, value) => view.setUint32(index * 4, Number(value), LITTLE_ENDIAN),
    read: (view, index) => view.getUint32(index * 4, LITTLE_ENDIAN),
  },
  int64: {
    perElement: 1,
    ...whole(64, true),
    write: (view, index, value) => view.setBigInt64(index * 8, BigInt(value), LITTLE_ENDIAN),
    read: (view, index) => view.getBigInt64(index * 8, LITTLE_ENDIAN),
  },
  uint64: {
    perElement: 1,
    ...whole(64, false),
    write: (view, index, value) => view.setBigUint64(index * 8, BigInt(value), LITTLE_ENDIAN),
    read: (view, index) => view.getBigUint64(index * 8, LITTLE_ENDIAN),
  },
  int4: nibbles(true),
  uint4: nibbles(false),
};

const BITS = new DataView(new ArrayBuffer(4));

function floatOfBits(bits: number): number {
  BITS.setInt32(0, bits);
  return BITS.getFloat32(0);
}

/** The upper half of a float32, rounded to the nearest, ties to even. */
function bfloat16Bits(value: number): number {
  BITS.setFloat32(0, value);
  const bits = BITS.getUint32(0);
  if (Number.isNaN(value)) return 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}
