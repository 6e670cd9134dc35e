// Which peers have a model, and in which of its forms. Pure.
import type { ModelRef, NodeId } from '../../protocol/ids.ts';
import type { PeerRecord } from '../core/mesh.ts';
import { VARIANTS_MAX } from './limits.ts';

/** One form of a model: peers that say the same digest have the same bytes. */
export interface Variant {
  readonly ref: ModelRef;
  readonly sizeBytes: number;
  /** Peers that have all of it, then those that have some. */
  readonly holders: readonly NodeId[];
  /** How many of the holders have all of it. */
  readonly wholeCount: number;
}

/**
 * Forms of a model that connected peers offer or hold: what most have whole comes first. At most {@link VARIANTS_MAX}.
 * @param without digests that are left out
 */
export function variantsOf(
  id: string,
  peers: readonly PeerRecord[],
  without: ReadonlySet<string> = new Set(),
): readonly Variant[] {
  const wanted = id.toLowerCase();
  const found = new Map<string, { ref: ModelRef; sizeBytes: number; whole: Set<NodeId>; partly: Set<NodeId> }>();
  for (const { advert, state } of peers) {
    if (state === 'gone') continue;
    for (const { model, sizeBytes, heldBytes } of shelfOf(advert)) {
      if (model.id.toLowerCase() !== wanted || without.has(model.digest)) continue;
      const variant = found.get(model.digest) ?? { ref: model, sizeBytes, whole: new Set(), partly: new Set() };
      found.set(model.digest, variant);
      if (heldBytes >= sizeBytes) variant.whole.add(advert.node);
      else if (!variant.whole.has(advert.node)) variant.partly.add(advert.node);
    }
  }
  return [...found.values()]
    .map(({ ref, sizeBytes, whole, partly }) => ({
      ref,
      sizeBytes,
      holders: [...whole, ...partly],
      wholeCount: whole.size,
    }))
    .sort((a, b) => b.wholeCount - a.wholeCount || b.holders.length - a.holders.length)
    .slice(0, VARIANTS_MAX);
}

/** Connected peers that may have files of a model: those that say its digest, then those that say its id. */
export function holdersOf({ id, digest }: ModelRef, peers: readonly PeerRecord[]): readonly NodeId[] {
  const wanted = id.toLowerCase();
  const connected = peers.filter(({ state }) => state !== 'gone').map(({ advert }) => advert);
  const having = (has: (model: ModelRef) => boolean): NodeId[] =>
    connected.filter((advert) => shelfOf(advert).some(({ model }) => has(model))).map(({ node }) => node);
  return [...new Set([...having((model) => model.digest === digest), ...having((m) => m.id.toLowerCase() === wanted)])];
}

function shelfOf({ offers, held = [] }: PeerRecord['advert']) {
  return [...offers.map(({ model, sizeBytes }) => ({ model, sizeBytes, heldBytes: sizeBytes })), ...held];
}
