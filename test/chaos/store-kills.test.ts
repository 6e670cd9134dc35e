// The long form of test/models/store/kills.test.ts: `npm run test:chaos`.
import { rm } from 'node:fs/promises';
import { it } from 'vitest';
import { countSteps, storeKillRun } from '../models/store/kills.ts';
import { temporaryFolder } from '../models/temporary.ts';
import { seededRandom } from '../support/seeded.ts';

const random = seededRandom('300 kills of a store');

// In portions, so that a failure says how far it came.
it.each([0, 1, 2, 3, 4, 5])('portion %i of 6: a store survives 50 kills at random steps', async () => {
  const folder = await temporaryFolder();
  const steps = await countSteps(folder);
  for (let run = 0; run < 50; run++) {
    await storeKillRun(folder, steps, random);
    await rm(folder, { recursive: true, force: true });
  }
});
