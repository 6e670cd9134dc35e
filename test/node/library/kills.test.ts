import { expect, it } from 'vitest';
import { seededRandom } from '../../support/seeded.ts';
import { PullKillRange } from './kills.ts';

// The long form is test/chaos/pull-kills.test.ts.
it('a pull survives 20 kills at random moments, from the hub and from a peer and the hub', async () => {
  const random = seededRandom('20 kills of a pull');
  const range = await PullKillRange.open(random.between(1, 2 ** 30));
  for (let run = 0; range.done.kills < 20; run++) await range.run(random, run % 2 === 1);
  const { stops, fromPeer, fromHub, moments } = range.done;
  expect(moments.size).toBeGreaterThan(4);
  expect(stops).toBeGreaterThan(0);
  // The work was shared.
  expect(Math.min(fromPeer, fromHub)).toBeGreaterThan(0);
}, 300_000);
