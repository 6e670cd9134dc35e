// Who could do this work at all, who is asked only in need, and why the others can't. Called by choose.
import type { Load, ModelOffer } from '../../protocol/capability.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { Rejection } from '../../protocol/plan.ts';
import type { LinkEstimate, PeerRecord } from '../core/mesh.ts';
import type { PlacementRequest, Snapshot } from './snapshot.ts';

/** A node that offers the model in a state that can run. */
export interface Capable {
  readonly node: NodeId;
  readonly offer: ModelOffer;
  readonly load: Load;
  /** Undefined = this node itself. */
  readonly link: LinkEstimate | undefined;
  /** Calls from here that it hasn't answered. */
  readonly callsInFlight: number;
}

/** A capable node that is asked only when there is no other. */
export interface Doubtful {
  readonly capable: Capable;
  readonly reason: string;
}

export interface Candidates {
  readonly ready: readonly Capable[];
  readonly doubtful: readonly Doubtful[];
  /** Those that have something to do with the model come first. */
  readonly rejected: readonly Rejection[];
}

/** Sorts every node of the snapshot into one of three lists. */
export function findCandidates(request: PlacementRequest, snapshot: Snapshot): Candidates {
  const ready: Capable[] = [];
  const doubtful: Doubtful[] = [];
  const barred: Rejection[] = [];
  const strangers: Rejection[] = [];

  const consider = (
    capable: Omit<Capable, 'offer'>,
    offers: readonly ModelOffer[],
    state: PeerRecord['state'],
  ): void => {
    const { node } = capable;
    const offer = offers.find((candidate) => candidate.model.digest === request.model.digest);
    if (offer === undefined) {
      const sameName = offers.some((candidate) => candidate.model.id === request.model.id);
      if (sameName) barred.push({ node, reason: 'offers other bytes under this name' });
      else strangers.push({ node, reason: 'does not offer this model' });
      return;
    }
    const excluded = request.excluded.get(node);
    const rejection =
      excluded ??
      (state === 'gone' ? 'gone: not connected' : undefined) ??
      (offer.state === 'quarantined' ? 'quarantined: its runner died repeatedly with this model' : undefined);
    if (rejection !== undefined) {
      barred.push({ node, reason: rejection });
      return;
    }
    const doubt = state === 'suspect' ? 'suspect: overdue' : snapshot.avoided.get(node);
    if (doubt === undefined) ready.push({ ...capable, offer });
    else doubtful.push({ capable: { ...capable, offer }, reason: doubt });
  };

  const { self, peers } = snapshot;
  consider({ node: self.node, load: self.load, link: undefined, callsInFlight: 0 }, self.offers, 'connected');
  for (const peer of peers) {
    const { advert, load, link, callsInFlight, state } = peer;
    consider({ node: advert.node, load, link, callsInFlight }, advert.offers, state);
  }
  return { ready, doubtful, rejected: [...barred, ...strangers] };
}
