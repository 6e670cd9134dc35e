// How the files of a part get onto this node, where the whole model isn't: only the graph and the bytes of weights that the
// part needs. Implemented by the library; asked by the engine before it loads a part of a model that it doesn't offer.
import type { ModelRef, NodeId } from '../../protocol/ids.ts';
import type { GraphPart } from '../../protocol/part.ts';

/** What is there once a part can be opened. */
export interface PreparedPart {
  /**
   * Absolute path. Paths of the manifest are relative to it: the graph lies there, and of files with weights at least the
   * bytes that the part refers to, where they are in the whole file; all of it verified.
   */
  readonly folder: string;
  /** The manifest of the whole model, whose digest the request names. */
  readonly manifestJson: string;
  /** Bytes of the part's weights. @default the part's graph is looked at before memory is reserved for it */
  readonly weightBytes?: number;
}

export interface PartFiles {
  /**
   * Brings what is missing, and resolves once all of it is there and verified; at once where it is. Asked before every
   * load, by one asker at a time for one part.
   * @param options.from nodes that may have the files, or know who has; others may be asked as well
   * @throws WeftError `model_not_found` where nobody has them; what fetching and verifying fail with
   */
  prepare(
    model: ModelRef,
    part: GraphPart,
    options: { readonly signal: AbortSignal; readonly from: readonly NodeId[] },
  ): Promise<PreparedPart>;
}
