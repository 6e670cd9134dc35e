// Rows that stay where they are while a person reads them: each as it is now, none before, between or behind them that has come since.
// Pure.
import type { RequestRow } from './request-rows.ts';

export interface SteadyRows {
  readonly rows: readonly RequestRow[];
  /** Rows that have come since. */
  readonly fresh: number;
}

/**
 * @param held rows as they stood
 * @param all rows that are known now; those of `held` that are not among them any more stay as they were
 * @param wanted those of `all` that the filter lets in: what would be shown if nobody read
 */
export function steadyRows(
  held: readonly RequestRow[],
  all: readonly RequestRow[],
  wanted: readonly RequestRow[],
): SteadyRows {
  const now = new Map(all.map((row) => [row.requestId, row]));
  const stood = new Set(held.map(({ requestId }) => requestId));
  return {
    rows: held.map((row) => now.get(row.requestId) ?? row),
    fresh: wanted.filter(({ requestId }) => !stood.has(requestId)).length,
  };
}
