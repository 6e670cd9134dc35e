import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import {
  TensorProto_DataType as DataType,
  FunctionProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  SparseTensorProtoSchema,
} from '../../../../models/onnx/messages/onnx_pb.js';
import { readModelFrom, writeModel } from '../../../../models/onnx/model-file.ts';
import { extractPart } from '../../../../models/onnx/partition/extract.ts';
import { memorySource } from '../../../../models/onnx/protobuf.ts';
import { floatTensor, int64Tensor, valueInfo } from '../../../../models/onnx/tensors.ts';
import { TENSORS_MAX } from '../../../../protocol/limits.ts';
import type { GraphPart } from '../../../../protocol/part.ts';
import { runs } from '../../../support/property.ts';
import { randomGraph } from '../../../support/random-graph.ts';
import { SeededRandom } from '../../../support/seeded.ts';
import { modelOf, node } from './graphs.ts';
import { expectSame, partsAt, run, runAll, runParts } from './support.ts';

const failure = (code: string, text: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(text) });

/** A part by names, all of float32. */
const floats = (inputs: readonly string[], outputs: readonly string[]): GraphPart => ({
  inputs: inputs.map((name) => ({ name, type: 'float32' })),
  outputs,
});

const ops = ({ graph }: ModelProto) => graph?.node.map(({ opType }) => opType);
const matrix = (...values: number[]) => new Tensor('float32', values, [1, values.length]);
const numbers = (tensor: Tensor | undefined) => [...((tensor as Tensor).data as Float32Array)];

/** y = −relu(x · w) + b · w, over two inputs. */
const sample = () =>
  modelOf({
    inputs: { x: 2, b: 2 },
    weights: [floatTensor('w', [2, 2], [1, 0, 0, 2]), floatTensor('unused', [1], [1])],
    nodes: [
      node('MatMul', ['x', 'w'], ['product']),
      node('Relu', ['product'], ['positive']),
      node('Neg', ['positive'], ['negative']),
      node('MatMul', ['b', 'w'], ['shift']),
      node('Add', ['negative', 'shift'], ['y']),
    ],
    outputs: ['y', 'positive'],
  });

