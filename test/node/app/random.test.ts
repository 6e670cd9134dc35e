import { describe, expect, it } from 'vitest';
import { systemRandom } from '../../../node/app/random.ts';

describe("the system's randomness", () => {
  it('never hands out the same bytes twice, over many refills of its pool', () => {
    const seen = new Set<string>();
    for (let count = 0; count < 5_000; count++) seen.add(Buffer.from(systemRandom.bytes(16)).toString('hex'));
    expect(seen.size).toBe(5_000);
  });

  it('gives as many bytes as asked for, which are the caller’s own', () => {
    for (const length of [0, 1, 32, 4_095, 4_096, 4_097, 100_000]) {
      const bytes = systemRandom.bytes(length);
      expect(bytes.byteLength).toBe(length);
      expect(bytes.buffer.byteLength).toBe(length);
      if (length > 31) expect(bytes.some((byte) => byte !== 0)).toBe(true);
    }
  });
});
