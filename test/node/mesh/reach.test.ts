import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../node/core/clock.ts';
import type { DeviceKey } from '../../../node/core/trust.ts';
import { reachPeer } from '../../../node/mesh/reach.ts';
import { connected, makeKey, never, startNode, startPair, stopAll, type TestNode } from './support.ts';

const reach = (key: DeviceKey, node: string, address: string, signal = never) =>
  reachPeer({ clock: systemClock }, { key, node, address, signal });

const addressOf = ({ mesh }: TestNode): string => mesh.addresses()[0] ?? '';

afterEach(stopAll);

describe('how far a dial gets', () => {
  it('is to the end with a member, and the mesh of the same key stays connected', async () => {
    const { a, b } = await startPair();
    expect(await reach(a.key, b.key.node, addressOf(b))).toBe('answers');
    await connected(a, b);
  });

  it('is to a closed door where the peer does not take this device for a member', async () => {
    const [stranger, peer] = [await makeKey(), await startNode()];
    expect(await reach(stranger, peer.key.node, addressOf(peer))).toBe('refuses');
  });

  it('is to another device where the address is another’s now', async () => {
    const [self, peer, gone] = [await makeKey(), await startNode(), await makeKey()];
    const address = addressOf(peer).replace(peer.key.node, gone.node);
    expect(await reach(self, gone.node, address)).toBe('other-device');
  });

  it('is nowhere where nobody listens', async () => {
    const [self, peer] = [await makeKey(), await startNode()];
    const address = addressOf(peer);
    await peer.mesh.stop();
    expect(await reach(self, peer.key.node, address)).toBe('unreachable');
  });

  it('ends with its signal', async () => {
    const [self, peer] = [await makeKey(), await makeKey()];
    const silent = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as { port: number };
    const controller = new AbortController();
    const reaching = reach(self, peer.node, `/ip4/127.0.0.1/tcp/${port}/p2p/${peer.node}`, controller.signal);
    silent.once('connection', () => controller.abort());
    await expect(reaching).rejects.toMatchObject({ code: 'cancelled' });
    silent.close();
  });
});
