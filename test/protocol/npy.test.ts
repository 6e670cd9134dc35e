import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isNpy, isNpyType, readNpy, writeNpy } from '../../protocol/npy.ts';
import {
  byteLength,
  DataType,
  type DataTypeName,
  packStrings,
  type Tensor,
  unpackStrings,
} from '../../protocol/tensor.ts';
import { runs } from '../support/property.ts';

/** A file with this header text and data, whatever they say. */
function file(dict: string, data: Uint8Array = new Uint8Array(0), version = 1): Uint8Array {
  const text = new TextEncoder().encode(dict);
  const length = new Uint8Array(version === 1 ? 2 : 4);
  const view = new DataView(length.buffer);
  if (version === 1) view.setUint16(0, text.byteLength, true);
  else view.setUint32(0, text.byteLength, true);
  return new Uint8Array([0x93, ...new TextEncoder().encode('NUMPY'), version, 0, ...length, ...text, ...data]);
}

const dict = (descr: string, shape: string, fortran = 'False') =>
  `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }\n`;

const expressible = (Object.keys(DataType) as DataTypeName[]).filter(
  (type) => !/^(bfloat16|float8|u?int4|float4|string)/.test(type),
);

describe('readNpy', () => {
  it.each([1, 2, 3])('reads version %d', (version) => {
    const data = new Uint8Array([0, 0, 128, 63, 0, 0, 0, 64]);
    expect(readNpy(file(dict('<f4', '(1, 2)'), data, version))).toEqual({ type: 'float32', dims: [1, 2], data });
  });

  it.each([
    ['()', [], 1],
    ['(3,)', [3], 3],
    ['( 2 , 2 )', [2, 2], 4],
    ['(2L, 1L)', [2, 1], 2],
    ['(0, 5)', [0, 5], 0],
  ])('reads the shape %s', (shape, dims, count) => {
    expect(readNpy(file(dict('|u1', shape), new Uint8Array(count))).dims).toEqual(dims);
  });

  it('takes Fortran order where it is the same as C order', () => {
    const data = new Uint8Array(3);
    expect(readNpy(file(dict('|i1', '(1, 3)', 'True'), data)).dims).toEqual([1, 3]);
    expect(() => readNpy(file(dict('|i1', '(3, 1, 2)', 'True'), new Uint8Array(6)))).toThrow('Fortran order');
  });

  it('reads texts of fixed length', () => {
    const utf32 = new Uint8Array(new Uint32Array([0x48, 0x69, 0, 0x1f600, 0, 0]).buffer);
    const texts = readNpy(file(dict('<U3', '(2,)'), utf32));
    expect(unpackStrings(texts.data, 2)).toEqual(['Hi', '😀']);
    const bytes = readNpy(file(dict('|S2', '(2,)'), new Uint8Array([0x48, 0x69, 0x61, 0])));
    expect(unpackStrings(bytes.data, 2)).toEqual(['Hi', 'a']);
  });

  it.each<[string, Uint8Array]>([
    ['no .npy file', new Uint8Array(20)],
    ['an empty file', new Uint8Array(0)],
    ['a header that is cut', file(dict('<f4', '(1,)')).subarray(0, 30)],
    ['a header longer than the file', new Uint8Array([0x93, 78, 85, 77, 80, 89, 2, 0, 255, 255, 0, 0, 123])],
    ['a header of 4 GiB', new Uint8Array([0x93, 78, 85, 77, 80, 89, 2, 0, 255, 255, 255, 255, 123])],
    ['a version of the future', file(dict('<f4', '(1,)'), new Uint8Array(4), 9)],
    ['big-endian numbers', file(dict('>f4', '(1,)'), new Uint8Array(4))],
    ['Python objects', file(dict('|O', '(1,)'), new Uint8Array(8))],
    ['records', file("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", new Uint8Array(4))],
    ['a type that is none', file(dict('<f3', '(1,)'), new Uint8Array(3))],
    ['a type by a name of Object', file(dict('|constructor', '(1,)'))],
    ['too few bytes', file(dict('<f4', '(2,)'), new Uint8Array(7))],
    ['too many bytes', file(dict('<f4', '(2,)'), new Uint8Array(9))],
    ['a shape that overflows', file(dict('<f4', '(9007199254740991, 9007199254740991)'))],
    ['a shape beyond all memory', file(dict('|u1', '(1099511627776,)'))],
    ['a shape of nothing times everything', file(dict('|u1', '(0, 9007199254740991, 9007199254740991)'))],
    ['a negative shape', file(dict('|u1', '(-1,)'))],
    ['a rank above the bound', file(dict('|u1', `(${'1, '.repeat(17)})`), new Uint8Array(1))],
    ['texts without length, a billion of them', file(dict('<U0', '(1000000000,)'))],
    ['texts that are no characters', file(dict('<U1', '(1,)'), new Uint8Array([255, 255, 255, 255]))],
    ['bytes that are no UTF-8', file(dict('|S1', '(1,)'), new Uint8Array([255]))],
    [
      'an entry twice',
      file("{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (), }", new Uint8Array(1)),
    ],
    ['an entry missing', file("{'descr': '|u1', 'shape': (), }", new Uint8Array(1))],
    ['an entry more', file("{'descr': '|u1', 'fortran_order': False, 'shape': (), 'x': '', }", new Uint8Array(1))],
    ['something behind the entries', file(`${dict('|u1', '()').trimEnd()} print(1)\n`, new Uint8Array(1))],
    ['a shape that is text', file("{'descr': '|u1', 'fortran_order': False, 'shape': '()', }", new Uint8Array(1))],
  ])('refuses %s', (_what, bytes) => {
    expect(() => readNpy(bytes)).toThrow(expect.objectContaining({ code: 'tensor_invalid' }));
  });

  it('never does anything but read or refuse, whatever bytes come', () => {
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(fc.string({ maxLength: 120 }), fc.uint8Array({ maxLength: 40 })).map(([text, data]) => file(text, data)),
      fc
        .tuple(
          fc.constantFrom('<f4', '|b1', '<U2', '|S3', '<c16'),
          fc.string({ unit: fc.constantFrom(...'(0123, L)'), maxLength: 30 }),
        )
        .map(([descr, shape]) => file(dict(descr, shape), new Uint8Array(24))),
    );
    fc.assert(
      fc.property(hostile, (bytes) => {
        try {
          const { type, dims, data } = readNpy(bytes);
          if (type !== 'string') expect(data.byteLength).toBe(byteLength(type, dims));
        } catch (error) {
          expect(error).toMatchObject({ code: 'tensor_invalid' });
        }
      }),
      runs(2_000),
    );
  });
});

