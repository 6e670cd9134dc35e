// Who could do this work at all, who is asked only in need, and why the others can't. Called by survey. A mesh may have a
// thousand nodes and a decision a tenth of a millisecond: nothing is allocated for a node that can do it.
import { type Advert, type ModelOffer, type Withheld, withheldBy } from '../../protocol/capability.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { Rejection } from '../../protocol/plan.ts';
import type { LinkEstimate, PeerRecord } from '../core/mesh.ts';
import type { KnownModel, KnownOffers } from './known-offers.ts';
import { REJECTIONS_MAX } from './limits.ts';
import type { PlacementRequest, Snapshot } from './snapshot.ts';

/** What a price takes from the record of a peer; this node has one too, without a link. */
export interface Host extends Pick<PeerRecord, 'load' | 'callsInFlight' | 'heardAgoMs'> {
  readonly advert: Pick<Advert, 'node' | 'yields'>;
  /** Undefined = this node itself. */
  readonly link: LinkEstimate | undefined;
}

/** They go by their places in the order of their finding: 0 up to, not including, `count`. */
export interface Candidates {
  /** Of those who are asked: nodes in doubt only where there is nobody else. */
  readonly count: number;
  /** Where each of them is in {@link known}: 0 = this node, 1 = the first of the peers. */
  readonly places: Int32Array;
  readonly known: KnownModel;
  /** The others. Those that have something to do with the model come first; at most {@link REJECTIONS_MAX}. */
  readonly rejected: readonly Rejection[];
  readonly here: Host;
  readonly peers: readonly Host[];
}

export function hostAt({ places, here, peers }: Candidates, at: number): Host {
  const place = places[at] ?? 0;
  return place === 0 ? here : (peers[place - 1] ?? here);
}

/** @throws RangeError where there is no such candidate */
export function offerAt({ places, known, count }: Candidates, at: number): ModelOffer {
  const offer = at < count ? known.offers[places[at] ?? 0] : undefined;
  if (offer === undefined) throw new RangeError(`There is no candidate ${at}.`);
  return offer;
}

/** Sorts every node of the snapshot into those that are asked and the others. */
export function findCandidates(request: PlacementRequest, snapshot: Snapshot, offers: KnownOffers): Candidates {
  const { self, peers, avoided } = snapshot;
  const { model, excluded } = request;
  const { node, load } = self;
  // Most of the time nobody is left out: a look-up per node that finds nothing is a good part of a decision.
  const isAnyoneSpecial = avoided.size > 0 || excluded.size > 0;
  const known = offers.of(node, model, peers.length + 1);
  const sorting = new Sorting(request, avoided, known, new Int32Array(peers.length + 1));
  const here = { advert: { node }, load, callsInFlight: load.requestsInFlight, heardAgoMs: 0, link: undefined };
  known.look(0, self, model);
  sorting.add(0, here, self.offers, 'connected');
  for (let at = 0; at < peers.length; at++) {
    const peer = peers[at] as PeerRecord;
    const { advert, state } = peer;
    const canRun = known.look(at + 1, advert, model);
    if (canRun && state === 'connected' && !isAnyoneSpecial) sorting.take(at + 1);
    else sorting.add(at + 1, peer, advert.offers, state);
  }
  return { ...sorting.end(), here, peers };
}

class Sorting {
  readonly #known: KnownModel;
  readonly #request: PlacementRequest;
  readonly #avoided: ReadonlyMap<NodeId, string>;
  readonly #places: Int32Array;
  #count = 0;
  readonly #doubtful: { readonly place: number; readonly host: Host; readonly reason: string }[] = [];
  readonly #barred: Rejection[] = [];
  readonly #strangers: Rejection[] = [];

  constructor(request: PlacementRequest, avoided: ReadonlyMap<NodeId, string>, known: KnownModel, places: Int32Array) {
    this.#request = request;
    this.#avoided = avoided;
    this.#known = known;
    this.#places = places;
  }

  take(place: number): void {
    this.#places[this.#count++] = place;
  }

  add(place: number, host: Host, offers: readonly ModelOffer[], state: PeerRecord['state']): void {
    const { model, excluded } = this.#request;
    const { node } = host.advert;
    const offer = this.#known.offers[place];
    if (offer === undefined) {
      const sameName = offers.some((other) => other.model.id === model.id);
      if (sameName) push(this.#barred, node, 'offers other bytes under this name');
      else if (this.#strangers.length < REJECTIONS_MAX) this.#strangers.push({ node, reason: whyNothing(host, state) });
      return;
    }
    const rejection =
      excluded.get(node) ??
      (state === 'gone' ? 'gone: not connected' : undefined) ??
      (offer.state === 'quarantined' ? 'quarantined: its runner died repeatedly with this model' : undefined);
    if (rejection !== undefined) {
      push(this.#barred, node, rejection);
      return;
    }
    const reason = state === 'suspect' ? 'suspect: overdue' : this.#avoided.get(node);
    if (reason === undefined) this.take(place);
    else this.#doubtful.push({ place, host, reason });
  }

  end(): Omit<Candidates, 'here' | 'peers'> {
    const passedOver: Rejection[] = [];
    const inNeed = this.#count === 0;
    for (const { place, host, reason } of this.#doubtful) {
      if (inNeed) this.take(place);
      else push(passedOver, host.advert.node, `${reason}; asked only in need`);
    }
    const rejected = [...passedOver, ...this.#barred, ...this.#strangers].slice(0, REJECTIONS_MAX);
    return { count: this.#count, places: this.#places, known: this.#known, rejected };
  }
}

/** What such a node does not do, and why, as far as it says. */
export const WITHHELD_TEXTS: Readonly<Record<Withheld, string>> = {
  unlent: 'computes for nobody else: its owner lends it to nobody',
  paused: 'computes for nobody else now: its owner has paused sharing',
};

/** Of one that offers no such model: whether it says that it offers nothing at all. */
function whyNothing({ advert }: Host, state: PeerRecord['state']): string {
  const withheld = state === 'gone' ? undefined : withheldBy(advert);
  return withheld === undefined ? 'does not offer this model' : WITHHELD_TEXTS[withheld];
}

/** As many as are shown. */
function push(rejections: Rejection[], node: NodeId, reason: string): void {
  if (rejections.length < REJECTIONS_MAX) rejections.push({ node, reason });
}
