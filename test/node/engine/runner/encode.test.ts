// Padding and pooling around the graph of a text encoder.
import { describe, expect, it } from 'vitest';
import { padBatch, pool } from '../../../../node/engine/runner/encode.ts';

describe('padBatch', () => {
  it('fills ragged rows up on the right, and masks what it added', () => {
    const batch = padBatch(Int32Array.of(7, 8, 9, 5), Int32Array.of(3, 1), 99);
    expect(batch).toMatchObject({ rows: 2, width: 3 });
    expect([...batch.ids]).toEqual([7n, 8n, 9n, 5n, 99n, 99n]);
    expect([...batch.mask]).toEqual([1n, 1n, 1n, 1n, 0n, 0n]);
  });
});

describe('pool', () => {
  const hidden = Float32Array.of(3, 0, 1, 4, 100, 100, /* row 2 */ 0, 2, 50, 50, 50, 50);
  const lengths = Int32Array.of(2, 1);

  it('averages over the text and not over the padding', () => {
    expect([...pool(hidden, lengths, 2, { pooling: 'mean', normalize: false })]).toEqual([2, 2, 0, 2]);
  });

  it('takes the first token where that stands for the text', () => {
    expect([...pool(hidden, lengths, 2, { pooling: 'cls', normalize: false })]).toEqual([3, 0, 0, 2]);
  });

  it('makes vectors of length one, and leaves a zero vector', () => {
    const vectors = pool(hidden, lengths, 2, { pooling: 'mean', normalize: true });
    expect(Math.hypot(vectors[0] ?? 0, vectors[1] ?? 0)).toBeCloseTo(1, 6);
    expect([...pool(new Float32Array(2), Int32Array.of(1), 2, { pooling: 'mean', normalize: true })]).toEqual([0, 0]);
  });

  it('refuses what is not a number', () => {
    const broken = Float32Array.of(Number.NaN, 1);
    expect(() => pool(broken, Int32Array.of(1), 2, { pooling: 'mean', normalize: true })).toThrow(
      expect.objectContaining({ code: 'internal' }),
    );
  });
});
