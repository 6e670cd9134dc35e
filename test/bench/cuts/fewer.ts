// Joins segments of a table until few enough are left for all their parts to be open side by side.
import type { CutTable, CutTensor } from '../../../protocol/cut-table.ts';

/** The shortest segment is joined to a neighbour, over the end where more crosses. */
export function fewerSegments(table: CutTable, max: number): CutTable {
  let fewer = table;
  while (fewer.segments.length > max) fewer = joined(fewer, costlierEnd(fewer));
  return fewer;
}

/** Of the two cut points around the shortest segment. */
function costlierEnd({ segments, tensors }: CutTable): number {
  const shortest = segments.reduce((best, { share }, at) => (share < (segments[best]?.share ?? 0) ? at : best), 0);
  const ends = [shortest, shortest + 1].filter((cut) => cut > 0 && cut < segments.length);
  const bytes = (cut: number): number =>
    tensors
      .filter(({ from, to }) => from < cut && to.some((segment) => segment >= cut))
      .reduce((sum, tensor) => sum + tensor.bytes, 0);
  return ends.reduce((worst, cut) => (bytes(cut) > bytes(worst) ? cut : worst));
}

/** Without the cut point in front of this segment. */
function joined(table: CutTable, cut: number): CutTable {
  const { segments, shared, tensors } = table;
  const now = (segment: number): number => (segment < cut ? segment : segment - 1);
  const [one, other] = [segments[cut - 1], segments[cut]];
  if (one === undefined || other === undefined) throw new RangeError(`There is no cut point ${cut}.`);
  const uses = shared.map((weights) => ({ ...weights, segments: [...new Set(weights.segments.map(now))] }));
  const own = uses.filter((weights) => weights.segments.length === 1);
  const bytes = own.reduce((sum, weights) => sum + (weights.segments[0] === cut - 1 ? weights.bytes : 0), 0);
  const both = {
    share: one.share + other.share,
    weightBytes: one.weightBytes + other.weightBytes + bytes,
    nodes: one.nodes + other.nodes,
  };
  return {
    ...table,
    segments: [...segments.slice(0, cut - 1), both, ...segments.slice(cut + 1)],
    shared: uses.filter((weights) => weights.segments.length > 1),
    tensors: tensors.flatMap((tensor): CutTensor[] => {
      const from = now(tensor.from);
      const to = [...new Set(tensor.to.map(now))].filter((segment) => segment > from);
      return to.length > 0 || tensor.output || tensor.from < 0 ? [{ ...tensor, from, to }] : [];
    }),
  };
}
