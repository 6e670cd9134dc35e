import { describe, expect, it } from 'vitest';
import { runRandomWorld } from './random-world.ts';
import { SimFailure } from './sim-failure.ts';

/** WEFT_TEST_SEED begins elsewhere. More of them: `npm run sim -- --seeds N`, or `npm run test:chaos`. */
const FROM = Number(process.env.WEFT_TEST_SEED ?? 1);
const SEEDS = 200;
const PORTION = 50;

describe('random worlds', () => {
  const portions = Array.from({ length: SEEDS / PORTION }, (_, index) => FROM + index * PORTION);
  it.each(portions)(`hold, ${PORTION} seeds from %i on`, async (from) => {
    let failed = 0;
    let hedges = 0;
    let faults = 0;
    for (let seed = from; seed < from + PORTION; seed++) {
      const report = await runRandomWorld(seed);
      failed += report.failed;
      hedges += report.hedges;
      faults += report.faults;
    }
    // They are worth looking at: faults met requests, apps left or wanted too much, and second tries were made.
    expect(failed).toBeGreaterThan(0);
    expect(faults).toBeGreaterThan(PORTION);
    expect(hedges).toBeGreaterThan(0);
  });

  it('repeat themselves to the last event', async () => {
    const [one, again, other] = [await runRandomWorld(7), await runRandomWorld(7), await runRandomWorld(8)];
    expect(again).toEqual(one);
    expect(other.hash).not.toBe(one.hash);
  });

  it('break where a second try is made too often, at the same event each time', async () => {
    const failure = async (): Promise<SimFailure> => {
      for (let seed = 1; seed <= 50; seed++) {
        try {
          await runRandomWorld(seed, { hedgeShare: 0.5 });
        } catch (error) {
          if (error instanceof SimFailure) return error;
          throw error;
        }
      }
      throw new Error('No world has broken.');
    };
    const first = await failure();
    expect(first.message).toMatch(/were hedged$/);
    const lines: string[] = [];
    const again = await runRandomWorld(first.seed, { hedgeShare: 0.5, onLine: (line) => lines.push(line) }).catch(
      (error: unknown) => error as SimFailure,
    );
    expect(again).toMatchObject({ seed: first.seed, event: first.event, atMs: first.atMs, hash: first.hash });
    expect(lines[first.event - 1]).toBe(first.tail.at(-1));
  });
});
