// Runners and peers that are lost in the middle of a stream: the short form of test/chaos.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { streamChat } from '../support/chat.ts';
import { type Daemon, startDaemon } from '../support/daemon.ts';
import {
  AS_THEY_COME,
  counting,
  EXACT,
  type PeerFault,
  peerKillRun,
  type Reference,
  referenceAnswers,
  runnerKillRun,
} from '../support/kills.ts';
import { seededRandom } from '../support/seeded.ts';
import { type StarMesh, startStarMesh } from '../support/star-mesh.ts';

describe.each([
  { ...AS_THEY_COME, kills: 10 },
  { ...EXACT, kills: 20 },
])('a runner of $nodes lost during a stream', ({ env, ask, kills }) => {
  let daemon: Daemon;
  let reference: Reference;
  beforeAll(async () => {
    daemon = await startDaemon({ env });
    reference = await referenceAnswers(daemon, ask, [0, 1, 2, 3]);
  });
  afterAll(() => daemon.stop());

  it(`costs no token, in ${kills} kills and stops at random moments`, async () => {
    const random = seededRandom('runner kills');
    for (let run = 0; run < kills; run++) {
      await runnerKillRun(daemon, reference, random, ['kill', 'kill', 'kill', 'stop']);
    }
  });
});

describe('a peer lost during a stream', () => {
  let mesh: StarMesh;
  let reference: Reference;
  beforeAll(async () => {
    mesh = await startStarMesh(2);
    reference = await referenceAnswers(mesh.entry, counting, [0]);
  });
  afterAll(() => mesh.stop());

  it('costs no token when another peer can go on, in 5 kills, stops and silent links', async () => {
    const random = seededRandom('peer kills');
    const faults: readonly PeerFault[] = ['kill', 'stop', 'silence', 'runner', 'silence'];
    for (const fault of faults) await peerKillRun(mesh.entry, mesh.targets, reference, random, fault);
  });

  it.each(['kill', 'stop', 'silence'] as const)('ends in a typed error when none is left (%s)', async (fault) => {
    const [only, other] = mesh.targets;
    other?.daemon().kill('SIGKILL');
    const failure = await streamChat(mesh.entry, {
      maxTokens: 200,
      onPiece: (count) => {
        if (count !== 3) return;
        if (fault === 'kill') only?.daemon().kill('SIGKILL');
        else if (fault === 'stop') only?.daemon().kill('SIGSTOP');
        else only?.silence();
      },
    }).then(
      () => undefined,
      (error: unknown) => error as { error?: { weft_code?: string }; message: string },
    );
    expect(failure?.message).toMatch(/peer|node/i);
    await other?.restore('kill');
    await only?.restore(fault);
  });
});
