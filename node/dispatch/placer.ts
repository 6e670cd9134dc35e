// Asks the routing policy where a piece of work is to go now: takes the snapshot, with everything in it that this node has
// learned by itself. Called by the dispatcher for every placement, for hedges and for dry runs.

import type { ModelOffer, YieldReason } from '../../protocol/capability.ts';
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import type { ModelRef, NodeId } from '../../protocol/ids.ts';
import type { WholePlan } from '../../protocol/plan.ts';
import type { PlanRecord } from '../../protocol/plan-record.ts';
import type { Random } from '../core/clock.ts';
import type { Engine, LocalEngine } from '../core/engine.ts';
import type { Mesh } from '../core/mesh.ts';
import type { WorkSize } from '../core/work-size.ts';
import { type Unmeetable, unmeetable } from '../scheduler/admission.ts';
import { bindInMs } from '../scheduler/binding.ts';
import { computeMs, queueDeviationMs } from '../scheduler/estimate.ts';
import type { RoutingPolicy } from '../scheduler/policy.ts';
import { recordOf } from '../scheduler/record.ts';
import type { PlacementRequest, Snapshot } from '../scheduler/snapshot.ts';
import { Failures } from './failures.ts';
import { Incarnations } from './incarnations.ts';
import { EXPLORE_SHARE } from './limits.ts';
import type { NodeHealth } from './node-health.ts';
import { Places } from './places.ts';
import type { PrefixMemory } from './prefix-memory.ts';
import { Quotes } from './quotes.ts';
import type { Residuals } from './residuals.ts';

export interface PlacerComponents {
  readonly random: Pick<Random, 'next'>;
  readonly mesh: Pick<Mesh, 'peers'>;
  readonly local: Pick<LocalEngine, keyof Engine | 'offers' | 'load'>;
  /** The engine of a peer. */
  readonly remote: (node: NodeId) => Engine;
  readonly health: NodeHealth;
  /** Why this node would rather have others do it. @default it wouldn't */
  readonly yields?: (() => readonly YieldReason[]) | undefined;
  readonly residuals: Residuals;
  readonly prefixes: PrefixMemory;
  readonly policy: RoutingPolicy;
}

/** What is to be placed. */
export interface Placeable {
  readonly model: ModelRef;
  size(): WorkSize;
  prefix?(): Int32Array | undefined;
}

/** What became of it so far, and how much time is left. */
export interface Circumstances {
  readonly failures: Failures;
  readonly quotes: Quotes;
  /** Absent = no deadline. */
  readonly leftMs?: number | undefined;
  /** Milliseconds that what waits here before it takes. @default nothing does */
  readonly aheadMs?: number;
  /** Whether the record of the decision is wanted. @default false */
  readonly recorded?: boolean;
  /** Nothing of it may leave this node. @default false */
  readonly here?: boolean;
}

/** A plan, and what it rests on. */
export interface Placed {
  readonly plan: WholePlan;
  readonly engine: Engine;
  readonly size: WorkSize;
  /** The node's, as it was then. */
  readonly offer: ModelOffer | undefined;
  /** Computing by the node's own profile alone; 0 where it has none. */
  readonly claimedMs: number;
  /** Predicted until the first token of a generation, or the whole answer of anything else. */
  readonly firstByteMs: number;
  readonly record: PlanRecord | undefined;
  /** Milliseconds for which the request had better wait here. @default 0: it is to be sent now */
  readonly bindInMs?: number;
}

/** What a dry run knows of failures and quotes. */
const NOTHING_YET: Circumstances = { failures: new Failures(), quotes: new Quotes() };

export class Placer {
  readonly #components: PlacerComponents;
  readonly #incarnations: Incarnations;
  readonly #places = new Places();
  readonly #draw = (): number => this.#components.random.next();

