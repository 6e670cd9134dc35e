// Who could do this work at all, who is asked only in need, and why the others can't. Called by survey. A mesh may have a
// thousand nodes and a decision a tenth of a millisecond: nothing is allocated for a node that can do it.
import type { Advert, ModelOffer } from '../../protocol/capability.ts';
import type { ModelRef, NodeId } from '../../protocol/ids.ts';
import type { Rejection } from '../../protocol/plan.ts';
import type { LinkEstimate, PeerRecord } from '../core/mesh.ts';
import { REJECTIONS_MAX } from './limits.ts';
import type { PlacementRequest, Snapshot } from './snapshot.ts';

/** What a price takes from the record of a peer; this node has one too, without a link. */
export interface Host extends Pick<PeerRecord, 'load' | 'callsInFlight' | 'heardAgoMs'> {
  readonly advert: Pick<Advert, 'node' | 'yields'>;
  /** Undefined = this node itself. */
  readonly link: LinkEstimate | undefined;
}

export interface Candidates {
  /** Who is asked: nodes in doubt only where there is nobody else. */
  readonly hosts: readonly Host[];
  /** What each of them offers, in the same order. */
  readonly offers: readonly ModelOffer[];
  /** The others. Those that have something to do with the model come first; at most {@link REJECTIONS_MAX}. */
  readonly rejected: readonly Rejection[];
}

/** Sorts every node of the snapshot into those that are asked and the others. */
export function findCandidates(request: PlacementRequest, snapshot: Snapshot): Candidates {
  const { self, peers, avoided } = snapshot;
  const { model, excluded } = request;
  // Most of the time nobody is left out: a look-up per node that finds nothing is a good part of a decision.
  const isAnyoneSpecial = avoided.size > 0 || excluded.size > 0;
  const sorting = new Sorting(request, avoided);
  const { hosts, offers } = sorting;
  const { node, load, yields } = self;
  const advert = yields === undefined ? { node } : { node, yields };
  const here = { advert, load, callsInFlight: load.requestsInFlight, heardAgoMs: 0, link: undefined };
  sorting.add(here, self.offers, 'connected');
  for (let at = 0; at < peers.length; at++) {
    const peer = peers[at] as PeerRecord;
    const { advert, state } = peer;
    const offer = offerOf(advert.offers, model);
    if (isAnyoneSpecial || offer === undefined || state !== 'connected' || offer.state === 'quarantined') {
      sorting.add(peer, advert.offers, state);
    } else {
      hosts.push(peer);
      offers.push(offer);
    }
  }
  return sorting.end();
}

class Sorting {
  readonly hosts: Host[] = [];
  readonly offers: ModelOffer[] = [];
  readonly #request: PlacementRequest;
  readonly #avoided: ReadonlyMap<NodeId, string>;
  readonly #doubtful: { readonly host: Host; readonly offer: ModelOffer; readonly reason: string }[] = [];
  readonly #barred: Rejection[] = [];
  readonly #strangers: Rejection[] = [];

  constructor(request: PlacementRequest, avoided: ReadonlyMap<NodeId, string>) {
    this.#request = request;
    this.#avoided = avoided;
  }

  add(host: Host, offers: readonly ModelOffer[], state: PeerRecord['state']): void {
    const { model, excluded } = this.#request;
    const { node } = host.advert;
    const offer = offerOf(offers, model);
    if (offer === undefined) {
      const sameName = offers.some((other) => other.model.id === model.id);
      if (sameName) push(this.#barred, node, 'offers other bytes under this name');
      else push(this.#strangers, node, 'does not offer this model');
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
    if (reason === undefined) {
      this.hosts.push(host);
      this.offers.push(offer);
    } else {
      this.#doubtful.push({ host, offer, reason });
    }
  }

  end(): Candidates {
    const passedOver: Rejection[] = [];
    const inNeed = this.hosts.length === 0;
    for (const { host, offer, reason } of this.#doubtful) {
      if (inNeed) {
        this.hosts.push(host);
        this.offers.push(offer);
      } else push(passedOver, host.advert.node, `${reason}; asked only in need`);
    }
    const rejected = [...passedOver, ...this.#barred, ...this.#strangers].slice(0, REJECTIONS_MAX);
    return { hosts: this.hosts, offers: this.offers, rejected };
  }
}

/** As many as are shown. */
function push(rejections: Rejection[], node: NodeId, reason: string): void {
  if (rejections.length < REJECTIONS_MAX) rejections.push({ node, reason });
}

/** The first offer of these bytes counts. */
function offerOf(offers: readonly ModelOffer[], model: ModelRef): ModelOffer | undefined {
  for (let at = 0; at < offers.length; at++) {
    const offer = offers[at] as ModelOffer;
    // The same object says the same at a fraction of the cost of comparing 71 characters.
    if (offer.model === model) return offer;
  }
  for (let at = 0; at < offers.length; at++) {
    const offer = offers[at] as ModelOffer;
    if (offer.model.digest === model.digest) return offer;
  }
  return undefined;
}
