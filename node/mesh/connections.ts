// The open connections to members, each with its calls and its heartbeat, and which one a call should take. Two nodes
// that dial each other at once have two for a while; a peer that was restarted may leave an old one behind.
import type { Connection } from '@libp2p/interface';
import type { Load } from '../../protocol/capability.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { PeerRecord } from '../core/mesh.ts';
import { PeerLink } from './client.ts';
import { Heartbeat } from './heartbeat.ts';
import type { Liveness, MeshLimits } from './limits.ts';
import type { LinkEstimator } from './links.ts';
import type { Hearing } from './transport.ts';

/** A connection, and how it stands. */
export interface Linked {
  readonly node: NodeId;
  readonly link: PeerLink;
  readonly heartbeat: Heartbeat;
  /** The peer has answered on it. Before that it may be about to refuse this node: a dial succeeds all the same. */
  answered: boolean;
  /** A heartbeat is overdue. */
  suspect: boolean;
}

export interface ConnectionsComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly hearing: Hearing;
  readonly estimatorOf: (node: NodeId) => LinkEstimator;
  readonly onLoad: (node: NodeId, load: Load) => void;
  /** One heartbeat; resolves when the peer has answered. */
  readonly probe: (linked: Linked) => Promise<void>;
  /** The peer answered on this connection for the first time. */
  readonly onAnswered: (linked: Linked) => void;
  /** What {@link Connections.state} says of a peer may have changed. */
  readonly onState: (node: NodeId) => void;
  /** The last connection to a peer is gone. */
  readonly onGone: (node: NodeId, answered: boolean) => void;
}

export class Connections {
  readonly #components: ConnectionsComponents;
  readonly #limits: MeshLimits;
  readonly #liveness: Liveness;
  readonly #byNode = new Map<NodeId, readonly Linked[]>();

  constructor(components: ConnectionsComponents, init: { readonly limits: MeshLimits; readonly liveness: Liveness }) {
    this.#components = components;
    this.#limits = init.limits;
    this.#liveness = init.liveness;
  }

  has(node: NodeId): boolean {
    return this.#byNode.has(node);
  }

  of(node: NodeId): readonly Linked[] {
    return this.#byNode.get(node) ?? [];
  }

  /** The connection that a call to each peer would take. */
  best(): readonly Linked[] {
    return [...this.#byNode.keys()].flatMap((node) => this.choose(node) ?? []);
  }

  /** One that answers before one that is overdue, and the newest of these. */
  choose(node: NodeId): Linked | undefined {
    const links = this.of(node);
    return (
      links.find(({ answered, suspect }) => answered && !suspect) ?? links.find(({ suspect }) => !suspect) ?? links[0]
    );
  }

  state(node: NodeId): PeerRecord['state'] {
    const answering = this.of(node).filter(({ answered }) => answered);
    if (answering.length === 0) return 'gone';
    return answering.every(({ suspect }) => suspect) ? 'suspect' : 'connected';
  }

  callsInFlight(node: NodeId): number {
    return this.of(node).reduce((sum, { link }) => sum + link.callsInFlight, 0);
  }

  /** When the peer was last heard on any connection, by the clock; undefined without one. */
  heardMs(node: NodeId): number | undefined {
    const links = this.of(node);
    if (links.length === 0) return undefined;
    return Math.max(...links.map(({ link }) => this.#components.hearing.lastMs(link.connection)));
  }

  opened(connection: Connection): Linked {
    const { clock, log, hearing, estimatorOf, onLoad, probe, onState } = this.#components;
    const node = connection.remotePeer.toString();
    const estimator = estimatorOf(node);
    estimator.onPath(connection.direct ? 'direct' : 'relay');
    const link = new PeerLink(
      { clock, connection, estimator, onLoad: (load) => onLoad(node, load) },
      { limits: this.#limits },
    );
    const heartbeat = new Heartbeat(
      {
        clock,
        log: log.child({ peer: node }),
        probe: () => probe(linked),
        lastHeardMs: () => hearing.lastMs(connection),
        onSuspect: (suspect) => {
          linked.suspect = suspect;
          onState(node);
        },
        onLost: () => this.#giveUp(linked),
      },
      this.#liveness,
    );
    const linked: Linked = { node, link, heartbeat, answered: false, suspect: false };
    this.#byNode.set(node, [linked, ...this.of(node)]);
    heartbeat.start();
    return linked;
  }

  /** To be called at each answer of the peer on this connection; only the first one changes anything. */
  answered(linked: Linked): void {
    if (linked.answered || !this.of(linked.node).includes(linked)) return;
    linked.answered = true;
    this.#components.onState(linked.node);
    this.#components.onAnswered(linked);
  }

  /** Silent for too long: its calls fail now, and both sides hear that the connection is gone. */
  #giveUp({ node, link }: Linked): void {
    const { timeoutMs } = this.#liveness;
    this.#components.log.info({ peer: node }, 'gave up a silent peer');
    this.#abort(
      link,
      new WeftError({
        code: 'peer_timeout',
        message: `The peer was silent for ${timeoutMs} ms.`,
        facts: { peer: node },
      }),
    );
  }

  #abort(link: PeerLink, error: WeftError): void {
    link.close(error);
    link.connection.abort(error);
  }

  /** The connection is gone, whoever ended it. */
  closed(connection: Connection): void {
    const node = connection.remotePeer.toString();
    const links = this.of(node);
    const linked = links.find(({ link }) => link.connection === connection);
    if (linked === undefined) return;
    linked.heartbeat.stop();
    linked.link.close(
      new WeftError({ code: 'peer_lost', message: 'The connection to the peer is gone.', facts: { peer: node } }),
    );
    const left = links.filter((other) => other !== linked);
    if (left.length > 0) this.#byNode.set(node, left);
    else this.#byNode.delete(node);
    this.#components.onState(node);
    if (left.length === 0) this.#components.onGone(node, linked.answered);
  }

  /** Ends every connection to a peer. */
  drop(node: NodeId, error: WeftError): void {
    for (const { link } of this.of(node)) this.#abort(link, error);
  }

  /**
   * Fails every call on a connection now, and ends it once the peer has been told why.
   * @param tell gets a link of its own; resolves soon, whatever the peer does
   * @returns false for a connection that nobody calls on
   */
  dismiss(connection: Connection, error: WeftError, tell: (link: PeerLink) => Promise<void>): boolean {
    const { clock, estimatorOf } = this.#components;
    const node = connection.remotePeer.toString();
    const linked = this.of(node).find(({ link }) => link.connection === connection);
    if (linked === undefined) return false;
    linked.heartbeat.stop();
    linked.link.close(error);
    const components = { clock, connection, estimator: estimatorOf(node), onLoad: () => undefined };
    const last = new PeerLink(components, { limits: this.#limits });
    void tell(last).finally(() => this.#abort(last, error));
    return true;
  }

  /** Fails every call and stops every heartbeat; the host closes the connections themselves. */
  stop(error: WeftError): void {
    for (const { heartbeat, link } of [...this.#byNode.values()].flat()) {
      heartbeat.stop();
      link.close(error);
    }
    this.#byNode.clear();
  }
}
