// What a text generator gets for keys and values.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Manifest } from '../../../models/manifest.ts';
import { kvNeed, kvReservation } from '../../../node/engine/kv-memory.ts';
import { runs } from '../../support/property.ts';
import { actingModel } from './acting-model.ts';
import { minilm, smollm } from './support.ts';

const KIB = 2 ** 10;
const MIB = 2 ** 20;

describe('kvNeed', () => {
  it('is what the manifest says of the graph', async () => {
    const { manifest } = await smollm();
    expect(kvNeed(manifest, 16)).toEqual({
      // 30 layers, keys and values, 3 heads of 64 numbers of 4 bytes.
      bytesPerToken: 45 * KIB,
      bytesMin: 1_024 * 45 * KIB,
      bytesMax: manifest.contextLength * 16 * 45 * KIB,
    });
    expect(kvNeed((await minilm()).manifest, 16)).toBeUndefined();
  });

  it('counts what the graph stores: halves take half, and a short context is the floor', () => {
    const { manifest } = actingModel('short', {}, { task: 'text-generation' });
    const past = { name: 'past_key_values.0.key', type: 'float16', dims: ['b', 8, 'n', 64] };
    const short = { ...manifest, contextLength: 100, inputs: [...manifest.inputs, past] };
    expect(kvNeed(short, 2)).toEqual({ bytesPerToken: 32 * KIB, bytesMin: 3_200 * KIB, bytesMax: 6_400 * KIB });
  });
});

describe('kvNeed of a model that hears', () => {
  it('has keys and values of what was heard as well, for every sequence', () => {
    const { manifest } = actingModel('hears', {}, { task: 'text-generation' });
    const { bytesPerToken = 0, bytesMin = 0, bytesMax = 0 } = kvNeed(manifest, 3) ?? {};
    // Thirty seconds, as Whisper takes them.
    const speech = { frames: 3_000 } as Manifest['speech'];
    expect(kvNeed({ ...manifest, speech }, 3)).toEqual({
      bytesPerToken,
      bytesMin: bytesMin + 1_500 * bytesPerToken,
      bytesMax: bytesMax + 3 * 1_500 * bytesPerToken,
    });
  });
});

describe('kvReservation', () => {
  const need = { bytesPerToken: 45 * KIB, bytesMin: 45 * MIB, bytesMax: 5_760 * MIB };

  it('takes a quarter of what is free, never less than one sequence, never more than can be used', () => {
    expect(kvReservation(need, 1_000 * MIB)).toBe(250 * MIB);
    expect(kvReservation(need, 60 * MIB)).toBe(45 * MIB);
    expect(kvReservation(need, 100_000 * MIB)).toBe(5_760 * MIB);
  });

  it('fits wherever the floor fits', () => {
    fc.assert(
      fc.property(fc.integer({ min: need.bytesMin, max: 2 ** 40 }), (free) => {
        const bytes = kvReservation(need, free);
        expect(bytes).toBeGreaterThanOrEqual(need.bytesMin);
        expect(bytes).toBeLessThanOrEqual(Math.min(free, need.bytesMax));
      }),
      runs(200),
    );
  });
});
