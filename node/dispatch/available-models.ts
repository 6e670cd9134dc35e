// What the mesh can run, by digest: this node's offers and those of every peer. Called by MeshDispatcher.
import type { ModelOffer, ModelState } from '../../protocol/capability.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { AvailableModel } from '../core/dispatcher.ts';
import type { PeerRecord } from '../core/mesh.ts';

/** The readier a model is, the better its offer is known. */
const RANK: Readonly<Record<ModelState, number>> = { loaded: 0, loading: 1, disk: 2, quarantined: 3 };

interface Entry {
  offer: ModelOffer;
  readonly nodes: NodeId[];
  readonly states: ModelState[];
}

/** One entry per digest, sorted by id. Models that only absent peers offer are known still, and have no nodes. */
export function availableModels(
  self: { readonly node: NodeId; readonly offers: readonly ModelOffer[] },
  peers: readonly PeerRecord[],
): AvailableModel[] {
  const models = new Map<string, Entry>();
  const add = (node: NodeId, offers: readonly ModelOffer[], present: boolean): void => {
    for (const offer of offers) {
      let entry = models.get(offer.model.digest);
      if (entry === undefined) {
        entry = { offer, nodes: [], states: [] };
        models.set(offer.model.digest, entry);
      }
      if (!present) continue;
      if (entry.nodes.length === 0 || RANK[offer.state] < RANK[entry.offer.state]) entry.offer = offer;
      entry.nodes.push(node);
      entry.states.push(offer.state);
    }
  };
  add(self.node, self.offers, true);
  for (const peer of peers) add(peer.advert.node, peer.advert.offers, peer.state !== 'gone');
  return [...models.values()].sort((a, b) =>
    a.offer.model.id === b.offer.model.id
      ? compare(a.offer.model.digest, b.offer.model.digest)
      : compare(a.offer.model.id, b.offer.model.id),
  );
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
