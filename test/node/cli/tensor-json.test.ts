import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatTensor, parseTensor } from '../../../node/cli/tensor-json.ts';
import { byteLength, type DataTypeName, elements, packStrings, type Tensor } from '../../../protocol/tensor.ts';
import { runs } from '../../support/property.ts';

const values = (tensor: Tensor) => [...(elements(tensor) as Iterable<number | bigint>)];

describe('parseTensor', () => {
  it('takes the type that the model asks for', () => {
    const tensor = parseTensor('[[1, 2, 3], [4, 5, 6]]', 'int64');
    expect(tensor).toMatchObject({ type: 'int64', dims: [2, 3] });
    expect(values(tensor)).toEqual([1n, 2n, 3n, 4n, 5n, 6n]);
  });

  it.each<[string, DataTypeName, readonly number[]]>([
    ['[1, 2]', 'int64', [2]],
    ['[1, 2.5]', 'float32', [2]],
    ['[[true, false]]', 'bool', [1, 2]],
    ['["a", "b"]', 'string', [2]],
    ['7', 'int64', []],
    ['[]', 'float32', [0]],
    ['[[], []]', 'float32', [2, 0]],
  ])('sees in %s a tensor of %s', (text, type, dims) => {
    expect(parseTensor(text, undefined)).toMatchObject({ type, dims });
  });

  it('takes type and shape from an object', () => {
    const tensor = parseTensor('{"dtype": "int32", "shape": [2, 1], "data": [7, -8]}', 'int64');
    expect(tensor).toMatchObject({ type: 'int32', dims: [2, 1] });
    expect(values(tensor)).toEqual([7, -8]);
  });

  it('keeps whole numbers that no double holds', () => {
    expect(values(parseTensor('[9007199254740993, -9223372036854775808]', 'int64'))).toEqual([
      9_007_199_254_740_993n,
      -(2n ** 63n),
    ]);
    expect(values(parseTensor('[18446744073709551615]', 'uint64'))).toEqual([2n ** 64n - 1n]);
  });

  it('knows NaN and the infinities by their names', () => {
    expect(values(parseTensor('["NaN", "Infinity", "-Infinity", 0.5]', 'float32'))).toEqual([
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      0.5,
    ]);
  });

  it.each<[string, DataTypeName | undefined]>([
    ['[1, 2', undefined],
    ['[[1, 2], [3]]', undefined],
    ['[[1], 2]', undefined],
    ['[1, [2]]', undefined],
    ['[null]', undefined],
    ['[{}]', undefined],
    ['[1.5]', 'int64'],
    ['[256]', 'uint8'],
    ['[-1]', 'uint32'],
    ['[9223372036854775808]', 'int64'],
    ['["1"]', 'float32'],
    ['["toString"]', 'float32'],
    ['[2]', 'bool'],
    ['[1]', 'float8e5m2'],
    ['{"dtype": "float33", "data": [1]}', undefined],
    ['{"dtype": "constructor", "data": [1]}', undefined],
    ['{"shape": [3], "data": [1]}', undefined],
    ['{"shape": [-1], "data": [1]}', undefined],
    ['{"shape": [1e400], "data": [1]}', undefined],
    [`${'['.repeat(17)}1${']'.repeat(17)}`, undefined],
    [`${'['.repeat(200_000)}${']'.repeat(200_000)}`, undefined],
  ])('refuses what is no tensor, case %#', (text, type) => {
    expect(() => parseTensor(text, type)).toThrow(expect.objectContaining({ code: 'tensor_invalid' }));
  });

  it.each<[DataTypeName, string, readonly number[]]>([
    [
      'float16',
      '[0, 1, -2, 65504, 6e-8, 0.1, 65519, 65520, 1e-9, -0.0]',
      [0, 0x3c00, 0xc000, 0x7bff, 1, 0x2e66, 0x7bff, 0x7c00, 0, 0x8000],
    ],
    ['bfloat16', '[0, 1, -2, 3.140625, 1.00390625, 1.01171875]', [0, 0x3f80, 0xc000, 0x4049, 0x3f80, 0x3f82]],
  ])('rounds %s to the nearest, ties to even', (type, text, bits) => {
    expect(values(parseTensor(text, type))).toEqual(bits);
  });
});

describe('formatTensor', () => {
  const tensor = (type: DataTypeName, dims: readonly number[], array: ArrayBufferView): Tensor => ({
    type,
    dims,
    data: new Uint8Array(array.buffer, array.byteOffset, array.byteLength),
  });

  it.each<[string, Tensor]>([
    ['[[1,2],[3,4]]', tensor('int32', [2, 2], new Int32Array([1, 2, 3, 4]))],
    ['[0.1,-0.3,1e+30]', tensor('float32', [3], new Float32Array([0.1, -0.3, 1e30]))],
    ['7', tensor('int8', [], new Int8Array([7]))],
    ['[-1]', tensor('int8', [1], new Int8Array([-1]))],
    ['[true,false]', tensor('bool', [2], new Uint8Array([1, 0]))],
    ['[9007199254740993]', tensor('int64', [1], new BigInt64Array([9_007_199_254_740_993n]))],
    ['["NaN","-Infinity"]', tensor('float64', [2], new Float64Array([Number.NaN, Number.NEGATIVE_INFINITY]))],
    ['[1,0.5,"Infinity"]', tensor('float16', [3], new Uint16Array([0x3c00, 0x3800, 0x7c00]))],
    ['[1,-2]', tensor('bfloat16', [2], new Uint16Array([0x3f80, 0xc000]))],
    ['[[1,2],[3,4]]', tensor('complex64', [2], new Float32Array([1, 2, 3, 4]))],
    ['["a\\"b"]', { type: 'string', dims: [1], data: packStrings(['a"b']) }],
    ['[[],[]]', tensor('float32', [2, 0], new Float32Array(0))],
    ['[]', tensor('float32', [0, 2], new Float32Array(0))],
    ['[]', tensor('float32', [5_000_000, 0], new Float32Array(0))],
    ['{"dtype":"float8e5m2","shape":[1],"base64":"PA=="}', tensor('float8e5m2', [1], new Uint8Array([0x3c]))],
  ])('writes %s', (text, value) => {
    expect(formatTensor(value)).toBe(text);
  });

  it('is read back as the same bytes, for every type that JSON holds', () => {
    const types = [
      'float32',
      'float64',
      'float16',
      'bfloat16',
      'int8',
      'uint8',
      'int16',
      'uint16',
      'int32',
      'uint32',
      'int64',
      'uint64',
    ] as const;
    const any = fc
      .tuple(fc.constantFrom(...types), fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }))
      .chain(([type, dims]) => {
        const bytes = byteLength(type, dims) ?? 0;
        return fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((data): Tensor => ({ type, dims, data }));
      });
    fc.assert(
      fc.property(any, (value) => {
        const read = parseTensor(formatTensor(value), value.type);
        expect(read.dims).toEqual(value.dims);
        // Any NaN may stand for any other.
        expect(formatTensor(read)).toBe(formatTensor(value));
        if (!value.type.includes('float')) expect(read.data).toEqual(value.data);
      }),
      runs(500),
    );
  });
});
