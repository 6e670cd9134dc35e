// Buries ghosts: of a node that was started again only the newest incarnation is placed on, whatever else is still told of
// it. Looked through for every snapshot.
import type { NodeId } from '../../protocol/ids.ts';
import { keepNewest } from '../core/keep-newest.ts';
import type { PeerRecord } from '../core/mesh.ts';
import { INCARNATIONS_MAX } from './limits.ts';

export class Incarnations {
  readonly #newest = new Map<NodeId, number>();
  readonly #onReborn: (node: NodeId) => void;
  #seen: readonly PeerRecord[] = [];
  #living: readonly PeerRecord[] = [];

  /** @param onReborn a node came back as another incarnation: what it was and held is gone */
  constructor(onReborn: (node: NodeId) => void) {
    this.#onReborn = onReborn;
  }

  /** The same list where no ghost is in it. */
  living(peers: readonly PeerRecord[]): readonly PeerRecord[] {
    if (peers === this.#seen) return this.#living;
    let ghosts = false;
    for (const { advert } of peers) {
      const newest = this.#newest.get(advert.node);
      if (newest === advert.incarnation) continue;
      if (newest !== undefined && newest > advert.incarnation) {
        ghosts = true;
        continue;
      }
      this.#newest.set(advert.node, advert.incarnation);
      keepNewest(this.#newest, INCARNATIONS_MAX);
      if (newest === undefined) continue;
      // A list in which a node stands twice may name its ghost first.
      ghosts = true;
      this.#onReborn(advert.node);
    }
    this.#seen = peers;
    this.#living = ghosts ? peers.filter((peer) => !this.#isGhost(peer)) : peers;
    return this.#living;
  }

  #isGhost({ advert }: PeerRecord): boolean {
    return (this.#newest.get(advert.node) ?? advert.incarnation) > advert.incarnation;
  }
}
