// Inputs that are made up, and the cuts and times that are chosen.
import { describe, expect, it } from 'vitest';
import type { Manifest } from '../../../../models/manifest.ts';
import { chooseFinalists, inOne, shapesOf, usualMs } from '../../../../node/engine/cutting/finalists.ts';
import { FINALISTS_MAX, SAMPLE_BYTES_MAX } from '../../../../node/engine/cutting/limits.ts';
import { completed, sampleInputs } from '../../../../node/engine/cutting/sample-inputs.ts';
import { byteLength } from '../../../../protocol/tensor.ts';

type Ports = Manifest['inputs'];
const dims = (inputs: Ports, contextLength = 0) =>
  sampleInputs({ inputs, contextLength }).map((set) => set.map((tensor) => tensor.dims));
const port = (name: string, type: string, shape: (number | string)[]) => ({ name, type, dims: shape }) as Ports[number];

describe('sampleInputs', () => {
  it('makes texts as long as a paragraph, and no longer than the model takes', () => {
    const ports = [port('input_ids', 'int64', ['batch_size', 'sequence_length'])];
    expect(dims(ports)[0]).toEqual([[1, 128]]);
    expect(dims(ports, 64)[0]).toEqual([[1, 64]]);
  });

  it('makes pictures, whatever their sides are called and wherever their channels are', () => {
    expect(
      dims([port('x', 'float32', ['DynamicDimension.0', 3, 'DynamicDimension.1', 'DynamicDimension.2'])]),
    ).toContainEqual([[1, 3, 224, 224]]);
    expect(dims([port('x', 'float32', ['N', 'height', 'width', 3])])[0]).toEqual([[1, 224, 224, 3]]);
    expect(dims([port('x', 'float32', ['N', 3, 48, 'width'])])[0]).toEqual([[1, 3, 48, 224]]);
  });

  it('makes a decoder without a past', () => {
    const ports = [
      port('input_ids', 'int64', ['batch', 'sequence_length']),
      port('attention_mask', 'int64', ['batch', 'past_sequence_length + sequence_length']),
      port('past_key_values.0.key', 'float32', ['batch', 3, 'past_sequence_length', 64]),
    ];
    expect(dims(ports)[0]).toEqual([
      [1, 128],
      [1, 128],
      [1, 3, 0, 64],
    ]);
  });

  it('makes sound of rows of floats', () => {
    expect(dims([port('input', 'float32', ['batch', 'sequence'])])[0]).toEqual([[1, 1600]]);
  });

  it('offers less in case the graph refuses the usual', () => {
    const sets = dims([port('x', 'float32', ['N', 3, 'H', 'W'])]);
    expect(sets.length).toBeGreaterThan(2);
    expect(sets.at(-1)).toEqual([[1, 3, 32, 32]]);
  });

  it('fills every tensor to its size, and none with what is no number', () => {
    for (const type of [
      'float32',
      'float64',
      'float16',
      'int64',
      'int32',
      'int16',
      'uint8',
      'int8',
      'bool',
      'uint64',
    ]) {
      const [set] = sampleInputs({ inputs: [port('x', type, [3, 'n'])], contextLength: 0 });
      const [tensor] = set ?? [];
      expect(tensor?.data.byteLength).toBe(byteLength(tensor?.type ?? 'float32', tensor?.dims ?? []));
    }
  });

  it('gives up where too little is known, or too much is wanted', () => {
    expect(dims([])).toEqual([]);
    expect(dims([port('x', 'float32', ['*'])])).toEqual([]);
    expect(dims([port('x', 'string', [2])])).toEqual([]);
    expect(dims([port('x', 'float32', [SAMPLE_BYTES_MAX])])).toEqual([]);
  });
});

