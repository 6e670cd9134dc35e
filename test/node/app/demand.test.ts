// What the node knows when it decides whether a model is brought here.
import { describe, expect, it } from 'vitest';
import { watchDemand } from '../../../node/app/demand.ts';
import type { RemoteAnswer } from '../../../node/core/dispatcher.ts';
import type { LoadedModel, LocalEngine } from '../../../node/core/engine.ts';
import type { PeerRecord } from '../../../node/core/mesh.ts';
import type { Demand } from '../../../node/library/bringing.ts';
import { ManualClock } from '../core/manual-clock.ts';
import { IDLE, peer, SMOL } from '../scheduler/builders.ts';

const GIB = 2 ** 30;

interface Parts {
  readonly peers?: readonly PeerRecord[];
  readonly loaded?: readonly Partial<LoadedModel>[];
  readonly freeBytes?: number;
  readonly quotaBytes?: number;
}

async function watching({ peers = [peer('a')], loaded = [], freeBytes = 100 * GIB, quotaBytes }: Parts = {}) {
  const listeners = new Set<(answer: RemoteAnswer) => void>();
  const clock = new ManualClock();
  let looks = 0;
  const demand = watchDemand({
    clock,
    dispatcher: {
      onRemote: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    engine: {
      offers: () => [],
      load: () => ({ ...IDLE, memoryFreeBytes: 64 * GIB }),
      loaded: () => loaded as LoadedModel[],
    } as Pick<LocalEngine, 'offers' | 'load' | 'loaded'>,
    mesh: { peers: () => peers, peer: (node) => peers.find(({ advert }) => advert.node === node) },
    store: {
      storage: async () => {
        looks++;
        return { usedBytes: 0, quotaBytes, freeBytes };
      },
    },
  });
  const end = demand.onRemote(() => undefined);
  await new Promise(setImmediate);
  return { demand, clock, listeners, end, looks: () => looks };
}

const asked = (count: number, ms: number): Demand => ({
  model: SMOL,
  requests: Array.from({ length: count }, (_, at) => ({
    node: 'a',
    ms,
    inputTokens: 50,
    outputTokens: 20,
    agoMs: count - at,
  })),
  heldBytes: 0,
  evictableBytes: 0,
  leftAgoMs: undefined,
});

describe('demand', () => {
  it('brings a model that is slow elsewhere and asked for often, and none that is asked for once', async () => {
    const { demand } = await watching();
    expect(demand.decide(asked(500, 60_000)).bring).toBe(true);
    expect(demand.decide(asked(1, 60_000)).bring).toBe(false);
    expect(demand.decide(asked(500, 1)).bring).toBe(false);
  });

  it('brings none that the disk or its quota has no room for, unless others make it', async () => {
    const full = await watching({ freeBytes: 1 });
    expect(full.demand.decide(asked(500, 60_000))).toMatchObject({
      bring: false,
      reason: expect.stringMatching(/disk/),
    });
    expect(full.demand.decide({ ...asked(500, 60_000), evictableBytes: 50 * GIB }).bring).toBe(true);
    const { demand } = await watching({ quotaBytes: 1 });
    expect(demand.decide(asked(500, 60_000)).bring).toBe(false);
  });

  it('brings none that nobody connected has any more', async () => {
    const { demand } = await watching({ peers: [] });
    expect(demand.decide(asked(500, 60_000)).bring).toBe(false);
  });

  it('looks at the disk now and then, not at every request', async () => {
    const { clock, listeners, end, looks } = await watching();
    const answer = { model: SMOL, node: 'a', ms: 1, inputTokens: 1, outputTokens: 1 };
    for (let request = 0; request < 100; request++) for (const listener of listeners) listener(answer);
    expect(looks()).toBe(1);
    clock.advance(60_000);
    for (const listener of listeners) listener(answer);
    expect(looks()).toBe(2);
    end();
    expect(listeners.size).toBe(0);
  });

  it('knows what is in use, and when it was', async () => {
    const working = {
      digest: SMOL.digest,
      state: 'loaded',
      pinned: false,
      requestsInFlight: 1,
      residentBytes: 1,
    } as const;
    const { demand } = await watching({ loaded: [working] });
    expect(demand.inUse(SMOL.digest)).toBe(true);
    expect(demand.lastUsedMs(SMOL.digest)).toEqual(expect.any(Number));
    const idle = await watching({ loaded: [{ ...working, requestsInFlight: 0 }] });
    expect(idle.demand.inUse(SMOL.digest)).toBe(false);
    expect(idle.demand.inUse('sha256:other')).toBe(false);
    expect(idle.demand.lastUsedMs('sha256:other')).toBeUndefined();
  });
});
