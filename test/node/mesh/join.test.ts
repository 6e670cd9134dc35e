import { afterEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../../node/core/clock.ts';
import { silentLog } from '../../../node/core/log.ts';
import type { DeviceKey, Invitations, JoinAttempt } from '../../../node/core/trust.ts';
import { type JoinInit, joinMesh } from '../../../node/mesh/join.ts';
import { MESH_LIMITS } from '../../../node/mesh/limits.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { SilentProxy } from '../../support/silent-proxy.ts';
import {
  connected,
  FakeMembership,
  makeKey,
  never,
  noInvitations,
  startNode,
  stopAll,
  type TestNode,
} from './support.ts';

const parts = { clock: systemClock, log: silentLog };
const TICKET = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

/** One invitation whose "proof" is the nonce turned round. */
function invitation(overrides: Partial<Invitations> = {}) {
  let open = true;
  const admitted: { readonly newcomer: string; readonly name: string }[] = [];
  const invitations: Invitations = {
    ...noInvitations,
    anyOpen: () => open,
    hello: (_newcomer, { nonce }) => ({ nonce: nonce.toReversed(), proof: nonce }),
    admit: async (newcomer, { name, proof }) => {
      if (proof[0] !== 42) throw new WeftError({ code: 'join_refused', message: 'The proof is wrong.' });
      open = false;
      admitted.push({ newcomer, name });
      return { statements: [Buffer.from(`add ${newcomer}`)], meshName: 'home' };
    },
    ...overrides,
  };
  return { invitations, admitted };
}

function attemptFor(inviter: TestNode, overrides: Partial<JoinAttempt> = {}): JoinAttempt {
  return {
    ticketId: TICKET,
    nonce: Uint8Array.of(9, 8, 7),
    addresses: inviter.mesh.addresses(),
    inviter: inviter.key.node,
    meshId: inviter.membership.meshId,
    prove: () => Uint8Array.of(42),
    ...overrides,
  };
}

function join(key: DeviceKey, attempt: JoinAttempt, overrides: Partial<JoinInit> = {}) {
  return joinMesh(parts, { key, attempt, name: 'laptop', signal: never, ...overrides });
}

afterEach(stopAll);

describe('joining', () => {
  it('brings back the member list and the name of the mesh', async () => {
    const { invitations, admitted } = invitation();
    const inviter = await startNode({ components: { invitations } });
    const prove = vi.fn((answer: { readonly nonce: Uint8Array; readonly proof: Uint8Array }) => {
      expect([[...answer.nonce], [...answer.proof]]).toEqual([
        [7, 8, 9],
        [9, 8, 7],
      ]);
      return Uint8Array.of(42);
    });
    const key = await makeKey();
    const joined = await join(key, attemptFor(inviter, { prove }));
    expect(joined.meshName).toBe('home');
    expect(joined.statements.map(String)).toEqual([`add ${key.node}`]);
    expect(admitted).toEqual([{ newcomer: key.node, name: 'laptop' }]);
    expect(prove).toHaveBeenCalledOnce();
  });

  it('works beside a running mesh of the same key, which then changes over', async () => {
    const { invitations } = invitation();
    const inviter = await startNode({ components: { invitations } });
    const key = await makeKey();
    const membership = new FakeMembership(key.node, [], 'cd'.repeat(32));
    const newcomer = await startNode({ key, membership, bootstrap: () => inviter.mesh.addresses() });
    const joined = await join(key, attemptFor(inviter));
    await inviter.membership.merge(joined.statements);
    membership.meshId = inviter.membership.meshId;
    await membership.merge([...joined.statements, ...inviter.membership.statements()]);
    await newcomer.mesh.stop();
    await newcomer.mesh.start();
    await connected(inviter, newcomer);
  });

  it('finds the inviter at the address of the ticket that works', async () => {
    const { invitations } = invitation();
    const inviter = await startNode({ components: { invitations } });
    const dead = `/ip4/127.0.0.1/tcp/9/p2p/${inviter.key.node}`;
    const other = `/ip4/127.0.0.1/tcp/9/p2p/${(await makeKey()).node}`;
    const addresses = ['nonsense', other, dead, ...inviter.mesh.addresses()];
    expect((await join(await makeKey(), attemptFor(inviter, { addresses }))).meshName).toBe('home');
  });

  it('names what was tried when nobody answers', async () => {
    const inviter = await startNode();
    const addresses = [`/ip4/127.0.0.1/tcp/9/p2p/${inviter.key.node}`];
    await expect(join(await makeKey(), attemptFor(inviter, { addresses }))).rejects.toMatchObject({
      code: 'peer_unreachable',
      facts: { tried: addresses[0] },
    });
    await expect(join(await makeKey(), attemptFor(inviter, { addresses: [] }))).rejects.toMatchObject({
      code: 'peer_unreachable',
    });
  });

  it("does not speak to another node at the inviter's address", async () => {
    const { invitations } = invitation();
    const impostor = await startNode({ components: { invitations } });
    const { node } = await makeKey();
    const addresses = impostor.mesh.addresses().map((address) => address.replace(impostor.key.node, node));
    await expect(join(await makeKey(), attemptFor(impostor, { inviter: node, addresses }))).rejects.toMatchObject({
      code: 'peer_unreachable',
    });
  });

  it('is refused where no invitation is open', async () => {
    const inviter = await startNode();
    await expect(join(await makeKey(), attemptFor(inviter))).rejects.toMatchObject({ code: 'join_refused' });
  });

  it('is refused with a wrong proof, and passes on what the inviter says', async () => {
    const { invitations } = invitation();
    const inviter = await startNode({ components: { invitations } });
    const attempt = attemptFor(inviter, { prove: () => Uint8Array.of(1) });
    await expect(join(await makeKey(), attempt)).rejects.toMatchObject({
      code: 'join_refused',
      message: 'The proof is wrong.',
    });
    const expired = invitation({
      hello: () => {
        throw new WeftError({ code: 'ticket_expired', message: 'The ticket has expired.' });
      },
    });
    const second = await startNode({ components: { invitations: expired.invitations } });
    await expect(join(await makeKey(), attemptFor(second))).rejects.toMatchObject({ code: 'ticket_expired' });
  });

  it('sends no proof to an inviter whose own is wrong', async () => {
    const { invitations, admitted } = invitation();
    const inviter = await startNode({ components: { invitations } });
    const attempt = attemptFor(inviter, {
      prove: () => {
        throw new WeftError({ code: 'join_refused', message: 'The inviter does not know the secret.' });
      },
    });
    await expect(join(await makeKey(), attempt)).rejects.toMatchObject({ code: 'join_refused' });
    expect(admitted).toEqual([]);
  });

  it('ends when it is cancelled, and after its time', async () => {
    const inviter = await startNode();
    const port = Number(/\/tcp\/(\d+)/.exec(inviter.mesh.addresses()[0] ?? '')?.[1]);
    await using proxy = await SilentProxy.start({ target: { host: '127.0.0.1', port } });
    proxy.silence();
    const attempt = attemptFor(inviter, { addresses: [`/ip4/127.0.0.1/tcp/${proxy.port}/p2p/${inviter.key.node}`] });
    const abort = new AbortController();
    const cancelled = join(await makeKey(), attempt, { signal: abort.signal });
    abort.abort(new WeftError({ code: 'cancelled', message: 'Enough.' }));
    await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' });
    const limits = { ...MESH_LIMITS, join: { ...MESH_LIMITS.join, timeoutMs: 150 } };
    await expect(join(await makeKey(), attempt, { limits })).rejects.toMatchObject({ code: 'peer_unreachable' });
  });
});
