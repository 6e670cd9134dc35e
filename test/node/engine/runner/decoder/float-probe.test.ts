// From how many rows on float activations are taken, by what products of either kind take.
import { describe, expect, it } from 'vitest';
import { floatRows, measureFloatRows } from '../../../../../node/engine/runner/decoder/float-probe.ts';

/** Measures on forms that take what these say; every third time both are disturbed, and the first ones cost more. */
async function measured(roundedMs: (rows: number) => number, floatMs: (rows: number) => number) {
  let open = 0;
  const rowsMin = await measureFloatRows(async (float) => {
    open++;
    let runs = 0;
    return {
      ms: async (rows) => {
        runs++;
        const disturbed = runs <= 2 ? 10 : runs % 3 === 0 ? 4 : 1;
        return disturbed * (float ? floatMs : roundedMs)(rows);
      },
      close: async () => {
        open--;
      },
    };
  });
  expect(open).toBe(0);
  return rowsMin;
}

describe('measureFloatRows', () => {
  it('takes them where they win clearly at many rows, from as few as they cost nothing at', async () => {
    expect(
      await measured(
        (rows) => 2.8 * rows,
        (rows) => 20 + 1.7 * rows,
      ),
    ).toBe(32);
    expect(
      await measured(
        (rows) => 2.8 * rows,
        (rows) => 50 + 1.7 * rows,
      ),
    ).toBe(64);
  });

  it('takes none where they win by little, or lose', async () => {
    expect(
      await measured(
        (rows) => rows,
        (rows) => 0.9 * rows,
      ),
    ).toBeUndefined();
    expect(
      await measured(
        (rows) => rows,
        (rows) => 2 * rows,
      ),
    ).toBeUndefined();
    expect(
      await measured(
        () => 0,
        () => 0,
      ),
    ).toBeUndefined();
  });

  it('ends what it has opened when a run fails', async () => {
    let closed = 0;
    const open = async () => ({
      ms: () => Promise.reject(new Error('No.')),
      close: async () => {
        closed++;
      },
    });
    await expect(measureFloatRows(open)).rejects.toThrow('No.');
    expect(closed).toBe(2);
  });

  it('finds one of its answers on this machine, and keeps it', async () => {
    const rowsMin = await floatRows();
    expect([undefined, 32, 64]).toContain(rowsMin);
    expect(floatRows()).toBe(floatRows());
  });
});
