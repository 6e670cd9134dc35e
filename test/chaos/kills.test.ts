// The long form of test/e2e/recovery.test.ts: `npm run test:chaos`.
import { afterAll, beforeAll, describe, it } from 'vitest';
import { type Daemon, startDaemon } from '../support/daemon.ts';
import {
  AS_THEY_COME,
  EXACT,
  type PeerFault,
  peerKillRun,
  type Reference,
  referenceAnswers,
  runnerKillRun,
} from '../support/kills.ts';
import { seededRandom } from '../support/seeded.ts';
import { type StarMesh, startStarMesh } from '../support/star-mesh.ts';

// In portions, so that a failure says how far it came.
const PORTIONS = [0, 1, 2, 3, 4];

describe.each([AS_THEY_COME, EXACT])('100 runners lost during streams of $nodes', ({ env, ask }) => {
  let daemon: Daemon;
  let reference: Reference;
  beforeAll(async () => {
    daemon = await startDaemon({ env });
    reference = await referenceAnswers(daemon, ask, [0, 1, 2, 3, 4, 5]);
  });
  afterAll(() => daemon.stop());

  const random = seededRandom('100 runner kills');
  it.each(PORTIONS)('portion %i of 5: no token lost, doubled or out of order', async () => {
    for (let run = 0; run < 20; run++) await runnerKillRun(daemon, reference, random, ['kill', 'kill', 'kill', 'stop']);
  });
});

describe.each([AS_THEY_COME, EXACT])('25 peers lost during streams of $nodes', ({ env, ask }) => {
  let mesh: StarMesh;
  let reference: Reference;
  beforeAll(async () => {
    mesh = await startStarMesh(2, env);
    reference = await referenceAnswers(mesh.entry, ask, [0, 1, 2, 3]);
  });
  afterAll(() => mesh.stop());

  const random = seededRandom('25 peer kills');
  const faults: readonly PeerFault[] = ['kill', 'stop', 'silence', 'runner', 'silence'];
  it.each(PORTIONS)('portion %i of 5: no token lost, doubled or out of order', async () => {
    for (const fault of faults) await peerKillRun(mesh.entry, mesh.targets, reference, random, fault);
  });
});
