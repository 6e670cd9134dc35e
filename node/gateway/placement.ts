// How an answer says who worked on it: headers for people with curl, a `weft` object for programs. Used by the endpoints
// that run models.
import type { NodeId } from '../../protocol/ids.ts';
import type { Plan } from '../../protocol/plan.ts';

/** Name of a node, as far as it is known here. */
export type NameOf = (node: NodeId) => string | undefined;

/** Longest node name in a header. */
const NAME_LENGTH_MAX = 200;

/** `x-weft-node`, and `x-weft-node-name` where it has one (percent-encoded outside printable ASCII). */
export function placementHeaders(node: NodeId | undefined, nameOf: NameOf): Record<string, string> {
  if (node === undefined) return {};
  const name = nameOf(node);
  if (name === undefined || name === '') return { 'x-weft-node': node };
  const encoded = name
    .slice(0, NAME_LENGTH_MAX)
    .toWellFormed()
    .replace(/[^\x20-\x7e]|%/gu, encodeURIComponent);
  return { 'x-weft-node': node, 'x-weft-node-name': encoded };
}

/** What was planned, in brief. */
export function planSummary(plan: Plan): { kind: string; predicted_ms: number } {
  return { kind: plan.kind, predicted_ms: rounded(plan.price.totalMs) };
}

/** To a hundredth: more digits than that are noise. JSON has no infinity, so what isn't finite becomes 0. */
export function rounded(value: number): number {
  return Number.isFinite(value) ? Math.round(value * 100) / 100 : 0;
}