describe('chooseFinalists', () => {
  const chain = (shares: readonly number[], most = -1) => ({
    segments: shares.map((share) => ({ share, weightBytes: 0, nodes: 1 })),
    tensors: shares.slice(1).map((_, index) => ({
      name: `t${index}`,
      type: 'float32' as const,
      bytes: index + 1 === most ? 1000 : 10,
      from: index,
      to: [index + 1],
    })),
  });

  it('takes all cuts where they are few, and none where there is none', () => {
    expect(chooseFinalists(chain([1]))).toEqual([]);
    expect(chooseFinalists(chain([0.5, 0.2, 0.3]))).toEqual([1, 2]);
  });

  it('spreads them over the computing, with the one that carries most', () => {
    const even = Array.from({ length: 50 }, () => 0.02);
    const chosen = chooseFinalists(chain(even, 33));
    expect(chosen).toHaveLength(FINALISTS_MAX);
    expect(chosen).toContain(33);
    expect(chosen[0]).toBeLessThan(5);
    expect(chosen.at(-1)).toBeGreaterThan(45);
    expect(chosen).toEqual([...new Set(chosen)].toSorted((a, b) => a - b));
  });
});

describe('usualMs', () => {
  it('does not mind what disturbs', () => {
    expect(usualMs([5, 5, 5, 900])).toBe(5);
    expect(usualMs([3, 1, 2])).toBe(1.5);
    expect(usualMs([4])).toBe(4);
  });
});

describe('shapesOf', () => {
  it('is the same in whatever order the inputs come', () => {
    const x = { name: 'x', type: 'float32', dims: [1, 2] } as const;
    const ids = { name: 'ids', type: 'int64', dims: [] } as const;
    expect(shapesOf([x, ids])).toBe('ids:int64[];x:float32[1,2]');
    expect(shapesOf([ids, x])).toBe(shapesOf([x, ids]));
  });
});

describe('inOne', () => {
  it('makes one segment of all, with every weight once', () => {
    const table = inOne(
      {
        model: { id: 'test/table', digest: 'sha256:00' },
        shapes: '',
        segments: [
          { share: 0.4, weightBytes: 10, nodes: 2 },
          { share: 0.6, weightBytes: 20, nodes: 3 },
        ],
        shared: [{ bytes: 5, segments: [0, 1] }],
        tensors: [
          { name: 'x', type: 'float32', bytes: 4, from: -1, to: [0, 1] },
          { name: 'a', type: 'float32', bytes: 4, from: 0, to: [1] },
          { name: 'z', type: 'float32', bytes: 4, from: 0, to: [1], output: true },
          { name: 'y', type: 'float32', bytes: 4, from: 1, to: [], output: true },
        ],
        wholeMs: 1,
        partFixedMs: 0,
        partMsPerMb: 0,
        device: 'cpu',
        version: '1',
        measuredAtMs: 0,
      },
      'Its parts fail.',
    );
    expect(table.segments).toEqual([{ share: 1, weightBytes: 35, nodes: 5 }]);
    expect(table.shared).toEqual([]);
    expect(table.tensors.map(({ name, from, to }) => [name, from, to])).toEqual([
      ['x', -1, [0]],
      ['z', 0, []],
      ['y', 0, []],
    ]);
    expect(table.reason).toBe('Its parts fail.');
  });
});

describe('shapes', () => {
  it('are filled, and tensors left as they are', () => {
    const given = { name: 'a', type: 'int64' as const, dims: [1], data: new Uint8Array(8).fill(9) };
    const [first, second] = completed([given, { name: 'b', type: 'int32', dims: [2, 3] }]);
    expect(first).toEqual(given);
    expect(second).toEqual({
      name: 'b',
      type: 'int32',
      dims: [2, 3],
      data: new Uint8Array(new Int32Array(6).fill(1).buffer),
    });
  });

  it.each([
    ['together too large', 'tensor_invalid', [{ dims: [3 << 20, 4] }, { dims: [3 << 20, 4] }]],
    ['of a type that nothing is made up of', 'unsupported', [{ type: 'string' as const }]],
    ['with a dimension that is none', 'tensor_invalid', [{ dims: [-1] }]],
  ])('%s are refused', (_what, code, changes) => {
    const shapes = changes.map((change, at) => ({ name: `x${at}`, type: 'float32' as const, dims: [1], ...change }));
    expect(() => completed(shapes)).toThrow(expect.objectContaining({ code }));
  });
});
