// Has products with weights of 4 bits computed on float activations instead of activations rounded to 8 bits. The rounded
// form is faster for a few rows on every processor, the float one for many rows where the processor's float kernels are wide.
// Called by the runner, which measures which it is.
import { attributeOf, intAttribute } from './attributes.ts';
import type { ModelProto } from './messages/onnx_pb.js';

/** Values of the runtime's `accuracy_level`: what activations are, at the least. */
const FLOAT32 = 1;
const INT8 = 4;

/** Weights of 8 bits stay: for them the runtime has a fast kernel on rounded activations only. */
const BITS = 4;

/**
 * Changes the products of the top graph in place.
 * @returns false where there is none to change
 * @throws WeftError `model_corrupt` when an attribute is of another type than it must be
 */
export function floatActivations(model: ModelProto): boolean {
  let changed = false;
  for (const node of model.graph?.node ?? []) {
    if (node.opType !== 'MatMulNBits' || node.domain !== 'com.microsoft') continue;
    if (intAttribute(node, 'bits', BITS) !== BITS || intAttribute(node, 'accuracy_level', 0) !== INT8) continue;
    const level = attributeOf(node, 'accuracy_level');
    if (level === undefined) continue;
    level.i = BigInt(FLOAT32);
    changed = true;
  }
  return changed;
}
