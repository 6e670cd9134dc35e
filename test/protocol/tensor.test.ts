import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MESSAGE_BYTES_MAX, TENSOR_RANK_MAX } from '../../protocol/limits.ts';
import {
  byteLength,
  checkTensor,
  DataType,
  type DataTypeName,
  dataTypeName,
  elementCount,
  elements,
  float32Elements,
  int32Elements,
  type NamedTensor,
  packStrings,
  tensorNamed,
  tensorOf,
  unpackStrings,
} from '../../protocol/tensor.ts';
import { runs } from '../support/property.ts';

/** onnx.proto: TensorProto.DataType, and the bits of an element. */
const ONNX: readonly (readonly [number, DataTypeName, number])[] = [
  [1, 'float32', 32],
  [2, 'uint8', 8],
  [3, 'int8', 8],
  [4, 'uint16', 16],
  [5, 'int16', 16],
  [6, 'int32', 32],
  [7, 'int64', 64],
  [8, 'string', 0],
  [9, 'bool', 8],
  [10, 'float16', 16],
  [11, 'float64', 64],
  [12, 'uint32', 32],
  [13, 'uint64', 64],
  [14, 'complex64', 64],
  [15, 'complex128', 128],
  [16, 'bfloat16', 16],
  [17, 'float8e4m3fn', 8],
  [18, 'float8e4m3fnuz', 8],
  [19, 'float8e5m2', 8],
  [20, 'float8e5m2fnuz', 8],
  [21, 'uint4', 4],
  [22, 'int4', 4],
  [23, 'float4e2m1', 4],
];

const invalid = expect.objectContaining({ name: 'WeftError', code: 'tensor_invalid' });
const named = (type: DataTypeName, dims: readonly number[], data: Uint8Array): NamedTensor => ({
  name: 'x',
  type,
  dims,
  data,
});

describe('element types', () => {
  it.each(ONNX)('%i is %s with %i bits', (id, name, bits) => {
    expect(DataType[name]).toBe(id);
    expect(dataTypeName(id)).toBe(name);
    expect(byteLength(name, [3, 8])).toBe(bits === 0 ? undefined : 3 * bits);
  });

  it('knows no others', () => {
    expect(Object.keys(DataType)).toHaveLength(ONNX.length);
    for (const id of [0, 24, -1, 0.5, 2 ** 32]) expect(() => dataTypeName(id)).toThrow(invalid);
  });
});

describe('elementCount', () => {
  it.each([
    [[], 1],
    [[7], 7],
    [[2, 3, 4], 24],
    [[0], 0],
    [[5, 0, 9], 0],
  ])('of %j is %i', (dims, count) => {
    expect(elementCount(dims)).toBe(count);
  });

  it.each([
    ['a negative dimension', [2, -1]],
    ['a fraction', [1.5]],
    ['not a number', [Number.NaN]],
    ['infinity', [Number.POSITIVE_INFINITY]],
    ['a dimension beyond 2^53', [2 ** 53]],
    ['a product beyond 2^53', [2 ** 30, 2 ** 30]],
    ['a product beyond 2^53 beside a zero', [0, 2 ** 30, 2 ** 30]],
    ['a product beyond 2^53 before a zero', [2 ** 30, 2 ** 30, 0]],
    ['a rank above the limit', new Array<number>(TENSOR_RANK_MAX + 1).fill(1)],
  ])('refuses %s', (_what, dims) => {
    expect(() => elementCount(dims)).toThrow(invalid);
  });
});

describe('byteLength', () => {
  it.each(['uint4', 'int4', 'float4e2m1'] as const)('rounds %s up to whole bytes', (type) => {
    expect(byteLength(type, [1])).toBe(1);
    expect(byteLength(type, [2])).toBe(1);
    expect(byteLength(type, [3, 3])).toBe(5);
    expect(byteLength(type, [0])).toBe(0);
  });

  it.each(ONNX.filter(([, name]) => name !== 'string'))('refuses 2^31 elements (%i, %s)', (_id, name) => {
    expect(() => byteLength(name, [2 ** 31])).toThrow(invalid);
    expect(() => byteLength(name, [2 ** 16, 2 ** 15])).toThrow(invalid);
  });

  it('takes a tensor at the limit and refuses one element more', () => {
    expect(byteLength('uint8', [MESSAGE_BYTES_MAX])).toBe(MESSAGE_BYTES_MAX);
    expect(() => byteLength('uint8', [MESSAGE_BYTES_MAX + 1])).toThrow(invalid);
    expect(byteLength('float32', [4], 16)).toBe(16);
    expect(() => byteLength('float32', [5], 16)).toThrow(invalid);
  });
});

