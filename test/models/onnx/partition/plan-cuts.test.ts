import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { TensorProto_DataType as DataType, FunctionProtoSchema } from '../../../../models/onnx/messages/onnx_pb.js';
import { cutTable } from '../../../../models/onnx/partition/cut-table.ts';
import { extractPart } from '../../../../models/onnx/partition/extract.ts';
import { type CutChain, planCuts } from '../../../../models/onnx/partition/plan-cuts.ts';
import { type NodeCosts, stepGraph, type TensorCost } from '../../../../models/onnx/partition/step-graph.ts';
import { twoWayCut } from '../../../../models/onnx/partition/two-way-cut.ts';
import { floatTensor, int64Tensor, valueInfo } from '../../../../models/onnx/tensors.ts';
import { CUT_SEGMENTS_MAX, partBetween } from '../../../../protocol/cut-table.ts';
import { runs } from '../../../support/property.ts';
import { randomGraph } from '../../../support/random-graph.ts';
import { SeededRandom } from '../../../support/seeded.ts';
import { staticCosts } from '../../../support/static-costs.ts';
import { modelOf, node } from './graphs.ts';
import { costsOf, expectSame, partsOf, run, runAll, runParts } from './support.ts';

const failure = (code: string, text: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(text) });

/** Costs by hand: bytes of floats by name, `bytes` for the others, one millisecond for each node that isn't named. */
const costs = (
  sizes: Readonly<Record<string, number | TensorCost | undefined>> = {},
  ms: Readonly<Record<string, number>> = {},
  bytes = 1000,
): NodeCosts => ({
  ms: (output) => ms[output] ?? 1,
  tensor: (name) => {
    const size = name in sizes ? sizes[name] : bytes;
    return typeof size === 'number' ? { type: 'float32', bytes: size } : size;
  },
});

/** What crosses the boundary before each segment but the first. */
const crossings = ({ tensors, segments }: CutChain) =>
  segments.slice(1).map((_, index) => {
    const crossing = tensors.filter(({ from, to }) => from <= index && to.some((user) => user > index));
    return crossing.map(({ name }) => name).sort();
  });

const line = (names: readonly string[]) =>
  names.slice(1).map((name, index) => node('Neg', [names[index] ?? ''], [name]));

