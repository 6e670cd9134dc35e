// What members tell each other: heartbeats that show whether the other knows something new, the sync that follows, and
// gossip. Keeps the directory and the member list up to date; the mesh makes one at each start.
import { type Advert, isNewer, type Load } from '../../protocol/capability.ts';
import type { Acquaintance } from '../../protocol/codec.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import { PEER_METHODS } from '../../protocol/methods.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Membership } from '../core/trust.ts';
import { acquaintance, checkAcquaintance, checkAdvert, decodeAdvert } from './adverts.ts';
import type { PeerLink } from './client.ts';
import type { Connections, Linked } from './connections.ts';
import type { Directory } from './directory.ts';
import type { Liveness, MeshLimits } from './limits.ts';

export interface AcquaintancesComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly membership: Membership;
  readonly directory: Directory;
  readonly connections: Connections;
  readonly load: () => Load;
  /** What this node last published. */
  readonly ownAdvert: () => Advert;
  /** The directory has taken an advert over. */
  readonly onAccepted: (advert: Advert) => void;
}

/** How heartbeats carry a node's state: how new its own word and its member list are. */
interface Vitals {
  readonly incarnation: bigint;
  readonly sequence: bigint;
  readonly membersDigest: Uint8Array;
}

/** Of one connection. */
interface Exchange {
  running: boolean;
  lastMs: number;
  /** The last sync taught this node something: then the next may too. */
  taught: boolean;
  /** The peer was to be told of somebody, in vain. */
  owed: boolean;
  /** Bytes were asked for, to measure the link. */
  sampled: boolean;
}

export class Acquaintances {
  readonly #components: AcquaintancesComponents;
  readonly #limits: MeshLimits;
  readonly #liveness: Liveness;
  readonly #exchanges = new WeakMap<Linked, Exchange>();
  readonly #abort = new AbortController();
  /** Peers that have come and that the others are to be told of. */
  readonly #newcomers = new Set<NodeId>();
  #tellTimer: Timer | undefined;

  constructor(components: AcquaintancesComponents, init: { readonly limits: MeshLimits; readonly liveness: Liveness }) {
    this.#components = components;
    this.#limits = init.limits;
    this.#liveness = init.liveness;
  }

  vitals(): Vitals {
    const { incarnation, sequence } = this.#components.ownAdvert();
    return {
      incarnation: BigInt(incarnation),
      sequence: BigInt(sequence),
      membersDigest: this.#components.membership.digest(),
    };
  }

