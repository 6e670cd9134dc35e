// Whether an encoding of many texts is worth doing on several nodes at once, and doing it. Called by MeshDispatcher.
import type { NodeId } from '../../protocol/ids.ts';
import type { EncodeRequest, EncodeResult } from '../../protocol/infer.ts';
import type { Candidate, Part, Plan, WholePlan } from '../../protocol/plan.ts';
import type { Clock } from '../core/clock.ts';
import type { PlacedOptions, Placement } from '../core/dispatcher.ts';
import type { Engine } from '../core/engine.ts';
import type { Log } from '../core/log.ts';
import { unmeetable } from '../scheduler/admission.ts';
import { SCATTER_GAIN_MS, SCATTER_GAIN_SHARE, SCATTER_ROWS_MIN } from './limits.ts';
import type { NodeHealth } from './node-health.ts';
import { tooLate } from './placer.ts';
import { scatterEncode } from './scatter-encode.ts';

export interface SpreadComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly health: NodeHealth;
  readonly engineOf: (node: NodeId) => Engine;
}

type Share = Pick<Candidate, 'node' | 'price'>;

/** What a node spends before and behind its computing. */
const overheadMs = ({ price }: Share): number => price.totalMs - price.computeMs;

/**
 * The nodes that would end the texts together soonest, each with the predicted time; undefined where one node alone does about
 * as well. Nodes that begin to compute after the others are done have no share.
 */
export function sharesOf(
  plan: WholePlan,
  rows: number,
): { readonly shares: readonly Share[]; readonly totalMs: number } | undefined {
  if (rows < SCATTER_ROWS_MIN || plan.others.length === 0) return undefined;
  // A guess is no share: whoever was never measured might hold the others up.
  const measured = plan.others.filter(({ samples }) => samples > 0);
  const soonest = [plan, ...measured].toSorted((a, b) => overheadMs(a) - overheadMs(b));
  const shares: Share[] = [];
  let rate = 0;
  let late = 0;
  let totalMs = Number.POSITIVE_INFINITY;
  for (const share of soonest) {
    if (overheadMs(share) >= totalMs) break;
    shares.push(share);
    // All end at T: the sum over nodes of (T - overhead) / compute is 1.
    rate += 1 / Math.max(0.01, share.price.computeMs);
    late += overheadMs(share) / Math.max(0.01, share.price.computeMs);
    totalMs = (1 + late) / rate;
  }
  const gainMs = plan.price.totalMs - totalMs;
  const worthIt = shares.length > 1 && gainMs >= SCATTER_GAIN_MS && gainMs >= plan.price.totalMs * SCATTER_GAIN_SHARE;
  return worthIt ? { shares, totalMs } : undefined;
}

/**
 * Encodes the texts on several nodes, each text once.
 * @returns undefined where it is better done on one
 * @throws WeftError as scatterEncode, or `deadline_unmeetable` where all nodes together are predicted to be too late
 */
export async function spread(
  components: SpreadComponents,
  request: EncodeRequest,
  plan: WholePlan,
  {
    placed,
    signal,
    budgetMs,
  }: { readonly placed: PlacedOptions; readonly signal: AbortSignal; readonly budgetMs: number },
): Promise<(EncodeResult & Placement) | undefined> {
  const found = sharesOf(plan, request.lengths.length);
  if (found === undefined) return undefined;
  const { clock, log, health, engineOf } = components;
  const price = { ...plan.price, computeMs: found.totalMs - overheadMs(plan), totalMs: found.totalMs };
  const { deadlineMs } = placed;
  const late = deadlineMs === undefined ? undefined : unmeetable({ ...plan, price }, deadlineMs);
  if (late !== undefined && deadlineMs !== undefined) throw tooLate(late, deadlineMs);
  const scattered: Plan = {
    kind: 'scatter',
    parts: partsOf(found.shares, found.totalMs, request.lengths.length),
    price,
    ...(plan.policy !== undefined && { policy: plan.policy }),
    others: [{ node: plan.node, price: plan.price, samples: 1 }],
    rejected: plan.rejected,
  };
  placed.onPlan?.(scattered);
  placed.trace?.placed(scattered);
  const byPrice = found.shares.toSorted((a, b) => a.price.totalMs - b.price.totalMs);
  const result = await scatterEncode({ clock, log }, request, {
    engines: byPrice.map((share) => ({
      engine: engineOf(share.node),
      predictedMs: share.price.totalMs,
      startsInMs: share.price.queueMs + share.price.loadMs + share.price.upMs,
    })),
    options: {
      signal,
      requestId: placed.requestId,
      budgetMs,
      ...(placed.priority !== undefined && { priority: placed.priority }),
      ...(placed.trace !== undefined && { traceParent: placed.trace.traceParent }),
    },
    ...(placed.onProgress !== undefined && { onProgress: placed.onProgress }),
    onDeaf: (node) => health.failed(node, 'peer_timeout'),
  });
  const { embeddings, dimensions, node, timing, nodes } = result;
  for (const one of nodes) health.succeeded(one);
  for (const { node: lost, error } of result.failures) {
    health.failed(lost, error.code);
    placed.trace?.failed(lost, error.code);
  }
  return { embeddings, dimensions, node, timing, nodes, plan: scattered };
}

/** Which texts each node is expected to have done: what it does in the end shows itself on the way. */
function partsOf(shares: readonly Share[], totalMs: number, rows: number): Part[] {
  let from = 0;
  return shares.map((share, index) => {
    const part = ((totalMs - overheadMs(share)) / Math.max(0.01, share.price.computeMs)) * rows;
    const to = index === shares.length - 1 ? rows : Math.min(rows, from + Math.round(part));
    const entry = { node: share.node, from, to, price: share.price };
    from = to;
    return entry;
  });
}
