// Where graphs can be cut, as measured on this node. Implemented by the engine; asked by dispatch before it cuts a request.
import type { CutTable, ObservedPart } from '../../protocol/cut-table.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import type { NamedTensor } from '../../protocol/tensor.ts';

export interface CutTables {
  /**
   * The table for inputs of these shapes, as far as one was measured already; undefined otherwise: it may then be measured
   * while nothing else runs, so that later requests find it.
   */
  known(model: ModelRef, inputs: readonly NamedTensor[]): CutTable | undefined;
  /** A part of the graph has run here: once there are a few of them, later tables are corrected by that. */
  observed(table: CutTable, part: ObservedPart): void;
  /**
   * The same, measured now where it isn't known: takes seconds.
   * @param options.inputs to measure with @default made up, of the shapes that the manifest names
   * @throws WeftError `model_not_found` for a model that isn't here; what loading and running it fail with, `cancelled`
   */
  measure(
    model: ModelRef,
    options: { readonly signal: AbortSignal; readonly inputs?: readonly NamedTensor[]; readonly again?: boolean },
  ): Promise<CutTable>;
}
