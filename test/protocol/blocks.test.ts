// Floats as blocks of eight bits: how much is lost, and which floats have none.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BLOCK_BYTES, BLOCK_VALUES, blockBytes, fromBlocks, toBlocks } from '../../protocol/blocks.ts';
import { runs } from '../support/property.ts';

const finite = fc.float({ noNaN: true, noDefaultInfinity: true });

describe('blocks', () => {
  it('lose of each value at most what half a step of its block is', () => {
    fc.assert(
      fc.property(fc.array(finite, { maxLength: 200 }), (list) => {
        const values = Float32Array.from(list);
        const blocks = toBlocks(values);
        expect(blocks?.bytes.byteLength).toBe(blockBytes(values.length));
        const back = fromBlocks(blocks?.bytes ?? new Uint8Array(), values.length);
        for (const [index, value] of values.entries()) {
          const begin = index - (index % BLOCK_VALUES);
          const most = values.subarray(begin, begin + BLOCK_VALUES).reduce((a, b) => Math.max(a, Math.abs(b)), 0);
          // A bfloat16 scale is rounded up by less than a hundredth; below its least number nothing is left.
          expect(Math.abs((back[index] as number) - value)).toBeLessThanOrEqual((most / 127 / 2) * 1.01 + 1e-37);
        }
      }),
      runs(300),
    );
  });

  it('say how much was lost of all', () => {
    const values = Float32Array.from({ length: 999 }, (_, index) => Math.sin(index) * 10);
    const { bytes, error } = toBlocks(values) ?? { bytes: new Uint8Array(), error: Number.NaN };
    const back = fromBlocks(bytes, values.length);
    const square = (list: Iterable<number>): number => [...list].reduce((sum, value) => sum + value * value, 0);
    const lost = Float64Array.from(values, (value, index) => value - (back[index] as number));
    expect(error).toBeCloseTo(Math.sqrt(square(lost) / square(values)), 6);
    expect(error).toBeGreaterThan(0);
    expect(error).toBeLessThan(0.01);
    expect(toBlocks(new Float32Array(64))?.error).toBe(0);
  });

  it('take a quarter of the bytes', () => {
    expect(blockBytes(320)).toBe(10 * BLOCK_BYTES);
    expect(blockBytes(321)).toBe(11 * BLOCK_BYTES);
    expect(blockBytes(0)).toBe(0);
  });

  it('hold no value that is not finite', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      expect(toBlocks(Float32Array.of(1, 2, value))).toBeUndefined();
    }
  });

  it('are read at any place of a buffer', () => {
    const { bytes } = toBlocks(Float32Array.of(1, -2, 3)) ?? { bytes: new Uint8Array() };
    const inside = new Uint8Array(bytes.byteLength + 3);
    inside.set(bytes, 3);
    expect([...fromBlocks(inside.subarray(3), 3)]).toEqual([...fromBlocks(bytes, 3)]);
  });
});
