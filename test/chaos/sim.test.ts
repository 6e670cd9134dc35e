// The long form of test/sim/random-worlds.test.ts: `npm run test:chaos`.
import { describe, it } from 'vitest';
import { runRandomWorld } from '../sim/random-world.ts';

const FROM = Number(process.env.WEFT_TEST_SEED ?? 1_001);
const PORTION = 200;

describe('2,000 random worlds', () => {
  const portions = Array.from({ length: 10 }, (_, index) => FROM + index * PORTION);
  it.each(portions)('hold, 200 seeds from %i on', async (from) => {
    for (let seed = from; seed < from + PORTION; seed++) await runRandomWorld(seed);
  });
});
