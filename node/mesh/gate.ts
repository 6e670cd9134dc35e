// Who may connect, and to what. Members reach everything; while an invitation is open a few strangers may connect too,
// for a few seconds, and reach nothing but joining. Used by the host.
import type { GossipSubComponents } from '@libp2p/gossipsub';
import type { Connection, ConnectionGater, Stream, StreamHandler, Topology } from '@libp2p/interface';
import type { NodeId } from '../../protocol/ids.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { Invitations, Membership } from '../core/trust.ts';
import type { MeshLimits } from './limits.ts';
import { overriding } from './overriding.ts';

/** libp2p's table of protocols. */
type Registrar = GossipSubComponents['registrar'];

export interface GateComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly telemetry: Pick<Telemetry, 'count'>;
  readonly membership: Pick<Membership, 'isMember'>;
  readonly invitations: Pick<Invitations, 'anyOpen'>;
}

export class Gate {
  readonly #components: GateComponents;
  readonly #limits: MeshLimits['strangers'];
  readonly #strangers = new Map<Connection, Timer>();

  constructor(components: GateComponents, init: { readonly limits: MeshLimits }) {
    this.#components = components;
    this.#limits = init.limits.strangers;
  }

  isMember(node: NodeId): boolean {
    return this.#components.membership.isMember(node);
  }

  /** libp2p's questions about connections, each with an answer of ours. */
  connectionGater(): ConnectionGater {
    const outsider = (peer: { toString(): string }): boolean => !this.isMember(peer.toString());
    return {
      denyDialPeer: outsider,
      denyDialMultiaddr: () => false,
      denyOutboundConnection: outsider,
      denyOutboundEncryptedConnection: outsider,
      denyOutboundUpgradedConnection: outsider,
      // Before the handshake there is no id to decide by; the connection manager's limits hold there.
      denyInboundConnection: () => false,
      denyInboundEncryptedConnection: (peer) => this.#refuses(peer.toString()),
      denyInboundUpgradedConnection: (peer) => this.#refuses(peer.toString()),
      filterMultiaddrForPeer: (peer) => this.isMember(peer.toString()),
    };
  }

  #refuses(node: NodeId): boolean {
    if (this.isMember(node)) return false;
    const { invitations, telemetry, log } = this.#components;
    if (invitations.anyOpen() && this.#strangers.size < this.#limits.connectionsMax) return false;
    telemetry.count('weft_calls_rejected_total', { reason: 'not_a_member' });
    log.debug({ peer: node }, 'refused a connection from outside the mesh');
    return true;
  }

  /** Starts a stranger's time. To be called for every connection that opens. */
  opened(connection: Connection): void {
    if (this.isMember(connection.remotePeer.toString())) return;
    if (this.#strangers.size >= this.#limits.connectionsMax) {
      connection.abort(new Error('Too many strangers are connected.'));
      return;
    }
    const timer = this.#components.clock.after(this.#limits.lifetimeMs, () => {
      this.#strangers.delete(connection);
      if (!this.isMember(connection.remotePeer.toString())) connection.abort(new Error('Joining took too long.'));
    });
    this.#strangers.set(connection, timer);
  }

  /** To be called for every connection that closes. */
  closed(connection: Connection): void {
    this.#strangers.get(connection)?.cancel();
    this.#strangers.delete(connection);
  }

  /** True for a connection that is neither a member's nor a stranger's within its time: a revoked member's. */
  isOutside(connection: Connection): boolean {
    return !this.isMember(connection.remotePeer.toString()) && !this.#strangers.has(connection);
  }

  /** A handler that only members reach. */
  membersOnly(handler: StreamHandler): StreamHandler {
    return (stream, connection) => {
      if (this.isMember(connection.remotePeer.toString())) return handler(stream, connection);
      this.#turnAway(stream, connection);
    };
  }

  #turnAway(stream: Stream, connection: Connection): void {
    this.#components.telemetry.count('weft_calls_rejected_total', { reason: 'not_a_member' });
    this.#components.log.debug(
      { peer: connection.remotePeer.toString(), protocol: stream.protocol },
      'refused a protocol to a stranger',
    );
    stream.abort(new Error('Members only.'));
  }

  /**
   * Components for a service of libp2p's: what it registers is out of strangers' reach, and it hears of members only.
   */
  gated<T extends { readonly registrar: Registrar }>(components: T): T {
    const { registrar } = components;
    const wrapper = overriding(registrar, {
      handle: (protocol, handler, options) => registrar.handle(protocol, this.membersOnly(handler), options),
      register: (protocol, topology, options) => registrar.register(protocol, this.#gatedTopology(topology), options),
    });
    return new Proxy(components, {
      get: (target, name) => (name === 'registrar' ? wrapper : Reflect.get(target, name)),
    });
  }

  #gatedTopology(topology: Topology): Topology {
    return overriding(topology, {
      onConnect: (peer, connection) => {
        if (this.isMember(peer.toString())) return topology.onConnect?.(peer, connection);
      },
    });
  }

  /** Ends every stranger's timer. */
  stop(): void {
    for (const timer of this.#strangers.values()) timer.cancel();
    this.#strangers.clear();
  }
}
