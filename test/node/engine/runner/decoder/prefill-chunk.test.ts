// How long a piece of a prompt may be beside sequences that wait for their next token.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PREFILL_TOKENS } from '../../../../../node/engine/limits.ts';
import { type PrefillState, prefillChunk } from '../../../../../node/engine/runner/decoder/prefill-chunk.ts';
import { runs } from '../../../../support/property.ts';

/** Steps take so much, and so much more for each row. */
const costs = (fixedMs: number, perRowMs: number) => ({
  stepMs: (rows: number) => fixedMs + perRowMs * rows,
});
const state = (over: Partial<PrefillState>): PrefillState => ({
  left: 2_000,
  context: 0,
  decoding: 8,
  contextOfOthers: 100,
  costs: costs(8, 2.5),
  ...over,
});

describe('prefillChunk', () => {
  it('takes all that a piece may have while nobody waits', () => {
    expect(prefillChunk(state({ decoding: 0 }))).toBe(PREFILL_TOKENS);
    expect(prefillChunk(state({ decoding: 0, left: 30 }))).toBe(30);
  });

  it('takes more beside longer steps', () => {
    // 8 + 2.5 · 12 = 38 ms, of 1.6 · 28 = 44.8; beside one, 1.6 · 10.5 leaves room for 3.
    expect(prefillChunk(state({}))).toBe(12);
    expect(prefillChunk(state({ decoding: 32 }))).toBe(48);
    expect(prefillChunk(state({ decoding: 1 }))).toBe(4);
  });

  it('takes the whole rest where that fits', () => {
    expect(prefillChunk(state({ left: 13 }))).toBe(13);
    expect(prefillChunk(state({ left: 3, decoding: 1, costs: costs(0, 100) }))).toBe(3);
    expect(prefillChunk(state({ costs: costs(8, 0.001) }))).toBe(PREFILL_TOKENS);
  });

  it('asks for the costs where prompt and others are', () => {
    const asked: [number, number][] = [];
    const stepMs = (rows: number, context: number): number => {
      asked.push([rows, context]);
      return 10;
    };
    prefillChunk(state({ context: 700, contextOfOthers: 90, costs: { stepMs } }));
    expect(asked).toEqual([
      [8, 90],
      [PREFILL_TOKENS, 700],
    ]);
  });

  it('is careful while nothing is measured', () => {
    expect(prefillChunk(state({ costs: { stepMs: () => 0 } }))).toBe(16);
  });

  it('keeps the gap between two tokens of others under three steps, or goes on by 4 tokens all the same', () => {
    const ms = fc.double({ min: 0.001, max: 100, noNaN: true });
    fc.assert(
      fc.property(
        ms,
        ms,
        fc.integer({ min: 1, max: 32 }),
        fc.integer({ min: 1, max: 5_000 }),
        (fixed, more, others, left) => {
          const now = state({ decoding: others, left, costs: costs(fixed, more) });
          const tokens = prefillChunk(now);
          expect(tokens).toBeGreaterThanOrEqual(Math.min(4, left));
          expect(tokens).toBeLessThanOrEqual(Math.min(PREFILL_TOKENS, left));
          const [pieceMs, stepMs] = [now.costs.stepMs(tokens, 0), now.costs.stepMs(others, 0)];
          if (tokens > 4) expect(pieceMs + stepMs).toBeLessThan(3 * stepMs);
          // And no size that is half as long again would do.
          if (tokens > 4 && tokens < Math.min(left, PREFILL_TOKENS)) {
            expect(now.costs.stepMs(1.5 * tokens + 0.01, 0)).toBeGreaterThan(1.6 * stepMs);
          }
        },
      ),
      runs(300),
    );
  });
});
