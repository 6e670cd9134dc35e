// Which of the texts that wait share the next run. Pure: lengths and a measured cost in, a part of them out.
import { type BatchCost, batchMs } from './batch-curve.ts';

/** Limits of one batch. */
export interface BatchLimits {
  readonly rowsMax: number;
  /** Rows × longest row; a longer row goes alone. */
  readonly tokensMax: number;
}

/** A run of neighbours in order of length: those from `from` up to, but without, `to`. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/**
 * Splits all that waits into the batches that take the least time together, by the measured cost, and gives the one that
 * has a certain row: neighbours in length share a run exactly where their padding costs less than a run of their own. Of
 * splits that take as long, the one in which this batch is largest. Optimal over the rows given (a batch costs what its
 * longest row does, so none is better than a split into neighbours); rows × rowsMax steps.
 * @param lengths ascending
 * @param seed index of the row that must be in the batch
 * @param overheadMs of every run, beside what the cost says
 */
export function cheapestBatch(
  lengths: readonly number[],
  seed: number,
  cost: BatchCost,
  limits: BatchLimits,
  overheadMs = 0,
): Range {
  const count = lengths.length;
  const widthOf = (to: number): number => lengths[to - 1] as number;
  const fits = (from: number, to: number): boolean => {
    const rows = to - from;
    return rows === 1 || (rows <= limits.rowsMax && rows * widthOf(to) <= limits.tokensMax);
  };
  const runMs = (from: number, to: number): number => batchMs(cost, to - from, widthOf(to)) + overheadMs;
  /** Least time of the rows before this one, and from this one on. */
  const before = new Float64Array(count + 1).fill(Number.POSITIVE_INFINITY);
  const behind = new Float64Array(count + 1).fill(Number.POSITIVE_INFINITY);
  before[0] = behind[count] = 0;
  for (let to = 1; to <= seed; to++) {
    for (let from = to - 1; from >= 0 && fits(from, to); from--) {
      before[to] = Math.min(before[to] as number, (before[from] as number) + runMs(from, to));
    }
  }
  for (let from = count - 1; from > seed; from--) {
    for (let to = from + 1; to <= count && fits(from, to); to++) {
      behind[from] = Math.min(behind[from] as number, (behind[to] as number) + runMs(from, to));
    }
  }
  let best: Range = { from: seed, to: seed + 1 };
  let leastMs = Number.POSITIVE_INFINITY;
  for (let to = seed + 1; to <= count; to++) {
    for (let from = seed; from >= 0 && fits(from, to); from--) {
      const ms = (before[from] as number) + runMs(from, to) + (behind[to] as number);
      // Sums of the same parts in another order differ in their last digits.
      const alike = ms <= leastMs * (1 + ROUNDING) && ms >= leastMs * (1 - ROUNDING);
      if (alike ? to - from <= best.to - best.from : ms > leastMs) continue;
      leastMs = Math.min(leastMs, ms);
      best = { from, to };
    }
  }
  return best;
}

const ROUNDING = 1e-9;
