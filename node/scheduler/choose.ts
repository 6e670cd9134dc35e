// Request + snapshot → plan. Pure: no clock, no randomness, no I/O, so that the same question always has the same answer
// and a simulator can ask it. Called by dispatch for every placement and for every recovery.
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { Candidate, Rejection } from '../../protocol/plan.ts';
import { findCandidates } from './candidates.ts';
import { estimate } from './estimate.ts';
import { OTHERS_MAX, REJECTIONS_MAX } from './limits.ts';
import type { WholePlan } from './policy.ts';
import type { PlacementRequest, Snapshot } from './snapshot.ts';

/**
 * The node whose whole answer is predicted to be here first. Queues are part of the price, so a busy node loses to an
 * idle one by itself. Nodes in doubt are taken only when there is no other.
 * @throws WeftError `no_capable_node`, with each node's reason in `facts.rejected`
 */
export function choose(request: PlacementRequest, snapshot: Snapshot): WholePlan {
  const { ready, doubtful, rejected } = findCandidates(request, snapshot);
  const inNeed = ready.length === 0;
  const pool = inNeed ? doubtful.map((entry) => entry.capable) : ready;
  const passedOver = inNeed
    ? []
    : doubtful.map(({ capable, reason }) => ({ node: capable.node, reason: `${reason}; asked only in need` }));
  const rejections = [...passedOver, ...rejected].slice(0, REJECTIONS_MAX);

  const [best, ...others] = cheapest(estimate(request, pool), OTHERS_MAX + 1, snapshot.self.node);
  if (best === undefined) throw noCapableNode(request, snapshot, rejections);
  const kind = best.node === snapshot.self.node ? 'local' : 'remote';
  return { kind, node: best.node, price: best.price, others, rejected: rejections };
}

/** The `count` cheapest, cheapest first: one pass, because a mesh may have a thousand nodes and a plan names nine. */
function cheapest(candidates: readonly Candidate[], count: number, self: NodeId): Candidate[] {
  const best: Candidate[] = [];
  for (const candidate of candidates) {
    const last = best[count - 1];
    if (last !== undefined && compare(last, candidate, self) <= 0) continue;
    let at = Math.min(best.length, count - 1);
    for (; at > 0; at--) {
      const before = best[at - 1];
      if (before === undefined || compare(before, candidate, self) <= 0) break;
      best[at] = before;
    }
    best[at] = candidate;
  }
  return best;
}

/** By price; at the same price here before there, measured before guessed, and at last by id, so that none is equal. */
function compare(a: Candidate, b: Candidate, self: NodeId): number {
  if (a.price.totalMs !== b.price.totalMs) return a.price.totalMs - b.price.totalMs;
  if (a.node === self || b.node === self) return a.node === self ? -1 : 1;
  if (a.samples !== b.samples) return b.samples - a.samples;
  return a.node < b.node ? -1 : 1;
}

function noCapableNode(request: PlacementRequest, snapshot: Snapshot, rejections: readonly Rejection[]): WeftError {
  const names = new Map(snapshot.peers.map((peer) => [peer.advert.node, peer.advert.name]));
  const name = (node: NodeId): string => (node === snapshot.self.node ? 'this node' : (names.get(node) ?? node));
  const reasons = rejections.map(({ node, reason }) => `${name(node)}: ${reason}`).join('; ');
  return new WeftError({
    code: 'no_capable_node',
    message: `No node of this mesh can run ${request.model.id} now.`,
    facts: { model: request.model.id, rejected: reasons },
  });
}
