// What this node knows of each model and its copies at this moment, and for how long it has been so: the snapshot for the
// decision how many there shall be.
import type { ModelOffer } from '../../protocol/capability.ts';
import type { ModelRef, NodeId } from '../../protocol/ids.ts';
import type { PeerRecord } from '../core/mesh.ts';
import { guessProfile } from '../scheduler/estimate.ts';
import { BRING_MEMORY_PER_BYTE, NEWCOMER_FACTOR } from '../scheduler/limits.ts';
import { isInMemory, type ReplicaSnapshot, type ReplicaView } from '../scheduler/replicas.ts';
import { speedOf, speedRatio } from './demand.ts';
import type { ReplicasComponents } from './replicas.ts';

export type ReplicaViewsComponents = Pick<
  ReplicasComponents,
  'clock' | 'mesh' | 'engine' | 'demand' | 'bounds' | 'keepAliveMs'
>;

/** Since when things are as they are, by the clock. */
interface Since {
  state: ReplicaView['state'];
  stateMs: number;
  copies: number;
  addedMs: number;
  leftMs: number;
}

/** A model somewhere: its offer here, else one of those that others make. */
interface Known {
  readonly offer: ModelOffer;
  readonly here: boolean;
  readonly elsewhere: { readonly peer: PeerRecord; readonly offer: ModelOffer }[];
}

export class ReplicaViews {
  readonly #components: ReplicaViewsComponents;
  readonly #since = new Map<string, Since>();
  readonly #letGo = new Map<string, number>();
  #views: ReadonlyMap<string, ReplicaView> = new Map();
  #refs: ReadonlyMap<string, ModelRef> = new Map();

  constructor(components: ReplicaViewsComponents) {
    this.#components = components;
  }

