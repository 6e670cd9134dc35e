// Tensors as JSON: every element type there and back, and the lies that are refused.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasJsonForm, readTensor, writeElements } from '../../../node/gateway/tensor-json.ts';
import type { InferRequest } from '../../../protocol/api/control.ts';
import { byteLength, DataType, type DataTypeName, packStrings } from '../../../protocol/tensor.ts';
import { runs } from '../../support/property.ts';

type Data = InferRequest['inputs'][number]['data'];

const read = (dtype: DataTypeName, shape: number[], data: unknown) =>
  readTensor({ name: 'x', dtype, shape, data: data as Data }, 'inputs[0]');

const bytes = (dtype: DataTypeName, shape: number[], data: unknown): number[] => [...read(dtype, shape, data).data];

/** Elements in JSON for each type that has a form there, the extremes among them. */
const SAMPLES: Partial<Record<DataTypeName, readonly unknown[]>> = {
  float32: [0, 1.5, -3.4028234663852886e38, 2 ** -149, 'NaN', 'Infinity', '-Infinity'],
  float64: [0.1, Number.MAX_VALUE, -Number.MIN_VALUE, 'NaN', '-Infinity'],
  float16: [0, 65504, -0.5, 2 ** -24, 'Infinity', 'NaN'],
  bfloat16: [0, 1, -2.5, 3.3895313892515355e38, 'NaN', '-Infinity'],
  int8: [-128, 0, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
  int32: [-2147483648, 2147483647],
  uint32: [0, 4294967295],
  int64: ['-9223372036854775808', -9007199254740991, 0, '9223372036854775807'],
  uint64: [0, 9007199254740991, '9007199254740992', '18446744073709551615'],
  int4: [-8, -1, 7],
  uint4: [0, 15, 3],
  bool: [true, false, true],
  string: ['', 'wörld', '𝕏', 'a\u0000b'],
};

const WITH_PAIRS: readonly DataTypeName[] = ['complex64', 'complex128'];
const BYTES_ONLY: readonly DataTypeName[] = [
  'float8e4m3fn',
  'float8e4m3fnuz',
  'float8e5m2',
  'float8e5m2fnuz',
  'float4e2m1',
];

describe('elements', () => {
  it.each(Object.entries(SAMPLES) as [DataTypeName, unknown[]][])('of %s come back as they went', (dtype, values) => {
    const tensor = read(dtype, [values.length], values);
    expect([...writeElements(tensor)]).toEqual(values);
    // And the same by their bytes.
    if (dtype !== 'string') {
      expect(read(dtype, [values.length], Buffer.from(tensor.data).toString('base64'))).toEqual(tensor);
    }
  });

  it.each(WITH_PAIRS)('of %s are pairs', (dtype) => {
    const flat = read(dtype, [2], [1, -2, 3, 'NaN']);
    expect(
      read(
        dtype,
        [2],
        [
          [1, -2],
          [3, 'NaN'],
        ],
      ),
    ).toEqual(flat);
    expect([...writeElements(flat)]).toEqual([1, -2, 3, 'NaN']);
    expect(() => read(dtype, [2], [1, 2])).toThrow('4 elements');
  });

  it.each(BYTES_ONLY)('of %s have no form in JSON', (dtype) => {
    expect(hasJsonForm(dtype)).toBe(false);
    expect(() => read(dtype, [2], [1, 2])).toThrow('no form in JSON');
    expect(bytes(dtype, [2], Buffer.alloc(byteLength(dtype, [2]) ?? 0, 7).toString('base64'))).toContain(7);
  });

  it('of every type of ONNX are one of these', () => {
    const known = [...Object.keys(SAMPLES), ...WITH_PAIRS, ...BYTES_ONLY];
    expect(known.sort()).toEqual(Object.keys(DataType).sort());
  });

  it('stand little-endian in the bytes', () => {
    expect(bytes('int32', [2], [1, -1])).toEqual([1, 0, 0, 0, 255, 255, 255, 255]);
    expect(bytes('float16', [1], [1])).toEqual([0, 0x3c]);
    expect(bytes('int4', [3], [1, -1, 2])).toEqual([0xf1, 0x02]);
    expect(bytes('string', [1], ['a'])).toEqual([...packStrings(['a'])]);
  });

  it('of bfloat16 are rounded to the nearest, ties to even', () => {
    const [up, down, even, odd] = [1.00390625 + 2 ** -10, 1.00390625 - 2 ** -10, 1.00390625, 1.01171875];
    expect([...writeElements(read('bfloat16', [4], [up, down, even, odd]))]).toEqual([1.0078125, 1, 1, 1.015625]);
  });

  it('may be nested as the shape says, flat, or alone where there is no shape', () => {
    expect(
      bytes(
        'uint8',
        [2, 3],
        [
          [1, 2, 3],
          [4, 5, 6],
        ],
      ),
    ).toEqual([1, 2, 3, 4, 5, 6]);
    expect(bytes('uint8', [2, 3], [1, 2, 3, 4, 5, 6])).toEqual([1, 2, 3, 4, 5, 6]);
    expect(bytes('uint8', [], 7)).toEqual([7]);
    expect(bytes('uint8', [], [7])).toEqual([7]);
    expect(bytes('bool', [], true)).toEqual([1]);
    expect(read('string', [], 'abcd').data).toEqual(packStrings(['abcd']));
    expect(bytes('uint8', [0], [])).toEqual([]);
    expect(bytes('uint8', [2, 0], [[], []])).toEqual([]);
  });

  it('come back whatever they are and however they are nested', () => {
    const nest = (flat: readonly unknown[], dims: readonly number[]): unknown => {
      const [first = 1, ...rest] = dims;
      if (rest.length === 0) return flat;
      const size = flat.length / first;
      return Array.from({ length: first }, (_, index) => nest(flat.slice(index * size, (index + 1) * size), rest));
    };
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
        fc.infiniteStream(fc.integer({ min: -2147483648, max: 2147483647 })),
        (dims, numbers) => {
          const flat = [...numbers.take(dims.reduce((a, b) => a * b, 1))];
          const tensor = read('int32', dims, nest(flat, dims));
          expect(tensor).toEqual(read('int32', dims, flat));
          expect([...writeElements(tensor)]).toEqual(flat);
        },
      ),
      runs(100),
    );
  });
});

