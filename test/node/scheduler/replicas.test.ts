// How many copies of a model there shall be, as one node sees it.
import { describe, expect, it } from 'vitest';
import { REPLICA_ADDED_MS, REPLICA_AWAY_MS, REPLICA_STAYS_MS } from '../../../node/scheduler/limits.ts';
import {
  type DemandSum,
  hasRoom,
  keptReplicas,
  type ReplicaSnapshot,
  type ReplicaView,
  replicaWishes,
} from '../../../node/scheduler/replicas.ts';

const LONG = Number.POSITIVE_INFINITY;
const NONE: DemandSum = { requests: 0, busyMs: 0, lostMs: 0, coldMs: 0 };
/** Waits for 20 s in all, of which a second copy would save half. */
const BUSY: DemandSum = { requests: 100, busyMs: 20_000, lostMs: 20_000, coldMs: 0 };

function view(changes: Partial<ReplicaView> = {}): ReplicaView {
  return {
    digest: 'model',
    bounds: { min: 0, max: LONG },
    state: 'disk',
    stateMs: LONG,
    mayLeave: false,
    keepAliveMs: 0,
    copies: ['other'],
    onOtherDisk: false,
    addedMs: LONG,
    leftMs: LONG,
    letGoMs: LONG,
    demand: BUSY,
    seenDemand: BUSY,
    computedHere: 0,
    slowness: 1,
    loadMs: 3_000,
    bytes: 1e9,
    ...changes,
  };
}

const loaded = (changes: Partial<ReplicaView> = {}): ReplicaView =>
  view({ state: 'loaded', mayLeave: true, demand: NONE, seenDemand: NONE, ...changes });

const node = (models: readonly ReplicaView[], memoryFreeBytes = 8e9): ReplicaSnapshot => ({
  self: 'self',
  models,
  memoryFreeBytes,
});

const kinds = (models: readonly ReplicaView[], memoryFreeBytes?: number): string[] =>
  replicaWishes(node(models, memoryFreeBytes)).map(({ kind, digest }) => `${kind} ${digest}`);

