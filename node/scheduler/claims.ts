// Whose turn it is when several nodes want to do the same with a model. Pure: every node comes to the same order by what
// the others have published, without asking anybody. Used by the loop that holds the claims.
import type { ModelIntent } from '../../protocol/capability.ts';
import type { NodeId } from '../../protocol/ids.ts';
import { CLAIM_MS, CLAIM_PULL_MS, CLAIM_RTT_MS_MAX, CLAIM_SETTLE_MS } from './limits.ts';

/** An intent of a node, with its age at this moment. */
export interface Claim {
  readonly node: NodeId;
  readonly kind: ModelIntent['kind'];
  /** As far as it is known here: without the time that its advert was under way. */
  readonly ageMs: number;
}

/** How long a claim is published before it is acted upon: whoever made one meanwhile without knowing of it is heard by then. */
export function settleMs(rttMsMax: number): number {
  return CLAIM_SETTLE_MS + 2 * Math.min(Math.max(0, rttMsMax || 0), CLAIM_RTT_MS_MAX);
}

/**
 * The earlier claim goes first. Ages within a settling time count as one: these two may not have known of each other, and
 * each side sees the other's younger than it is; then the lesser node id goes first.
 */
export function goesBefore(a: Claim, b: Claim, settledMs: number): boolean {
  const difference = a.ageMs - b.ageMs;
  if (Math.abs(difference) > settledMs) return difference > 0;
  return a.node < b.node;
}

/** Whether it is too old to mean anything. */
export function isVoid({ kind, ageMs }: Claim): boolean {
  return !(ageMs <= (kind === 'pull' ? CLAIM_PULL_MS : CLAIM_MS));
}
