import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import {
  TensorProto_DataType as DataType,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
} from '../../../../models/onnx/messages/onnx_pb.js';
import { weightBytes, weightRanges } from '../../../../models/onnx/partition/weights.ts';
import { floatTensor } from '../../../../models/onnx/tensors.ts';
import { modelOf, node } from './graphs.ts';

const external = (name: string, dims: readonly number[], entries: Readonly<Record<string, string | number>>) =>
  create(TensorProtoSchema, {
    name,
    dataType: DataType.FLOAT,
    dims: dims.map(BigInt),
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: Object.entries(entries).map(([key, value]) => ({ key, value: String(value) })),
  });

const withWeights = (weights: TensorProto[], ...values: TensorProto[]) =>
  modelOf({
    inputs: { x: 1 },
    weights,
    nodes: [node('Neg', ['x'], ['y']), ...values.map((value, index) => node('Constant', [], [`c${index}`], { value }))],
    outputs: ['y'],
  });

describe('where weights lie', () => {
  it('is each byte once, in order, neighbours joined', () => {
    const model = withWeights(
      [
        external('tied', [4], { location: 'b', offset: 100, length: 16 }),
        external('behind', [4], { location: 'b', offset: 116, length: 16 }),
        external('same', [2], { location: 'b', offset: 100, length: 8 }),
        external('apart', [1], { location: 'b', offset: 8, length: 4 }),
        external('whole file', [3], { location: 'a' }),
        external('empty', [0], { location: 'c', offset: 4, length: 0 }),
        floatTensor('inside', [3], [1, 2, 3]),
      ],
      external('', [1], { location: 'b', offset: 132, length: 4 }),
    );
    expect(weightRanges(model)).toEqual([
      { location: 'a', offset: 0, length: 12 },
      { location: 'b', offset: 8, length: 4 },
      { location: 'b', offset: 100, length: 36 },
    ]);
    expect(weightBytes(model)).toBe(12 + 4 + 36 + 12);
  });

  it('counts the weights of branches', () => {
    const branch = withWeights([floatTensor('inner', [5], [1, 2, 3, 4, 5])]).graph;
    const model = modelOf({
      inputs: { x: 1 },
      nodes: [node('If', ['x'], ['y'], { then_branch: branch as NonNullable<typeof branch> })],
      outputs: ['y'],
    });
    expect(weightBytes(model)).toBe(20);
  });

  it.each([
    ['no file', { offset: 4, length: 4 }],
    ['a negative offset', { location: 'a', offset: -4, length: 4 }],
    ['no number', { location: 'a', offset: 'four', length: 4 }],
    ['more than there are', { location: 'a', offset: 2 ** 52, length: 2 ** 53 }],
  ])('is refused for %s', (_what, entries) => {
    expect(() => weightRanges(withWeights([external('w', [1], entries)]))).toThrow(
      expect.objectContaining({ code: 'model_corrupt' }),
    );
  });

  it('is refused for shapes that none has', () => {
    const model = withWeights([external('w', [-1], { location: 'a' })]);
    expect(() => weightRanges(model)).toThrow(expect.objectContaining({ code: 'model_corrupt' }));
  });
});