describe('another copy', () => {
  it('is loaded where the waits it saves are worth its load, and not where they are not', () => {
    expect(kinds([view()])).toEqual(['load model']);
    expect(kinds([view({ demand: { ...BUSY, lostMs: 7_000 } })])).toEqual([]);
    expect(kinds([view({ loadMs: 30_000 })])).toEqual([]);
    expect(kinds([view({ demand: { ...BUSY, requests: 1 } })])).toEqual([]);
    // The tenth copy saves a tenth.
    expect(kinds([view({ copies: ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'] })])).toEqual([]);
  });

  it('is not loaded on a node that takes longer to compute than others let wait', () => {
    expect(kinds([view({ slowness: 1.2 })])).toEqual(['load model']);
    expect(kinds([view({ slowness: 3 })])).toEqual([]);
  });

  it('is not loaded for waits that a load has ended', () => {
    expect(kinds([view({ demand: { ...BUSY, coldMs: 20_000 } })])).toEqual([]);
    expect(kinds([view({ copies: [], demand: { ...BUSY, coldMs: 20_000 } })])).toEqual(['load model']);
  });

  it('waits for what the last one changes, and comes not back at once', () => {
    expect(kinds([view({ addedMs: REPLICA_ADDED_MS - 1 })])).toEqual([]);
    expect(kinds([view({ letGoMs: REPLICA_AWAY_MS - 1 })])).toEqual([]);
  });

  it('never passes the most, and is there for the least whatever the demand', () => {
    expect(kinds([view({ bounds: { min: 0, max: 1 } })])).toEqual([]);
    const wanted = { bounds: { min: 2, max: 3 }, demand: NONE, seenDemand: NONE };
    expect(kinds([view(wanted)])).toEqual(['load model']);
    expect(kinds([view({ ...wanted, letGoMs: 0, addedMs: 0 })])).toEqual(['load model']);
    expect(kinds([view({ ...wanted, copies: ['a', 'b'] })])).toEqual([]);
  });

  it('is fetched only for the least, where nobody has its files idle', () => {
    const away = { state: 'away', bounds: { min: 2, max: 3 } } as const;
    expect(kinds([view(away)])).toEqual(['pull model']);
    expect(kinds([view({ ...away, onOtherDisk: true })])).toEqual([]);
    expect(kinds([view({ state: 'away' })])).toEqual([]);
  });

  it('is left to nodes that suit better first', () => {
    const [fast] = replicaWishes(node([view({ slowness: 1 })]));
    const [slow] = replicaWishes(node([view({ slowness: 1.4 })]));
    expect(fast?.hesitateMs).toBeLessThan(slow?.hesitateMs ?? 0);
  });

  it('is not loaded where it is quarantined, loading or loaded', () => {
    for (const state of ['quarantined', 'loading', 'loaded'] as const) expect(kinds([view({ state })])).toEqual([]);
  });
});

describe('room', () => {
  const cheap = loaded({ digest: 'cheap', computedHere: 0.5, loadMs: 1_000, keepAliveMs: LONG });
  const dear = loaded({ digest: 'dear', computedHere: 50, keepAliveMs: LONG });

  it('is taken from the least valuable idle model, and from none that is worth more', () => {
    const [wish] = replicaWishes(node([view(), dear, cheap], 0));
    expect(wish).toMatchObject({ kind: 'load', evict: ['cheap'] });
    expect(kinds([view(), dear], 0)).toEqual([]);
    expect(kinds([view({ bytes: 2e9 }), dear, cheap], 0)).toEqual([]);
  });

  it('is not taken from a model that works, has just come, or that the bounds ask for', () => {
    for (const held of [
      { mayLeave: false },
      { stateMs: REPLICA_STAYS_MS - 1 },
      { copies: [], bounds: { min: 1, max: 2 } },
    ]) {
      expect(kinds([view(), { ...cheap, ...held }], 0)).toEqual([]);
    }
  });

  it('is not taken for demand that only others tell of', () => {
    expect(kinds([view({ seenDemand: NONE }), cheap], 0)).toEqual([]);
    expect(kinds([view({ seenDemand: NONE })])).toEqual(['load model']);
  });

  it('for the least number, too, only from what is worth less than a load', () => {
    const wanted = view({ bounds: { min: 2, max: 3 } });
    expect(kinds([wanted, cheap], 0)).toEqual(['load model']);
    expect(kinds([wanted, dear], 0)).toEqual([]);
  });
});

describe('a copy', () => {
  it('leaves when the others answer the demand, and stays while they would not', () => {
    expect(kinds([loaded()])).toEqual(['unload model']);
    expect(kinds([loaded({ demand: { ...BUSY, lostMs: 0 } })])).toEqual([]);
    expect(kinds([loaded({ copies: [] })])).toEqual([]);
    expect(kinds([loaded({ bounds: { min: 2, max: 3 } })])).toEqual([]);
  });

  it('stays while it works, where models never fade, and for a while after any change', () => {
    const changes = [{ mayLeave: false }, { keepAliveMs: LONG }, { stateMs: 1 }, { addedMs: 1 }, { leftMs: 1 }];
    for (const change of changes) expect(kinds([loaded(change)])).toEqual([]);
  });

  it('beyond the most leaves at once', () => {
    const surplus = { bounds: { min: 0, max: 1 }, stateMs: 0, addedMs: 0, keepAliveMs: LONG };
    expect(kinds([loaded(surplus)])).toEqual(['unload model']);
    expect(kinds([loaded({ ...surplus, mayLeave: false })])).toEqual([]);
  });

  it('that most requests go to is the last to leave', () => {
    const surplus = { bounds: { min: 0, max: 1 }, demand: BUSY };
    const [idle] = replicaWishes(node([loaded({ ...surplus, computedHere: 1 })]));
    const [busy] = replicaWishes(node([loaded({ ...surplus, computedHere: 90 })]));
    expect(idle?.hesitateMs).toBeLessThan(busy?.hesitateMs ?? 0);
  });

  it('is kept by as many nodes as the least, and they agree on whom', () => {
    for (const digest of ['a', 'b', 'c', 'd']) {
      const nodes = ['n1', 'n2', 'n3', 'n4'];
      const keeping = nodes.filter((self) => {
        const copies = nodes.filter((other) => other !== self);
        const models = [loaded({ digest, copies, bounds: { min: 2, max: 9 } })];
        return keptReplicas({ self, models, memoryFreeBytes: 0 }).includes(digest);
      });
      expect(keeping).toHaveLength(2);
    }
    expect(keptReplicas(node([view({ bounds: { min: 2, max: 9 } })]))).toEqual([]);
  });
});

describe('claims of others', () => {
  const load = { kind: 'load', copies: 2 } as const;

  it('count with the copies, each node once', () => {
    expect(hasRoom(load, view(), [])).toBe(true);
    expect(hasRoom(load, view(), [{ node: 'third', kind: 'load', ageMs: 1 }])).toBe(false);
    expect(hasRoom(load, view(), [{ node: 'third', kind: 'pull', ageMs: 1 }])).toBe(false);
    expect(hasRoom(load, view(), [{ node: 'other', kind: 'load', ageMs: 1 }])).toBe(true);
    expect(hasRoom(load, view(), [{ node: 'third', kind: 'unload', ageMs: 1 }])).toBe(true);
  });

  it('to unload leave as many as shall stay', () => {
    const unload = { kind: 'unload', copies: 1 } as const;
    expect(hasRoom(unload, view(), [])).toBe(true);
    expect(hasRoom(unload, view(), [{ node: 'other', kind: 'unload', ageMs: 1 }])).toBe(false);
    expect(hasRoom(unload, view(), [{ node: 'gone', kind: 'unload', ageMs: 1 }])).toBe(true);
  });
});
