// The long form of test/e2e/recovery.test.ts: `npm run test:chaos`.
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { StreamedAnswer } from '../support/chat.ts';
import { type Daemon, startDaemon } from '../support/daemon.ts';
import { type PeerFault, peerKillRun, referenceAnswers, runnerKillRun } from '../support/kills.ts';
import { seededRandom } from '../support/seeded.ts';
import { type StarMesh, startStarMesh } from '../support/star-mesh.ts';

describe('200 runners lost during streams', () => {
  let daemon: Daemon;
  let reference: ReadonlyMap<number, StreamedAnswer>;
  beforeAll(async () => {
    daemon = await startDaemon();
    reference = await referenceAnswers(daemon, [0, 1, 2, 3, 4, 5]);
  });
  afterAll(() => daemon.stop());

  const random = seededRandom('200 runner kills');
  // In portions, so that a failure says how far it came.
  it.each(Array.from({ length: 10 }, (_, index) => index))(
    'portion %i of 10: no token lost, doubled or out of order',
    async () => {
      for (let run = 0; run < 20; run++)
        await runnerKillRun(daemon, reference, random, ['kill', 'kill', 'kill', 'stop']);
    },
  );
});

describe('50 peers lost during streams', () => {
  let mesh: StarMesh;
  let reference: ReadonlyMap<number, StreamedAnswer>;
  beforeAll(async () => {
    mesh = await startStarMesh(2);
    reference = await referenceAnswers(mesh.entry, [0, 1, 2, 3]);
  });
  afterAll(() => mesh.stop());

  const random = seededRandom('50 peer kills');
  const faults: readonly PeerFault[] = ['kill', 'stop', 'silence', 'runner', 'silence'];
  it.each(Array.from({ length: 10 }, (_, index) => index))(
    'portion %i of 10: no token lost, doubled or out of order',
    async () => {
      for (const fault of faults) await peerKillRun(mesh.entry, mesh.targets, reference, random, fault);
    },
  );
});
