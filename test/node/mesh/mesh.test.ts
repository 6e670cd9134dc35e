import { afterEach, describe, expect, it, vi } from 'vitest';
import { connected, makeAdvert, makeKey, SOON, startNode, startPair, stateOf, stopAll } from './support.ts';

afterEach(stopAll);

describe('Libp2pMesh', () => {
  it('connects two members by an address', async () => {
    const { a, b } = await startPair();
    expect(a.mesh.peer(b.key.node)?.advert.node).toBe(b.key.node);
    const link = () => b.mesh.peer(a.key.node)?.link;
    await vi.waitFor(() => expect(link()?.rttMs).toBeGreaterThan(0), SOON);
    await vi.waitFor(() => expect(link()?.goodputBytesPerSecond).toBeGreaterThan(0), SOON);
    expect(link()?.path).toBe('direct');
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
    const count = vi.fn();
    const a = await startNode({ components: { telemetry: { count, gauge: vi.fn() } } });
    const stranger = await startNode({ members: [a.key.node], bootstrap: () => a.mesh.addresses() });
    await vi.waitFor(
      () => expect(count).toHaveBeenCalledWith('weft_calls_rejected_total', { reason: 'not_a_member' }),
      SOON,
    );
    expect(stateOf(stranger, a)).toBe('unknown');
    expect(a.mesh.peers()).toEqual([]);
  });

  it('counts the bytes that cross its links, in and out', async () => {
    const bytes = { in: 0, out: 0 };
    const count = (name: string, { direction }: { direction?: 'in' | 'out' } = {}, by = 1): void => {
      if (name === 'weft_link_bytes_total' && direction !== undefined) bytes[direction] += by;
    };
    await startPair({ components: { telemetry: { count, gauge: vi.fn() } } });
    await vi.waitFor(() => expect(Math.min(bytes.in, bytes.out)).toBeGreaterThan(1_000), SOON);
  });

  it('publishes a change to its peers', async () => {
    let name = 'before';
    const key = await makeKey();
    const { a, b } = await startPair({
      key,
      components: { advert: () => ({ ...makeAdvert(key.node), incarnation: 1, name }) },
    });
    name = 'after';
    a.mesh.announce();
    await vi.waitFor(() => expect(b.mesh.peer(a.key.node)?.advert.name).toBe('after'), SOON);
  });

  it('gives a new list of peers only when something has changed, and records that are fresh', async () => {
    const { a, b } = await startPair();
    const list = b.mesh.peers();
    const record = list[0];
    await vi.waitFor(() => expect(record?.link.rttMs).toBeGreaterThan(0), SOON);
    expect(b.mesh.peers()).toBe(list);
    expect({ ...record }.heardAgoMs).toBeLessThan(SOON.timeout);
    a.mesh.announce();
    await vi.waitFor(() => expect(b.mesh.peers()).not.toBe(list), SOON);
  });

  it('goes on telling the other listeners when one of them fails', async () => {
    const { a, b } = await startPair();
    const heard = vi.fn();
    b.mesh.onPeers(() => {
      throw new Error('a listener that fails');
    });
    const end = b.mesh.onPeers(heard);
    a.mesh.announce();
    await vi.waitFor(() => expect(heard).toHaveBeenCalled(), SOON);
    end();
    heard.mockClear();
    await a.mesh.stop();
    await vi.waitFor(() => expect(stateOf(b, a)).toBe('gone'), SOON);
    expect(heard).not.toHaveBeenCalled();
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
