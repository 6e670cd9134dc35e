// Makes the table that nodes plan with of a chain and what was measured of the whole, and parts of the table.
import type { CutTable } from '../../../protocol/cut-table.ts';
import type { GraphPart } from '../../../protocol/part.ts';
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

/**
 * What a node is asked to run for segments `from` to `to`, that one excluded.
 * @returns outputs are none for segments that give nothing: those need not run
 */
export function partBetween({ tensors }: Pick<CutTable, 'tensors'>, from: number, to: number): GraphPart {
  const inside = (segment: number): boolean => segment >= from && segment < to;
  return {
    inputs: tensors
      .filter((tensor) => tensor.from < from && tensor.to.some(inside))
      .map(({ name, type, dims }) => ({ name, type, ...(dims !== undefined && { dims }) })),
    outputs: tensors
      .filter((tensor) => inside(tensor.from) && (tensor.output === true || tensor.to.some((user) => user >= to)))
      .map(({ name }) => name),
  };
}
