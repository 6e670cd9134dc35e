import type { Connection } from '@libp2p/interface';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Invitations } from '../../../node/core/trust.ts';
import { MESH_LIMITS } from '../../../node/mesh/limits.ts';
import { type AnyMethod, PEER_METHODS } from '../../../protocol/methods.ts';
import { dial, linkOver, startTestHost, stopHosts, type TestHost, type TestHostInit } from './link-pair.ts';
import { noInvitations, SOON } from './support.ts';

const invitationOpen: Invitations = { ...noInvitations, anyOpen: () => true };
const JOINING = ['/weft/join-hello/1', '/weft/join-prove/1'];

/** A host whose mesh has no other member, with every method answered. */
function meshOfOne(init: TestHostInit = {}): Promise<TestHost> {
  return startTestHost({
    membership: { isMember: () => false },
    invitations: invitationOpen,
    prepare: (server) => {
      for (const method of Object.values(PEER_METHODS)) {
        server.handle(method as AnyMethod, async () => {
          throw new Error('reached');
        });
      }
    },
    ...init,
  });
}

/** What comes back on a stream of this protocol, before it ends, for a few bytes that are no frame. */
async function answerBytes(connection: Connection, protocol: string): Promise<number> {
  let bytes = 0;
  try {
    const stream = await connection.newStream(protocol);
    stream.addEventListener('message', ({ data }) => {
      bytes += data.byteLength;
    });
    const closed = new Promise((resolve) => stream.addEventListener('close', resolve));
    // Eight bytes that say that seven follow: neither a frame nor a message of gossip or identify.
    stream.send(Uint8Array.of(7, 0, 0, 0, 0, 0, 0, 0));
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 200))]);
    stream.abort(new Error('done'));
  } catch {
    // Refused before or during the negotiation.
  }
  return bytes;
}

afterEach(stopHosts);

describe('a stranger', () => {
  it('is refused while no invitation is open', async () => {
    const mesh = await meshOfOne({ invitations: noInvitations });
    const stranger = await startTestHost();
    const connection = await dial(stranger, mesh).catch(() => undefined);
    await vi.waitFor(() => expect(connection?.status ?? 'closed').not.toBe('open'), SOON);
    expect(mesh.host.libp2p.getConnections()).toEqual([]);
    expect(mesh.rejected).toContain('not_a_member');
  });

  it('reaches joining and no other protocol while one is open', async () => {
    const mesh = await meshOfOne();
    const stranger = await startTestHost();
    const connection = await dial(stranger, mesh);
    const protocols = mesh.host.libp2p.getProtocols();
    expect(protocols).toContain('/ipfs/id/1.0.0');
    expect(protocols.some((protocol) => protocol.startsWith('/meshsub/'))).toBe(true);
    expect(protocols.filter((protocol) => protocol.startsWith('/weft/'))).toHaveLength(
      Object.keys(PEER_METHODS).length,
    );
    for (const protocol of protocols) {
      if (JOINING.includes(protocol)) continue;
      const before = mesh.rejected.length;
      expect(await answerBytes(connection, protocol), protocol).toBe(0);
      expect(mesh.rejected.length, protocol).toBeGreaterThan(before);
    }
    // Nor does the mesh open a stream of its own to a stranger.
    expect(connection.streams.filter(({ direction }) => direction === 'inbound')).toEqual([]);
    expect(mesh.connections).toEqual([]);
  });

  it('is answered by joining', async () => {
    const mesh = await meshOfOne();
    const stranger = await startTestHost();
    const link = linkOver(await dial(stranger, mesh));
    const options = { signal: new AbortController().signal, requestId: '' };
    const hello = { ticketId: new Uint8Array(8), nonce: new Uint8Array(16) };
    await expect(link.call(PEER_METHODS.joinHello, hello, options)).rejects.toMatchObject({ code: 'internal' });
  });

  it('would reach all of it if the gate were open', async () => {
    const mesh = await meshOfOne({ membership: { isMember: () => true } });
    const stranger = await startTestHost();
    const connection = await dial(stranger, mesh);
    expect(await answerBytes(connection, '/ipfs/id/1.0.0')).toBeGreaterThan(0);
    await vi.waitFor(
      () => expect(connection.streams.some(({ direction }) => direction === 'inbound')).toBe(true),
      SOON,
    );
    expect(mesh.rejected).toEqual([]);
  });

  it('is put out when its time is over, unless it has become a member', async () => {
    const limits = { ...MESH_LIMITS, strangers: { ...MESH_LIMITS.strangers, lifetimeMs: 100 } };
    const members = new Set<string>();
    const mesh = await meshOfOne({ limits, membership: { isMember: (node) => members.has(node) } });
    const [late, joined] = [await startTestHost(), await startTestHost()];
    const [lateConnection, joinedConnection] = [await dial(late, mesh), await dial(joined, mesh)];
    await vi.waitFor(() => expect(mesh.host.libp2p.getConnections()).toHaveLength(2), SOON);
    members.add(joined.key.node);
    await vi.waitFor(() => expect(lateConnection.status).not.toBe('open'), SOON);
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(joinedConnection.status).toBe('open');
  });

  it('is not admitted beside as many others as may join at a time', async () => {
    const limits = { ...MESH_LIMITS, strangers: { ...MESH_LIMITS.strangers, connectionsMax: 1 } };
    const mesh = await meshOfOne({ limits });
    const [first, second] = [await startTestHost(), await startTestHost()];
    const connection = await dial(first, mesh);
    await vi.waitFor(() => expect(mesh.host.libp2p.getConnections()).toHaveLength(1), SOON);
    const refused = await dial(second, mesh).catch(() => undefined);
    await vi.waitFor(() => expect(refused?.status ?? 'closed').not.toBe('open'), SOON);
    expect(connection.status).toBe('open');
  });
});

describe('the gate', () => {
  it('never dials a node that is no member', async () => {
    const other = await startTestHost();
    const mesh = await meshOfOne();
    await expect(dial(mesh, other)).rejects.toThrow();
    expect(other.connections).toEqual([]);
  });
});
