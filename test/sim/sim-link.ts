// How an entry stands to one other node: connected or not, what it has heard of it, and how it notices that nothing comes any
// more. It does as node/mesh does: a heartbeat twice a second, silence given up after two seconds, redials, adverts by
// incarnation.
import type { LinkEstimate, PeerRecord } from '../../node/core/mesh.ts';
import { LIVENESS, MESH_LIMITS } from '../../node/mesh/limits.ts';
import { LinkEstimator } from '../../node/mesh/links.ts';
import { type Advert, isNewer, type Load } from '../../protocol/capability.ts';
import type { Draws } from './draws.ts';
import type { EventKind, EventLog } from './event-log.ts';
import { type Call, failure } from './sim-call.ts';
import { Heartbeat } from './sim-heartbeat.ts';
import { Delivery, type Wire } from './sim-network.ts';
import type { SimNode } from './sim-node.ts';
import type { Reach } from './sim-oracle.ts';
import { SimEvent, type VirtualClock } from './virtual-clock.ts';

/** Of a dial: TCP, security, muxer and the first answer. */
const HANDSHAKE_ROUND_TRIPS = 4;

export interface SimMeshComponents {
  readonly clock: VirtualClock;
  readonly log: EventLog;
  readonly draws: Draws;
  /** The node whose mesh it is. */
  readonly node: SimNode;
}

/** The mesh that a link belongs to. */
export interface LinkOwner {
  readonly components: SimMeshComponents;
  /** A record is another one now. */
  changed(): void;
}

/** A peer's record: the fields change as the entry learns, the object with each advert and each change of state. */
class Known implements PeerRecord {
  readonly advert: Advert;
  readonly state: PeerRecord['state'];
  load: Load;
  callsInFlight: number;
  readonly #link: SimLink;

  constructor(link: SimLink, fields: Pick<PeerRecord, 'advert' | 'state' | 'load' | 'callsInFlight'>) {
    this.advert = fields.advert;
    this.state = fields.state;
    this.load = fields.load;
    this.callsInFlight = fields.callsInFlight;
    this.#link = link;
  }

  get link(): LinkEstimate {
    return this.#link.estimator.estimate();
  }

  get heardAgoMs(): number {
    return this.#link.clock.now() - this.#link.heardMs;
  }
}

/** A connection, from its handshake until the entry knows that it is gone. */
export class Connection {
  readonly link: SimLink;
  /** Of the node's process that it leads to. */
  readonly incarnation: number;
  readonly calls = new Set<Call>();
  open = true;

  constructor(link: SimLink) {
    this.link = link;
    this.incarnation = link.node.incarnation;
  }
}

/** How an entry stands to one other node. */
export class SimLink implements Reach {
  readonly mesh: LinkOwner;
  readonly clock: VirtualClock;
  readonly node: SimNode;
  readonly wire: Wire;
  readonly estimator: LinkEstimator;
  connection: Connection | undefined;
  record: Known | undefined;
  #heardMs = 0;
  #lostMs = Number.NEGATIVE_INFINITY;
  #failures = 0;
  readonly #heartbeat: Heartbeat;

  constructor(mesh: LinkOwner, node: SimNode, wire: Wire) {
    const { clock } = mesh.components;
    this.mesh = mesh;
    this.clock = clock;
    this.node = node;
    this.wire = wire;
    this.estimator = new LinkEstimator({ clock }, { limits: MESH_LIMITS });
    this.#heartbeat = new Heartbeat(this);
    node.onAdvert((advert) => {
      clock.schedule(new Gossip(this, advert), clock.now() + wire.rttMs / 2);
    });
  }

  get isConnected(): boolean {
    return this.connection !== undefined;
  }

  get heardMs(): number {
    return this.#heardMs;
  }

  /** The handshake is done, adverts and some bytes have crossed. */
  connect(): void {
    const { node, wire, estimator } = this;
    if (this.connection !== undefined) return;
    if (node.state !== 'up' || wire.isSilent) {
      this.#redial();
      return;
    }
    this.connection = new Connection(this);
    this.#failures = 0;
    this.#heardMs = this.clock.now();
    estimator.onPath('direct');
    estimator.sawRoundTrip(wire.rttMs);
    const { sampleBytes } = MESH_LIMITS.links;
    estimator.sawTransfer(sampleBytes, sampleBytes / wire.downBytesPerMs);
    this.note('connected', -1);
    if (!this.heardAdvert(node.advert())) this.#become('connected');
    this.#heartbeat.start();
  }