describe('a chain', () => {
  it('cuts where the fewest bytes cross, on whatever way they get there', () => {
    // Two ways from a to the sum: wide within, narrow where they begin.
    const nodes = [
      ...line(['x', 'a']),
      node('Relu', ['a'], ['left']),
      node('Abs', ['a'], ['right']),
      node('Add', ['left', 'right'], ['sum']),
      ...line(['sum', 'y']),
    ];
    const model = modelOf({ inputs: { x: 1 }, nodes, outputs: ['y'] });
    const chain = planCuts(
      model,
      costs({ a: 10, left: 500, right: 500, sum: 20 }, { left: 0.03, right: 0.03, sum: 0.03 }),
    );
    expect(crossings(chain)).toEqual([['a'], ['sum']]);
    expect(chain.segments).toEqual([
      { nodes: ['a'], ms: 1, weightBytes: 0 },
      { nodes: expect.arrayContaining(['left', 'right', 'sum']), ms: expect.closeTo(0.09), weightBytes: 0 },
      { nodes: ['y'], ms: 1, weightBytes: 0 },
    ]);
    expect(chain.tensors.map(({ name, from, to, output }) => ({ name, from, to, output }))).toEqual([
      { name: 'x', from: -1, to: [0] },
      { name: 'a', from: 0, to: [1] },
      { name: 'sum', from: 1, to: [2] },
      { name: 'y', from: 2, to: [], output: true },
    ]);
    expect(chain.reason).toBeUndefined();
  });

  it('runs one way to its end before the other, where that keeps fewer bytes alive', () => {
    const nodes = [
      node('Relu', ['x'], ['a1']),
      node('Relu', ['z'], ['b1']),
      ...line(['a1', 'a2']),
      ...line(['b1', 'b2']),
      node('Add', ['a2', 'b2'], ['y']),
    ];
    const model = modelOf({ inputs: { x: 1, z: 1 }, nodes, outputs: ['y'] });
    const chain = planCuts(model, costs({ a1: 900, b1: 900, a2: 1, b2: 1, x: 10, z: 10 }));
    expect(crossings(chain).some((names) => names.includes('a1') && names.includes('b1'))).toBe(false);
    expect(chain.segments).toHaveLength(5);
  });

  it('leaves out what depends on no input, and counts its weights where they are used', () => {
    const nodes = [
      node('Neg', ['w'], ['folded']),
      node('Add', ['x', 'folded'], ['a']),
      node('Add', ['a', 'tied'], ['b']),
      node('Constant', [], ['c'], { value: floatTensor('', [3], [1, 2, 3]) }),
      node('Add', ['b', 'c'], ['d']),
      node('Add', ['d', 'tied'], ['y']),
    ];
    const weights = [floatTensor('w', [1], [1]), floatTensor('tied', [2], [1, 2]), floatTensor('unused', [9], [])];
    const chain = planCuts(modelOf({ inputs: { x: 1 }, nodes, weights, outputs: ['y'] }), costs());
    expect(chain.segments.map(({ nodes }) => nodes)).toEqual([['a'], ['b'], ['d'], ['y']]);
    expect(chain.segments.map(({ weightBytes }) => weightBytes)).toEqual([4, 0, 12, 0]);
    expect(chain.shared).toEqual([{ bytes: 8, segments: [1, 3] }]);
  });

  it('makes small what several nodes use, and repeats what is made of that', () => {
    // A mask for three layers: as long as the ids, and made to a square.
    const nodes = [
      node('Cast', ['mask'], ['cast']),
      node('Expand', ['cast', 'shape'], ['square']),
      node('Add', ['x', 'square'], ['h1']),
      node('Add', ['h1', 'square'], ['h2']),
      node('Add', ['h2', 'square'], ['y']),
    ];
    const model = modelOf({
      inputs: { x: 1, mask: 1 },
      nodes,
      weights: [int64Tensor('shape', [1], [1])],
      outputs: ['y'],
    });
    const known = costs({ mask: 500, cast: 4000, square: 1e6 }, { cast: 0.001, square: 0.001, h1: 10, h2: 10, y: 10 });
    const chain = planCuts(model, known);
    expect(crossings(chain)).toEqual([
      ['h1', 'mask'],
      ['h2', 'mask'],
    ]);
    expect(chain.repeated).toEqual(['cast', 'square']);
    expect(chain.segments[0]?.nodes).toEqual(['cast', 'square', 'h1']);
    expect(ops(model, chain, 1)).toEqual(['Cast', 'Expand', 'Add']);
    // What must not leave its node is made into something else first.
    expect(crossings(planCuts(model, known, { raw: ['mask'] }))).toEqual([
      ['cast', 'x'],
      ['cast', 'h1'],
      ['cast', 'h2'],
    ]);
    // And what takes its time is not repeated.
    const slow = costs({ mask: 500, cast: 4000, square: 1e6 }, { cast: 0.001, square: 9, h1: 10, h2: 10, y: 10 });
    expect(crossings(planCuts(model, slow))).toContainEqual(['h1', 'square']);
  });

  it('does not repeat what needs large weights, however fast it is', () => {
    const nodes = [
      node('Gather', ['table', 'ids'], ['embedded']),
      node('Add', ['embedded', 'x'], ['h1']),
      node('Add', ['h1', 'embedded'], ['y']),
    ];
    const plan = (rows: number) => {
      const weights = [floatTensor('table', [rows, 16], new Float32Array(16 * rows))];
      const model = modelOf({ inputs: { x: 1, ids: 1 }, nodes, weights, outputs: ['y'] });
      return planCuts(model, costs({ ids: 8, embedded: 1e6 }, { embedded: 0, h1: 10, y: 10 }));
    };
    expect(plan(1000).repeated).toEqual([]);
    expect(crossings(plan(1000))).toContainEqual(['embedded', 'h1']);
    expect(plan(10).repeated).toEqual(['embedded']);
    expect(plan(10).shared).toEqual([{ bytes: 640, segments: [0, 1] }]);
  });

  it('does not carry a large tensor far for something small that is made of it', () => {
    const nodes = [
      node('Shape', ['x'], ['shape']),
      node('Relu', ['x'], ['h1']),
      ...line(['h1', 'h2', 'h3']),
      node('Reshape', ['h3', 'shape'], ['y']),
    ];
    const model = modelOf({ inputs: { x: 1 }, nodes, outputs: ['y'] });
    const chain = planCuts(model, costs({ x: 1e6, shape: { type: 'int64', bytes: 16 } }, { shape: 0 }));
    expect(crossings(chain)).toContainEqual(['h2', 'shape']);
    expect(chain.repeated).toEqual([]);
  });

  it.each([
    ['an operator', [node('RandomNormalLike', ['x'], ['noise'])]],
    ['a function', [node('own/Noise', ['x'], ['noise'])]],
    ['one without inputs', [node('RandomNormal', [], ['noise'], { shape: [1n] })]],
  ])('never repeats %s that gives something else each time', (_what, random) => {
    const nodes = [...random, node('Add', ['x', 'noise'], ['h1']), node('Add', ['h1', 'noise'], ['y'])];
    const model = modelOf({ inputs: { x: 1 }, nodes, outputs: ['y'] });
    model.functions.push(
      create(FunctionProtoSchema, { name: 'Noise', domain: 'own', node: [node('own/Inner', ['x'], ['y'])] }),
      create(FunctionProtoSchema, { name: 'Inner', domain: 'own', node: [node('Bernoulli', ['x'], ['y'])] }),
    );
    const chain = planCuts(model, costs({ x: 1, noise: 1e6 }, { noise: 0 }));
    expect(chain.repeated).toEqual([]);
    expect(crossings(chain)).toContainEqual(['h1', 'noise']);
  });

  it('gives outputs wherever they are made, weights and what depends on no input included', () => {
    const nodes = [...line(['x', 'a', 'b', 'c']), node('Neg', ['w'], ['fixed'])];
    const weights = [floatTensor('w', [1], [1])];
    const model = modelOf({ inputs: { x: 1 }, nodes, weights, outputs: ['c', 'a', 'w', 'fixed', 'x'] });
    const chain = planCuts(model, costs());
    const outputs = Array.from(chain.segments, (_, index) => partBetween(chain, index, index + 1).outputs).flat();
    expect(outputs.filter((name) => name !== 'b').sort()).toEqual(['a', 'c', 'fixed', 'w']);
    expect(partBetween(chain, 0, chain.segments.length)).toEqual({
      inputs: [{ name: 'x', type: 'float32' }],
      outputs: expect.arrayContaining(['a', 'c', 'fixed', 'w']),
    });
  });
});