describe('writeNpy', () => {
  it('gives back what was read, for every type that NumPy has', () => {
    const tensor = fc
      .tuple(fc.constantFrom(...expressible), fc.array(fc.nat(4), { maxLength: 4 }))
      .chain(([type, dims]) => {
        const bytes = byteLength(type, dims) ?? 0;
        return fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((data): Tensor => ({ type, dims, data }));
      });
    fc.assert(
      fc.property(tensor, (value) => {
        const bytes = writeNpy(value);
        expect(isNpy(bytes)).toBe(true);
        expect(bytes.byteLength % 64).toBe(value.data.byteLength % 64);
        expect(readNpy(bytes)).toEqual(value);
      }),
      runs(300),
    );
  });

  it('gives texts back, but for zeros at their end', () => {
    const texts = fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 5 });
    fc.assert(
      fc.property(texts, (values) => {
        const written = writeNpy({ type: 'string', dims: [values.length], data: packStrings(values) });
        const { data } = readNpy(written);
        expect(unpackStrings(data, values.length)).toEqual(values.map((text) => text.replace(/\0+$/, '')));
      }),
      runs(200),
    );
  });

  it.each(['bfloat16', 'float8e5m2', 'int4'] as const)('refuses %s, which NumPy has not', (type) => {
    expect(() => writeNpy({ type, dims: [2], data: new Uint8Array(4) })).toThrow(`NumPy has no type for ${type}`);
  });

  it('refuses texts of which one would make all others long', () => {
    const values = ['x'.repeat(100_000), ...Array<string>(1_000).fill('')];
    const tensor: Tensor = { type: 'string', dims: [values.length], data: packStrings(values) };
    expect(() => writeNpy(tensor)).toThrow('differ too much in length');
  });
});

const numpy = spawnSync('python3', ['-c', 'import numpy']).status === 0;

describe.skipIf(!numpy)('NumPy itself', () => {
  it('reads what is written, and writes what is read', () => {
    const code =
      'import sys, io, numpy\n' +
      'a = numpy.load(io.BytesIO(sys.stdin.buffer.read()))\n' +
      'out = io.BytesIO(); numpy.save(out, a * 2); sys.stdout.buffer.write(out.getvalue())';
    const data = new Uint8Array(new Float32Array([1, 2.5, -3]).buffer);
    const { stdout } = spawnSync('python3', ['-c', code], { input: writeNpy({ type: 'float32', dims: [3, 1], data }) });
    const doubled = readNpy(new Uint8Array(stdout));
    expect(doubled).toMatchObject({ type: 'float32', dims: [3, 1] });
    expect([...new Float32Array(new Uint8Array(doubled.data).buffer)]).toEqual([2, 5, -6]);
  });
});

it('names the types that NumPy has', () => {
  expect((['float32', 'bool', 'int4', 'bfloat16', 'string'] as const).map(isNpyType)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});