describe('checkTensor', () => {
  it.each(ONNX.filter(([, name]) => name !== 'string'))(
    'takes the right bytes and no others (%i, %s)',
    (_id, name, bits) => {
      const bytes = Math.ceil((3 * bits) / 8);
      checkTensor(named(name, [3], new Uint8Array(bytes)));
      expect(() => checkTensor(named(name, [3], new Uint8Array(bytes + 1)))).toThrow(invalid);
      expect(() => checkTensor(named(name, [3], new Uint8Array(bytes - 1)))).toThrow(invalid);
    },
  );

  it('looks into strings', () => {
    const data = packStrings(['a', 'bc']);
    checkTensor(named('string', [2], data));
    expect(() => checkTensor(named('string', [3], data))).toThrow(invalid);
    expect(() => checkTensor(named('string', [1], data))).toThrow(invalid);
  });
});

describe('elements', () => {
  it('are a view where the bytes are aligned', () => {
    const data = new Uint8Array(16);
    const view = elements({ type: 'float32', dims: [2], data: data.subarray(8) }) as Float32Array;
    view[1] = 1;
    expect(data[15]).toBe(0x3f);
    expect(view).toHaveLength(2);
  });

  it('are a copy where they are not', () => {
    const bytes = new Uint8Array(9);
    bytes.set(new Uint8Array(new Float32Array([1.5, -2]).buffer), 1);
    for (const data of [bytes.subarray(1), Buffer.from(bytes.buffer, 1, 8)]) {
      const copy = elements({ type: 'float32', dims: [2], data });
      expect([...copy]).toEqual([1.5, -2]);
      expect(copy.buffer).not.toBe(bytes.buffer);
    }
  });

  it.each([
    ['float32', Float32Array],
    ['uint8', Uint8Array],
    ['int8', Int8Array],
    ['uint16', Uint16Array],
    ['int16', Int16Array],
    ['int32', Int32Array],
    ['int64', BigInt64Array],
    ['string', Uint8Array],
    ['bool', Uint8Array],
    ['float16', Uint16Array],
    ['float64', Float64Array],
    ['uint32', Uint32Array],
    ['uint64', BigUint64Array],
    ['complex64', Float32Array],
    ['complex128', Float64Array],
    ['bfloat16', Uint16Array],
    ['float8e5m2', Uint8Array],
    ['int4', Uint8Array],
  ] as const)('of %s come as the right array', (type, expected) => {
    expect(elements({ type, dims: [], data: new Uint8Array(16) })).toBeInstanceOf(expected);
  });

  it('of the wrong type are refused', () => {
    const ids = tensorOf('ids', 'int32', [2], new Int32Array([1, 2]));
    expect([...int32Elements(ids)]).toEqual([1, 2]);
    expect(() => float32Elements(ids)).toThrow(invalid);
    expect(() => int32Elements(tensorOf('ids', 'int64', [1], new BigInt64Array(1)))).toThrow(invalid);
  });
});

describe('tensorNamed', () => {
  it('finds by name alone', () => {
    const tensors = [named('uint8', [0], new Uint8Array(0))];
    expect(tensorNamed(tensors, 'x')).toBe(tensors[0]);
    for (const name of ['y', '__proto__', 'constructor', '0', 'length']) {
      expect(() => tensorNamed(tensors, name)).toThrow(invalid);
    }
  });
});

describe('strings', () => {
  it('round-trip', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (strings) => {
        const data = packStrings(strings);
        expect(unpackStrings(data, strings.length)).toEqual(strings);
        // Also from the middle of a buffer, aligned to nothing.
        const shifted = new Uint8Array(data.byteLength + 3);
        shifted.set(data, 3);
        expect(unpackStrings(shifted.subarray(3), strings.length)).toEqual(strings);
      }),
      runs(50),
    );
  });

  it('keep a byte order mark', () => {
    expect(unpackStrings(packStrings(['\ufeffa']), 1)).toEqual(['\ufeffa']);
  });

  it.each([
    ['a count that the bytes cannot hold', [0, 0, 0, 0], 2],
    ['a length beyond the bytes', [5, 0, 0, 0, 97], 1],
    ['a length near 2^32', [255, 255, 255, 255, 97, 97, 97, 97], 1],
    ['a missing length field', [3, 0, 0, 0, 97, 97, 97, 1], 2],
    ['bytes behind the last string', [1, 0, 0, 0, 97, 98], 1],
    ['bytes where there should be none', [1], 0],
    ['bytes that are not UTF-8', [2, 0, 0, 0, 0xc3, 0x28], 1],
    ['half a character', [1, 0, 0, 0, 0xe2], 1],
  ])('refuse %s', (_what, bytes, count) => {
    expect(() => unpackStrings(new Uint8Array(bytes), count)).toThrow(invalid);
  });

  it('refuse 2^31 elements at once', () => {
    const began = performance.now();
    expect(() => checkTensor(named('string', [2 ** 31], new Uint8Array(64)))).toThrow(invalid);
    expect(performance.now() - began).toBeLessThan(500);
  });
});
