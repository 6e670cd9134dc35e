// Makes the table that nodes plan with of a chain and what was measured of the whole.
import type { CutTable } from '../../../protocol/cut-table.ts';
import type { CutChain } from './plan-cuts.ts';

/** What a chain doesn't tell. */
export type MeasuredWhole = Omit<CutTable, 'segments' | 'shared' | 'tensors' | 'reason'>;

export function cutTable(chain: CutChain, measured: MeasuredWhole): CutTable {
  const { segments, shared, tensors, reason } = chain;
  const totalMs = segments.reduce((sum, { ms }) => sum + ms, 0);
  return {
    ...measured,
    segments: segments.map(({ nodes, ms, weightBytes }) => ({
      share: totalMs > 0 ? ms / totalMs : 1 / segments.length,
      weightBytes,
      nodes: nodes.length,
    })),
    shared,
    tensors,
    ...(reason !== undefined && { reason }),
  };
}