  /** @returns false when it is no news: an older incarnation, or an older word of the same one */
  heardAdvert(advert: Advert): boolean {
    if (this.record !== undefined && !isNewer(advert, this.record.advert)) return false;
    this.note('advert', -1);
    const { state = 'connected', callsInFlight = 0 } = this.record ?? {};
    this.#heardMs = this.clock.now();
    this.record = new Known(this, {
      advert,
      load: advert.load,
      callsInFlight,
      state: this.connection === undefined ? 'gone' : state === 'gone' ? 'connected' : state,
    });
    this.mesh.changed();
    return true;
  }

  /** Bytes have come from it. */
  heard(load: Load | undefined): void {
    this.#heardMs = this.clock.now();
    if (load !== undefined && this.record !== undefined) this.record.load = load;
  }

  suspect(suspect: boolean): void {
    const state = suspect ? 'suspect' : 'connected';
    if (this.connection === undefined || this.record?.state === state) return;
    this.note(state, -1);
    this.#become(state);
  }

  /** The connection is gone, as the entry sees it. */
  lost(connection: Connection, code: 'peer_timeout' | 'peer_lost'): void {
    if (!connection.open) return;
    connection.open = false;
    this.connection = undefined;
    this.#heartbeat.stop();
    this.#lostMs = this.clock.now();
    this.note('gone', -1);
    this.#become('gone');
    for (const call of [...connection.calls]) call.fail(failure(code, this.node.id));
    this.#redial();
  }

  /** The node's process has ended its connections: the entry hears of that, unless the wire is silent. */
  reset(connection = this.connection): void {
    if (connection === undefined) return;
    this.clock.schedule(new Reset(this, connection), this.clock.now() + this.wire.rttMs / 2);
  }

  /** Whether something has arrived at the process that it was for; one that was started meanwhile answers with a reset. */
  leadsThere(connection: Connection): boolean {
    const { node } = this;
    if (node.state === 'dead' || !connection.open) return false;
    if (node.incarnation === connection.incarnation) return true;
    this.reset(connection);
    return false;
  }

  note(kind: EventKind, request: number): void {
    this.mesh.components.log.note(kind, this.clock.now(), this.node.id, this.node.index, request);
  }

  /** As node/mesh/dialer.ts: soon and often after a loss, ever more seldom later. */
  #redial(): void {
    const { redialMs, redialMaxMs, returnRedialMs, returnWindowMs } = LIVENESS;
    const backoffMs = Math.min(redialMs * 2 ** Math.min(this.#failures++, 16), redialMaxMs);
    const returning = this.clock.now() - this.#lostMs < returnWindowMs;
    const spread = this.mesh.components.draws.within(0.8, 1.2);
    const waitMs = (returning ? Math.min(backoffMs, returnRedialMs) : backoffMs) * spread;
    const dial = new Delayed(() => this.connect());
    this.clock.schedule(dial, this.clock.now() + waitMs + HANDSHAKE_ROUND_TRIPS * this.wire.rttMs);
  }

  #become(state: PeerRecord['state']): void {
    const { record } = this;
    if (record === undefined || record.state === state) return;
    const { advert, load, callsInFlight } = record;
    this.record = new Known(this, { advert, load, callsInFlight, state });
    this.mesh.changed();
  }
}

/** Something of the entry's own that happens later. */
export class Delayed extends SimEvent {
  readonly #then: () => void;

  constructor(then: () => void) {
    super();
    this.#then = then;
  }

  fire(): void {
    this.#then();
  }
}

class Gossip extends Delivery {
  readonly #link: SimLink;
  readonly #advert: Advert;

  constructor(link: SimLink, advert: Advert) {
    super(link.wire);
    this.#link = link;
    this.#advert = advert;
  }

  protected arrive(): void {
    this.#link.heardAdvert(this.#advert);
  }
}

class Reset extends Delivery {
  readonly #link: SimLink;
  readonly #connection: Connection;

  constructor(link: SimLink, connection: Connection) {
    super(link.wire);
    this.#link = link;
    this.#connection = connection;
  }

  protected arrive(): void {
    this.#link.clock.settled();
    this.#link.lost(this.#connection, 'peer_lost');
  }
}