describe('a part', () => {
  it('has the nodes and weights that its outputs need, and leaves the whole as it was', async () => {
    const model = sample();
    const before = writeModel(model);
    const front = extractPart(model, floats(['x'], ['positive']));
    const back = extractPart(model, floats(['positive', 'b'], ['y']));
    expect(ops(front)).toEqual(['MatMul', 'Relu']);
    expect(ops(back)).toEqual(['Neg', 'MatMul', 'Add']);
    // Both products use one weight: each part has it.
    for (const part of [front, back]) expect(part.graph?.initializer.map(({ name }) => name)).toEqual(['w']);
    const { positive } = await run(front, { x: matrix(3, -4) });
    expect(numbers(positive)).toEqual([3, 0]);
    const { y } = await run(back, { positive: positive as Tensor, b: matrix(1, 1) });
    expect(numbers(y)).toEqual([-2, 2]);
    expect(writeModel(model)).toEqual(before);
  });

  it('is the same bytes for everybody', () => {
    const part = floats(['b', 'positive'], ['y']);
    const again = readModelFrom(memorySource(writeModel(sample())), 'model.onnx');
    expect(writeModel(extractPart(sample(), part))).toEqual(writeModel(extractPart(again, part)));
  });

  it('gives what it also uses, what it is given, and weights', async () => {
    const part = extractPart(sample(), floats(['x'], ['negative', 'x', 'product', 'w']));
    const results = await run(part, { x: matrix(3, -4) });
    expect([results.negative, results.x, results.product].map(numbers)).toEqual([
      [-3, -0],
      [3, -4],
      [3, -8],
    ]);
    expect(results.w?.dims).toEqual([2, 2]);
  });

  it('takes one output of a node of which it computes another', async () => {
    const model = modelOf({
      inputs: { x: 4 },
      weights: [int64Tensor('sizes', [2], [2, 2])],
      nodes: [
        node('Split', ['x', 'sizes'], ['left', 'right'], { axis: 1n }),
        node('Neg', ['left'], ['turned']),
        node('Add', ['left', 'right'], ['y']),
      ],
      outputs: ['y', 'turned'],
    });
    const part = extractPart(model, floats(['x', 'left'], ['y']));
    const { y } = await run(part, { x: matrix(1, 2, 3, 4), left: matrix(10, 20) });
    expect(numbers(y)).toEqual([13, 24]);
    expect(model.graph?.node[0]?.output).toEqual(['left', 'right']);
  });

  it('keeps the value of an initializer that is listed as an input, unless it is given another', async () => {
    const model = sample();
    model.graph?.input.push(valueInfo('w', DataType.FLOAT, [2, 2]));
    const fixed = extractPart(model, floats(['x'], ['product']));
    expect(fixed.graph?.input.map(({ name }) => name)).toEqual(['x']);
    expect(numbers((await run(fixed, { x: matrix(3, 4) })).product)).toEqual([3, 8]);
    const given = extractPart(model, floats(['x', 'w'], ['product']));
    expect(given.graph?.initializer).toEqual([]);
    const w = new Tensor('float32', [0, 1, 1, 0], [2, 2]);
    expect(numbers((await run(given, { x: matrix(3, 4), w })).product)).toEqual([4, 3]);
  });

  it('takes the types and shapes that it is told of inner tensors, and none of those that the file tells', async () => {
    const model = sample();
    // Of the exporter's own sample: another number of rows was fed since.
    model.graph?.valueInfo.push(valueInfo('positive', DataType.FLOAT, [7, 2]));
    const part = extractPart(model, floats(['positive'], ['negative']));
    expect(numbers((await run(part, { positive: matrix(1, 2) })).negative)).toEqual([-1, -2]);
    const shaped = extractPart(model, {
      inputs: [{ name: 'positive', type: 'float32', dims: ['rows', 2] }],
      outputs: ['negative'],
    });
    await expect(run(shaped, { positive: matrix(1, 2, 3) })).rejects.toThrow('invalid dimensions');
  });

  it('has the functions, operator sets and sparse weights of the whole', async () => {
    const model = modelOf({
      inputs: { x: 2 },
      nodes: [
        node('own/Twice', ['x'], ['doubled']),
        node('com.microsoft/Gelu', ['doubled'], ['soft']),
        node('Add', ['soft', 'sparse'], ['y']),
      ],
      outputs: ['y'],
    });
    model.opsetImport.push(
      ...create(ModelProtoSchema, {
        opsetImport: [
          { domain: 'own', version: 1n },
          { domain: 'com.microsoft', version: 1n },
        ],
      }).opsetImport,
    );
    model.functions.push(
      create(FunctionProtoSchema, {
        name: 'Twice',
        domain: 'own',
        input: ['a'],
        output: ['b'],
        opsetImport: [{ domain: '', version: 17n }],
        node: [node('Add', ['a', 'a'], ['b'])],
      }),
    );
    model.graph?.sparseInitializer.push(
      create(SparseTensorProtoSchema, {
        values: floatTensor('sparse', [1], [5]),
        indices: int64Tensor('', [1], [1]),
        dims: [2n],
      }),
    );
    const doubled = extractPart(model, floats(['x'], ['doubled']));
    expect(doubled.graph?.sparseInitializer).toEqual([]);
    const parts = [floats(['x'], ['doubled']), floats(['doubled'], ['y'])];
    const feeds = { x: matrix(1, 2) };
    expectSame(await runParts(model, parts, feeds), await run(model, feeds), false);
  });

  it('refers to its large weights where they lie', () => {
    const model = sample();
    const large = floatTensor('w', [100, 100], new Float32Array(10_000));
    if (model.graph !== undefined) model.graph.initializer[0] = large;
    const read = readModelFrom(memorySource(writeModel(model)), 'whole.onnx');
    const [weight] = extractPart(read, floats(['x'], ['product'])).graph?.initializer ?? [];
    expect(weight?.externalData.map(({ key }) => key)).toEqual(['location', 'offset', 'length']);
    expect(weight?.externalData[0]?.value).toBe('whole.onnx');
  });
});

