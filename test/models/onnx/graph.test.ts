import { create } from '@bufbuild/protobuf';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import {
  attribute,
  attributeOf,
  floatAttribute,
  intAttribute,
  intsAttribute,
  stringAttribute,
} from '../../../models/onnx/attributes.ts';
import { GraphEditor } from '../../../models/onnx/graph.ts';
import {
  TensorProto_DataType as DataType,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
} from '../../../models/onnx/messages/onnx_pb.js';
import { writeModel } from '../../../models/onnx/model-file.ts';
import { floatTensor, int64Tensor, rawTensor, tensorValues, valueInfo } from '../../../models/onnx/tensors.ts';

const corrupt = (text: string) =>
  expect.objectContaining({ code: 'model_corrupt', message: expect.stringContaining(text) });

const emptyModel = (version = 17n) =>
  create(ModelProtoSchema, { irVersion: 8n, opsetImport: [{ domain: '', version }], graph: { name: 'g' } });

/** y = relu(x · w) + b, with a branch that captures the product, and a node that nobody needs. */
function sample() {
  const editor = new GraphEditor(emptyModel());
  editor.addInput(valueInfo('x', DataType.FLOAT, ['n', 2]));
  editor.addInput(valueInfo('flag', DataType.BOOL, []));
  editor.addInitializer(floatTensor('w', [2, 2], [1, 2, 3, 4]));
  editor.addInitializer(floatTensor('b', [2], [10, 20]));
  editor.addInitializer(floatTensor('unused', [1], [0]));
  editor.addNode({ op: 'MatMul', inputs: ['x', 'w'], outputs: ['product'] });
  editor.addNode({ op: 'Relu', inputs: ['product'], outputs: ['positive'] });
  editor.addNode({ op: 'Exp', inputs: ['product'], outputs: ['nobody'] });
  const branch = (name: string, op: string) => {
    const inner = new GraphEditor(create(ModelProtoSchema, { graph: { name } }));
    inner.addNode({ op, inputs: ['product'], outputs: [name] });
    inner.addOutput(valueInfo(name, DataType.FLOAT, ['n', 2]));
    return inner.graph;
  };
  editor.addNode({
    op: 'If',
    inputs: ['flag'],
    outputs: ['chosen'],
    attributes: { then_branch: branch('negated', 'Neg'), else_branch: branch('weft_rooted_0', 'Abs') },
  });
  editor.addNode({ op: 'Sum', inputs: ['positive', 'b', 'chosen'], outputs: ['y'] });
  editor.addOutput(valueInfo('y', DataType.FLOAT, ['n', 2]));
  return editor;
}

const node = (editor: GraphEditor, tensor: string) => {
  const found = editor.producer(tensor);
  if (found === undefined) throw new Error(`nothing gives ${tensor}`);
  return found;
};

async function answer(editor: GraphEditor, flag = true): Promise<number[]> {
  const session = await InferenceSession.create(writeModel(editor.finish()));
  const results = await session.run({
    x: new Tensor('float32', [1, -1], [1, 2]),
    ...(editor.isInput('flag') && { flag: new Tensor('bool', [flag], []) }),
  });
  await session.release();
  return [...((results.y as Tensor).data as Float32Array)];
}

