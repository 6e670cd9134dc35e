// What an executor answers when it is asked how long a piece of work would take: the same arithmetic as a price without the
// link, by its own fresh figures. Called where a condition of a request is judged.
import type { Load, ModelOffer } from '../../protocol/capability.ts';
import type { WorkSize } from '../core/work-size.ts';
import { computeMs, guessProfile, loadMs, sane } from './estimate.ts';

/** Predicted milliseconds of work that arrives now: queue, load and computing together. */
export function quoteOf(size: WorkSize, offer: ModelOffer, load: Load): number {
  const profile = offer.profile.samples > 0 ? offer.profile : guessProfile(offer);
  return sane(load.queuedMs) + loadMs(offer) + computeMs(size, profile, offer, 0);
}