/** Operators of one segment's part. */
const ops = (model: Parameters<typeof extractPart>[0], chain: CutChain, segment: number) =>
  extractPart(model, partBetween(chain, segment, segment + 1)).graph?.node.map(({ opType }) => opType);

describe('a graph that is cut nowhere, or not everywhere', () => {
  const model = modelOf({ inputs: { x: 1 }, nodes: line(['x', 'a', 'b', 'y']), outputs: ['y'] });

  it('is one segment where nothing is known of its tensors', () => {
    const chain = planCuts(model, costs({ a: undefined, b: undefined }));
    expect(chain.segments).toHaveLength(1);
    expect(chain.reason).toBe(
      'It can be cut nowhere: "a" would cross, which is no tensor, or of a type that is not known.',
    );
    expect(partBetween(chain, 0, 1)).toEqual({ inputs: [{ name: 'x', type: 'float32' }], outputs: ['y'] });
  });

  it('is cut beside tensors that the runtime does not carry', () => {
    const chain = planCuts(model, costs({ a: { type: 'bfloat16', bytes: 10 } }));
    expect(crossings(chain)).toEqual([['b']]);
    expect(chain.reason).toContain('"a" would cross, which is of type bfloat16');
  });

  it('says which node is nearly all of it, and that there is one only', () => {
    expect(planCuts(model, costs({}, { b: 100 })).reason).toBe(
      'Nearly all of its time is in one Neg, "b", which runs as a whole.',
    );
    const single = planCuts(
      modelOf({ inputs: { x: 1 }, nodes: line(['x', 'y']), outputs: ['y'] }),
      costs({}, { y: 0 }),
    );
    expect(single.segments).toHaveLength(1);
    expect(single.reason).toBe('It has one node only that depends on its inputs.');
  });

  it('is not cut where hundreds of tensors would cross', () => {
    const names = Array.from({ length: 600 }, (_, index) => `t${index}`);
    const nodes = [...names.map((name) => node('Neg', ['x'], [name])), node('Sum', names, ['y'])];
    const chain = planCuts(modelOf({ inputs: { x: 1 }, nodes, outputs: ['y'] }), costs());
    expect(Math.max(...crossings(chain).map(({ length }) => length))).toBeLessThanOrEqual(512);
    expect(chain.reason).toContain('more than 512 tensors would cross');
  });

  it('is refused when its nodes wait for each other, or for nothing', () => {
    const nodes = [node('Add', ['x', 'b'], ['a']), node('Neg', ['a'], ['b'])];
    expect(() => planCuts(modelOf({ inputs: { x: 1 }, nodes, outputs: ['a'] }), costs())).toThrow(
      failure('model_corrupt', 'wait for each other'),
    );
    expect(() => planCuts(modelOf({ inputs: {}, nodes: line(['x', 'y']), outputs: ['y'] }), costs())).toThrow(
      failure('model_corrupt', 'nothing gives'),
    );
  });

  it('is planned in bounded time, however it is made', () => {
    const count = 5_000;
    const far = Array.from({ length: count }, (_, index) =>
      node('Add', [`t${index}`, `t${index >> 1}`], [`t${index + 1}`]),
    );
    const wide = modelOf({ inputs: { t0: 1 }, nodes: far, outputs: [`t${count}`] });
    expect(planCuts(wide, costs()).segments.length).toBeLessThanOrEqual(CUT_SEGMENTS_MAX);
    const long = modelOf({
      inputs: { t0: 1 },
      nodes: line(Array.from({ length: 9_000 }, (_, index) => `t${index}`)),
      outputs: ['t8999'],
    });
    expect(planCuts(long, costs()).segments).toHaveLength(CUT_SEGMENTS_MAX);
  });
});

