import type { Multiaddr } from '@multiformats/multiaddr';
import { beforeAll, describe, expect, it } from 'vitest';
import { silentLog } from '../../../node/core/log.ts';
import { Dialer, parsePeerAddress } from '../../../node/mesh/dialer.ts';
import { LIVENESS, MESH_LIMITS } from '../../../node/mesh/limits.ts';
import { ManualClock } from './manual-clock.ts';
import { makeKey } from './support.ts';

let self: string;
let peer: string;
beforeAll(async () => {
  const nodes = [(await makeKey()).node, (await makeKey()).node].sort();
  [self, peer] = nodes as [string, string];
});

const at = (port: number): string => `/ip4/127.0.0.1/tcp/${port}/p2p/${peer}`;

function setup(options: { bootstrap?: readonly string[]; limits?: typeof MESH_LIMITS; self?: string } = {}) {
  const clock = new ManualClock();
  const dials: { readonly atMs: number; readonly addresses: readonly string[] }[] = [];
  const state = { connected: false, members: new Set([self, peer]) };
  const startMs = clock.now();
  const dialer = new Dialer(
    {
      clock,
      log: silentLog,
      libp2p: {
        dial: async (addresses) => {
          dials.push({ atMs: clock.now() - startMs, addresses: (addresses as Multiaddr[]).map(String) });
          throw new Error('refused');
        },
      },
      isMember: (node) => state.members.has(node),
      isConnected: () => state.connected,
    },
    {
      self: options.self ?? self,
      limits: options.limits ?? MESH_LIMITS,
      liveness: LIVENESS,
      bootstrap: () => options.bootstrap ?? [],
    },
  );
  return { clock, dials, dialer, state };
}

describe('Dialer', () => {
  it('dials members of the bootstrap list at once, and nobody else', async () => {
    const stranger = `/ip4/127.0.0.1/tcp/5/p2p/${(await makeKey()).node}`;
    const { clock, dials, dialer } = setup({ bootstrap: [at(1), stranger, 'nonsense', '/ip4/1.2.3.4/tcp/1'] });
    dialer.start();
    await clock.advance(1);
    expect(dials).toEqual([{ atMs: 0, addresses: [at(1)] }]);
    dialer.stop();
    expect(clock.timers).toBe(0);
  });

  it('backs off from a peer that does not answer, up to a bound', async () => {
    const { clock, dials, dialer } = setup();
    dialer.learn(peer, [at(1)]);
    await clock.advance(60_000);
    const waits = dials.slice(1).map(({ atMs }, index) => atMs - (dials[index]?.atMs ?? 0));
    expect(waits[0]).toBeGreaterThanOrEqual(0.8 * 2 * LIVENESS.redialMs);
    expect(waits[0]).toBeLessThanOrEqual(1.2 * 2 * LIVENESS.redialMs);
    for (const waitMs of waits.slice(6)) {
      expect(waitMs).toBeGreaterThanOrEqual(0.8 * LIVENESS.redialMaxMs);
      expect(waitMs).toBeLessThanOrEqual(1.2 * LIVENESS.redialMaxMs);
    }
  });

  it('returns often to a peer that was lost, for a while', async () => {
    const { clock, dials, dialer, state } = setup();
    dialer.learn(peer, [at(1)]);
    state.connected = true;
    dialer.connected(peer);
    state.connected = false;
    dialer.lost(peer, true);
    await clock.advance(LIVENESS.returnWindowMs);
    const waits = dials.slice(1).map(({ atMs }, index) => atMs - (dials[index]?.atMs ?? 0));
    expect(Math.max(...waits)).toBeLessThanOrEqual(1.2 * LIVENESS.returnRedialMs);
    await clock.advance(60_000);
    const last = dials.slice(-2).map(({ atMs }) => atMs);
    expect((last[1] ?? 0) - (last[0] ?? 0)).toBeGreaterThan(0.8 * LIVENESS.redialMaxMs - 1);
  });

  it('backs off from a peer that takes the connection and ends it unanswered', async () => {
    const { clock, dialer, dials } = setup();
    dialer.learn(peer, [at(1)]);
    await clock.advance(1);
    for (let refusal = 0; refusal < 6; refusal++) dialer.lost(peer, false);
    const before = dials.length;
    await clock.advance(3_000);
    expect(dials.length - before).toBeLessThanOrEqual(2);
  });

  it('tries what worked first', async () => {
    const { clock, dials, dialer } = setup();
    dialer.learn(peer, [at(1), at(2)]);
    dialer.worked(peer, at(2));
    await clock.advance(1);
    expect(dials[0]?.addresses).toEqual([at(2), at(1)]);
    expect(dialer.addresses(peer)).toEqual([at(2), at(1)]);
  });

  it('lets the other side dial first when its id is the smaller', async () => {
    const { clock, dials, dialer, state } = setup({ self: 'zzz' });
    dialer.learn(peer, [at(1)]);
    await clock.advance(50);
    expect(dials).toEqual([]);
    state.connected = true;
    await clock.advance(1_000);
    expect(dials).toEqual([]);
  });

  it('keeps no more addresses of a peer, and no more peers, than it may', async () => {
    const { dialer } = setup();
    const ports = Array.from({ length: MESH_LIMITS.dialer.addressesPerPeerMax + 9 }, (_, index) => at(index + 1));
    dialer.learn(peer, ports);
    expect(dialer.addresses(peer)).toHaveLength(MESH_LIMITS.dialer.addressesPerPeerMax);
    const limits = { ...MESH_LIMITS, dialer: { ...MESH_LIMITS.dialer, peersMax: 0 } } as never;
    const full = setup({ limits });
    full.dialer.learn(peer, [at(1)]);
    expect(full.dialer.addresses(peer)).toEqual([]);
  });

  it('forgets who is no member any more', async () => {
    const { clock, dials, dialer, state } = setup();
    dialer.learn(peer, [at(1)]);
    state.members.delete(peer);
    dialer.retain((node) => state.members.has(node));
    await clock.advance(10_000);
    expect(dials).toEqual([]);
  });
});

describe('parsePeerAddress', () => {
  it('reads the peer at the end, and refuses anything else', () => {
    expect(parsePeerAddress(at(1))?.node).toBe(peer);
    for (const text of ['', 'x', '/ip4/127.0.0.1/tcp/1', `/p2p/${peer}/tcp/1`]) {
      expect(parsePeerAddress(text), text).toBeUndefined();
    }
  });
});
