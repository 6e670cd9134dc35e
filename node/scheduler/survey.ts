// What a policy chooses from: the candidates of a request with their prices, and the plan that a choice makes. Called by
// every policy.
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { Candidate, Rejection, WholePlan } from '../../protocol/plan.ts';
import { type Candidates, findCandidates, hostAt, offerAt } from './candidates.ts';
import { amount, Estimates } from './estimate.ts';
import type { KnownOffers } from './known-offers.ts';
import { OTHERS_MAX } from './limits.ts';
import type { PlacementRequest, Snapshot } from './snapshot.ts';

/** Candidates go by their places: 0 up to, not including, `count`. */
export class Survey {
  readonly count: number;
  readonly #candidates: Candidates;
  readonly #estimates: Estimates;

  /** @throws WeftError `no_capable_node`, with each node's reason in `facts.rejected` */
  constructor(request: PlacementRequest, snapshot: Snapshot, known: KnownOffers) {
    const candidates = findCandidates(request, snapshot, known);
    this.count = candidates.count;
    if (this.count === 0) throw noCapableNode(request, snapshot, candidates.rejected);
    this.#candidates = candidates;
    this.#estimates = new Estimates(request, candidates, snapshot.corrections);
  }

  node(at: number): NodeId {
    return hostAt(this.#candidates, at).advert.node;
  }

  /** Whether it is this node itself. */
  isHere(at: number): boolean {
    return this.#candidates.places[at] === 0;
  }

  /** Predicted milliseconds until the whole answer is here. */
  totalMs(at: number): number {
    return this.#estimates.totalMs(at);
  }

  /** That, and what it may well take longer: by this candidates are compared. */
  scoreMs(at: number): number {
    return this.#estimates.scoreMs(at);
  }

  /** Of the total, what is spent on the way there and back. */
  linkMs(at: number): number {
    const { upMs, downMs } = this.#estimates.price(at);
    return upMs + downMs;
  }

  /** What measurements from here add to the executor's own prediction. */
  surchargeMs(at: number): number {
    return this.#estimates.surchargeMs(at);
  }

  /** Requests in flight there, as it said, or those from here alone where these are more. */
  requestsAt(at: number): number {
    return this.#estimates.requests(at);
  }

  /** Calls from here that it hasn't answered: all that a policy knows that asks nobody. */
  callsTo(at: number): number {
    return hostAt(this.#candidates, at).callsInFlight;
  }

  /** What the node itself would say that it takes, by its last word. */
  latencyMs(at: number): number {
    const { queueMs, loadMs, computeMs } = this.#estimates.price(at);
    return queueMs + loadMs + computeMs;
  }

  /** By score; at the same score here before there, measured before guessed, and at last by id, so that none is equal. */
  compare(a: number, b: number): number {
    const difference = this.scoreMs(a) - this.scoreMs(b);
    if (difference !== 0) return difference;
    if (this.isHere(a) || this.isHere(b)) return this.isHere(a) ? -1 : 1;
    const samples = this.#samples(b) - this.#samples(a);
    if (samples !== 0) return samples;
    return this.node(a) < this.node(b) ? -1 : 1;
  }

  /** The plan that carries it out there, with the best of the others. */
  plan(at: number, policy: string, withinMs?: number): WholePlan {
    const others = this.cheapest(OTHERS_MAX, at).map((other) => this.#candidate(other));
    return {
      kind: this.isHere(at) ? 'local' : 'remote',
      ...this.#candidate(at),
      policy,
      ...(withinMs === undefined ? {} : { withinMs }),
      others,
      rejected: this.#candidates.rejected,
    };
  }

  #candidate(at: number): Candidate {
    const candidate = { node: this.node(at), price: this.#estimates.price(at), samples: this.#samples(at) };
    const correction = this.#estimates.correction(at);
    return correction === undefined ? candidate : { ...candidate, correction };
  }

  #samples(at: number): number {
    return amount(offerAt(this.#candidates, at).profile.samples);
  }

  /** The cheapest, cheapest first: one pass, because a mesh may have a thousand nodes and a plan names nine. */
  cheapest(count: number, without?: number): number[] {
    const best: number[] = [];
    let worstMs = Number.POSITIVE_INFINITY;
    for (let candidate = 0; candidate < this.count; candidate++) {
      if (this.scoreMs(candidate) > worstMs || candidate === without) continue;
      const last = best[count - 1];
      if (last !== undefined && this.compare(last, candidate) <= 0) continue;
      let at = Math.min(best.length, count - 1);
      for (; at > 0; at--) {
        const before = best[at - 1];
        if (before === undefined || this.compare(before, candidate) <= 0) break;
        best[at] = before;
      }
      best[at] = candidate;
      const worst = best[count - 1];
      if (worst !== undefined) worstMs = this.scoreMs(worst);
    }
    return best;
  }
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