  /** As things are now. */
  snapshot(): ReplicaSnapshot {
    const { engine, mesh } = this.#components;
    const known = this.#known();
    const demand = this.#components.demand.inAll();
    const views = [...known.values()].map((model) => this.#view(model, demand));
    for (const digest of this.#since.keys()) if (!known.has(digest)) this.#since.delete(digest);
    for (const digest of this.#letGo.keys()) if (!known.has(digest)) this.#letGo.delete(digest);
    this.#views = new Map(views.map((view) => [view.digest, view]));
    this.#refs = new Map([...known].map(([digest, { offer }]) => [digest, offer.model]));
    return { self: mesh.self, models: views, memoryFreeBytes: engine.load().memoryFreeBytes };
  }

  /** A model of the last snapshot. */
  of(digest: string): ReplicaView | undefined {
    return this.#views.get(digest);
  }

  /** Copies and bounds of a model that need not be here, as they are now; undefined where no node is there that has it. */
  look(digest: string): Pick<ReplicaView, 'copies' | 'bounds'> | undefined {
    const { mesh, bounds } = this.#components;
    const offers = mesh.peers().flatMap(({ advert, state }) => {
      const offer = state === 'gone' ? undefined : advert.offers.find(({ model }) => model.digest === digest);
      return offer === undefined ? [] : [{ node: advert.node, offer }];
    });
    const first = offers[0]?.offer;
    if (first === undefined) return undefined;
    const copies = offers.filter(({ offer }) => isInMemory(offer.state)).map(({ node }) => node);
    return { copies, bounds: bounds({ id: first.model.id, aliases: first.aliases }) };
  }

  refOf(digest: string): ModelRef {
    return this.#refs.get(digest) ?? { id: digest, digest };
  }

  /** It left memory for lack of demand, or for another one. */
  letGo(digest: string): void {
    this.#letGo.set(digest, this.#components.clock.now());
  }

  /** Models of this node, and those of others that this node's owner wants copies of. */
  #known(): ReadonlyMap<string, Known> {
    const { engine, mesh, bounds } = this.#components;
    const known = new Map<string, Known>();
    for (const offer of engine.offers()) known.set(offer.model.digest, { offer, here: true, elsewhere: [] });
    for (const peer of mesh.peers()) {
      if (peer.state === 'gone') continue;
      for (const offer of peer.advert.offers) {
        const { id, digest } = offer.model;
        let model = known.get(digest);
        if (model === undefined && bounds({ id, aliases: offer.aliases }).min > 0) {
          model = { offer, here: false, elsewhere: [] };
          known.set(digest, model);
        }
        model?.elsewhere.push({ peer, offer });
      }
    }
    return known;
  }

  #view({ offer, here, elsewhere }: Known, demand: ReturnType<ReplicasComponents['demand']['inAll']>): ReplicaView {
    const { engine, bounds, clock, keepAliveMs } = this.#components;
    const { digest, id } = offer.model;
    const now = clock.now();
    const loaded = engine.loaded().find((model) => model.digest === digest);
    const copies = elsewhere.filter((other) => isInMemory(other.offer.state));
    const state = here ? offer.state : 'away';
    const since = this.#note(digest, state, copies.length + (isInMemory(state) ? 1 : 0));
    const placed = this.#components.demand.seen('placed', digest);
    const computed = this.#components.demand.seen('computed', digest);
    return {
      digest,
      bounds: bounds({ id, aliases: offer.aliases }),
      state,
      stateMs: now - since.stateMs,
      mayLeave: loaded?.state === 'loaded' && !loaded.pinned && loaded.requestsInFlight === 0,
      keepAliveMs: keepAliveMs(),
      copies: copies.map(({ peer }) => peer.advert.node),
      onOtherDisk: elsewhere.some((other) => other.offer.state === 'disk'),
      addedMs: now - since.addedMs,
      leftMs: now - since.leftMs,
      letGoMs: now - (this.#letGo.get(digest) ?? Number.NEGATIVE_INFINITY),
      demand: demand.get(digest) ?? placed,
      // What was placed here and computed here is in both.
      seenDemand: placed.lostMs >= computed.lostMs ? placed : computed,
      computedHere: computed.requests,
      slowness: here ? slowness(offer, engine.offers(), copies) : NEWCOMER_FACTOR,
      loadMs: here && offer.profile.loadMs > 0 ? offer.profile.loadMs : guessProfile(offer).loadMs,
      bytes: loaded?.state === 'loaded' ? loaded.residentBytes : offer.sizeBytes * BRING_MEMORY_PER_BYTE,
    };
  }

  #note(digest: string, state: ReplicaView['state'], copies: number): Since {
    const now = this.#components.clock.now();
    const since = this.#since.get(digest);
    if (since === undefined) {
      // How long it was so before this node looked, nobody knows: nothing leaves right after a start.
      const first: Since = { state, stateMs: now, copies, addedMs: Number.NEGATIVE_INFINITY, leftMs: now };
      this.#since.set(digest, first);
      return first;
    }
    if (since.state !== state) since.stateMs = now;
    if (copies > since.copies) since.addedMs = now;
    if (copies < since.copies) since.leftMs = now;
    since.state = state;
    since.copies = copies;
    return since;
  }
}

/** This node's time for a request over that of the fastest copy. */
function slowness(
  own: ModelOffer,
  ownOffers: readonly ModelOffer[],
  copies: readonly {
    readonly peer: { readonly advert: { readonly node: NodeId; readonly offers: readonly ModelOffer[] } };
    readonly offer: ModelOffer;
  }[],
): number {
  const fastest = copies.toSorted((a, b) => speedOf(a.offer) - speedOf(b.offer))[0];
  if (fastest === undefined) return 1;
  const ratio = speedOf(own) / speedOf(fastest.offer);
  if (ratio > 0 && Number.isFinite(ratio)) return ratio;
  return speedRatio(ownOffers, fastest.peer.advert.offers) ?? NEWCOMER_FACTOR;
}
