// Of which models this node runs parts for others: as its setting `offer` says of whole ones, those that it would have to fetch
// first included. Pure.
import type { Advert, ModelOffer } from '../../protocol/capability.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import type { Settings } from '../config/settings.ts';

/** @param offers what it offers now */
export function mayTakePart(
  { id, digest }: ModelRef,
  offer: Settings['offer'],
  offers: readonly Pick<ModelOffer, 'model'>[],
): boolean {
  if (offer === 'all' || offers.some(({ model }) => model.digest === digest)) return true;
  // Short names are those of models that are here.
  return offer !== 'none' && offer.some((name) => name.toLowerCase() === id.toLowerCase());
}

/** What peers are told, so that they don't ask in vain. */
export function partsTaken(offer: Settings['offer'], bring: Settings['bring']): Pick<Advert, 'parts'> {
  if (offer === 'none') return { parts: 'none' };
  return bring === 'never' ? { parts: 'held' } : {};
}
