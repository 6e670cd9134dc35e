// Where a graph can be cut, and what that costs on one device: a chain of segments between cut points that no other cut
// beats, measured for inputs of certain shapes. Plain data: nodes send it to each other, and the scheduler works on it alone.
import type { ModelRef, NodeId } from './ids.ts';
import type { GraphPart } from './part.ts';
import type { DataTypeName } from './tensor.ts';

/** What lies between two neighbouring cut points. */
export interface CutSegment {
  /** Of the whole graph's computing time; all shares together are 1. */
  readonly share: number;
  /** Of weights that no other segment uses. */
  readonly weightBytes: number;
  /** Nodes of the graph in it, for people. */
  readonly nodes: number;
}

/** Weights that several segments use, such as tied embeddings: a part holds them once. */
export interface SharedWeights {
  readonly bytes: number;
  /** Ascending; at least two. */
  readonly segments: readonly number[];
}

/** A tensor that may have to cross. Tensors that never leave their segment aren't listed. */
export interface CutTensor {
  readonly name: string;
  readonly type: DataTypeName;
  /** As in a {@link GraphPart}'s inputs: numbers only where every run has the same. @default the rank is not told */
  readonly dims?: readonly (number | string)[];
  /** In the run that was measured. */
  readonly bytes: number;
  /** The segment that makes it; −1 for an input of the whole graph. */
  readonly from: number;
  /** Segments that use it, ascending, all behind `from`. */
  readonly to: readonly number[];
  /** It is an output of the whole graph. */
  readonly output?: true;
}

/** How long parts of a graph take on the device that was measured. */
export interface CutTable {
  readonly model: ModelRef;
  /** The inputs that it was measured with: `name:type[dims]`, by name, joined by `;`. */
  readonly shapes: string;
  /** Inputs that as few segments as possible read: raw data that stays where it is. @default none is spared */
  readonly raw?: readonly string[];
  /** In the order in which they run; one for a graph that can't be cut. */
  readonly segments: readonly CutSegment[];
  readonly shared: readonly SharedWeights[];
  readonly tensors: readonly CutTensor[];
  /** Median of the whole graph's run, unprofiled, milliseconds. */
  readonly wholeMs: number;
  /** What every part costs beside its share of the whole. */
  readonly partFixedMs: number;
  /** And for each 1e6 bytes that it takes or gives. */
  readonly partMsPerMb: number;
  /** Where it was measured: provider, processor and threads, and Weft's version. */
  readonly device: string;
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly measuredAtMs: number;
  /** Whose device that is. @default the node's that has the table */
  readonly node?: NodeId;
  /** Why there is one segment only, or fewer than expected, for people. @default nothing was in the way */
  readonly reason?: string;
}

/** A part that was run where the table was measured: segments [from, to), milliseconds in the runtime. */
export interface ObservedPart {
  readonly from: number;
  readonly to: number;
  readonly ms: number;
}

/** Most segments of a table: longer chains are thinned out, the shortest segments joined to a neighbour. */
export const CUT_SEGMENTS_MAX = 64;

/** Tensors that the part of the segments [from, to) takes: inputs of the graph, or made before it. */
export function takenBy({ tensors }: Pick<CutTable, 'tensors'>, from: number, to: number): CutTensor[] {
  return tensors.filter((tensor) => tensor.from < from && tensor.to.some((user) => user >= from && user < to));
}

/** Tensors that it gives: made in it, and used behind it or outputs of the graph. */
export function givenBy({ tensors }: Pick<CutTable, 'tensors'>, from: number, to: number): CutTensor[] {
  return tensors.filter(
    (tensor) =>
      tensor.from >= from && tensor.from < to && (tensor.output === true || tensor.to.some((user) => user >= to)),
  );
}

/**
 * What a node is asked to run for the segments [from, to).
 * @returns outputs are none for segments that give nothing: those need not run
 */
export function partBetween(table: Pick<CutTable, 'tensors'>, from: number, to: number): GraphPart {
  return {
    inputs: takenBy(table, from, to).map(({ name, type, dims }) => ({
      name,
      type,
      ...(dims !== undefined && { dims }),
    })),
    outputs: givenBy(table, from, to).map(({ name }) => name),
  };
}
