// What the loop does on one node: makes room, loads, fetches, gives claims back, and leaves alone what failed.
import { describe, expect, it } from 'vitest';
import { ClaimBook } from '../../../node/app/claim-book.ts';
import { ModelDemand } from '../../../node/app/model-demand.ts';
import { Replicas } from '../../../node/app/replicas.ts';
import type { LoadedModel } from '../../../node/core/engine.ts';
import { silentLog } from '../../../node/core/log.ts';
import type { PeerRecord } from '../../../node/core/mesh.ts';
import type { ModelOffer } from '../../../protocol/capability.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';
import { IDLE, MINILM, offer, peer, SMOL } from '../scheduler/builders.ts';

interface SceneInit {
  readonly offers?: readonly ModelOffer[];
  readonly peers?: readonly PeerRecord[];
  readonly min?: number;
  readonly max?: number;
  readonly memoryFreeBytes?: number;
  readonly fails?: boolean;
  readonly lends?: () => boolean;
}

function scene(init: SceneInit = {}) {
  const { offers = [], peers = [peer('a')], min = 0, max = 9, memoryFreeBytes = 8e9, fails, lends } = init;
  const clock = new VirtualClock();
  const done: string[] = [];
  const states = new Map(offers.map(({ model, state }) => [model.digest, state]));
  let kept: readonly string[] = [];
  const mesh = { self: 'self', peers: () => peers, onPeers: () => () => undefined, announce: () => undefined };
  const demand = new ModelDemand({ clock, mesh });
  const claims = new ClaimBook({ clock, mesh });
  const replicas = new Replicas({
    clock,
    log: silentLog,
    mesh,
    demand,
    claims,
    engine: {
      offers: () => offers.map((one) => ({ ...one, state: states.get(one.model.digest) ?? one.state })),
      load: () => ({ ...IDLE, memoryFreeBytes }),
      loaded: () =>
        [...states]
          .filter(([, state]) => state === 'loaded')
          .map(
            ([digest]) =>
              ({
                digest,
                state: 'loaded',
                pinned: kept.includes(digest),
                requestsInFlight: 0,
                residentBytes: 1e9,
              }) as LoadedModel,
          ),
      ensureLoaded: async (digest) => {
        done.push(`load ${digest}`);
        if (fails) throw new Error('it can not be loaded');
        states.set(digest, 'loaded');
      },
      unload: async (digest) => {
        done.push(`unload ${digest}`);
        states.set(digest, 'disk');
        return true;
      },
    },
    bounds: ({ id }) => (id === SMOL.id ? { min, max } : { min: 0, max: 9 }),
    keepAliveMs: () => 300_000,
    keep: (digests) => {
      kept = digests;
    },
    pull: async ({ digest }) => void done.push(`pull ${digest}`),
    ...(lends !== undefined && { lends }),
  });
  replicas.start();
  return { clock, done, replicas, demand, claims, kept: () => kept };
}

const DISK = offer({ state: 'disk' });

describe('the loop', () => {
  it('loads what the least number asks for, keeps it, and gives its claim back', async () => {
    const { clock, done, claims, kept, replicas } = scene({ offers: [DISK], peers: [], min: 1 });
    await clock.run(10_000);
    expect(done).toEqual([`load ${SMOL.digest}`]);
    expect(kept()).toEqual([SMOL.digest]);
    expect(claims.intents()).toEqual([]);
    await replicas.stop();
  });

  it('loads and fetches nothing for others while this node computes for nobody else', async () => {
    let lends = false;
    const { clock, done, replicas } = scene({ offers: [DISK], peers: [], min: 1, lends: () => lends });
    await clock.run(60_000);
    expect(done).toEqual([]);
    lends = true;
    await clock.run(120_000);
    expect(done).toEqual([`load ${SMOL.digest}`]);
    await replicas.stop();
  });

  it('fetches it where nobody could load it at once', async () => {
    const { clock, done, replicas } = scene({ min: 2 });
    await clock.run(60_000);
    expect(done.slice(0, 2)).toEqual([`pull ${SMOL.digest}`, `load ${SMOL.digest}`]);
    await replicas.stop();
    const enough = scene({ min: 1 });
    await enough.clock.run(60_000);
    expect(enough.done).toEqual([]);
    await enough.replicas.stop();
  });

  it('makes room by the least valuable model, for demand that it has seen itself', async () => {
    const idle = offer({ model: MINILM });
    const { clock, done, demand, replicas } = scene({ offers: [DISK, idle], memoryFreeBytes: 0 });
    // A model that has just come stays.
    await clock.run(200_000);
    for (let request = 0; request < 20; request++) {
      demand.add('placed', SMOL.digest, { queueMs: 5_000, loadMs: 0, computeMs: 100 });
    }
    await clock.run(215_000);
    expect(done).toEqual([`unload ${MINILM.digest}`, `load ${SMOL.digest}`]);
    await replicas.stop();
  });

  it('leaves alone for a while what could not be loaded', async () => {
    const { clock, done, replicas } = scene({ offers: [DISK], peers: [], min: 1, fails: true });
    await clock.run(200_000);
    expect(done).toHaveLength(1);
    await clock.run(400_000);
    expect(done).toHaveLength(2);
    await replicas.stop();
  });

  it('does nothing once it has stopped', async () => {
    const { clock, done, replicas } = scene({ offers: [DISK], peers: [], min: 1 });
    await replicas.stop();
    await clock.run(60_000);
    expect(done).toEqual([]);
  });
});

describe('a lease to fetch a model', () => {
  const never = new AbortController().signal;

  it('is given where a copy more may be, and to one node at a time', async () => {
    const { clock, replicas, claims } = scene();
    const lease = replicas.lease(SMOL.digest, never);
    await clock.run(5_000);
    const giveBack = await lease;
    expect(claims.intents()).toMatchObject([{ digest: SMOL.digest, kind: 'pull' }]);
    giveBack?.();

    const record = peer('a');
    const intents = [{ digest: SMOL.digest, kind: 'pull', sinceMs: 3_000 }] as const;
    const second = peer('b', { offers: [] });
    const taken = scene({ peers: [record, { ...second, advert: { ...second.advert, intents } }] });
    expect(await taken.replicas.lease(SMOL.digest, never)).toBeUndefined();
  });

  it('is not given where there are as many as the owner wants, or nobody has the model', async () => {
    expect(await scene({ max: 1 }).replicas.lease(SMOL.digest, never)).toBeUndefined();
    expect(await scene({ peers: [] }).replicas.lease(SMOL.digest, never)).toBeUndefined();
  });
});
