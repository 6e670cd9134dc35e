import { create } from '@bufbuild/protobuf';
import { InferenceSession, type Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import type { AttributeValue } from '../../../../models/onnx/attributes.ts';
import { GraphEditor } from '../../../../models/onnx/graph.ts';
import { Evaluator } from '../../../../models/onnx/kv-rewrite/values/evaluator.ts';
import {
  dense,
  elements,
  filled,
  shapeOnly,
  type Value,
  Work,
} from '../../../../models/onnx/kv-rewrite/values/value.ts';
import { TensorProto_DataType as DataType, ModelProtoSchema } from '../../../../models/onnx/messages/onnx_pb.js';
import { writeModel } from '../../../../models/onnx/model-file.ts';
import { rawTensor, valueInfo } from '../../../../models/onnx/tensors.ts';

interface Given {
  readonly type: DataType;
  readonly dims: readonly number[];
  readonly values: readonly number[];
}

const ints = (dims: readonly number[], ...values: number[]): Given => ({ type: DataType.INT64, dims, values });
const floats = (dims: readonly number[], ...values: number[]): Given => ({ type: DataType.FLOAT, dims, values });
const bools = (dims: readonly number[], ...values: number[]): Given => ({ type: DataType.BOOL, dims, values });
const list = (...values: number[]): Given => ints([values.length], ...values);
const count = (...dims: number[]): Given =>
  ints(dims, ...Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, index) => index));

function bytesOf({ type, values }: Given): NodeJS.TypedArray {
  if (type === DataType.INT64) return BigInt64Array.from(values, BigInt);
  return type === DataType.FLOAT ? Float32Array.from(values) : Uint8Array.from(values);
}

const emptyModel = () =>
  create(ModelProtoSchema, { irVersion: 9n, opsetImport: [{ domain: '', version: 18n }], graph: { name: 'g' } });

type Case = readonly [
  op: string,
  inputs: readonly (Given | undefined)[],
  attributes?: Readonly<Record<string, AttributeValue>>,
  outputs?: number,
];

const A = floats([2, 3], 1, -2, 3, 0.5, 5, -6);
const B = floats([3], 2, 4, -3);
const I = ints([2, 3], 7, -7, 9, 4, 5, -6);
const J = ints([3], 2, 3, -4);

