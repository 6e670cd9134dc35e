// Attention biases [batch, 1, new, total] made from the mask and shapes, in the two ways that exported graphs have.
import { TensorProto_DataType as DataType } from '../../../../models/onnx/messages/onnx_pb.js';
import { floatTensor } from '../../../../models/onnx/tensors.ts';
import { type DecoderWriter, LOWEST } from './writer.ts';

/** New and total number of tokens, from the shapes of the ids and of the past. */
export function lengths(writer: DecoderWriter): {
  readonly past: string;
  readonly added: string;
  readonly total: string;
} {
  const past = writer.dim('past_key_values.0.key', 2);
  const added = writer.dim('input_ids', 1);
  return { past, added, total: writer.op('Add', [past, added]) };
}

/**
 * Transformers since 4.38: columns are compared with the positions of the new tokens in the cache; a column is padding
 * where bias + mask is zero.
 */
export function comparedMask(writer: DecoderWriter): string {
  const { past, added, total } = lengths(writer);
  const cachePositions = writer.op('Range', [past, total, writer.int(1)]);
  const columns = writer.op('Range', [writer.int(0), total, writer.int(1)]);
  const later = writer.op('Greater', [columns, writer.op('Reshape', [cachePositions, writer.ints(-1, 1)])]);
  const lowest = writer.op('ConstantOfShape', [writer.shape(added, total)], { value: floatTensor('', [1], [LOWEST]) });
  const causal = writer.op('Mul', [lowest, writer.castToFloat(later)]);
  const expanded = writer.op('Expand', [
    writer.unsqueeze(writer.unsqueeze(causal, 0), 1),
    writer.shape(writer.dim('input_ids', 0), 1, added, total),
  ]);
  const mask = writer.castToFloat(writer.unsqueeze(writer.unsqueeze('attention_mask', 1), 2));
  const hidden = writer.op('Equal', [writer.op('Add', [expanded, mask]), writer.float(0)]);
  return writer.op('Where', [hidden, writer.float(LOWEST), expanded]);
}

/** Transformers before, and the model builder: a triangle beside zeros for the past, plus what the mask forbids. */
export function summedMask(writer: DecoderWriter): string {
  const { past, added, total } = lengths(writer);
  const rows = writer.op('Range', [writer.int(0), added, writer.int(1)]);
  const before = writer.op('Less', [
    rows,
    writer.op('Reshape', [writer.op('Add', [rows, writer.int(1)]), writer.ints(-1, 1)]),
  ]);
  const square = writer.op('ConstantOfShape', [writer.shape(added, added)], { value: floatTensor('', [1], [LOWEST]) });
  const triangle = writer.op('Where', [before, writer.float(0), square]);
  const zeros = writer.op('ConstantOfShape', [writer.shape(added, past)], { value: floatTensor('', [1], [0]) });
  const causal = writer.unsqueeze(writer.unsqueeze(writer.op('Concat', [zeros, triangle], { axis: -1n }), 0), 1);
  const batch = writer.dim('attention_mask', 0);
  const mask = writer.op('Expand', [
    writer.unsqueeze(writer.unsqueeze('attention_mask', 1), 2),
    writer.shape(batch, 1, added, total),
  ]);
  const inverted = writer.op('Sub', [writer.float(1), writer.castToFloat(mask)]);
  const forbidden = writer.op('Cast', [inverted], { to: BigInt(DataType.BOOL) });
  const padding = writer.op('Where', [forbidden, writer.float(LOWEST), inverted]);
  return writer.op('Add', [padding, causal]);
}