describe('looking at a graph', () => {
  it('tells who gives and who uses a tensor, subgraphs included', () => {
    const editor = sample();
    expect(node(editor, 'positive').opType).toBe('Relu');
    expect(editor.producer('x')).toBeUndefined();
    expect(editor.consumers('product').map(({ opType }) => opType)).toEqual(['Relu', 'Exp', 'If']);
    expect(editor.consumers('nothing')).toEqual([]);
    expect([editor.isInput('x'), editor.isInput('w'), editor.isOutput('y'), editor.isOutput('x')]).toEqual([
      true,
      false,
      true,
      false,
    ]);
    expect(editor.initializer('w')?.dims).toEqual([2n, 2n]);
  });

  it('gives the values of small constants, wherever they stand', () => {
    const editor = sample();
    editor.addInitializer(int64Tensor('shape', [3], [0, -1, 64]));
    const tensor = editor.apply('Constant', [], { value: floatTensor('', [2], [0.5, -2]) });
    expect(editor.constant('shape')).toEqual([0, -1, 64]);
    expect(editor.constant(tensor)).toEqual([0.5, -2]);
    expect(editor.constant(editor.apply('Constant', [], { value_ints: [1n, 2n] }))).toEqual([1, 2]);
    expect(editor.constant(editor.apply('Constant', [], { value_int: -7n }))).toEqual([-7]);
    expect(editor.constant(editor.apply('Constant', [], { value_float: 0.25 }))).toEqual([0.25]);
    expect(editor.constant('product')).toBeUndefined();
    expect(editor.constant('x')).toBeUndefined();
  });

  it.each([
    [
      'float16',
      rawTensor('', DataType.FLOAT16, [4], Uint16Array.of(0x3c00, 0xc000, 0x0001, 0xfc00)),
      [1, -2, 2 ** -24, -Infinity],
    ],
    ['bfloat16', rawTensor('', DataType.BFLOAT16, [2], Uint16Array.of(0x3f80, 0xc040)), [1, -3]],
    ['float64', rawTensor('', DataType.DOUBLE, [1], Float64Array.of(0.1)), [0.1]],
    ['int32', rawTensor('', DataType.INT32, [2], Int32Array.of(-5, 6)), [-5, 6]],
    ['bool', rawTensor('', DataType.BOOL, [2], Uint8Array.of(1, 0)), [1, 0]],
    ['int8', rawTensor('', DataType.INT8, [1], Int8Array.of(-3)), [-3]],
    [
      'a listed int64',
      create(TensorProtoSchema, { dataType: DataType.INT64, dims: [2n], int64Data: [4n, -5n] }),
      [4, -5],
    ],
    ['listed float16', create(TensorProtoSchema, { dataType: DataType.FLOAT16, dims: [], int32Data: [0x4200] }), [3]],
    ['no elements', int64Tensor('', [0], []), []],
    ['too few bytes', rawTensor('', DataType.FLOAT, [3], new Float32Array(2)), undefined],
    ['half a number', rawTensor('', DataType.INT64, [1], new Uint8Array(9)), undefined],
    ['a negative dimension', create(TensorProtoSchema, { dataType: DataType.FLOAT, dims: [-1n] }), undefined],
    ['a large one', floatTensor('', [200, 200], new Float32Array(40_000)), undefined],
    [
      'texts',
      create(TensorProtoSchema, { dataType: DataType.STRING, dims: [1n], stringData: [Buffer.from('a')] }),
      undefined,
    ],
  ])('reads a tensor of %s', (_what, tensor, values) => {
    expect(tensorValues(tensor)).toEqual(values);
  });

  it('reads attributes by type, with defaults', () => {
    const attributes = { i: 3n, f: 1.0, s: 'NOTSET', list: [1n, -1n], empty: [], floats: [0.5], texts: ['a'] };
    const made = create(NodeProtoSchema, {
      opType: 'Test',
      attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
    });
    expect(intAttribute(made, 'i', 0)).toBe(3);
    expect(intAttribute(made, 'absent', 9)).toBe(9);
    expect(floatAttribute(made, 'f', 0)).toBe(1);
    expect(floatAttribute(made, 'absent', undefined)).toBeUndefined();
    expect(stringAttribute(made, 's', '')).toBe('NOTSET');
    expect(intsAttribute(made, 'list', [])).toEqual([1, -1]);
    expect(intsAttribute(made, 'empty', undefined)).toEqual([]);
    expect(attributeOf(made, 'floats')?.floats).toEqual([0.5]);
    expect(attributeOf(made, 'texts')?.strings.map(String)).toEqual(['a']);
    expect(() => intAttribute(made, 'f', 0)).toThrow(corrupt('wrong type'));
  });
});

