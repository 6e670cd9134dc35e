// Where graphs can be cut, as measured on this node, or on one that has them. Implemented by the composition root; asked by
// dispatch before it cuts a request.
import type { CutTable, ObservedPart } from '../../protocol/cut-table.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import type { SampleInput } from './engine.ts';

/** What a table is to be of. */
export interface TableWish {
  /** Those of the request, or their shapes: they are filled then. @default made up, of the shapes that the manifest names */
  readonly inputs?: readonly SampleInput[];
  /** Inputs that stay where the request is: as few segments as possible read them. @default none */
  readonly raw?: readonly string[];
}

export interface CutTables {
  /**
   * The table for inputs of these shapes, as far as one was measured already; undefined otherwise: it may then be measured
   * while nothing else runs, so that later requests find it.
   */
  known(model: ModelRef, wish: TableWish): CutTable | undefined;
  /** A part of the graph has run here: once there are a few of them, later tables are corrected by that. */
  observed(table: CutTable, part: ObservedPart): void;
  /**
   * The same, measured now where it isn't known: takes seconds. Of a model that isn't here by a peer that has it, which is
   * told the shapes alone.
   * @param options.urgent a request waits for it @default it may wait for the node to be quiet
   * @throws WeftError `model_not_found` for a model that no connected node has; what loading and running it fail with,
   *   `cancelled`
   */
  measure(
    model: ModelRef,
    options: TableWish & { readonly signal: AbortSignal; readonly urgent?: boolean; readonly again?: boolean },
  ): Promise<CutTable>;
}
