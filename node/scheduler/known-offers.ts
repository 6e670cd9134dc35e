// What nodes offer, looked up once for each advert: adverts change seldom, and a decision among a thousand nodes has a tenth
// of a millisecond, most of which it would spend finding a model in each of them. Held by a policy; a cache and nothing else:
// an advert never changes, so what is known of it doesn't either.
import type { Advert, ModelOffer } from '../../protocol/capability.ts';
import type { ModelRef, NodeId } from '../../protocol/ids.ts';
import { keepNewest } from '../core/keep-newest.ts';
import { FACTS, factsOf } from './estimate.ts';
import { KNOWN_MODELS_MAX } from './limits.ts';

type Offering = Pick<Advert, 'offers' | 'yields'>;

const CAN_RUN = 1;
const YIELDS = 2;

/** The offers of one model, by the places at which the nodes are listed: place 0 is the deciding node, its peers follow. */
export class KnownModel {
  /** What prices take from them, as {@link factsOf} writes it down. */
  facts = new Float64Array(FACTS);
  /** Undefined: it offers no such model. */
  readonly offers: (ModelOffer | undefined)[] = [];
  readonly #adverts: (Offering | undefined)[] = [];
  #flags = new Uint8Array(1);
  #room = new Float64Array(0);

  /**
   * So many numbers to work out one decision with, whatever is in them; the next decision gets the same. New ones for each
   * cost a seventh of it, most of which the collector takes.
   */
  room(count: number): Float64Array {
    if (this.#room.length < count) this.#room = new Float64Array(count * 2);
    return this.#room;
  }

  /** Makes room for so many places, and forgets what is behind them. */
  fit(places: number): void {
    if (this.facts.length < places * FACTS) {
      const facts = new Float64Array(places * 2 * FACTS);
      facts.set(this.facts);
      this.facts = facts;
      const flags = new Uint8Array(places * 2);
      flags.set(this.#flags);
      this.#flags = flags;
    }
    if (this.offers.length > places) this.offers.length = this.#adverts.length = places;
  }

  /** Looks at the node at this place. @returns whether it offers the model in a state that can run */
  look(place: number, advert: Offering, model: ModelRef): boolean {
    if (this.#adverts[place] !== advert) this.#note(place, advert, model);
    return ((this.#flags[place] ?? 0) & CAN_RUN) !== 0;
  }

  /** Whether that node would rather have others do it. */
  yields(place: number): boolean {
    return ((this.#flags[place] ?? 0) & YIELDS) !== 0;
  }

  #note(place: number, advert: Offering, { digest }: ModelRef): void {
    const offer = advert.offers.find(({ model }) => model.digest === digest);
    this.#adverts[place] = advert;
    this.offers[place] = offer;
    this.#flags[place] =
      (offer === undefined || offer.state === 'quarantined' ? 0 : CAN_RUN) | (advert.yields === undefined ? 0 : YIELDS);
    if (offer !== undefined) factsOf(offer, this.facts, place * FACTS);
  }
}

export class KnownOffers {
  /** Least recently asked first. */
  readonly #models = new Map<string, KnownModel>();

  /** @param self the deciding node: in tests several of them share a policy */
  of(self: NodeId, { digest }: ModelRef, places: number): KnownModel {
    const key = `${digest} ${self}`;
    const known = this.#models.get(key) ?? new KnownModel();
    this.#models.delete(key);
    this.#models.set(key, known);
    known.fit(places);
    keepNewest(this.#models, KNOWN_MODELS_MAX);
    return known;
  }
}
