// What watchers are told of members and models.
import { describe, expect, it } from 'vitest';
import { publishChanges } from '../../../node/app/changes.ts';
import type { LoadedModel, LoadingProgress } from '../../../node/core/engine.ts';
import type { PeerRecord } from '../../../node/core/mesh.ts';
import type { Member } from '../../../node/core/trust.ts';
import { ControlEvent } from '../../../protocol/api/control.ts';
import type { ModelOffer } from '../../../protocol/capability.ts';
import { LOAD, makeAdvert } from '../mesh/support.ts';

const SELF = '12D3KooWSelf';
const PEER = '12D3KooWPeer';

const OFFER: ModelOffer = {
  model: { id: 'owner/model', digest: 'sha256:00' },
  task: 'tensor',
  state: 'disk',
  contextLength: 0,
  dimensions: 0,
  sizeBytes: 1,
  profile: { fixedMs: 0, perTokenMs: 0, decodeMs: 0, loadMs: 0, samples: 0 },
  aliases: [],
};

const LOADED: LoadedModel = {
  id: 'owner/model',
  digest: 'sha256:00',
  state: 'loading',
  provider: 'cpu',
  runnerPid: 1,
  residentBytes: 0,
  requestsInFlight: 0,
  idleUntilMs: undefined,
  fallbackReason: undefined,
  pinned: false,
  generation: undefined,
  reason: undefined,
};

function record(overrides: Partial<PeerRecord> = {}, offers: readonly ModelOffer[] = []): PeerRecord {
  return {
    advert: { ...makeAdvert(PEER, { name: 'attic', offers }), sequence: 1, addresses: [], load: LOAD },
    state: 'connected',
    link: { rttMs: 1, rttFloorMs: 1, goodputBytesPerSecond: undefined, path: 'direct' },
    load: LOAD,
    callsInFlight: 0,
    heardAgoMs: 1,
    ...overrides,
  };
}

function make() {
  const world = {
    members: [{ node: SELF, name: 'desk', role: 'admin' }] as Member[],
    peers: new Map<string, PeerRecord>(),
    loaded: [] as LoadedModel[],
    lends: true,
  };
  const none = () => new Set<() => void>();
  const listeners = { members: none(), peers: none(), engine: none(), settings: none(), sharing: none() };
  const loading = new Set<(progress: LoadingProgress) => void>();
  const on = (set: Set<() => void>) => (listener: () => void) => {
    set.add(listener);
    return () => set.delete(listener);
  };
  const published: unknown[] = [];
  const end = publishChanges({
    events: {
      publish: (type, data) => {
        published.push({ type, data });
        // As the event stream writes it.
        ControlEvent.parse({ id: 'x-1', type, atMs: 0, data: JSON.parse(JSON.stringify(data)) });
      },
    },
    membership: { members: () => world.members, onChange: on(listeners.members) },
    mesh: { self: SELF, peer: (node) => world.peers.get(node), onPeers: on(listeners.peers) },
    engine: {
      loaded: () => world.loaded,
      onChange: on(listeners.engine),
      onLoading: (listener) => {
        loading.add(listener);
        return () => loading.delete(listener);
      },
    },
    settings: { onChange: on(listeners.settings) },
    sharing: { onChange: on(listeners.sharing) },
    lends: () => world.lends,
  });
  const tell = (of: keyof typeof listeners): unknown[] => {
    for (const listener of listeners[of]) listener();
    return published.splice(0);
  };
  return { world, listeners, loading, published, end, tell };
}

describe('settings', () => {
  it('are told of when they change, and when what is done for others does', () => {
    const { world, tell } = make();
    expect(tell('settings')).toEqual([{ type: 'settings', data: { lends: true } }]);
    world.lends = false;
    expect(tell('sharing')).toEqual([{ type: 'settings', data: { lends: false } }]);
  });
});