describe('a table', () => {
  it('has the shares of the chain, and what was measured of the whole', () => {
    const model = modelOf({ inputs: { x: 1 }, nodes: line(['x', 'a', 'y']), outputs: ['y'] });
    const measured = {
      model: { name: 'm', digest: '0' } as never,
      shapes: 'x:float32[1,1]',
      wholeMs: 10,
      partFixedMs: 0.1,
      partMsPerMb: 1,
      device: 'cpu',
      version: '1',
      measuredAtMs: 0,
    };
    const table = cutTable(planCuts(model, costs({}, { a: 1, y: 3 })), measured);
    expect(table).toMatchObject(measured);
    expect(table.segments).toEqual([
      { share: 0.25, weightBytes: 0, nodes: 1 },
      { share: 0.75, weightBytes: 0, nodes: 1 },
    ]);
    expect(cutTable(planCuts(model, costs({}, { a: 0, y: 0 })), measured).segments.map(({ share }) => share)).toEqual([
      0.5, 0.5,
    ]);
  });
});

describe('costs without a run', () => {
  it('count multiplications and bytes, where the file tells shapes', () => {
    const nodes = [
      node('Conv', ['x', 'kernel'], ['a']),
      node('Relu', ['a'], ['b']),
      node('Flatten', ['b'], ['c']),
      node('Gemm', ['c', 'dense'], ['y']),
    ];
    const weights = [
      floatTensor('kernel', [8, 3, 3, 3], new Float32Array(216)),
      floatTensor('dense', [800, 2], new Float32Array(1600)),
    ];
    const model = modelOf({ inputs: { x: 1 }, nodes, weights, outputs: ['y'] });
    const { graph } = model;
    if (graph !== undefined) {
      graph.input = [valueInfo('x', DataType.FLOAT, [1, 3, 12, 12])];
      graph.valueInfo = [valueInfo('a', DataType.FLOAT, [1, 8, 10, 10]), valueInfo('c', DataType.FLOAT, [1, 'n'])];
      graph.output = [valueInfo('y', DataType.FLOAT, [1, 2])];
    }
    const known = staticCosts(model);
    expect(known.tensor('a')).toEqual({ type: 'float32', dims: [1, 8, 10, 10], bytes: 3200 });
    expect(known.tensor('c')).toBeUndefined();
    // Products of a convolution, and the bytes of what it takes and gives.
    expect(known.ms('a')).toBeCloseTo((800 * 27 + 1728 + 864 + 3200) * 2e-7, 12);
    expect(known.ms('b')).toBeCloseTo(3200 * 2e-7, 12);
    // Of a product whose rows aren't known, its weights.
    expect(known.ms('y')).toBeCloseTo((6400 + 8) * 2e-7, 12);
    const told = staticCosts(model, (name) =>
      name === 'c' ? { type: 'float32', dims: [1, 800], bytes: 3200 } : undefined,
    );
    expect(told.ms('y')).toBeCloseTo((2 * 800 + 3200 + 6400 + 8) * 2e-7, 12);
    expect(planCuts(model, told).segments.length).toBeGreaterThan(1);
  });
});

