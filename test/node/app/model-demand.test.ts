// How much models are asked for, as a node sees it and as others tell it.
import { describe, expect, it } from 'vitest';
import { ModelDemand } from '../../../node/app/model-demand.ts';
import type { Engine } from '../../../node/core/engine.ts';
import type { PeerRecord } from '../../../node/core/mesh.ts';
import { DEMAND_FADE_MS } from '../../../node/scheduler/limits.ts';
import type { ModelDemand as Told } from '../../../protocol/capability.ts';
import { DEMANDS_MAX } from '../../../protocol/limits.ts';
import { ManualClock } from '../core/manual-clock.ts';
import { peer, SMOL } from '../scheduler/builders.ts';

const { digest } = SMOL;
const TIMING = { queueMs: 300, loadMs: 200, computeMs: 100 };
const ONE = { requests: 1, busyMs: 100, lostMs: 300, coldMs: 200 };

function scene() {
  const clock = new ManualClock();
  let peers: PeerRecord[] = [];
  const demand = new ModelDemand({ clock, mesh: { peers: () => peers } });
  const says = (node: string, sequence: number, told: readonly Told[], state: PeerRecord['state'] = 'connected') => {
    const record = peer(node, { state });
    peers = [
      ...peers.filter(({ advert }) => advert.node !== node),
      { ...record, advert: { ...record.advert, sequence, demand: told } },
    ];
  };
  return { clock, demand, says };
}

describe('demand for models', () => {
  it('fades by half with time', () => {
    const { clock, demand } = scene();
    demand.add('placed', digest, TIMING);
    expect(demand.seen('placed', digest)).toEqual(ONE);
    clock.advance(DEMAND_FADE_MS);
    expect(demand.seen('placed', digest)).toEqual({ requests: 0.5, busyMs: 50, lostMs: 150, coldMs: 100 });
    expect(demand.seen('computed', digest).requests).toBe(0);
  });

  it('is seen in the answers of engines, and not in failures', async () => {
    const { demand } = scene();
    const result = { outputs: [], node: 'self', timing: { ...TIMING, prefillMs: 0 } };
    const engine: Engine = {
      node: 'self',
      run: async () => result,
      encode: () => Promise.reject(new Error('no')),
      generate: () => Promise.reject(new Error('no')),
    };
    const watched = demand.watch(engine, 'placed', 'computed');
    const options = { signal: new AbortController().signal, requestId: 'r' };
    expect(await watched.run({ model: SMOL, inputs: [], outputs: [] }, options)).toBe(result);
    await expect(watched.encode({ model: SMOL, inputs: [] } as never, options)).rejects.toThrow('no');
    expect(demand.seen('placed', digest)).toEqual(ONE);
    expect(demand.seen('computed', digest)).toEqual(ONE);
  });

  it('is the sum of what was placed here and what connected peers tell, faded since', () => {
    const { clock, demand, says } = scene();
    demand.add('placed', digest, TIMING);
    demand.add('computed', digest, TIMING);
    says('a', 1, [{ digest, requests: 10, busyMs: 20, lostMs: 30, coldMs: 0 }]);
    says('b', 1, [{ digest, requests: 10, busyMs: 20, lostMs: 30, coldMs: 0 }], 'gone');
    expect(demand.inAll().get(digest)?.requests).toBe(11);
    clock.advance(DEMAND_FADE_MS);
    expect(demand.inAll().get(digest)?.requests).toBe(5.5);
    says('a', 2, []);
    expect(demand.inAll().get(digest)?.requests).toBe(0.5);
  });

  it('is believed of a peer, and of an answer, within bounds only', () => {
    const { demand, says } = scene();
    says('a', 1, [{ digest, requests: 1e300, busyMs: 1e300, lostMs: 1e300, coldMs: 1e300 }]);
    demand.add('placed', digest, { queueMs: 1e300, loadMs: Number.NaN, computeMs: -1 });
    const { requests, busyMs, lostMs } = demand.inAll().get(digest) ?? ONE;
    expect(Math.max(requests, busyMs, lostMs)).toBeLessThan(1e8);
    expect(demand.seen('placed', digest)).toMatchObject({ busyMs: 0, coldMs: 0 });
  });

  it('is told of the models for which most is lost', () => {
    const { demand } = scene();
    for (let model = 0; model < DEMANDS_MAX + 5; model++) {
      demand.add('placed', `model ${model}`, { queueMs: model, loadMs: 0, computeMs: 1 });
    }
    demand.add('computed', 'only computed', TIMING);
    const told = demand.told();
    expect(told).toHaveLength(DEMANDS_MAX);
    expect(told[0]?.digest).toBe(`model ${DEMANDS_MAX + 4}`);
  });

  it('is news when it has changed by much, and not again and again', () => {
    const { clock, demand } = scene();
    expect(demand.isNews).toBe(false);
    demand.add('placed', digest, { queueMs: 10, loadMs: 0, computeMs: 10 });
    expect(demand.isNews).toBe(false);
    demand.add('placed', digest, { queueMs: 2_000, loadMs: 0, computeMs: 10 });
    expect(demand.isNews).toBe(true);
    demand.told();
    demand.add('placed', digest, { queueMs: 20_000, loadMs: 0, computeMs: 10 });
    expect(demand.isNews).toBe(false);
    clock.advance(6_000);
    expect(demand.isNews).toBe(true);
    demand.told();
    clock.advance(60_000);
    // Others let it fade as well.
    expect(demand.isNews).toBe(false);
  });

  it('remembers a bounded number of models', () => {
    const { demand } = scene();
    for (let model = 0; model < 2_000; model++) demand.add('placed', `model ${model}`, TIMING);
    expect(demand.inAll().size).toBeLessThanOrEqual(256);
    expect(demand.seen('placed', 'model 1999').requests).toBe(1);
  });
});