  /** One heartbeat of a connection, and a sync when the peer knows something new. */
  async probe(linked: Linked): Promise<void> {
    const { connections, directory, membership, clock } = this.#components;
    const options = { signal: this.#abort.signal, requestId: '' };
    const vitals = await linked.link.call(PEER_METHODS.probe, this.vitals(), options);
    connections.answered(linked);
    const exchange = this.#exchange(linked);
    this.#sample(linked, exchange);
    const known = directory.get(linked.node);
    const said = { incarnation: Number(vitals.incarnation), sequence: Number(vitals.sequence) };
    const isUpToDate =
      known?.firstHand === true && !isNewer(said, known.advert) && sameBytes(vitals.membersDigest, membership.digest());
    if (isUpToDate) return;
    // A difference that a sync doesn't remove, such as a statement that one side refuses, must not repeat it at every beat.
    const { taught, owed, lastMs } = exchange;
    if (taught || owed || clock.now() - lastMs >= this.#limits.sync.idleMs) this.syncSoon(linked);
  }

  /** Measures a link over which nothing large has crossed yet, once: the estimator sees the bytes come in. */
  #sample({ link, node }: Linked, exchange: Exchange): void {
    if (exchange.sampled || link.isMeasured) return;
    exchange.sampled = true;
    const options = { signal: this.#abort.signal, requestId: '' };
    link.call(PEER_METHODS.sample, { length: this.#limits.links.sampleBytes }, options).catch((error: unknown) => {
      this.#components.log.debug({ peer: node, error: String(error) }, 'could not measure the link');
    });
  }

  /** Tells a peer everything, and learns what it knows. Failures show in the peer's heartbeat. */
  syncSoon(linked: Linked): void {
    const exchange = this.#exchange(linked);
    if (exchange.running) return;
    exchange.running = true;
    exchange.owed = false;
    this.#sync(linked)
      .then(
        (taught) => {
          exchange.taught = taught;
        },
        (error: unknown) => this.#components.log.debug({ peer: linked.node, error: String(error) }, 'a sync failed'),
      )
      .finally(() => {
        exchange.running = false;
        exchange.lastMs = this.#components.clock.now();
      });
  }

  #exchange(linked: Linked): Exchange {
    let exchange = this.#exchanges.get(linked);
    if (exchange === undefined) {
      exchange = { running: false, lastMs: Number.NEGATIVE_INFINITY, taught: true, owed: false, sampled: false };
      this.#exchanges.set(linked, exchange);
    }
    return exchange;
  }

  async #sync(linked: Linked): Promise<boolean> {
    const options = { signal: this.#abort.signal, requestId: '' };
    const said = await linked.link.call(PEER_METHODS.sync, this.#everything(), options);
    this.#components.connections.answered(linked);
    return this.learn(linked.node, said);
  }

  /**
   * Tells a member that was revoked so, by the signed word itself. What it says to that doesn't count any more.
   * @param link of this one call
   */
  async farewell(link: PeerLink): Promise<void> {
    const { membership } = this.#components;
    const signal = AbortSignal.any([this.#abort.signal, AbortSignal.timeout(this.#limits.sync.farewellMs)]);
    try {
      const said = acquaintance(this.#own(), membership.statements(), [], this.#limits);
      await link.call(PEER_METHODS.sync, said, { signal, requestId: '' });
    } catch (error) {
      // It hangs up as soon as it has understood; or it doesn't listen.
      this.#components.log.debug({ peer: link.node, error: String(error) }, 'a revoked member did not answer');
    }
  }

  /** Answers a sync: with everything, or, when the peer only passed on who has come, with this node's own advert. */
  async answer(caller: NodeId, said: Acquaintance): Promise<Acquaintance> {
    await this.learn(caller, said);
    return said.statements.length === 0 ? this.#only([]) : this.#everything();
  }

  #everything(): Acquaintance {
    const { directory, membership } = this.#components;
    const connected = [...directory.entries()].filter(({ state, firstHand }) => firstHand && state === 'connected');
    const known = connected.map(({ advert, load }) => ({ ...advert, load }));
    return acquaintance(this.#own(), membership.statements(), known, this.#limits);
  }

  #only(known: readonly Advert[]): Acquaintance {
    return acquaintance(this.#own(), [], known, this.#limits);
  }

  #own(): Advert {
    return { ...this.#components.ownAdvert(), load: this.#components.load() };
  }

  /** Takes over what a peer tells. @returns true when it was news @throws WeftError when it is out of bounds */
  async learn(node: NodeId, said: Acquaintance): Promise<boolean> {
    checkAcquaintance(said, this.#limits);
    if (said.advert.node !== node) {
      throw new WeftError({ code: 'bad_request', message: 'A peer introduced itself as another.' });
    }
    // The member list first: it says whose adverts count.
    let news = said.statements.length > 0 && (await this.#components.membership.merge(said.statements));
    news = this.#accept(said.advert, { firstHand: true }) || news;
    for (const advert of said.known) news = this.#accept(advert, { firstHand: false }) || news;
    return news;
  }

  #accept(advert: Advert, source: { readonly firstHand: boolean }): boolean {
    const { membership, directory, onAccepted } = this.#components;
    if (this.#abort.signal.aborted || advert.node === membership.self.node) return false;
    if (!membership.isMember(advert.node) || !directory.accept(advert, source)) return false;
    onAccepted(advert);
    return true;
  }

  /** Gossip is signed by its author: the node's own word, whoever passed it on. */
  heardGossip(author: NodeId, data: Uint8Array): void {
    try {
      const advert = decodeAdvert(data);
      checkAdvert(advert, this.#limits);
      if (advert.node === author) this.#accept(advert, { firstHand: true });
    } catch (error) {
      this.#components.log.debug({ peer: author, error: String(error) }, 'passed over gossip');
    }
  }

  /** A peer is connected now: the others hear of it soon, so that two nodes who share only this one find each other. */
  tellOf(node: NodeId): void {
    this.#newcomers.add(node);
    this.#tellTimer ??= this.#components.clock.after(this.#liveness.announceMs, () => {
      this.#tellTimer = undefined;
      this.#tell([...this.#newcomers]);
      this.#newcomers.clear();
    });
  }

  #tell(nodes: readonly NodeId[]): void {
    const { connections, directory, log } = this.#components;
    const adverts = nodes.flatMap((node) => directory.get(node)?.advert ?? []);
    const options = { signal: this.#abort.signal, requestId: '' };
    for (const linked of connections.best()) {
      const { node, link, answered } = linked;
      const others = adverts.filter((advert) => advert.node !== node);
      if (!answered || others.length === 0) continue;
      link
        .call(PEER_METHODS.sync, this.#only(others), options)
        .then((said) => this.learn(node, said))
        .catch((error: unknown) => {
          this.#exchange(linked).owed = true;
          log.debug({ peer: node, error: String(error) }, 'could not tell of a newcomer');
        });
    }
  }

  stop(error: WeftError): void {
    this.#tellTimer?.cancel();
    this.#abort.abort(error);
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && a.every((byte, index) => byte === b[index]);
}
