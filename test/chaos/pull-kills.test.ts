// The long form of test/node/library/kills.test.ts: `npm run test:chaos`.
import { expect, it } from 'vitest';
import { PullKillRange } from '../node/library/kills.ts';
import { seededRandom } from '../support/seeded.ts';

const random = seededRandom('300 kills of a pull');

// In portions, so that a failure says how far it came.
it.each([0, 1, 2, 3, 4, 5])('portion %i of 6: a pull survives 50 kills at random moments', async () => {
  const range = await PullKillRange.open(random.between(1, 2 ** 30));
  for (let run = 0; range.done.kills < 50; run++) await range.run(random, run % 2 === 1);
  expect(range.done.stops).toBeGreaterThan(0);
  expect(range.done.moments.size).toBeGreaterThan(6);
});
