// The mesh: members found, connected, watched and called. Puts the parts of this layer together; the composition root
// and tests make one per node. Start here, then host.ts (libp2p), client.ts and server.ts (calls), dialer.ts.
import { randomBytes } from 'node:crypto';
import type { Connection } from '@libp2p/interface';
import type { Advert, Load } from '../../protocol/capability.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import { type MethodSpec, PEER_METHODS, protocolId } from '../../protocol/methods.ts';
import type { CallHandler } from '../core/calls.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Mesh, PeerCallOptions, PeerRecord } from '../core/mesh.ts';
import type { Policy } from '../core/policy.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { DeviceKey, Invitations, Membership } from '../core/trust.ts';
import { Acquaintances } from './acquaintances.ts';
import { encodeAdvert } from './adverts.ts';
import { Connections } from './connections.ts';
import { Dialer } from './dialer.ts';
import { Gate } from './gate.ts';
import { type Host, type HostHandler, startHost } from './host.ts';
import { LIVENESS, type Liveness, MESH_LIMITS, type MeshLimits } from './limits.ts';
import { Notifier } from './notifier.ts';
import { Peers } from './peers.ts';
import { Server } from './server.ts';

export interface Libp2pMeshComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly membership: Membership;
  readonly invitations: Invitations;
  readonly policy: Policy;
  readonly telemetry: Pick<Telemetry, 'count' | 'gauge'>;
  /** Of this node, fresh. */
  readonly load: () => Load;
  /** What this node publishes about itself; read at every announcement. */
  readonly advert: () => Omit<Advert, 'sequence' | 'addresses' | 'load'>;
}

export interface Libp2pMeshInit {
  readonly key: DeviceKey;
  /** Multiaddrs to listen on; none = this node only dials. */
  readonly listen: readonly string[];
  /** When not empty, only these are published. */
  readonly announce: readonly string[];
  /** Find members on the local network. */
  readonly mdns: boolean;
  /** Addresses of members from earlier runs and tickets, each ending in its /p2p/ part. */
  readonly bootstrap: () => readonly string[];
  readonly liveness?: Partial<Liveness>;
  /** @default MESH_LIMITS; tests pass smaller ones */
  readonly limits?: MeshLimits;
}

/** What exists between start and stop. */
interface Running {
  readonly host: Host;
  readonly gate: Gate;
  readonly dialer: Dialer;
  readonly connections: Connections;
  readonly acquaintances: Acquaintances;
  readonly unsubscribe: () => void;
}

export class Libp2pMesh implements Mesh {
  readonly self: NodeId;
  readonly #components: Libp2pMeshComponents;
  readonly #init: Libp2pMeshInit;
  readonly #limits: MeshLimits;
  readonly #liveness: Liveness;
  readonly #server: Server;
  readonly #peers: Peers;
  readonly #addressesChanged: Notifier;
  #running: Running | undefined;
  /** Starts and stops, in the order in which they were asked for. */
  #lifecycle: Promise<void> = Promise.resolve();
  #own: Advert | undefined;
  #sequence = 0;
  #announceTimer: Timer | undefined;

  constructor(components: Libp2pMeshComponents, init: Libp2pMeshInit) {
    this.#components = components;
    this.#init = init;
    this.self = init.key.node;
    this.#limits = init.limits ?? MESH_LIMITS;
    this.#liveness = { ...LIVENESS, ...init.liveness };
    this.#server = new Server(components, { limits: this.#limits });
    this.#peers = new Peers(
      { clock: components.clock, log: components.log, connections: () => this.#running?.connections },
      { limits: this.#limits },
    );
    this.#addressesChanged = new Notifier(components);
    components.telemetry.gauge('weft_peers_connected', () => this.#peers.connected().length);
    this.#handleOwnMethods();
  }

  addresses(): readonly string[] {
    return this.#running?.host.addresses() ?? [];
  }

  peers(): readonly PeerRecord[] {
    return this.#peers.all();
  }

  peer(node: NodeId): PeerRecord | undefined {
    return this.#peers.get(node);
  }

  onPeers(listener: () => void): () => void {
    return this.#peers.onChange(listener);
  }

  /**
   * Multiaddrs of connected members, each with its /p2p/ part, to be given back as `bootstrap` at the next start: for
   * each member the one that worked first, then what it publishes.
   */
  knownAddresses(): readonly string[] {
    const dialer = this.#running?.dialer;
    if (dialer === undefined) return [];
    return this.#peers.connected().flatMap(({ advert }) => dialer.addresses(advert.node));
  }

  /** Calls back when {@link knownAddresses} may have changed. Returns what ends the subscription. */
  onAddresses(listener: () => void): () => void {
    return this.#addressesChanged.subscribe(listener);
  }

  async call<Request, Item, Response>(
    peer: NodeId,
    method: MethodSpec<Request, Item, Response>,
    request: Request,
    options: PeerCallOptions<Item>,
  ): Promise<Response> {
    const linked = this.#running?.connections.choose(peer);
    if (linked === undefined) {
      const message = 'There is no connection to the peer.';
      throw new WeftError({ code: 'peer_unreachable', message, facts: { peer } });
    }
    return linked.link.call(method, request, options);
  }

  handle<Request, Item, Response>(
    method: MethodSpec<Request, Item, Response>,
    handler: CallHandler<Request, Item, Response>,
  ): void {
    this.#server.handle(method, handler);
  }

  announce(): void {
    this.#announceTimer ??= this.#components.clock.after(this.#liveness.announceMs, () => {
      this.#announceTimer = undefined;
      this.#publish();
    });
  }