const CASES: readonly Case[] = [
  ...['Add', 'Sub', 'Mul', 'Div', 'Min', 'Max', 'Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'].flatMap(
    (op): Case[] => [
      [op, [A, B]],
      [op, [I, J]],
    ],
  ),
  ...['Neg', 'Abs', 'Exp', 'Tanh', 'Sigmoid', 'Relu', 'Floor', 'Ceil', 'Sign', 'Cos', 'Sin', 'Reciprocal'].map(
    (op): Case => [op, [A]],
  ),
  ['Sqrt', [floats([2], 4, 2)]],
  ['Log', [floats([2], 4, 2)]],
  ['Pow', [A, floats([], 2)]],
  ['Mod', [I, J]],
  ['Mod', [A, B], { fmod: 1n }],
  ['Sum', [A, B, floats([2, 1], 10, 20)]],
  ['And', [bools([2, 1], 0, 1), bools([2], 1, 0)]],
  ['Or', [bools([2, 1], 0, 1), bools([2], 1, 0)]],
  ['Xor', [bools([2, 1], 0, 1), bools([2], 1, 0)]],
  ['Not', [bools([2], 0, 1)]],
  ['IsNaN', [floats([3], 1, Number.NaN, Number.POSITIVE_INFINITY)]],
  ['Where', [bools([2, 1], 1, 0), A, floats([], 9)]],
  ['Clip', [A, floats([], -1), floats([], 2)]],
  ['Clip', [A, undefined, floats([], 2)]],
  ['Cast', [A], { to: BigInt(DataType.INT64) }],
  ['Cast', [A], { to: BigInt(DataType.BOOL) }],
  ['Cast', [bools([2], 0, 1)], { to: BigInt(DataType.FLOAT) }],
  ['CastLike', [A, J]],
  ['Identity', [A]],
  ['Shape', [count(2, 3, 4)]],
  ['Shape', [count(2, 3, 4)], { start: 1n, end: -1n }],
  ['Size', [count(2, 3, 4)]],
  ['ConstantOfShape', [list(2, 3)]],
  ['ConstantOfShape', [list(2, 3)], { value: rawTensor('', DataType.INT64, [1], BigInt64Array.of(7n)) }],
  ['Range', [ints([], 3), ints([], 11), ints([], 2)]],
  ['Range', [ints([], 3), ints([], -4), ints([], -3)]],
  ['Reshape', [count(2, 3, 4), list(0, -1, 2)]],
  ['Reshape', [count(2, 3, 4), list(4, 6)]],
  ['Flatten', [count(2, 3, 4)], { axis: 2n }],
  ['Flatten', [count(2, 3, 4)], { axis: 0n }],
  ['Unsqueeze', [count(2, 3), list(0, -1)]],
  ['Squeeze', [count(1, 3, 1), list(-1)]],
  ['Squeeze', [count(1, 3, 1)]],
  ['Transpose', [count(2, 3, 4)], { perm: [2n, 0n, 1n] }],
  ['Transpose', [count(2, 3, 4)]],
  ['Expand', [count(3, 1), list(2, 1, 4)]],
  ['Tile', [count(2, 3), list(2, 3)]],
  ['Concat', [count(2, 3), count(2, 1), count(2, 2)], { axis: -1n }],
  ['Concat', [count(2, 3), count(1, 3)], { axis: 0n }],
  ['Slice', [count(4, 5), list(1), list(3)]],
  ['Slice', [count(4, 5), list(-3, 1), list(Number.MAX_SAFE_INTEGER, -1), list(1, 0), list(2, 1)]],
  ['Split', [count(2, 6), list(1, 2, 3)], { axis: 1n }, 3],
  ['Split', [count(5, 2)], { axis: 0n, num_outputs: 2n }, 2],
  ['Gather', [count(4, 3), ints([2, 2], 0, 3, -1, 1)]],
  ['Gather', [count(2, 4), ints([], 2)], { axis: 1n }],
  ['GatherND', [count(2, 3, 4), ints([2, 2], 0, 1, 1, -1)]],
  ['ScatterND', [count(3, 2), ints([2, 1], 2, 0), ints([2, 2], 50, 51, 52, 53)]],
  ['ScatterND', [count(3, 2), ints([2, 2], 2, 1, 0, 0), ints([2], 50, 51)]],
  ['Trilu', [count(3, 4)], { upper: 0n }],
  ['Trilu', [count(2, 3, 3), ints([], 1)]],
  ['CumSum', [count(3, 4), ints([], 1)]],
  ['CumSum', [count(3, 4), ints([], 0)]],
  ['ReduceSum', [count(2, 3, 4), list(1)], { keepdims: 0n }],
  ['ReduceSum', [count(2, 3)]],
  ['ReduceMax', [A, list(-1)]],
  ['ReduceMin', [A, list(0)], { keepdims: 0n }],
  ['ReduceProd', [J]],
];

/** What the runtime says, and what the evaluator does. */
async function both([op, inputs, attributes = {}, outputs = 1]: Case): Promise<
  readonly { readonly wanted: Tensor; readonly got: Value | undefined; readonly work: Work }[]
> {
  const editor = new GraphEditor(emptyModel());
  const names = inputs.map((given, index) => {
    if (given === undefined) return '';
    return editor.addInitializer(rawTensor(`input${index}`, given.type, given.dims, bytesOf(given)));
  });
  const outs = Array.from({ length: outputs }, (_, index) => `output${index}`);
  editor.addNode({ op, inputs: names, outputs: outs, attributes });
  const work = new Work();
  const evaluator = new Evaluator(editor, work, new Map());
  for (const name of outs) {
    const got = evaluator.value(name);
    const type = got?.type === 'int' ? DataType.INT64 : got?.type === 'bool' ? DataType.BOOL : DataType.FLOAT;
    editor.addOutput(
      valueInfo(
        name,
        type,
        (got?.dims ?? []).map((_, axis) => `d${axis}`),
      ),
    );
  }
  const session = await InferenceSession.create(writeModel(editor.finish()), { logSeverityLevel: 3 });
  const result = await session.run({});
  await session.release();
  return outs.map((name) => ({ wanted: result[name] as Tensor, got: evaluator.value(name), work }));
}

