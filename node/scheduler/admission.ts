// Whether a request can be answered in time at all. Called by dispatch for every request that names a deadline, before
// anything is sent.
import type { WholePlan } from '../../protocol/plan.ts';

/** Why a request is refused at once. */
export interface Unmeetable {
  /** The soonest that is predicted, in milliseconds from now. */
  readonly quotedMs: number;
  /** When it might be in time, in milliseconds from now: once enough of what waits has been done. */
  readonly retryAfterMs: number;
}

/**
 * Undefined where some candidate is predicted to be in time. So is one that was never measured: its price is a guess on the
 * pessimistic side, and nobody would ever learn better.
 */
export function unmeetable(plan: WholePlan, leftMs: number): Unmeetable | undefined {
  if (!(leftMs >= 0)) return { quotedMs: Math.ceil(plan.price.totalMs), retryAfterMs: 0 };
  if (plan.samples === 0) return undefined;
  let soonest = plan.price;
  for (const { price, samples } of plan.others) {
    if (samples === 0) return undefined;
    if (price.totalMs < soonest.totalMs) soonest = price;
  }
  if (soonest.totalMs <= leftMs) return undefined;
  const waits = soonest.queueMs + soonest.loadMs;
  const tooLateMs = soonest.totalMs - leftMs;
  return { quotedMs: Math.ceil(soonest.totalMs), retryAfterMs: Math.ceil(Math.max(1, Math.min(waits, tooLateMs))) };
}