  /** Starts under the member list's present mesh. @throws WeftError `port_in_use` or `config_invalid` */
  start(): Promise<void> {
    return this.#inOrder(() => this.#start());
  }

  /** Fails every call with `stopping`; may be started again. */
  stop(): Promise<void> {
    return this.#inOrder(() => this.#stop());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #inOrder(step: () => Promise<void>): Promise<void> {
    const done = this.#lifecycle.then(step);
    // The caller hears of a failure; the next step runs all the same.
    this.#lifecycle = done.catch(() => undefined);
    return done;
  }

  async #start(): Promise<void> {
    if (this.#running !== undefined) return;
    const { clock, log, membership, telemetry } = this.#components;
    const gate = new Gate(this.#components, { limits: this.#limits });
    // Connections may come in before everything that they need is there.
    const early: Connection[] = [];
    const host = await startHost(
      {
        gate,
        clock,
        log,
        onBytes: (direction, bytes) => telemetry.count('weft_link_bytes_total', { direction }, bytes),
      },
      {
        key: this.#init.key,
        limits: this.#limits,
        listen: this.#init.listen,
        announce: this.#init.announce,
        meshId: membership.meshId,
        mdns: this.#init.mdns,
        handlers: this.#handlers(gate),
        onFound: (node, addresses) => this.#running?.dialer.learn(node, addresses),
        onOpen: (connection) => {
          if (this.#running === undefined) early.push(connection);
          else this.#opened(this.#running, connection);
        },
        onClose: (connection) => this.#running?.connections.closed(connection),
      },
    );
    // What was known may be another mesh's.
    this.#peers.retain(() => false);
    const running = this.#assemble(host, gate);
    this.#running = running;
    host.gossip.onMessage((author, data) => running.acquaintances.heardGossip(author, data));
    this.#publish();
    running.dialer.start();
    for (const connection of early) if (connection.status === 'open') this.#opened(running, connection);
    log.info({ addresses: host.addresses(), mesh: membership.meshId }, 'the mesh is up');
  }

  #assemble(host: Host, gate: Gate): Running {
    const { clock, log, membership, load } = this.#components;
    const settings = { limits: this.#limits, liveness: this.#liveness };
    const connections: Connections = new Connections(
      {
        clock,
        log,
        hearing: host.hearing,
        estimatorOf: (node) => this.#peers.estimatorOf(node),
        onLoad: (node, fresh) => this.#peers.directory.setLoad(node, fresh),
        probe: (linked) => {
          this.#peers.expire();
          return acquaintances.probe(linked);
        },
        onAnswered: ({ node, link: { connection } }) => {
          dialer.connected(node);
          if (connection.direction === 'outbound') dialer.worked(node, connection.remoteAddr.toString());
          this.#addressesChanged.notify();
        },
        onState: (node) => this.#updateState(node),
        onGone: (node, answered) => dialer.lost(node, answered),
      },
      settings,
    );
    const dialer = new Dialer(
      {
        clock,
        log,
        libp2p: host.libp2p,
        // A device that was revoked is refused everywhere.
        isMember: (node) => gate.isMember(this.self) && gate.isMember(node),
        isConnected: (node) => connections.has(node),
      },
      { ...settings, self: this.self, bootstrap: this.#init.bootstrap },
    );
    const acquaintances = new Acquaintances(
      {
        clock,
        log,
        membership,
        directory: this.#peers.directory,
        connections,
        load,
        ownAdvert: () => this.#ownAdvert(),
        onAccepted: (advert) => {
          dialer.learn(advert.node, advert.addresses);
          this.#updateState(advert.node);
          this.#peers.changed();
          this.#addressesChanged.notify();
        },
      },
      settings,
    );
    return {
      host,
      gate,
      dialer,
      connections,
      acquaintances,
      unsubscribe: membership.onChange(() => this.#membersChanged()),
    };
  }

  async #stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    this.#announceTimer?.cancel();
    this.#announceTimer = undefined;
    const error = stopping();
    running.unsubscribe();
    running.acquaintances.stop(error);
    running.dialer.stop();
    this.#server.close(error);
    running.connections.stop(error);
    await running.host.stop();
    this.#peers.retain(() => false);
  }

  #handlers(gate: Gate): HostHandler[] {
    return [...this.#server.streamHandlers()].map(({ method, handler }) => {
      const streams = method.quota.callsPerPeer + this.#limits.streams.closingSlack;
      return {
        protocol: protocolId(method),
        handler: method.access === 'member' ? gate.membersOnly(handler) : handler,
        options: { maxInboundStreams: streams, maxOutboundStreams: streams, runOnLimitedConnection: false },
      };
    });
  }

  #handleOwnMethods(): void {
    const { clock, invitations } = this.#components;
    const acquaintances = (): Acquaintances => {
      if (this.#running === undefined) throw stopping();
      return this.#running.acquaintances;
    };
    this.handle(PEER_METHODS.probe, async () => ({
      ...acquaintances().vitals(),
      wallMs: BigInt(Math.max(0, Math.trunc(clock.wallNow()))),
    }));
    // Bytes of no meaning: zeros would be a smaller thing to send on a link that compresses.
    const sample = new Uint8Array(randomBytes(this.#limits.links.sampleBytes));
    this.handle(PEER_METHODS.sample, async ({ length }) => sample.subarray(0, length));
    this.handle(PEER_METHODS.sync, async (said, { caller }) => acquaintances().answer(caller, said));
    this.handle(PEER_METHODS.joinHello, async (request, { caller }) => invitations.hello(caller, request));
    this.handle(PEER_METHODS.joinProve, async (request, { caller }) => {
      const { statements, meshName } = await invitations.admit(caller, request);
      return { statements: [...statements], meshName };
    });
  }

  #opened({ connections, acquaintances }: Running, connection: Connection): void {
    const linked = connections.opened(connection);
    // One sync serves both ways; whoever dialled begins it.
    if (connection.direction === 'outbound') acquaintances.syncSoon(linked);
  }

  #updateState(node: NodeId): void {
    if (this.#peers.updateState(node) && this.#peers.get(node)?.state === 'connected') {
      this.#running?.acquaintances.tellOf(node);
    }
  }

  #membersChanged(): void {
    const running = this.#running;
    if (running === undefined) return;
    const { gate, host, dialer, connections, acquaintances } = running;
    if (!gate.isMember(this.self)) {
      this.#revoked(running);
      return;
    }
    const isMember = (node: NodeId): boolean => gate.isMember(node);
    const error = new WeftError({ code: 'not_a_member', message: 'The peer is no longer a member.' });
    const toThem = new WeftError({ code: 'not_a_member', message: 'The caller is no longer a member of this mesh.' });
    for (const connection of host.libp2p.getConnections()) {
      if (!gate.isOutside(connection)) continue;
      this.#server.dismiss(connection.remotePeer.toString(), toThem);
      const isDismissed = connections.dismiss(connection, error, (link) => acquaintances.farewell(link));
      if (!isDismissed) connection.abort(error);
    }
    dialer.retain(isMember);
    this.#peers.retain(isMember);
    // Everybody connected hears of it now and passes it on.
    for (const linked of connections.best()) {
      if (linked.answered && isMember(linked.node)) acquaintances.syncSoon(linked);
    }
  }

  /** The others end it as well, as they hear of it; here every call ends with the reason. */
  #revoked({ host, dialer, connections }: Running): void {
    const error = new WeftError({
      code: 'not_a_member',
      message: 'This device was revoked: it is no member of its mesh any more.',
      remedy: 'Ask an admin for a ticket (`weft invite`), and join with it in a new data folder (WEFT_HOME).',
    });
    this.#server.close(error);
    dialer.retain(() => false);
    for (const connection of host.libp2p.getConnections()) {
      connections.drop(connection.remotePeer.toString(), error);
      connection.abort(error);
    }
  }

  #ownAdvert(): Advert {
    this.#own ??= this.#freshAdvert();
    return this.#own;
  }

  #freshAdvert(): Advert {
    const { advert, load } = this.#components;
    return { ...advert(), sequence: ++this.#sequence, addresses: this.addresses(), load: load() };
  }

  #publish(): void {
    this.#own = this.#freshAdvert();
    this.#running?.host.gossip.publish(encodeAdvert(this.#own));
  }
}

const stopping = (): WeftError => new WeftError({ code: 'stopping', message: 'The node is stopping.' });