describe('editing a graph', () => {
  it('takes away what no output needs, and keeps the rest as it was', async () => {
    const editor = sample();
    editor.graph.valueInfo = ['nobody', 'positive'].map((name) => valueInfo(name, DataType.FLOAT, ['n', 2]));
    expect(await answer(editor)).toEqual([10 + 2, 20 + 2]);
    expect(editor.nodes.map(({ opType }) => opType)).toEqual(['MatMul', 'Relu', 'If', 'Sum']);
    expect(editor.graph.initializer.map(({ name }) => name)).toEqual(['w', 'b']);
    expect(editor.graph.valueInfo.map(({ name }) => name)).toEqual(['positive']);
    expect(editor.consumers('product').map(({ opType }) => opType)).toEqual(['Relu', 'If']);
    expect(editor.producer('nobody')).toBeUndefined();
  });

  it('replaces every use of a tensor, also from within subgraphs', async () => {
    const editor = sample();
    const shifted = editor.apply('Add', ['product', 'b']);
    editor.replaceUses('product', shifted, [node(editor, shifted)]);
    // product = [-2, -2], shifted = [8, 18].
    expect(await answer(editor, true)).toEqual([8 + 10 - 8, 18 + 20 - 18]);
    expect(editor.consumers('product')).toEqual([node(editor, shifted)]);
    expect(editor.consumers(shifted).map(({ opType }) => opType)).toEqual(['Relu', 'If']);
    expect(await answer(editor, false)).toEqual([8 + 10 + 8, 18 + 20 + 18]);
  });

  it('leaves a name alone that a subgraph gives to a tensor of its own', () => {
    const editor = sample();
    const inner = node(editor, 'chosen').attribute[0]?.g;
    inner?.node.unshift(create(NodeProtoSchema, { opType: 'Constant', output: ['product'] }));
    const again = new GraphEditor(editor.model);
    again.replaceUses('product', 'x');
    expect(inner?.node[1]?.input).toEqual(['product']);
    expect(node(again, 'chosen').attribute[1]?.g?.node[0]?.input).toEqual(['x']);
  });

  it('puts nodes behind those that they use', async () => {
    const editor = sample();
    const doubled = editor.apply('Add', ['product', 'product']);
    editor.setInput(node(editor, 'positive'), 0, doubled);
    editor.graph.node.reverse();
    editor.finish();
    const place = (tensor: string) => editor.nodes.indexOf(node(editor, tensor));
    expect(place('product')).toBeLessThan(place(doubled));
    expect(place(doubled)).toBeLessThan(place('positive'));
    expect(place('product')).toBeLessThan(place('chosen'));
    expect(await answer(editor)).toEqual([12, 22]);
  });

  it('adds and removes inputs and outputs', async () => {
    const editor = sample();
    editor.replaceUses('chosen', 'positive');
    editor.removeInput('flag');
    editor.addOutput(valueInfo('positive', DataType.FLOAT, ['n', 2]));
    expect(await answer(editor)).toEqual([10, 20]);
    expect(editor.graph.output.map(({ name }) => name)).toEqual(['y', 'positive']);
    editor.removeOutput('y');
    editor.finish();
    expect(editor.nodes.map(({ opType }) => opType)).toEqual(['MatMul', 'Relu']);
  });

  it('makes an output give another tensor, while the old one is still used inside', async () => {
    const editor = sample();
    const old = node(editor, 'y');
    editor.setOutput('y', editor.apply('Neg', ['y']));
    // The negation was made of "y" as it was.
    expect(old.output).not.toContain('y');
    expect(await answer(editor)).toEqual([-12, -22]);
  });

  it('never gives a name that is used, in subgraphs neither', () => {
    const editor = sample();
    // A branch has a tensor of this name.
    expect(editor.freshName('rooted')).not.toBe('weft_rooted_0');
    const names = Array.from({ length: 50 }, () => editor.freshName('a'));
    expect(new Set(names).size).toBe(50);
    expect(names.every((name) => /^weft_a_\d+$/.test(name))).toBe(true);
  });

  it('names the operator sets that its nodes are of', () => {
    const editor = sample();
    expect([editor.opset(), editor.opset('com.microsoft')]).toEqual([17, undefined]);
    editor.apply('SkipLayerNormalization', ['x', 'x', 'b'], {}, 'com.microsoft');
    editor.apply('Gelu', ['x'], {}, 'com.microsoft');
    expect(editor.model.opsetImport.map(({ domain, version }) => [domain, version])).toEqual([
      ['', 17n],
      ['com.microsoft', 1n],
    ]);
  });

  it('does not make an input of an initializer that it takes away', () => {
    const editor = sample();
    for (const name of ['w', 'unused']) {
      editor.graph.input.push(valueInfo(name, DataType.FLOAT, ['?']));
    }
    const again = new GraphEditor(editor.model);
    again.finish();
    expect(again.graph.input.map(({ name }) => name)).toEqual(['x', 'flag', 'w']);
  });

  it('refuses tensors with two sources, and nodes that wait for each other', () => {
    const editor = sample();
    expect(() => editor.addNode({ op: 'Relu', inputs: ['x'], outputs: ['product'] })).toThrow(corrupt('two sources'));
    expect(() => editor.addInitializer(floatTensor('x', [1], [1]))).toThrow(corrupt('two sources'));
    expect(() => editor.addInput(valueInfo('b', DataType.FLOAT, []))).toThrow(corrupt('two sources'));
    editor.setInput(node(editor, 'product'), 0, 'positive');
    expect(() => editor.finish()).toThrow(corrupt('wait for each other'));
    expect(() => new GraphEditor(create(ModelProtoSchema, {}))).toThrow(corrupt('no graph'));
  });
});
