// A plan says who does what for one request, what that should cost, and what it was better than. Plain data: it crosses
// processes, is kept with a request's trace, and answers "why this peer?".
import type { NodeId } from './ids.ts';

/** Predicted milliseconds of one way to do the work, by part. */
export interface Price {
  readonly queueMs: number;
  /** Loading the model where it isn't loaded yet. */
  readonly loadMs: number;
  /** The request's bytes on the link, half a round trip included. */
  readonly upMs: number;
  readonly computeMs: number;
  readonly downMs: number;
  /** Sum: when the whole answer is here. */
  readonly totalMs: number;
}

/** One way to do the work, priced. */
export interface Candidate {
  readonly node: NodeId;
  readonly price: Price;
  /** Measured samples behind the compute price; 0 = a pessimistic guess. */
  readonly samples: number;
  /** What measurements from here have multiplied the compute time by. @default there are none */
  readonly correction?: number;
}

/** A node that can't do it, and why, for people. */
export interface Rejection {
  readonly node: NodeId;
  readonly reason: string;
}

/** What one node has of a plan in parts: [from, to) of the graph's nodes (cut), the batch's items (scatter) or the layers (stages). */
export interface Part {
  readonly node: NodeId;
  readonly from: number;
  readonly to: number;
  readonly price: Price;
}

interface PlanBase {
  readonly price: Price;
  /** As those of {@link Candidate}, of the chosen node. @default not told */
  readonly samples?: number;
  readonly correction?: number;
  /** The node was to decline where it would take longer than this from the request's arrival. @default no condition */
  readonly withinMs?: number;
  /** Name of the routing policy that chose. @default `weft` */
  readonly policy?: string;
  /** The next best, best first; at most eight. They are also where recovery looks first. */
  readonly others: readonly Candidate[];
  readonly rejected: readonly Rejection[];
}

/** Who does what: whole here or there, a graph cut in parts, a batch scattered, layers in stages, or raced on several. */
export type Plan =
  | (PlanBase & { readonly kind: 'local'; readonly node: NodeId })
  | (PlanBase & { readonly kind: 'remote'; readonly node: NodeId })
  | (PlanBase & { readonly kind: 'cut'; readonly parts: readonly Part[] })
  | (PlanBase & { readonly kind: 'scatter'; readonly parts: readonly Part[] })
  | (PlanBase & { readonly kind: 'stages'; readonly parts: readonly Part[] })
  | (PlanBase & { readonly kind: 'hedged'; readonly nodes: readonly NodeId[]; readonly afterMs: number });

/** A plan for whole requests: here, or on one peer. */
export type WholePlan = Extract<Plan, { kind: 'local' | 'remote' }>;

/** Every node that a plan gives work to, each once. */
export function planNodes(plan: Plan): readonly NodeId[] {
  if (plan.kind === 'local' || plan.kind === 'remote') return [plan.node];
  return [...new Set(plan.kind === 'hedged' ? plan.nodes : plan.parts.map(({ node }) => node))];
}