describe('the chain of a random graph', () => {
  const graphs = fc.record({ seed: fc.nat(), steps: fc.integer({ min: 1, max: 40 }), exact: fc.boolean() });

  /** Times that differ from node to node. */
  const randomTimes = (random: SeededRandom): ((output: string) => number) => {
    const times = new Map<string, number>();
    return (output) => {
      const known = times.get(output) ?? random.pick([0, 0.001, 1, 5]);
      times.set(output, known);
      return known;
    };
  };

  it('gives what the whole gives, segment by segment and in longer parts', { timeout: 600_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(graphs, async (init) => {
        const { model, feeds } = randomGraph(init);
        const tensors = await runAll(model, feeds);
        const whole = await run(model, feeds);
        const random = new SeededRandom(init.seed);
        const chain = planCuts(model, costsOf(tensors, randomTimes(random)));
        const all = Array.from({ length: chain.segments.length - 1 }, (_, index) => index + 1);
        expectSame(await runParts(model, partsOf(chain, all), feeds), whole, init.exact);
        for (const parts of [2, 3, 4]) {
          if (chain.segments.length < parts) break;
          const chosen = [...all].sort(() => random.next() - 0.5).slice(0, parts - 1);
          const chained = partsOf(
            chain,
            chosen.sort((a, b) => a - b),
          );
          expectSame(await runParts(model, chained, feeds), whole, init.exact);
        }
      }),
      runs(25),
    );
  });

  it('has prefixes as good as the best of all cuts, but for a few', { timeout: 600_000 }, async () => {
    const regrets: number[] = [];
    for (let seed = 0; seed < 30; seed++) {
      const { model, feeds } = randomGraph({ seed, steps: 40, exact: true });
      const random = new SeededRandom(seed);
      const times = randomTimes(random);
      const known = costsOf(await runAll(model, feeds), (output) => times(output) + 0.01);
      const graph = stepGraph(model, known);
      const chain = planCuts(model, known);
      for (const speed of [0.1, 0.5, 2]) {
        for (const msPerByte of [0.0005, 0.005, 0.05]) {
          const best = twoWayCut(graph, {
            near: ({ ms }) => ms,
            far: ({ ms }) => ms * speed,
            crossing: ({ cost }) => (cost?.bytes ?? 0) * msPerByte,
          });
          regrets.push(bestPrefix(chain, speed, msPerByte) / best.ms - 1);
        }
      }
    }
    const good = regrets.filter((regret) => regret < 1e-6).length;
    expect(good / regrets.length).toBeGreaterThan(0.95);
    expect(regrets.reduce((sum, regret) => sum + regret, 0) / regrets.length).toBeLessThan(0.005);
  });

  function bestPrefix({ segments, tensors }: CutChain, speed: number, msPerByte: number): number {
    const prices = Array.from({ length: segments.length + 1 }, (_, cut) => {
      const computing = segments.reduce((sum, { ms }, index) => sum + ms * (index < cut ? 1 : speed), 0);
      const crossing = tensors.filter(({ from, to }) => from < cut && to.some((user) => user >= cut));
      return computing + crossing.reduce((sum, { bytes }) => sum + bytes * msPerByte, 0);
    });
    return Math.min(...prices);
  }

  it('holds for inputs of other sizes than those that were measured', async () => {
    const { model, feeds } = randomGraph({ seed: 3, steps: 30, exact: true });
    const chain = planCuts(model, costsOf(await runAll(model, feeds)));
    expect(chain.segments.length).toBeGreaterThan(2);
    const taller = Object.fromEntries(
      Object.entries(feeds).map(([name, { dims }]) => {
        const columns = dims[1] as number;
        const values = Float32Array.from({ length: 5 * columns }, (_, index) => (index % 5) - 2);
        return [name, new Tensor('float32', values, [5, columns])];
      }),
    );
    const cuts = Array.from({ length: chain.segments.length - 1 }, (_, index) => index + 1);
    expectSame(await runParts(model, partsOf(chain, cuts), taller), await run(model, taller), true);
  });
});
