import { rm } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { seededRandom } from '../../support/seeded.ts';
import { temporaryFolder } from '../temporary.ts';
import { countSteps, storeKillRun } from './kills.ts';

// The long form is test/chaos/store-kills.test.ts.
it('a store survives 20 kills at random steps of all that it does', async () => {
  const folder = await temporaryFolder();
  const steps = await countSteps(folder);
  expect(steps).toBeGreaterThan(100);
  await rm(folder, { recursive: true });
  const random = seededRandom('20 kills of a store');
  let killed = 0;
  for (let run = 0; run < 20; run++) killed += (await storeKillRun(folder, steps, random)) ? 1 : 0;
  expect(killed).toBeGreaterThan(15);
}, 300_000);