  constructor(components: PlacerComponents) {
    this.#components = components;
    this.#incarnations = new Incarnations((node) => {
      components.health.succeeded(node);
      components.prefixes.forget(node);
    });
  }

  /** @throws WeftError when no node is left, or `deadline_unmeetable` */
  place(work: Placeable, circumstances: Circumstances): Placed {
    const { failures, quotes, leftMs } = circumstances;
    const snapshot = this.snapshot(circumstances.here);
    // A request that lost a node once, or was declined, has waited enough to be no one's first try.
    const explore = failures.count === 0 && quotes.quoted === undefined && this.#draw() < EXPLORE_SHARE;
    const request = this.#request(work, circumstances, explore);
    const placed = this.#choose(request, snapshot, circumstances);
    if (leftMs !== undefined) {
      const late = unmeetable(placed.plan, leftMs);
      if (late !== undefined) throw tooLate(late, leftMs);
    }
    return placed;
  }

  /** Where it would go now. @throws WeftError `no_capable_node` */
  plan(work: Placeable, here = false): WholePlan {
    return this.#components.policy.choose(this.#request(work, NOTHING_YET, false), this.snapshot(here), this.#draw);
  }

  /** A second node, beside those that work on it already; undefined where there is none that isn't in doubt. */
  placeHedge(work: Placeable, circumstances: Circumstances, busy: readonly NodeId[]): Placed | undefined {
    const snapshot = this.snapshot(circumstances.here);
    const excluded = new Map(circumstances.failures.excluded());
    for (const node of busy) excluded.set(node, 'works on it already');
    const request = { ...this.#request(work, circumstances, false), excluded };
    try {
      const placed = this.#chosen(request, snapshot, circumstances);
      return snapshot.avoided.has(placed.plan.node) ? undefined : placed;
    } catch (error) {
      if (toWeftError(error).code === 'no_capable_node') return undefined;
      throw error;
    }
  }

  #bindInMs(plan: WholePlan, { model }: PlacementRequest, { self, peers }: Snapshot): number {
    const { node, kind, price } = plan;
    const peer = kind === 'local' ? undefined : peers.find(({ advert }) => advert.node === node);
    const load = kind === 'local' ? self.load : peer?.load;
    if (load === undefined) return 0;
    const deviationMs = queueDeviationMs(price, this.#components.residuals.spread(model.digest));
    return bindInMs(plan, deviationMs, peer?.callsInFlight ?? load.requestsInFlight, this.#places.at(node, load));
  }

  /** What is known of the mesh now. @param here this node alone: nothing of the request may leave it */
  snapshot(here = false): Snapshot {
    const { local, mesh, health, residuals } = this.#components;
    const yields = this.#components.yields?.() ?? [];
    // First, because it may find that a node came back.
    const living = this.#incarnations.living(mesh.peers());
    return {
      self: {
        node: local.node,
        offers: local.offers(),
        load: local.load(),
        ...(yields.length > 0 && { yields }),
      },
      peers: here ? [] : living,
      avoided: health.avoided(),
      corrections: residuals.current(),
    };
  }

  #request(work: Placeable, { failures, quotes, leftMs, aheadMs }: Circumstances, explore: boolean): PlacementRequest {
    const { model } = work;
    const { inputTokens, outputTokens, requestBytes, answerBytes, answerRows } = work.size();
    const prefix = work.prefix?.();
    return {
      model,
      inputTokens,
      outputTokens,
      requestBytes,
      answerBytes,
      answerRows,
      excluded: failures.excluded(),
      explore,
      quoted: quotes.quoted,
      cached: prefix === undefined ? undefined : this.#components.prefixes.cached(model.digest, prefix),
      leftMs,
      ...(aheadMs !== undefined && { aheadMs }),
    };
  }

  #choose(request: PlacementRequest, snapshot: Snapshot, circumstances: Circumstances): Placed {
    const { failures } = circumstances;
    try {
      return this.#chosen(request, snapshot, circumstances);
    } catch (error) {
      // A runner is started again at once: where nobody else can, its node is asked again.
      const second = failures.excludedInNeed();
      if (second === undefined) throw failures.giveUp(toWeftError(error));
      try {
        return this.#chosen({ ...request, excluded: second }, snapshot, circumstances);
      } catch (cause) {
        throw failures.giveUp(toWeftError(cause));
      }
    }
  }

  #chosen(request: PlacementRequest, snapshot: Snapshot, { quotes, recorded }: Circumstances): Placed {
    const { local, remote, policy } = this.#components;
    let plan = policy.choose(request, snapshot, this.#draw);
    if (plan.withinMs !== undefined && (plan.kind === 'local' || !quotes.mayAsk)) plan = unconditional(plan);
    const offer = offerOf(plan, request.model, snapshot);
    const claimedMs =
      offer !== undefined && offer.profile.samples > 0
        ? computeMs(request, offer.profile, offer, request.cached?.get(plan.node) ?? 0)
        : 0;
    return {
      plan,
      engine: plan.kind === 'local' ? local : remote(plan.node),
      size: request,
      offer,
      claimedMs,
      firstByteMs: firstByteMs(plan, request, offer),
      record: recorded === true ? recordOf(request, snapshot) : undefined,
      bindInMs: policy.bindsLate === true ? this.#bindInMs(plan, request, snapshot) : 0,
    };
  }
}

function unconditional({ withinMs: _, ...plan }: WholePlan): WholePlan {
  return plan;
}

function offerOf({ kind, node }: WholePlan, model: ModelRef, { self, peers }: Snapshot): ModelOffer | undefined {
  if (kind === 'local') return self.offers.find((offer) => offer.model.digest === model.digest);
  for (const { advert } of peers) {
    if (advert.node === node) return advert.offers.find((offer) => offer.model.digest === model.digest);
  }
  return undefined;
}

function firstByteMs({ price }: WholePlan, request: PlacementRequest, offer: ModelOffer | undefined): number {
  const { outputTokens } = request;
  if (outputTokens === 0 || offer === undefined) return price.totalMs;
  const whole = computeMs(request, offer.profile, offer, 0);
  const prefill = computeMs({ ...request, outputTokens: 0 }, offer.profile, offer, 0);
  return price.totalMs - price.computeMs * (1 - prefill / whole);
}

/** What a request that can't be in time is refused with. */
export function tooLate({ quotedMs, retryAfterMs }: Unmeetable, leftMs: number): WeftError {
  return new WeftError({
    code: 'deadline_unmeetable',
    message: `The answer would take ${quotedMs} ms, and ${Math.max(0, Math.round(leftMs))} ms are left for it.`,
    facts: { quotedMs: String(quotedMs), retryAfterMs: String(retryAfterMs) },
  });
}
