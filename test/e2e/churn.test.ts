// The live form of churn: peers that are killed, stopped and cut off, one after the other, while requests go on. None fails
// while somebody is left who can answer.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connectedPeers } from '../support/connected-peers.ts';
import type { Daemon } from '../support/daemon.ts';
import type { Fault } from '../support/kills.ts';
import { seededRandom } from '../support/seeded.ts';
import { type StarMesh, startStarMesh } from '../support/star-mesh.ts';
import { until } from '../support/wait.ts';

const PEERS = 4;
const LANES = 3;
const ANSWERS_PER_FAULT = 60;
const FAULTS: readonly Fault[] = ['kill', 'stop', 'silence', 'kill', 'silence', 'stop'];

let mesh: StarMesh;
beforeAll(async () => {
  mesh = await startStarMesh(PEERS);
});
afterAll(() => mesh.stop());

/** @returns what went wrong; undefined when the text got its vector */
async function embed({ url, key }: Daemon, text: string): Promise<string | undefined> {
  try {
    const response = await fetch(`${url}/v1/embeddings`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'minilm', input: text }),
    });
    const body = (await response.json()) as { data?: { embedding: number[] }[]; error?: unknown };
    return body.data?.[0]?.embedding.length === 384 ? undefined : `${response.status} ${JSON.stringify(body.error)}`;
  } catch (error) {
    return String(error);
  }
}

it('no request fails while peers are killed, stopped and cut off', async () => {
  const random = seededRandom('churn');
  const failures: string[] = [];
  let answered = 0;
  let going = true;
  const lane = async (name: number): Promise<void> => {
    for (let count = 0; going; count++) {
      const failure = await embed(mesh.entry, `Text ${count} of lane ${name}.`);
      if (failure === undefined) answered++;
      else failures.push(failure);
    }
  };
  const lanes = Array.from({ length: LANES }, (_, name) => lane(name));
  try {
    for (const fault of FAULTS) {
      const target = random.pick(mesh.targets);
      const enough = answered + ANSWERS_PER_FAULT;
      if (fault === 'silence') target.silence();
      else target.daemon().kill(fault === 'kill' ? 'SIGKILL' : 'SIGSTOP');
      await until(`answers after a ${fault}`, () => answered >= enough || failures.length > 0);
      expect(failures, `seed ${random.seed}, ${fault}`).toEqual([]);
      await target.restore(fault);
      await connectedPeers(mesh.entry, PEERS);
    }
  } finally {
    going = false;
    await Promise.all(lanes);
  }
  expect(failures, `seed ${random.seed}`).toEqual([]);
});
