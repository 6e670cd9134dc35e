// What two requests, run apart and together, say of a graph.
import { describe, expect, it } from 'vitest';
import { judgeRows, splitOutputs } from '../../../node/engine/independence.ts';
import { type NamedTensor, tensorOf } from '../../../protocol/tensor.ts';

const floats = (...values: number[]): NamedTensor[] => [
  tensorOf('y', 'float32', [values.length / 2, 2], Float32Array.from(values)),
];
const ints = (...values: number[]): NamedTensor[] => [
  tensorOf('y', 'int32', [values.length / 2, 2], Int32Array.from(values)),
];
const halves = (type: 'float16' | 'bfloat16', ...bits: number[]): NamedTensor[] => [
  tensorOf('y', type, [bits.length / 2, 2], Uint16Array.from(bits)),
];
const judge = (a: NamedTensor[], b: NamedTensor[], together: NamedTensor[]) =>
  judgeRows([a, b], splitOutputs(together, [a[0]?.dims[0] ?? 0, b[0]?.dims[0] ?? 0]));

describe('judgeRows', () => {
  it('takes rows for independent when each is what it is alone, but for the noise of another kernel', () => {
    expect(judge(floats(1, 2), floats(3, 4, 5, 6), floats(1, 2, 3, 4, 5, 6))).toEqual({ rows: 'independent' });
    expect(judge(floats(1, 100), floats(3, 4), floats(1.0001, 100, 3, 4.00001))).toEqual({ rows: 'independent' });
    expect(judge(ints(1, 2), ints(3, 4), ints(1, 2, 3, 4))).toEqual({ rows: 'independent' });
    const [nan, infinite] = [Number.NaN, Number.POSITIVE_INFINITY];
    const odd = judge(floats(nan, 2), floats(infinite, 4), floats(nan, 2, infinite, 4));
    expect(odd).toEqual({ rows: 'independent' });
  });

  it('sees a row that the others have changed, however the numbers are stored', () => {
    expect(judge(floats(1, 2), floats(3, 4), floats(1, 2, 3, 4.1))).toMatchObject({
      rows: 'dependent',
      reason: expect.stringMatching(/"y" differs by 2\.\d % /),
    });
    expect(judge(floats(1, 2), floats(3, 4), floats(1, Number.NaN, 3, 4))).toMatchObject({ rows: 'dependent' });
    expect(judge(ints(1, 2), ints(3, 4_000_000), ints(1, 2, 3, 4_000_001))).toMatchObject({ rows: 'dependent' });
    // 1 and 2, then −1.5, and the smallest number there is.
    const [one, two, other, tiny] = [0x3c00, 0x4000, 0xbe00, 0x0001] as const;
    const half = (...bits: number[]) =>
      judge(halves('float16', one, two), halves('float16', other, tiny), halves('float16', ...bits));
    expect(half(one, two, other, tiny)).toEqual({ rows: 'independent' });
    expect(half(one, two, other, 0x0002)).toEqual({ rows: 'independent' });
    expect(half(one, 0x4100, other, tiny)).toMatchObject({ rows: 'dependent' });
    const brain = (...bits: number[]) =>
      judge(halves('bfloat16', 0x3f80, 0x4000), halves('bfloat16', 0xbf80, 0), halves('bfloat16', ...bits));
    expect(brain(0x3f80, 0x4000, 0xbf80, 0)).toEqual({ rows: 'independent' });
    expect(brain(0x3f80, 0x4020, 0xbf80, 0)).toMatchObject({ rows: 'dependent' });
  });

  it('says nothing where the two answers are the same: one could stand in for the other', () => {
    expect(judge(floats(1, 2), floats(1, 2), floats(1, 2, 1, 2))).toEqual({ rows: 'unclear' });
    expect(judge(ints(1, 2), ints(1, 2), ints(1, 2, 1, 2))).toEqual({ rows: 'unclear' });
  });

  it('refuses outputs that have not as many rows as the inputs, or another shape', () => {
    expect(judgeRows([floats(1, 2), floats(3, 4)], splitOutputs(floats(1, 2), [1, 1]))).toMatchObject({
      rows: 'dependent',
    });
    const [apart, together] = [floats(1, 2), floats(3, 4)];
    expect(judgeRows([apart, together], [[], together])).toMatchObject({ rows: 'dependent' });
  });
});

describe('splitOutputs', () => {
  it('gives each its rows, as views of the whole', () => {
    const whole = [...floats(1, 2, 3, 4, 5, 6), tensorOf('z', 'int64', [3], BigInt64Array.of(7n, 8n, 9n))];
    const parts = splitOutputs(whole, [1, 2]);
    expect(parts?.map((outputs) => outputs.map(({ name, dims }) => [name, dims]))).toEqual([
      [
        ['y', [1, 2]],
        ['z', [1]],
      ],
      [
        ['y', [2, 2]],
        ['z', [2]],
      ],
    ]);
    expect([...new Float32Array(parts?.[1]?.[0]?.data.slice().buffer ?? new ArrayBuffer(0))]).toEqual([3, 4, 5, 6]);
    expect(parts?.[1]?.[0]?.data.buffer).toBe(whole[0]?.data.buffer);
  });

  it('gives nothing where rows and outputs disagree', () => {
    expect(splitOutputs(floats(1, 2, 3, 4), [1, 2])).toBeUndefined();
    expect(splitOutputs([tensorOf('y', 'float32', [], Float32Array.of(1))], [1])).toBeUndefined();
  });
});