describe('a tensor that lies', () => {
  it.each<[string, DataTypeName, number[], unknown]>([
    ['too few elements', 'float32', [3], [1, 2]],
    ['too many elements', 'float32', [1], [1, 2]],
    ['too few bytes', 'float32', [2], Buffer.alloc(4).toString('base64')],
    ['too many bytes', 'float32', [1], Buffer.alloc(8).toString('base64')],
    ['no bytes', 'float32', [1], ''],
    ['an alien letter in base64', 'uint8', [3], 'AA*A'],
    ['a space in base64', 'uint8', [3], 'AA A'],
    ['base64 that is cut off', 'uint8', [1], 'AA'],
    ['bytes for strings', 'string', [1], 'AAAAAA=='],
    ['a shape of 2^53 elements', 'float32', [2 ** 27, 2 ** 26], [1]],
    ['a shape that overflows behind a zero', 'float32', [0, 2 ** 40, 2 ** 40], []],
    ['a gigabyte', 'float32', [1 << 28], [1]],
    ['arrays that are not nested as the shape', 'float32', [2, 2], [[1, 2, 3], [4]]],
    ['arrays within elements', 'float32', [2], [[1], [2]]],
    ['numbers among arrays', 'float32', [2, 1], [[1], 2]],
    ['a scalar for a vector', 'float32', [1], 1],
    ['a vector for a scalar', 'float32', [], [1, 2]],
    ['a number out of range', 'int8', [1], [128]],
    ['a negative one without a sign', 'uint32', [1], [-1]],
    ['a fraction', 'int32', [1], [1.5]],
    ['an integer that JSON rounds', 'int64', [1], [2 ** 53]],
    ['an integer beyond 64 bits', 'int64', [1], ['9223372036854775808']],
    ['a text that is no integer', 'int64', [1], ['0x10']],
    ['a text of a million digits', 'int64', [1], ['1'.repeat(1_000_000)]],
    ['a number that a float does not hold', 'float16', [1], [65_520]],
    ['a number that a float32 does not hold', 'float32', [1], [1e39]],
    ['an infinite number', 'float64', [1], [Number.POSITIVE_INFINITY]],
    ['a text for a number', 'float32', [1], ['1']],
    ['null', 'float32', [1], [null]],
    ['an object', 'int32', [1], [{}]],
    ['a number for a bool', 'bool', [1], [2]],
    ['a byte that is no bool', 'bool', [1], Buffer.of(2).toString('base64')],
    ['a number for a string', 'string', [1], [1]],
  ])('is refused, and named: %s', (_what, dtype, shape, data) => {
    expect(() => read(dtype, shape, data)).toThrow(
      expect.objectContaining({
        code: 'tensor_invalid',
        facts: { param: 'inputs[0]' },
        remedy: expect.stringMatching(/\S/),
      }),
    );
  });

  it('is never taken, whatever it is', () => {
    const dtypes = fc.constantFrom(...(Object.keys(DataType) as DataTypeName[]));
    const shapes = fc.array(fc.nat({ max: 5 }), { maxLength: 3 });
    fc.assert(
      fc.property(dtypes, shapes, fc.oneof(fc.string(), fc.array(fc.jsonValue())), (dtype, shape, data) => {
        let tensor: ReturnType<typeof read>;
        try {
          tensor = read(dtype, shape, data);
        } catch (error) {
          expect(error).toMatchObject({ code: 'tensor_invalid' });
          return;
        }
        const length = byteLength(dtype, shape);
        if (length !== undefined) expect(tensor.data.byteLength).toBe(length);
      }),
      runs(300),
    );
  });
});