describe('members', () => {
  it('are told of when they are signed in, come, change, go and are signed out', () => {
    const { world, tell } = make();
    const node = (data: object): unknown => ({ type: 'node', data: { node: PEER, role: 'member', ...data } });
    world.members.push({ node: PEER, name: 'signed in as this', role: 'member' });
    expect(tell('members')).toEqual([node({ name: 'signed in as this', state: 'gone', models: [] })]);
    world.peers.set(PEER, record());
    const common = { name: 'attic', version: '0.0.0' };
    expect(tell('peers')).toEqual([node({ ...common, state: 'connected', models: [] })]);
    world.peers.set(PEER, record({}, [OFFER]));
    const models = [{ id: 'owner/model', state: 'disk' }];
    expect(tell('peers')).toEqual([node({ ...common, state: 'connected', models })]);
    world.peers.set(PEER, record({ state: 'suspect' }, [OFFER]));
    expect(tell('peers')).toEqual([node({ ...common, state: 'suspect', models })]);
    const { advert } = record({ state: 'suspect' }, [OFFER]);
    world.peers.set(PEER, record({ state: 'suspect', advert: { ...advert, managed: 'none' } }, [OFFER]));
    expect(tell('peers')).toEqual([node({ ...common, state: 'suspect', managed: 'none', models })]);
    const paused = { ...advert, managed: 'none', yields: ['owner', 'paused'] } as const;
    world.peers.set(PEER, record({ advert: paused }, []));
    const told = { ...common, state: 'connected', managed: 'none', models };
    expect(tell('peers')).toEqual([node({ ...told, withheld: 'paused' })]);
    world.peers.set(PEER, record({ state: 'gone', advert: paused }, []));
    expect(tell('peers')).toEqual([node({ ...told, state: 'gone' })]);
    world.members.pop();
    expect(tell('members')).toEqual([node({ ...common, state: 'removed', managed: 'none', models: [] })]);
    expect(tell('members')).toEqual([]);
  });

  it('are not told of for a load or a link, and neither is this node', () => {
    const { world, tell } = make();
    world.members.push({ node: PEER, name: 'attic', role: 'member' });
    world.peers.set(PEER, record());
    expect(tell('members')).toHaveLength(1);
    world.peers.set(PEER, record({ load: { ...LOAD, queuedMs: 9 }, heardAgoMs: 500, callsInFlight: 3 }));
    expect(tell('peers')).toEqual([]);
  });
});

describe('models', () => {
  it('are told of when they are loaded, quarantined and unloaded, and not for a request', () => {
    const { world, tell } = make();
    const model = (data: object): unknown => ({ type: 'model', data: { id: 'owner/model', ...data } });
    world.loaded = [LOADED];
    expect(tell('engine')).toEqual([model({ state: 'loading' })]);
    world.loaded = [{ ...LOADED, state: 'loaded' }];
    expect(tell('engine')).toEqual([model({ state: 'loaded' })]);
    world.loaded = [{ ...LOADED, state: 'loaded', pinned: true }];
    expect(tell('engine')).toEqual([model({ state: 'loaded', pinned: true })]);
    world.loaded = [{ ...LOADED, state: 'loaded' }];
    tell('engine');
    world.loaded = [{ ...LOADED, state: 'loaded', requestsInFlight: 4, residentBytes: 99 }];
    expect(tell('engine')).toEqual([]);
    world.loaded = [{ ...LOADED, state: 'quarantined', reason: 'died twice' }];
    expect(tell('engine')).toEqual([model({ state: 'quarantined', reason: 'died twice' })]);
    world.loaded = [];
    expect(tell('engine')).toEqual([model({ state: 'unloaded' })]);
  });
});

it('tells how far a load is', () => {
  const { loading, published } = make();
  const model = (data: object): unknown => ({ type: 'model', data: { id: 'owner/model', state: 'loading', ...data } });
  for (const tell of loading) {
    tell({ id: 'owner/model', phase: 'start', fraction: undefined });
    tell({ id: 'owner/model', phase: 'verify', fraction: 0.25 });
  }
  expect(published).toEqual([model({ phase: 'start' }), model({ phase: 'verify', fraction: 0.25 })]);
});

it('ends', () => {
  const { listeners, loading, end } = make();
  end();
  expect(loading.size).toBe(0);
  expect(Object.values(listeners).map(({ size }) => size)).toEqual([0, 0, 0, 0, 0]);
});
