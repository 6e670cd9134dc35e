// Attention over a past that never moves: softmax(concat(q·Kpast + bias, q·Knew + bias)) · split → p₁·Vpast + p₂·Vnew.
// Nothing of the past is copied or joined; queries that share a head of keys are folded into one matrix.
import type { GraphEditor } from '../graph.ts';
import { TensorProto_DataType as DataType } from '../messages/onnx_pb.js';
import { floatTensor, int64Tensor } from '../tensors.ts';
import { type DecoderLayout, newBias, PORTS, pastBias, pastKey, pastValue } from './layout.ts';
import type { AttentionSite } from './site.ts';

/** Constants that all layers use. */
export interface AttentionConstants {
  readonly fold: string;
  readonly unfold: string;
  readonly flatten: string;
}

export function attentionConstants(editor: GraphEditor, layout: DecoderLayout): AttentionConstants {
  const { kvHeads, headSize, group } = layout;
  const shape = (values: readonly number[]): string =>
    editor.addInitializer(int64Tensor(editor.freshName('shape'), [values.length], values));
  return {
    fold: shape([0, kvHeads, -1, headSize]),
    unfold: shape([0, kvHeads * group, -1, headSize]),
    flatten: shape([0, 0, kvHeads * group * headSize]),
  };
}

/** Joins the new keys and values of all layers into the outputs that the runner takes them from. */
export function writeNewRows(editor: GraphEditor, sites: readonly AttentionSite[]): void {
  const join = (tensors: readonly string[], output: string): void => {
    editor.addNode({ op: 'Concat', inputs: tensors, outputs: [output], attributes: { axis: 0n } });
  };
  join(
    sites.map(({ key }) => key),
    PORTS.newKeys,
  );
  join(
    sites.map(({ value }) => value),
    PORTS.newValues,
  );
}

/** Writes the attention of a site. @returns the tensor that takes the place of the site's output */
export function writeAttention(
  editor: GraphEditor,
  layout: DecoderLayout,
  constants: AttentionConstants,
  layer: number,
  site: AttentionSite,
): string {
  const { fold, unfold, flatten } = constants;
  const { type } = layout;
  const scalar = (value: number): string => {
    const name = editor.addInitializer(floatTensor(editor.freshName('scalar'), [], [value]));
    return type === 'float32' ? name : editor.apply('Cast', [name], { to: BigInt(DataType.FLOAT16) });
  };
  const capped = (scores: string): string => {
    if (site.softcap === 0) return scores;
    const cap = scalar(site.softcap);
    return editor.apply('Mul', [editor.apply('Tanh', [editor.apply('Div', [scores, cap])]), cap]);
  };
  // [B, H, S, D] → [B, KV, G · S, D]
  const folded = editor.apply('Reshape', [site.query, fold]);
  // Right before the products: the runtime takes it into them.
  const query = site.scale === 1 ? folded : editor.apply('Mul', [folded, scalar(site.scale)]);
  const turned = editor.apply('Transpose', [site.key], { perm: [0n, 1n, 3n, 2n] });
  const pastScores = capped(editor.apply('MatMul', [query, pastKey(layer)]));
  const newScores = capped(editor.apply('MatMul', [query, turned]));
  const scores = editor.apply(
    'Concat',
    [editor.apply('Add', [pastScores, pastBias(site.window)]), editor.apply('Add', [newScores, newBias(site.window)])],
    { axis: -1n },
  );
  const weights = editor.apply('Softmax', [scores], { axis: -1n });
  const [ofPast, ofNew] = [editor.freshName('weights'), editor.freshName('weights')];
  editor.addNode({ op: 'Split', inputs: [weights, PORTS.split], outputs: [ofPast, ofNew], attributes: { axis: -1n } });
  const sum = editor.apply('Add', [
    editor.apply('MatMul', [ofPast, pastValue(layer)]),
    editor.apply('MatMul', [ofNew, site.value]),
  ]);
  const typed = site.typed === undefined ? sum : editor.apply('CastLike', [sum, site.typed]);
  if (typeof site.form === 'object') {
    return editor.apply('Reshape', [typed, editor.apply('Shape', [site.form.like])]);
  }
  const heads = editor.apply('Reshape', [typed, unfold]);
  if (site.form === 'heads') return heads;
  return editor.apply('Reshape', [editor.apply('Transpose', [heads], { perm: [0n, 2n, 1n, 3n] }), flatten]);
}
