import { afterEach, describe, expect, it, vi } from 'vitest';
import { connected, FakeMembership, makeKey, SOON, startNode, startPair, stateOf, stopAll } from './support.ts';

afterEach(stopAll);

describe('Libp2pMesh', () => {
  it('connects two members by an address', async () => {
    const { a, b } = await startPair();
    expect(a.mesh.peer(b.key.node)?.advert.node).toBe(b.key.node);
    await vi.waitFor(() => expect(b.mesh.peer(a.key.node)?.link.rttMs).toBeGreaterThan(0), SOON);
    expect(b.mesh.knownAddresses()).toEqual(a.mesh.addresses());
  });

  it('introduces two nodes that share only a third', async () => {
    const keys = [await makeKey(), await makeKey(), await makeKey()];
    const members = keys.map(({ node }) => node);
    const [keyA, keyB, keyC] = keys as [(typeof keys)[0], (typeof keys)[0], (typeof keys)[0]];
    const b = await startNode({ key: keyB, members });
    const a = await startNode({ key: keyA, members, bootstrap: () => b.mesh.addresses() });
    const c = await startNode({ key: keyC, members, bootstrap: () => b.mesh.addresses() });
    await connected(a, b, c);
  });

  it('meets a member whom only a third has signed in', async () => {
    const [keyA, keyB, keyC] = [await makeKey(), await makeKey(), await makeKey()];
    const b = await startNode({ key: keyB, members: [keyA.node, keyC.node] });
    const a = await startNode({ key: keyA, members: [keyB.node], bootstrap: () => b.mesh.addresses() });
    const c = await startNode({ key: keyC, members: [keyA.node, keyB.node], bootstrap: () => b.mesh.addresses() });
    await connected(a, b, c);
    expect(a.membership.isMember(keyC.node)).toBe(true);
  });

  it('closes the connections of a member that is revoked', async () => {
    const { a, b } = await startPair();
    await a.membership.say(`revoke ${b.key.node}`);
    expect(a.mesh.peer(b.key.node)).toBeUndefined();
    await vi.waitFor(() => expect(stateOf(b, a)).not.toBe('connected'), SOON);
  });

  it('passes a revocation on to all members', async () => {
    const keys = [await makeKey(), await makeKey(), await makeKey()];
    const members = keys.map(({ node }) => node);
    const [keyA, keyB, keyC] = keys as [(typeof keys)[0], (typeof keys)[0], (typeof keys)[0]];
    const a = await startNode({ key: keyA, members });
    const b = await startNode({ key: keyB, members, bootstrap: () => a.mesh.addresses() });
    const c = await startNode({ key: keyC, members, bootstrap: () => a.mesh.addresses() });
    await connected(a, b, c);
    await a.membership.say(`revoke ${keyC.node}`);
    await vi.waitFor(() => expect(b.mesh.peer(keyC.node)).toBeUndefined(), SOON);
  });

  it('refuses a node that is no member', async () => {
    const a = await startNode();
    const stranger = await startNode({ members: [a.key.node], bootstrap: () => a.mesh.addresses() });
    const wrong = new FakeMembership(stranger.key.node, []);
    expect(wrong.isMember(a.key.node)).toBe(false);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(stateOf(stranger, a)).toBe('unknown');
    expect(a.mesh.peers()).toEqual([]);
  });

  it('publishes a change to its peers', async () => {
    let name = 'before';
    const key = await makeKey();
    const { a, b } = await startPair({
      key,
      components: { advert: () => ({ ...baseAdvert(key.node), name }) },
    });
    name = 'after';
    a.mesh.announce();
    await vi.waitFor(() => expect(b.mesh.peer(a.key.node)?.advert.name).toBe('after'), SOON);
  });

  it('stops, and starts again under another mesh id', async () => {
    const { a, b } = await startPair();
    await b.mesh.stop();
    expect(b.mesh.peers()).toEqual([]);
    await vi.waitFor(() => expect(stateOf(a, b)).toBe('gone'), SOON);
    b.membership.meshId = 'cd'.repeat(32);
    await b.mesh.start();
    await connected(a, b);
  });

  it('names the address when its port is taken', async () => {
    const a = await startNode();
    const listen = a.mesh.addresses().map((address) => address.split('/p2p/')[0] ?? '');
    await expect(startNode({ init: { listen } })).rejects.toMatchObject({
      code: 'port_in_use',
      facts: { address: listen[0] },
    });
  });
});

function baseAdvert(node: string) {
  return {
    node,
    name: '',
    version: '0',
    incarnation: 1,
    hardware: { platform: '', arch: '', cpuModel: '', cpuCount: 1, memoryBytes: 1, devices: [] },
    offers: [],
  };
}
