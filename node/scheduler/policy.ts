// A way to choose the node for a request. Weft's own is one of them; the others are the published ones that it is compared
// with, in replays (`weft plan --replay`) and in the simulator. Pure: the same request, snapshot and draws give the same plan.
import type { WholePlan } from '../../protocol/plan.ts';
import type { PlacementRequest, Snapshot } from './snapshot.ts';

export interface RoutingPolicy {
  readonly name: string;
  /** Whether a request may wait here while those nodes are busy that would end it soonest. @default no: it is sent at once */
  readonly bindsLate?: boolean;
  /**
   * @param random uniform in [0, 1)
   * @throws WeftError `no_capable_node`, with each node's reason in `facts.rejected`
   */
  choose(request: PlacementRequest, snapshot: Snapshot, random: () => number): WholePlan;
}
