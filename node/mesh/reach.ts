// How far a dial of one address gets, step by step: for the doctor, which asks why a member is not connected. A host for
// this one purpose, as in join.ts; it takes no connections, and works beside a running mesh of the same key.
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { toWeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import { PEER_METHODS } from '../../protocol/methods.ts';
import type { Clock } from '../core/clock.ts';
import type { DeviceKey } from '../core/trust.ts';
import { PeerLink } from './client.ts';
import { baseOptions, hostKey } from './host.ts';
import { MESH_LIMITS, type MeshLimits } from './limits.ts';
import { LinkEstimator } from './links.ts';
import { Hearing } from './transport.ts';

/**
 * `answers`: it takes this node for a member. `refuses`: it ends the connection, as it does with those who are none.
 * `other-device`: another key answers there. `other-version`: it speaks libp2p, but not this Weft's protocols.
 * `unreachable`: no connection was made.
 */
export type Reach = 'answers' | 'refuses' | 'other-device' | 'other-version' | 'unreachable';

/** A probe by somebody who has no news and wants only the answer. */
export const NOTHING_KNOWN = { incarnation: 0n, sequence: 0n, membersDigest: new Uint8Array() };

export interface ReachInit {
  readonly key: DeviceKey;
  /** Who is expected there. */
  readonly node: NodeId;
  /** A multiaddr that ends in the node's /p2p/ part. */
  readonly address: string;
  readonly signal: AbortSignal;
  /** @default MESH_LIMITS; tests pass smaller ones */
  readonly limits?: MeshLimits;
}

/** Dials the address once. @throws WeftError `cancelled` */
export async function reachPeer(components: { readonly clock: Clock }, init: ReachInit): Promise<Reach> {
  const { clock } = components;
  const { key, node, address, signal, limits = MESH_LIMITS } = init;
  const isOther = (peer: { toString(): string }): boolean => peer.toString() !== node;
  const libp2p = await createLibp2p(
    baseOptions({
      privateKey: await hostKey(key),
      limits,
      hearing: new Hearing({ clock }),
      gater: { denyDialPeer: isOther, denyOutboundConnection: isOther, denyInboundConnection: () => true },
    }),
  );
  try {
    await libp2p.start();
    const connection = await libp2p.dial(multiaddr(address), { signal });
    const estimator = new LinkEstimator({ clock }, { limits });
    const link = new PeerLink({ clock, connection, estimator, onLoad: () => undefined }, { limits });
    await link.call(PEER_METHODS.probe, NOTHING_KNOWN, { signal, requestId: '' });
    return 'answers';
  } catch (error) {
    if (signal.aborted) throw toWeftError(signal.reason);
    return reachOf(error);
  } finally {
    await libp2p.stop();
  }
}

/** How far it got, by what it failed with. */
function reachOf(error: unknown): Reach {
  const parts = partsOf(error);
  // libp2p keeps the words of noise's error, and not its name.
  if (parts.some(({ message }) => /identity key .* does not match/.test(message))) return 'other-device';
  const names = new Set(parts.map(({ name }) => name));
  const { code } = toWeftError(error);
  if (code === 'method_unknown' || names.has('UnsupportedProtocolError')) return 'other-version';
  // From the calls: there was a connection.
  if (code !== 'internal' && code !== 'deadline_exceeded' && code !== 'cancelled') return 'refuses';
  return [...names].some((name) => HUNG_UP.has(name)) ? 'refuses' : 'unreachable';
}

/** What libp2p throws when the other side ends a connection that is being made ready. */
const HUNG_UP: ReadonlySet<string> = new Set([
  'EncryptionFailedError',
  'ConnectionClosedError',
  'MuxerUnavailableError',
  'MuxerClosedError',
  'StreamClosedError',
  'StreamResetError',
  'StreamStateError',
  'UnexpectedEOFError',
]);

/** An error, its causes and its parts. */
function partsOf(error: unknown): readonly Error[] {
  if (!(error instanceof Error)) return [];
  const below = error instanceof AggregateError ? [error.cause, ...error.errors] : [error.cause];
  return [error, ...below.flatMap(partsOf)];
}
