// When parts count as giving what the whole gives.
import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { disagreement, rounds } from '../../../../models/onnx/cost/agreement.ts';
import { GraphProtoSchema } from '../../../../models/onnx/messages/onnx_pb.js';
import { type DataTypeName, type ElementArray, type NamedTensor, tensorOf } from '../../../../protocol/tensor.ts';

const STRICT = { relative: 1e-4, absolute: 1e-6 };
const tensor = (array: ElementArray, type: DataTypeName = 'float32', dims = [array.length]): NamedTensor =>
  tensorOf('y', type, dims, array);
const said = (whole: NamedTensor, part: NamedTensor, tolerance = STRICT) =>
  disagreement([whole], new Map([[part.name, part]]), tolerance);
const float = (...values: number[]) => tensor(Float32Array.from(values));

describe('disagreement', () => {
  it('lets floats differ by a ten-thousandth of the largest', () => {
    expect(said(float(100, 0, -1), float(100.009, 0.009, -1))).toBeUndefined();
    expect(said(float(100, 0, -1), float(100, 0.02, -1))).toContain('other values');
  });

  it('takes what is nearly nothing for nothing', () => {
    expect(said(float(1e-30, 0), float(0, 1e-31))).toBeUndefined();
    expect(said(float(0, 0), float(0, 1e-3))).toContain('other values');
  });

  it('wants infinities and what is no number where they were', () => {
    expect(
      said(float(Number.NaN, 1, Number.NEGATIVE_INFINITY), float(Number.NaN, 1, Number.NEGATIVE_INFINITY)),
    ).toBeUndefined();
    expect(said(float(Number.NaN, 1), float(0, 1))).toContain('other values');
    expect(said(float(0, 1), float(Number.POSITIVE_INFINITY, 1))).toContain('other values');
    expect(said(float(Number.POSITIVE_INFINITY), float(Number.NEGATIVE_INFINITY))).toContain('other values');
  });

  it('compares half floats as what they stand for', () => {
    const half = (...bits: number[]) => tensor(Uint16Array.from(bits), 'float16');
    expect(said(half(0x3c00, 0x7c00), half(0x3c00, 0x7c00))).toBeUndefined();
    expect(said(half(0x3c00), half(0x4000))).toContain('other values');
    // The least step beside one is a thousandth.
    expect(said(half(0x3c00), half(0x3c01), { relative: 2e-3, absolute: 0 })).toBeUndefined();
  });

  it.each([
    ['int64', BigInt64Array.of(1n, 2n), BigInt64Array.of(1n, 3n)],
    ['uint8', Uint8Array.of(1, 2), Uint8Array.of(1, 3)],
    ['bool', Uint8Array.of(1, 0), Uint8Array.of(1, 1)],
  ] as const)('wants %s to be equal', (type, whole, other) => {
    expect(said(tensor(whole, type), tensor(whole, type))).toBeUndefined();
    expect(said(tensor(whole, type), tensor(other, type), { relative: 9, absolute: 9 })).toContain('other values');
  });

  it('names what is missing, or of another shape or type', () => {
    expect(disagreement([float(1)], new Map(), STRICT)).toContain('missing');
    expect(said(float(1, 2), tensor(Float32Array.of(1, 2), 'float32', [2, 1]))).toContain('shape');
    expect(said(float(1), tensor(Int32Array.of(1), 'int32'))).toContain('shape');
  });

  it('is lenient with graphs that round, and only with them', () => {
    const whole = float(1, 1, 1, 1);
    const part = float(1.05, 0.95, 1.05, 0.95);
    expect(said(whole, part)).toContain('other values');
    expect(said(whole, part, { ...STRICT, rounded: 0.1 } as typeof STRICT)).toBeUndefined();
    expect(said(whole, float(2, 1, 1, 1), { ...STRICT, rounded: 0.1 } as typeof STRICT)).toContain('other values');
  });
});

describe('rounds', () => {
  const graph = (...ops: string[]) => create(GraphProtoSchema, { node: ops.map((opType) => ({ opType })) });

  it.each(['QuantizeLinear', 'DynamicQuantizeLinear', 'DynamicQuantizeMatMul', 'MatMulNBits', 'QLinearConv'])(
    'sees %s',
    (op) => {
      expect(rounds(graph('Relu', op))).toBe(true);
    },
  );

  it('sees them in graphs within nodes', () => {
    const inner = { opType: 'If', attribute: [{ name: 'then_branch', g: graph('QuantizeLinear') }] };
    expect(rounds(create(GraphProtoSchema, { node: [inner] }))).toBe(true);
  });

  it('does not mind weights in whole numbers', () => {
    expect(rounds(graph('DequantizeLinear', 'MatMul'))).toBe(false);
  });
});
