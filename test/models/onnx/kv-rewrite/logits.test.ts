import { describe, expect, it } from 'vitest';
import { rewriteDecoder } from '../../../../models/onnx/kv-rewrite/rewrite.ts';
import {
  TensorProto_DataType as DataType,
  type ModelProto,
  type NodeProto,
} from '../../../../models/onnx/messages/onnx_pb.js';
import { rawTensor } from '../../../../models/onnx/tensors.ts';
import { GROUPED, matrix } from '../decoders/config.ts';
import { gqaPacked } from '../decoders/fused.ts';
import { Edit } from './edits.ts';
import { copyOf, openPlain, openRewritten, specOf, worstDifference } from './support.ts';

const CONFIG = GROUPED;

/** The small decoder with another end: what is done from the last hidden states on. */
function ending(change: (edit: Edit, hidden: string, projection: NodeProto) => string): ModelProto {
  const model = gqaPacked(CONFIG);
  const edit = new Edit(model, CONFIG);
  const projection = edit.producer('logits');
  edit.editor.setOutput('logits', change(edit, projection.input[0] ?? '', projection));
  edit.editor.finish();
  return model;
}

const WEIGHT = 'lm_head.weight';

/** Weights and hidden states as whole numbers of 8 bits, as onnxruntime's dynamic quantisation writes it. */
function quantised(edit: Edit, hidden: string): string {
  const { hidden: rows, vocabulary } = CONFIG;
  const weights = matrix(CONFIG, WEIGHT, rows, vocabulary);
  const scale = Math.max(...weights.map(Math.abs)) / 127;
  const bytes = Int8Array.from(weights, (value) => Math.round(value / scale));
  edit.editor.addInitializer(rawTensor('weight_int8', DataType.INT8, [rows, vocabulary], bytes));
  edit.editor.addInitializer(rawTensor('weight_zero', DataType.INT8, [], new Int8Array(1)));
  edit.editor.addNode({
    op: 'DynamicQuantizeLinear',
    inputs: [hidden],
    outputs: ['hidden_int8', 'hidden_scale', 'hidden_zero'],
  });
  const product = edit.op('MatMulInteger', ['hidden_int8', 'weight_int8', 'hidden_zero', 'weight_zero']);
  const both = edit.op('Mul', ['hidden_scale', edit.float(scale)]);
  return edit.op('Mul', [edit.op('Cast', [product], { to: BigInt(DataType.FLOAT) }), both]);
}

describe('logits of chosen rows', () => {
  it.each<[string, (edit: Edit, hidden: string, projection: NodeProto) => string, boolean, number?]>([
    [
      'that are capped',
      (edit, _hidden, projection) => {
        const scaled = edit.op('Div', [projection.output[0] ?? '', edit.float(3)]);
        return edit.op('Mul', [edit.op('Tanh', [scaled]), edit.float(3)]);
      },
      true,
    ],
    [
      'that are cast',
      (edit, _hidden, projection) => {
        const half = edit.op('Cast', [projection.output[0] ?? ''], { to: BigInt(DataType.DOUBLE) });
        return edit.op('Cast', [half], { to: BigInt(DataType.FLOAT) });
      },
      true,
    ],
    [
      'of an embedding that is used twice',
      (edit, hidden) => {
        const turned = edit.op('Transpose', ['model.embed_tokens.weight'], { perm: [1n, 0n] });
        return edit.op('MatMul', [hidden, turned]);
      },
      true,
    ],
    ['of whole numbers', quantised, true, 0.05],
    [
      'that depend on all of them',
      (edit, _hidden, projection) => {
        const logits = projection.output[0] ?? '';
        return edit.op('Sub', [logits, edit.op('ReduceMax', [logits, edit.ints(-1)])]);
      },
      false,
    ],
    [
      'of weights that are computed',
      (edit, hidden) => edit.op('MatMul', [hidden, edit.op('Mul', [WEIGHT, edit.float(0.5)])]),
      false,
    ],
  ])('%s are those of the plain loop', async (_what, change, isBefore, tolerance = 1e-4) => {
    const model = ending(change);
    const rewritten = rewriteDecoder(copyOf(model), specOf(CONFIG));
    if ('reason' in rewritten) throw new Error(rewritten.reason);
    // Chosen before the projection, they stand behind one dimension more.
    const port = rewritten.model.graph?.output.find(({ name }) => name === 'logits');
    const dims = port?.type?.value.case === 'tensorType' ? port.type.value.value.shape?.dim.length : 0;
    expect(dims).toBe(isBefore ? 3 : 2);
    expect(
      await worstDifference(await openRewritten(model, CONFIG), await openPlain(model, CONFIG), CONFIG),
    ).toBeLessThan(tolerance);
  });
});
