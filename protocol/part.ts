// A part of a graph by the tensors where it begins and ends: whoever has the model's verified files builds the same part
// from these names, so no part needs to be trusted that another node made.
import { createHash } from 'node:crypto';
import type { DataTypeName } from './tensor.ts';

/** A tensor that a part takes: an input of the whole graph, or what another part gives. */
export interface PartInput {
  /** As in the whole graph. */
  readonly name: string;
  /** Element type: a graph must say it of its inputs, and only a run of the whole knows it of its inner tensors. */
  readonly type: DataTypeName;
  /**
   * A number for a dimension that is the same in every run, a name for one that a run decides. @default the rank is not told
   */
  readonly dims?: readonly (number | string)[];
}

/** What computes the outputs from the inputs: the nodes on every way between them, and their weights. */
export interface GraphPart {
  /** Those of the whole graph that are used included. At most TENSORS_MAX, as the outputs. */
  readonly inputs: readonly PartInput[];
  /** Tensors of the whole graph, its outputs or inner ones; at least one. */
  readonly outputs: readonly string[];
}

/** Which part it is, among all parts of one model: 64 hex digits, whatever order its tensors are named in. */
export function partDigest(part: GraphPart): string {
  const inputs = part.inputs.map(({ name, type, dims }) => [name, type, dims ?? null]);
  const canonical = JSON.stringify([inputs.sort(byFirst), [...part.outputs].sort()]);
  return createHash('sha256').update(canonical).digest('hex');
}

const byFirst = (a: readonly unknown[], b: readonly unknown[]): number => (String(a[0]) < String(b[0]) ? -1 : 1);
