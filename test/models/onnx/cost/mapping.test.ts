// Kernels of an optimised graph, counted with the nodes that they come from.
import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { mapTimes, survivors } from '../../../../models/onnx/cost/mapping.ts';
import { placeIn, withNodeNames } from '../../../../models/onnx/cost/node-names.ts';
import { type GraphProto, GraphProtoSchema } from '../../../../models/onnx/messages/onnx_pb.js';
import { readModelFrom } from '../../../../models/onnx/model-file.ts';
import { memorySource } from '../../../../models/onnx/protobuf.ts';
import { pictureGraph } from '../../../node/engine/small-graphs.ts';

type Line = readonly [op: string, name: string, inputs: string, outputs: string];

const graphOf = (lines: readonly Line[]): GraphProto =>
  create(GraphProtoSchema, {
    node: lines.map(([opType, name, input, output]) => ({
      opType,
      name,
      input: input.split(' '),
      output: output.split(' '),
    })),
  });

/** As `withNodeNames` names them. */
const WRITTEN = graphOf([
  ['Conv', 'weft:0', 'x', 'a'],
  ['Relu', 'weft:1', 'a', 'b'],
  ['Conv', 'weft:2', 'b', 'c'],
  ['Softmax', 'weft:3', 'c', 'd'],
]);

const mapped = (optimised: readonly Line[], kernels: Readonly<Record<string, number>>) => {
  const { ms, share } = mapTimes(WRITTEN, graphOf(optimised), new Map(Object.entries(kernels)));
  return { ms: Object.fromEntries(ms), share };
};

describe('mapTimes', () => {
  it('finds a fused kernel by what it makes, and kernels in blocks of channels by their name', () => {
    const blocked: Line[] = [
      ['ReorderInput', 'ReorderInput', 'x', 'r1'],
      ['Conv', 'b_nchwc', 'r1', 'r2'],
      ['Conv', 'c_nchwc', 'r2', 'r3'],
      ['ReorderOutput', 'ReorderOutput_token_9', 'r3', 'c'],
      ['Softmax', 'weft:3', 'c', 'd'],
    ];
    const kernels = { ReorderInput: 1, b_nchwc: 10, c_nchwc: 20, ReorderOutput_token_9: 2, 'weft:3': 5 };
    // The first Conv and its Relu are one kernel, called after what the Relu makes.
    expect(mapped(blocked, kernels)).toEqual({ ms: { 1: 11, 2: 22, 3: 5 }, share: 1 });
  });

  it('finds renamed nodes by the name that they were given', () => {
    const renamed: Line[] = [
      ['FusedConv', 'weft:1_token_4', 'x', 'new1'],
      ['Conv', 'weft:2/Fusion/', 'new1', 'new2'],
      ['Softmax', 'other', 'new2', 'd'],
    ];
    const kernels = { 'weft:1_token_4': 3, 'weft:2/Fusion/': 4, other: 5 };
    expect(mapped(renamed, kernels)).toEqual({ ms: { 1: 3, 2: 4, 3: 5 }, share: 1 });
  });

  it('counts what it does not know with a neighbour, and says how much that is', () => {
    const strange: Line[] = [
      ['Strange', 'strange', 'x', 'new'],
      ['Relu', 'weft:1', 'new', 'b'],
    ];
    expect(mapped(strange, { strange: 30, 'weft:1': 10 })).toEqual({ ms: { 1: 40 }, share: 0.25 });
    const moved: Line[] = [
      ['Transpose', 'moved', 'x', 'new'],
      ['Relu', 'weft:1', 'new', 'b'],
    ];
    expect(mapped(moved, { moved: 30, 'weft:1': 10 })).toEqual({ ms: { 1: 40 }, share: 1 });
  });

  it('counts a kernel at the end with the one whose tensor it takes', () => {
    const behind: Line[] = [
      ['Softmax', 'weft:3', 'x', 'd'],
      ['Identity', 'end', 'd', 'd2'],
    ];
    expect(mapped(behind, { 'weft:3': 8, end: 2 })).toEqual({ ms: { 3: 10 }, share: 1 });
  });

  it('knows a kernel by its name that the saved graph lacks, and leaves out what belongs nowhere', () => {
    expect(mapped([], { 'weft:2_cast': 6, unheard: 2 })).toEqual({ ms: { 2: 6 }, share: 0.75 });
    expect(mapped([], {})).toEqual({ ms: {}, share: 0 });
    expect(mapped([], { 'weft:7': 1 })).toEqual({ ms: {}, share: 0 });
  });
});

describe('survivors', () => {
  it('are tensors that the optimised graph still makes', () => {
    const optimised = graphOf([
      ['FusedConv', 'f', 'x', 'b'],
      ['Conv', 'g', 'b', 'other'],
      ['Softmax', 'h', 'other', 'd'],
    ]);
    expect([...survivors(WRITTEN, optimised)]).toEqual(['b', 'd']);
  });
});

describe('withNodeNames', () => {
  it('names every node after its place, and leaves the model as it was', () => {
    const model = readModelFrom(memorySource(pictureGraph()), 'model.onnx');
    const before = model.graph?.node.map(({ name }) => name);
    const named = withNodeNames(model);
    expect(named.graph?.node.map(({ name }) => placeIn(name))).toEqual(named.graph?.node.map((_, index) => index));
    expect(model.graph?.node.map(({ name }) => name)).toEqual(before);
    expect(named.graph?.node.map(({ output }) => output)).toEqual(model.graph?.node.map(({ output }) => output));
  });

  it.each([
    ['weft:12', 12],
    ['weft:12_token_3', 12],
    ['weft:12-4', 12],
    ['weft:12/MatMulScaleFusion/', 12],
    ['Conv_12', undefined],
    ['', undefined],
  ])('%j speaks of %s', (name, place) => {
    expect(placeIn(name)).toBe(place);
  });
});
