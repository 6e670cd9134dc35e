// Which cuts are run to see what parts really take, how times and shapes are written down, and a table for a graph whose
// parts can't be used. Pure.
import type { CutTable } from '../../../protocol/cut-table.ts';
import type { NamedTensor } from '../../../protocol/tensor.ts';
import { FINALISTS_MAX } from './limits.ts';

/** The smallest part that is run, of the whole: it shows what every part costs. */
const EDGE_SHARE = 0.04;

/** First segments behind the cuts to be run: spread over the computing, those that carry little and much among them. */
export function chooseFinalists({ segments, tensors }: Pick<CutTable, 'segments' | 'tensors'>): number[] {
  const cuts = Array.from({ length: segments.length - 1 }, (_, index) => index + 1);
  if (cuts.length <= FINALISTS_MAX) return cuts;
  const bytes = cuts.map((at) =>
    tensors.reduce((sum, { from, to, bytes }) => (from < at && (to.at(-1) ?? -1) >= at ? sum + bytes : sum), 0),
  );
  const most = cuts[bytes.indexOf(Math.max(...bytes))] as number;
  const chosen = new Set([most]);
  const shareBefore = cuts.map((at) => segments.slice(0, at).reduce((sum, { share }) => sum + share, 0));
  const spread = FINALISTS_MAX - chosen.size;
  for (let index = 0; index < spread; index++) {
    const target = EDGE_SHARE + (index / (spread - 1)) * (1 - 2 * EDGE_SHARE);
    const far = (at: number): number => Math.abs((shareBefore[at - 1] as number) - target);
    const [nearest] = cuts.filter((at) => !chosen.has(at)).toSorted((a, b) => far(a) - far(b));
    if (nearest !== undefined) chosen.add(nearest);
  }
  return [...chosen].toSorted((a, b) => a - b);
}

/** Median of the faster half, milliseconds: what disturbs a run makes it slower, never faster. */
export function usualMs(times: readonly number[]): number {
  const faster = times.toSorted((a, b) => a - b).slice(0, Math.ceil(times.length / 2));
  const middle = faster.length >> 1;
  const [upper = 0, lower = upper] = [faster[middle], faster[middle - 1]];
  return faster.length % 2 === 1 ? upper : (lower + upper) / 2;
}

/** As {@link CutTable.shapes}. */
export function shapesOf(inputs: readonly Pick<NamedTensor, 'name' | 'type' | 'dims'>[]): string {
  return inputs
    .map(({ name, type, dims }) => `${name}:${type}[${dims.join(',')}]`)
    .toSorted()
    .join(';');
}

/** The graph without cuts. @param reason for people */
export function inOne(table: CutTable, reason: string): CutTable {
  const { segments, shared, tensors } = table;
  return {
    ...table,
    segments: [
      {
        share: 1,
        weightBytes: [...segments.map(({ weightBytes }) => weightBytes), ...shared.map(({ bytes }) => bytes)].reduce(
          (sum, bytes) => sum + bytes,
          0,
        ),
        nodes: segments.reduce((sum, { nodes }) => sum + nodes, 0),
      },
    ],
    shared: [],
    tensors: tensors
      .filter(({ from, output }) => from < 0 || output === true)
      .map((tensor) => ({ ...tensor, from: Math.min(tensor.from, 0), to: tensor.from < 0 ? [0] : [] })),
    reason,
  };
}
