// What is filled in for a graph. Another graph has other inputs: what was filled in belongs to one model. Pure.
import type { Source } from './inputs.ts';

export interface TensorForm {
  /** Whose it is; '' while nothing was chosen or filled in. */
  readonly model: string;
  /** Its inputs are read from another node. */
  readonly readElsewhere: boolean;
  /** Dimensions as they were written. */
  readonly open: Readonly<Record<string, string>>;
  readonly sources: Readonly<Record<string, Source>>;
  /** All inputs are shown. */
  readonly all: boolean;
  readonly cut: string;
  /** Inputs stay on this node. */
  readonly stays: boolean;
  /** Inputs that may leave all the same. */
  readonly leaves: readonly string[];
}

export const freshForm = (model: string): TensorForm => ({
  model,
  readElsewhere: false,
  open: {},
  sources: {},
  all: false,
  cut: 'auto',
  stays: false,
  leaves: [],
});

/** What is filled in for a model. */
export const formOf = (kept: TensorForm, model: string): TensorForm => (kept.model === model ? kept : freshForm(model));