describe('what is no part', () => {
  it.each<[string, GraphPart, string, string]>([
    ['an output that is not there', floats(['x'], ['nothing']), 'tensor_invalid', '"nothing"'],
    ['an input that is not there', floats(['x', 'nothing'], ['product']), 'tensor_invalid', '"nothing"'],
    ['an input of another type', { inputs: [{ name: 'x', type: 'int64' }], outputs: ['y'] }, 'tensor_invalid', '"x"'],
    [
      'an input of a shape that none has',
      { inputs: [{ name: 'x', type: 'float32', dims: [-1] }], outputs: ['y'] },
      'tensor_invalid',
      '"x"',
    ],
    [
      'an input of a type that none has',
      { inputs: [{ name: 'x', type: 'toString' as 'float32' }], outputs: ['y'] },
      'tensor_invalid',
      '"x"',
    ],
    ['an input that is missing', floats(['x'], ['y']), 'bad_request', '"y" needs "b"'],
    ['an input that is not needed', floats(['x', 'b'], ['product']), 'bad_request', '"b"'],
    ['no output', floats(['x'], []), 'bad_request', 'nothing'],
    ['an output named twice', floats(['x'], ['product', 'product']), 'bad_request', 'twice'],
    ['an input named twice', floats(['x', 'x'], ['product']), 'bad_request', 'twice'],
    [
      'thousands of names',
      floats(
        Array.from({ length: TENSORS_MAX + 1 }, (_, index) => `t${index}`),
        ['y'],
      ),
      'bad_request',
      `${TENSORS_MAX}`,
    ],
  ])('is refused: %s', (_what, part, code, text) => {
    expect(() => extractPart(sample(), part)).toThrow(failure(code, text));
  });

  it('is one of a damaged graph', () => {
    const nodes = [node('Neg', ['absent'], ['y'])];
    const model = modelOf({ inputs: { x: 1 }, nodes, outputs: ['y'] });
    expect(() => extractPart(model, floats([], ['y']))).toThrow(failure('model_corrupt', '"absent"'));
    expect(() => extractPart(create(ModelProtoSchema, {}), floats([], ['y']))).toThrow(
      failure('model_corrupt', 'graph'),
    );
    const twice = modelOf({ inputs: { y: 1 }, nodes, outputs: ['y'] });
    expect(() => extractPart(twice, floats([], ['y']))).toThrow(failure('model_corrupt', 'two sources'));
  });

  it('ends on nodes that wait for each other', () => {
    const nodes = [node('Add', ['x', 'b'], ['a']), node('Neg', ['a'], ['b'])];
    const model = modelOf({ inputs: { x: 1 }, nodes, outputs: ['a'] });
    // The runtime refuses it.
    expect(ops(extractPart(model, floats(['x'], ['a'])))).toEqual(['Add', 'Neg']);
  });

  it('is found out quickly in a graph of many nodes and outputs', () => {
    const count = 20_000;
    const nodes = Array.from({ length: count }, (_, index) => node('Add', [`t${index}`, 't0'], [`t${index + 1}`]));
    const model = modelOf({ inputs: { t0: 1 }, nodes, outputs: [`t${count}`] });
    const outputs = Array.from({ length: TENSORS_MAX }, (_, index) => `t${count - index}`);
    expect(extractPart(model, floats(['t0'], outputs)).graph?.node).toHaveLength(count);
  });
});

describe('parts of random graphs', () => {
  const graphs = fc.record({ seed: fc.nat(), steps: fc.integer({ min: 1, max: 30 }), exact: fc.boolean() });

  it('chained, give what the whole gives', { timeout: 600_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(graphs, fc.integer({ min: 2, max: 4 }), async (init, parts) => {
        const { model, feeds } = randomGraph(init);
        const types = await runAll(model, feeds);
        // The runtime takes casts away that a branch captures: some graphs can't be run even as a whole.
        const whole = await run(model, feeds);
        const random = new SeededRandom(init.seed);
        const places = Array.from({ length: parts - 1 }, () => random.between(1, model.graph?.node.length ?? 0));
        const chain = partsAt(
          model,
          places.sort((a, b) => a - b),
          types,
        );
        expectSame(await runParts(model, chain, feeds), whole, init.exact);
      }),
      runs(40),
    );
  });
});
