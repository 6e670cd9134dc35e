// What an operator is to the rewriter: a function from the values of its inputs to those of its outputs.
import type { NodeProto } from '../../messages/onnx_pb.js';
import type { Value, Work } from './value.ts';

export interface Call {
  readonly node: NodeProto;
  /** Undefined for one that is left out, or of which nothing is known. */
  readonly inputs: readonly (Value | undefined)[];
  readonly work: Work;
}

/** Gives the first output, or a list of all; undefined = nothing is known. May know only shapes. */
export type Operator = (call: Call) => Value | undefined | readonly (Value | undefined)[];

export type Operators = Readonly<Record<string, Operator>>;
