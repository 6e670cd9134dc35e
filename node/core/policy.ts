// May this caller do this here? Asked at the executor, for every call of every method.
import type { NodeId } from '../../protocol/ids.ts';

/** What is asked for. */
export interface Action {
  /** Name of the method, as in the table of methods. */
  readonly method: string;
  /** Hub id of the model that it is about, if any. */
  readonly model?: string;
}

export interface Policy {
  /** @throws WeftError `not_a_member` or `forbidden` */
  authorize(caller: NodeId, action: Action): void;
}
