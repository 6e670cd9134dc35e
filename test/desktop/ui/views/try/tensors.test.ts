// Tensors by hand: elements of every type, .npy files, and the request that a form makes.
import { describe, expect, test } from 'vitest';
import { filled, isNumeric, numbersOf, statisticsOf, topOf } from '../../../../../desktop/ui/views/try/elements.ts';
import {
  fromBase64,
  InputProblem,
  inputsOf,
  nestingOf,
  openDims,
  type Port,
  shapeOf,
  toBase64,
  usualDim,
  usualSource,
} from '../../../../../desktop/ui/views/try/inputs.ts';
import { DataType, type DataTypeName } from '../../../../../protocol/tensor.ts';

const NUMERIC = (Object.keys(DataType) as DataTypeName[]).filter(isNumeric);

describe('elements', () => {
  test.each(NUMERIC)('%s comes back as it was filled', (type) => {
    expect([...numbersOf(type, filled(type, 3, 'constant', 1, 0))]).toEqual([1, 1, 1]);
    if (type !== 'bool') expect([...numbersOf(type, filled(type, 4, 'ramp', 2, 0))]).toEqual([2, 3, 4, 5]);
    const drawn = [...numbersOf(type, filled(type, 64, 'random', 1, 7))];
    expect(Math.max(...drawn)).toBeLessThanOrEqual(1);
    expect(new Set(drawn).size).toBeGreaterThan(1);
    expect([...numbersOf(type, filled(type, 64, 'random', 1, 7))]).toEqual(drawn);
  });

  test('halves: small, large and rounded', () => {
    const round = (value: number) => numbersOf('float16', filled('float16', 1, 'constant', value, 0))[0];
    const exact = [0.5, -2.25, 65_504, 2 ** -14, 2 ** -24];
    expect(exact.map(round)).toEqual(exact);
    expect(round(1e6)).toBe(Number.POSITIVE_INFINITY);
    expect(round(1.99999)).toBe(2);
  });

  test('statistics leave out what is no number', () => {
    const { min, max, mean, deviation, notNumbers } = statisticsOf(new Float64Array([1, 3, Number.NaN, 5]));
    expect([min, max, mean, notNumbers]).toEqual([1, 5, 3, 1]);
    expect(deviation).toBeCloseTo(Math.sqrt(8 / 3));
    expect(statisticsOf(new Float64Array()).mean).toBeNaN();
  });

  test('the largest of the last row', () => {
    expect(topOf(new Float64Array([9, 9, 9, 1, 5, 3]), [2, 3], 2)).toEqual([
      { index: 1, value: 5 },
      { index: 2, value: 3 },
    ]);
    expect(topOf(new Float64Array([1]), [], 2)).toEqual([]);
  });
});

const PORTS: readonly Port[] = [
  { name: 'input_ids', type: 'int64', dims: ['batch', 'sequence'] },
  { name: 'attention_mask', type: 'int64', dims: ['batch', 'sequence'] },
  { name: 'past.0.key', type: 'float32', dims: ['batch', 3, 'past_sequence_length', 64] },
];

describe('the form', () => {
  test('asks for each open dimension once, and begins with usual ones', () => {
    expect(openDims(PORTS)).toEqual(['batch', 'sequence', 'past_sequence_length']);
    expect(['batch', 'sequence', 'past_sequence_length', 'height'].map(usualDim)).toEqual([1, 8, 0, 1]);
    expect(PORTS.map((port) => shapeOf(port, { sequence: 4 }))).toEqual([
      [1, 4],
      [1, 4],
      [1, 3, 0, 64],
    ]);
    expect(PORTS.map(usualSource)).toMatchObject([
      { fill: 'random' },
      { fill: 'constant', value: '1' },
      { fill: 'random' },
    ]);
  });

  test('makes the request that the node takes', () => {
    const [ids, mask, past] = inputsOf(
      PORTS,
      { input_ids: { from: 'json', json: '[[101, 7592, 102]]' } },
      { sequence: 3 },
    );
    expect(ids).toEqual({ name: 'input_ids', dtype: 'int64', shape: [1, 3], data: [[101, 7592, 102]] });
    expect([...numbersOf('int64', fromBase64(String(mask?.data)))]).toEqual([1, 1, 1]);
    expect(past).toMatchObject({ shape: [1, 3, 0, 64], data: '' });
  });

  test('says which input can not be sent, and why', () => {
    const problem = (source: Parameters<typeof inputsOf>[1][string]): InputProblem => {
      try {
        inputsOf(PORTS, { input_ids: source }, {});
      } catch (error) {
        if (error instanceof InputProblem) return error;
      }
      throw new Error('It was taken.');
    };
    expect(problem({ from: 'json', json: '[1,' }).message).toContain('no JSON');
    expect(problem({ from: 'fill', fill: 'constant', value: ' ' }).input).toBe('input_ids');
    expect(problem({ from: 'no-file' }).message).toContain('Choose');
    const file = { from: 'file', name: 'a.npy', type: 'float32', dims: [1], data: new Uint8Array(4) } as const;
    expect(problem(file).message).toContain('float32');
    expect(problem({ ...file, type: 'int64', data: new Uint8Array(13 * 2 ** 20) }).message).toContain('16 MiB');
    expect(() => inputsOf(PORTS, {}, { sequence: 9_000_000 })).toThrow('too many to fill');
  });

  test('base64 and nesting', () => {
    const bytes = Uint8Array.from({ length: 100_000 }, (_, at) => at % 251);
    expect(fromBase64(toBase64(bytes))).toEqual(bytes);
    expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
    expect(
      nestingOf([
        [1, 2, 3],
        [4, 5, 6],
      ]),
    ).toEqual([2, 3]);
    expect(nestingOf([])).toEqual([0]);
  });
});