describe('the evaluator', () => {
  it.each(CASES.map((each, index) => [`${index}: ${each[0]}`, each] as const))(
    '%s is what the runtime says',
    async (_name, each) => {
      for (const { wanted, got, work } of await both(each)) {
        expect(got?.dims).toEqual([...wanted.dims]);
        const values = got && elements(work, got);
        const numbers = Array.from(wanted.data as ArrayLike<number | bigint | boolean>, Number);
        for (const [index, value] of numbers.entries()) expect(values?.[index]).toBeCloseTo(value, 5);
      }
    },
  );

  const evaluate = (write: (editor: GraphEditor) => string, given: ReadonlyMap<string, Value>): Value | undefined => {
    const editor = new GraphEditor(emptyModel());
    const name = write(editor);
    return new Evaluator(editor, new Work(), given).value(name);
  };

  it('keeps what repeats itself once', () => {
    const given = new Map([['mask', filled('float', [1, 64, 1, 1 << 20], 1)]]);
    const value = evaluate((editor) => {
      const [one, two] = [editor.apply('Neg', ['mask']), editor.apply('Abs', ['mask'])];
      return editor.apply('Add', [one, two]);
    }, given);
    expect(value?.dims).toEqual([1, 64, 1, 1 << 20]);
    expect(value?.data).toEqual(Float64Array.of(0));
  });

  it('knows the shape of what has no value', () => {
    const given = new Map([['x', shapeOnly('float', [2, 5, 8]) as Value]]);
    const value = evaluate((editor) => {
      editor.addInitializer(rawTensor('w', DataType.FLOAT, [8, 6], new Float32Array(48)));
      const product = editor.apply('MatMul', ['x', 'w']);
      return editor.apply('Shape', [editor.apply('Transpose', [product], { perm: [2n, 0n, 1n] })]);
    }, given);
    expect([...(value?.data ?? [])]).toEqual([6, 2, 5]);
  });

  it('computes what depends on a changed tensor anew, and nothing else', () => {
    const editor = new GraphEditor(emptyModel());
    const other = editor.apply('Neg', ['y']);
    const changed = editor.apply('Neg', ['x']);
    const sum = editor.apply('Add', [changed, other]);
    const scalar = (value: number): Value => dense('int', [], Float64Array.of(value));
    const evaluator = new Evaluator(
      editor,
      new Work(),
      new Map([
        ['x', scalar(1)],
        ['y', scalar(10)],
      ]),
    );
    expect(evaluator.value(sum)?.data?.[0]).toBe(-11);
    const dependents = new Set([sum]);
    expect(evaluator.with(changed, scalar(5), dependents).value(sum)?.data?.[0]).toBe(-5);
    expect(evaluator.with(changed, scalar(6), dependents).value(sum)?.data?.[0]).toBe(-4);
    expect(evaluator.value(sum)?.data?.[0]).toBe(-11);
  });

  it('says nothing of circles, unknown operators and shapes that are none', () => {
    const circle = (editor: GraphEditor): string => {
      editor.addNode({ op: 'Neg', inputs: ['b'], outputs: ['a'] });
      editor.addNode({ op: 'Neg', inputs: ['a'], outputs: ['b'] });
      return 'a';
    };
    expect(evaluate(circle, new Map())).toBeUndefined();
    const given = new Map([['x', filled('int', [2], -5)]]);
    for (const op of ['NoSuchOperator', 'ConstantOfShape', 'Range', 'Trilu', 'If']) {
      expect(evaluate((editor) => editor.apply(op, ['x']), given)).toBeUndefined();
    }
  });

  it('gives up where it takes too much', () => {
    const given = new Map([['x', dense('int', [2], Float64Array.of(1e6, 1e6))]]);
    const write = (editor: GraphEditor): string => {
      const large = editor.apply('ConstantOfShape', ['x']);
      return editor.apply('Concat', [large, large], { axis: 0n });
    };
    expect(() => evaluate(write, given)).toThrow(/takes too much/);
  });
});
