// How long a thread may stand still.
import { describe, expect, it } from 'vitest';
import { hangMs, type StillWork } from '../../../node/engine/hang.ts';

const work = (lane: StillWork['lane'], task: string, msPerToken: number, decodeMs = 0): StillWork => ({
  lane,
  model: {
    installed: { manifest: { task } },
    profile: { predictMs: (tokens) => tokens * msPerToken, decodeMs },
  },
});

describe('hangMs', () => {
  it('is generous: many times the longest run that such work has, and never short', () => {
    expect(hangMs(work('generation', 'text-generation', 1))).toBe(10_000);
    expect(hangMs(work('generation', 'text-generation', 100))).toBe(20 * 128 * 100);
    expect(hangMs(work('generation', 'text-generation', 0, 900))).toBe(18_000);
    expect(hangMs(work('short', 'feature-extraction', 0.5))).toBe(10_000);
    expect(hangMs(work('short', 'feature-extraction', 5))).toBe(20 * 512 * 5);
    // The input of any graph may be a hundred times that of the runs which were measured.
    expect(hangMs(work('short', 'tensor', 2))).toBe(60_000);
    expect(hangMs(work('short', 'tensor', 5_000))).toBe(100_000);
  });

  it('says nothing of what was never measured, nor of loads: their deadline does', () => {
    expect(hangMs(work('short', 'tensor', 0))).toBe(Number.POSITIVE_INFINITY);
    expect(hangMs(work('load', 'tensor', 1))).toBe(Number.POSITIVE_INFINITY);
  });
});
