// Prequal as published (Wydrowski et al., NSDI'24), for comparison: a pool of probes of random servers, each with requests in
// flight and latency; hot above the 0.84 quantile of requests in flight; the cold one of least latency, or of all hot ones the
// one with the fewest requests. What is known of a peer stands in for its answer to a probe, what it would take now for the
// latency that its server has seen at such a load.

import type { NodeId } from '../../protocol/ids.ts';
import type { WholePlan } from '../../protocol/plan.ts';
import { draw } from './draw.ts';
import { KnownOffers } from './known-offers.ts';
import {
  HOT_QUANTILE,
  PREQUAL_POOL_MAX,
  PREQUAL_PROBES,
  PREQUAL_RECENT_PROBES,
  PREQUAL_REMOVED,
  PREQUAL_USES_MAX,
} from './limits.ts';
import type { RoutingPolicy } from './policy.ts';
import type { PlacementRequest, Snapshot } from './snapshot.ts';
import { Survey } from './survey.ts';

interface Probe {
  readonly node: NodeId;
  requests: number;
  readonly latencyMs: number;
  uses: number;
}

export class Prequal implements RoutingPolicy {
  readonly name = 'prequal';
  readonly #known = new KnownOffers();
  /** Oldest first. */
  #pool: Probe[] = [];
  /** Requests in flight of recent probes, for the quantile; oldest first. */
  readonly #recent: number[] = [];
  #removeWorst = false;

  choose(request: PlacementRequest, snapshot: Snapshot, random: () => number): WholePlan {
    const survey = new Survey(request, snapshot, this.#known);
    const places = new Map<NodeId, number>();
    for (let at = 0; at < survey.count; at++) places.set(survey.node(at), at);
    this.#pool = this.#pool.filter(({ node, uses }) => places.has(node) && uses < PREQUAL_USES_MAX);
    this.#probe(survey, random);
    const limit = quantile(this.#recent, HOT_QUANTILE);
    const chosen = best(this.#pool, limit);
    const at = chosen === undefined ? 0 : (places.get(chosen.node) ?? 0);
    if (chosen !== undefined) {
      // Until it is probed again, what was sent there is all that is known.
      chosen.requests++;
      chosen.uses++;
    }
    this.#remove(limit);
    return survey.plan(at, this.name);
  }

  #probe(survey: Survey, random: () => number): void {
    for (let probes = 0; probes < PREQUAL_PROBES; probes++) {
      const at = draw(survey.count, random);
      const node = survey.node(at);
      const requests = survey.requestsAt(at);
      this.#pool = this.#pool.filter((probe) => probe.node !== node);
      this.#pool.push({ node, requests, latencyMs: survey.latencyMs(at), uses: 0 });
      if (this.#pool.length > PREQUAL_POOL_MAX) this.#pool.shift();
      this.#recent.push(requests);
      if (this.#recent.length > PREQUAL_RECENT_PROBES) this.#recent.shift();
    }
  }

  /** By turns the oldest probe and the worst: neither stale ones nor those of bad servers gather. */
  #remove(limit: number): void {
    for (let removed = 0; removed < PREQUAL_REMOVED && this.#pool.length > 1; removed++) {
      this.#removeWorst = !this.#removeWorst;
      const gone = this.#removeWorst ? worst(this.#pool, limit) : this.#pool[0];
      this.#pool = this.#pool.filter((probe) => probe !== gone);
    }
  }
}

/** Nearest rank. */
function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil(share * sorted.length) - 1] ?? Number.POSITIVE_INFINITY;
}

/** Cold before hot; cold ones by latency, hot ones by requests in flight. */
function order(a: Probe, b: Probe, limit: number): number {
  const hotA = a.requests > limit;
  const hotB = b.requests > limit;
  if (hotA !== hotB) return hotA ? 1 : -1;
  return hotA ? a.requests - b.requests : a.latencyMs - b.latencyMs;
}

function best(pool: readonly Probe[], limit: number): Probe | undefined {
  return pool.reduce<Probe | undefined>(
    (chosen, probe) => (chosen === undefined || order(probe, chosen, limit) < 0 ? probe : chosen),
    undefined,
  );
}

function worst(pool: readonly Probe[], limit: number): Probe | undefined {
  return pool.reduce<Probe | undefined>(
    (chosen, probe) => (chosen === undefined || order(probe, chosen, limit) > 0 ? probe : chosen),
    undefined,
  );
}
