// The newcomer's way into a mesh: a host for this one purpose dials the inviter, proves the ticket's secret without
// sending it, and brings back the member list that names this device.
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import { PEER_METHODS } from '../../protocol/methods.ts';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { DeviceKey, JoinAttempt } from '../core/trust.ts';
import { PeerLink } from './client.ts';
import { parsePeerAddress } from './dialer.ts';
import { baseOptions, hostKey } from './host.ts';
import { MESH_LIMITS, type MeshLimits } from './limits.ts';
import { LinkEstimator } from './links.ts';
import { Hearing } from './transport.ts';

export interface JoinInit {
  readonly key: DeviceKey;
  readonly attempt: JoinAttempt;
  /** What this device shall be called in the member list. */
  readonly name: string;
  readonly signal: AbortSignal;
  /** @default MESH_LIMITS; tests pass smaller ones */
  readonly limits?: MeshLimits;
}

export interface Joined {
  /** Encoded SignedStatements: the member list, this device included. */
  readonly statements: readonly Uint8Array[];
  readonly meshName: string;
}

/**
 * Joins by a ticket. Works beside a running mesh of the same key.
 * @throws WeftError `peer_unreachable` with what was tried, `join_refused`, `ticket_expired`, or `cancelled`
 */
export async function joinMesh(
  components: { readonly clock: Clock; readonly log: Log },
  init: JoinInit,
): Promise<Joined> {
  const { clock, log } = components;
  const { key, attempt, name, limits = MESH_LIMITS } = init;
  const signal = AbortSignal.any([init.signal, AbortSignal.timeout(limits.join.timeoutMs)]);
  const isInviter = (peer: { toString(): string }): boolean => peer.toString() === attempt.inviter;
  const libp2p = await createLibp2p(
    baseOptions({
      privateKey: await hostKey(key),
      limits,
      hearing: new Hearing({ clock }),
      gater: {
        denyDialPeer: (peer) => !isInviter(peer),
        denyOutboundConnection: (peer) => !isInviter(peer),
        denyOutboundEncryptedConnection: (peer) => !isInviter(peer),
        denyInboundConnection: () => true,
      },
    }),
  );
  try {
    await libp2p.start();
    const connection = await dialInviter(libp2p, init, signal);
    const estimator = new LinkEstimator({ clock }, { limits });
    const onLoad = (): void => undefined;
    const link = new PeerLink({ clock, connection, estimator, onLoad }, { limits });
    const options = { signal, requestId: '' };
    const { ticketId, nonce } = attempt;
    const hello = await link.call(PEER_METHODS.joinHello, { ticketId, nonce }, options).catch((error: unknown) => {
      throw refusal(error, init.signal);
    });
    const proof = attempt.prove({ nonce: hello.nonce, proof: hello.proof });
    const request = { ticketId, proof, name, publicKey: key.publicKey };
    const { statements, meshName } = await link.call(PEER_METHODS.joinProve, request, options);
    log.info({ mesh: attempt.meshId, inviter: attempt.inviter }, 'joined a mesh');
    return { statements, meshName };
  } finally {
    await libp2p.stop();
  }
}

async function dialInviter(
  libp2p: Awaited<ReturnType<typeof createLibp2p>>,
  { attempt, signal: callers, limits = MESH_LIMITS }: JoinInit,
  signal: AbortSignal,
): ReturnType<(typeof libp2p)['dial']> {
  const tried = attempt.addresses
    .filter((address) => parsePeerAddress(address)?.node === attempt.inviter)
    .slice(0, limits.join.addressesMax);
  try {
    if (tried.length === 0) throw new Error('The ticket names no address.');
    const addresses = tried.map((address) => multiaddr(address));
    return await libp2p.dial(addresses, { signal });
  } catch (cause) {
    if (callers.aborted) throw toWeftError(callers.reason);
    throw new WeftError(
      {
        code: 'peer_unreachable',
        message: `The inviting node can't be reached at ${tried.join(', ') || 'any address of the ticket'}.`,
        remedy: 'Check that the inviting node runs, that its swarm port is open, and that both are on one network.',
        facts: { tried: tried.join(' ') },
      },
      { cause },
    );
  }
}

/** A node without an open invitation ends the connection before it says anything. */
function refusal(error: unknown, callers: AbortSignal): WeftError {
  const failure = toWeftError(error);
  if (callers.aborted || failure.code !== 'peer_lost') return failure;
  return new WeftError(
    {
      code: 'join_refused',
      message: 'The inviting node ended the connection: the ticket has been used, has expired, or was withdrawn.',
    },
    { cause: error },
  );
}
