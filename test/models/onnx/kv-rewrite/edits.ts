// Changes to the small decoders: other ways in which exporters write attention, and attention that is something else.
import { GraphEditor } from '../../../../models/onnx/graph.ts';
import {
  TensorProto_DataType as DataType,
  type ModelProto,
  type NodeProto,
} from '../../../../models/onnx/messages/onnx_pb.js';
import { floatTensor, rawTensor } from '../../../../models/onnx/tensors.ts';
import type { DecoderConfig } from '../decoders/config.ts';

/** Writes nodes into a graph that is there. */
export class Edit {
  readonly editor: GraphEditor;
  readonly config: DecoderConfig;

  constructor(model: ModelProto, config: DecoderConfig) {
    this.editor = new GraphEditor(model);
    this.config = config;
  }

  op(op: string, inputs: readonly string[], attributes?: Parameters<GraphEditor['apply']>[2]): string {
    return this.editor.apply(op, inputs, attributes);
  }

  ints(...values: readonly (number | bigint)[]): string {
    const bytes = BigInt64Array.from(values, BigInt);
    return this.editor.addInitializer(rawTensor(this.editor.freshName('ints'), DataType.INT64, [values.length], bytes));
  }

  int(value: number): string {
    return this.editor.addInitializer(
      rawTensor(this.editor.freshName('int'), DataType.INT64, [], BigInt64Array.of(BigInt(value))),
    );
  }

  floats(dims: readonly number[], values: readonly number[]): string {
    return this.editor.addInitializer(floatTensor(this.editor.freshName('floats'), dims, values));
  }

  float(value: number): string {
    return this.floats([], [value]);
  }

  /** One size of a tensor, int64 [1]. */
  size(tensor: string, axis: number): string {
    return this.op('Gather', [this.op('Shape', [tensor]), this.ints(axis)], { axis: 0n });
  }

  shape(...sizes: readonly (string | number)[]): string {
    return this.op(
      'Concat',
      sizes.map((size) => (typeof size === 'number' ? this.ints(size) : size)),
      { axis: 0n },
    );
  }

  /** Lengths as numbers: of the past, of both. */
  get lengths(): { readonly past: string; readonly total: string } {
    const scalar = (tensor: string, axis: number): string =>
      this.op('Gather', [this.op('Shape', [tensor]), this.int(axis)], { axis: 0n });
    const past = scalar('past_key_values.0.key', 2);
    return { past, total: this.op('Add', [past, scalar('input_ids', 1)]) };
  }

  /** How far each column lies behind each new token, float [new, total]. */
  get distances(): string {
    const { past, total } = this.lengths;
    const rows = this.op('Reshape', [this.op('Range', [past, total, this.int(1)]), this.ints(-1, 1)]);
    const columns = this.op('Range', [this.int(0), total, this.int(1)]);
    return this.op('Cast', [this.op('Sub', [rows, columns])], { to: BigInt(DataType.FLOAT) });
  }

  nodes(op: string): readonly NodeProto[] {
    return this.editor.nodes.filter((node) => node.opType === op);
  }

  producer(tensor: string | undefined): NodeProto {
    const node = this.editor.producer(tensor ?? '');
    if (node === undefined) throw new Error(`nothing gives ${tensor}`);
    return node;
  }

  /** Attention in plain operators, layer by layer: softmax, the sum with the mask before it, both products. */
  get attentions() {
    return this.nodes('Softmax').map((softmax) => {
      const masked = this.producer(softmax.input[0]);
      let scoring = this.producer(masked.input[0]);
      if (scoring.opType !== 'MatMul') scoring = this.producer(scoring.input[0]);
      const [weighing] = this.editor.consumers(softmax.output[0] ?? '') as [NodeProto];
      return { softmax, masked, scoring, weighing };
    });
  }

  /** Puts something between a node and the tensor that it takes. */
  before(node: NodeProto, input: number, change: (tensor: string) => string): void {
    this.editor.setInput(node, input, change(node.input[input] ?? ''));
  }

  /** Puts something between a tensor and all that takes it. */
  behind(tensor: string, change: (tensor: string) => string): void {
    const users = [...this.editor.consumers(tensor)];
    const changed = change(tensor);
    for (const user of users) {
      for (const [index, name] of user.input.entries()) if (name === tensor) this.editor.setInput(user, index, changed);
    }
  }

  /** Adds to the scores of every layer. */
  bias(of: (layer: number) => string): void {
    for (const [layer, { softmax }] of this.attentions.entries()) {
      const bias = of(layer);
      this.before(softmax, 0, (scores) => this.op('Add', [scores, bias]));
    }
  }
}

/** What a score becomes that must not count. */
export const lowest = -3.4028234663852886e38;

/** Only the last `window` tokens are seen, in the layers that are named. */
export function withWindow(edit: Edit, window: number, layers: (layer: number) => boolean = () => true): void {
  const hidden = edit.op('GreaterOrEqual', [edit.distances, edit.float(window)]);
  const mask = edit.op('Where', [hidden, edit.float(lowest), edit.float(0)]);
  edit.bias((layer) => (layers(layer) ? mask : edit.float(0)));
}

/** Each head likes what is near, more or less (Press, Smith & Lewis, "Train Short, Test Long", 2022). */
export function withAlibi(edit: Edit): void {
  const { heads } = edit.config;
  const slopes = edit.floats(
    [heads, 1, 1],
    Array.from({ length: heads }, (_, head) => -(2 ** -(head + 1))),
  );
  const bias = edit.op('Mul', [slopes, edit.distances]);
  edit.bias(() => bias);
}

export function withSoftcap(edit: Edit, cap: number): void {
  for (const { masked } of edit.attentions) {
    edit.before(masked, 0, (scores) =>
      edit.op('Mul', [edit.op('Tanh', [edit.op('Div', [scores, edit.float(cap)])]), edit.float(cap)]),
    );
  }
}

/** Batch and heads in one dimension, as OPT and the older decoders have it. */
export function withHeadsInBatch(edit: Edit): void {
  const { heads, headSize } = edit.config;
  for (const { scoring, masked, softmax, weighing } of edit.attentions) {
    const [query = '', key = ''] = scoring.input;
    const [, value = ''] = weighing.input;
    const [batch, added, total] = [edit.size(query, 0), edit.size(query, 2), edit.size(key, 3)];
    edit.before(scoring, 0, (x) => edit.op('Reshape', [x, edit.shape(-1, added, headSize)]));
    edit.before(scoring, 1, (x) => edit.op('Reshape', [x, edit.shape(-1, headSize, total)]));
    edit.before(masked, 0, (x) => edit.op('Reshape', [x, edit.shape(batch, heads, added, total)]));
    edit.before(softmax, 0, (x) => edit.op('Reshape', [x, edit.shape(-1, added, total)]));
    edit.before(weighing, 1, (x) => edit.op('Reshape', [x, edit.shape(-1, edit.size(value, 2), headSize)]));
    edit.behind(weighing.output[0] ?? '', (x) => edit.op('Reshape', [x, edit.shape(batch, heads, added, headSize)]));
  }
}

/** Queries in groups beside the one head of keys that they share, which is not repeated. */
export function withGroups(edit: Edit): void {
  const { heads, kvHeads, headSize } = edit.config;
  const group = heads / kvHeads;
  for (const [layer, { scoring, masked, softmax, weighing }] of edit.attentions.entries()) {
    const [query = ''] = scoring.input;
    const [batch, added] = [edit.size(query, 0), edit.size(query, 2)];
    const one = (half: string): string => edit.op('Unsqueeze', [`present.${layer}.${half}`, edit.ints(2)]);
    const key = edit.op('Transpose', [one('key')], { perm: [0n, 1n, 2n, 4n, 3n] });
    const total = edit.size(key, 4);
    edit.before(scoring, 0, (x) => edit.op('Reshape', [x, edit.shape(batch, kvHeads, group, added, headSize)]));
    edit.before(scoring, 1, () => key);
    edit.before(masked, 0, (x) => edit.op('Reshape', [x, edit.shape(batch, heads, added, total)]));
    edit.before(softmax, 0, (x) => edit.op('Reshape', [x, edit.shape(batch, kvHeads, group, added, total)]));
    edit.before(weighing, 1, () => one('value'));
    edit.behind(weighing.output[0] ?? '', (x) => edit.op('Reshape', [x, edit.shape(batch, heads, added, headSize)]));
  }
}

/** Hides columns where the mask is 0 by writing into a copy of the bias, as Transformers 4.39 to 4.52 are exported. */
export function withScatteredMask(edit: Edit): void {
  for (const { masked } of edit.attentions) {
    edit.before(masked, 1, (mask) => {
      const padding = edit.op('Equal', [
        edit.op('Cast', [edit.op('Unsqueeze', ['attention_mask', edit.ints(1, 2)])], { to: BigInt(DataType.FLOAT) }),
        edit.float(0),
      ]);
      const given = edit.op('Where', [padding, edit.float(lowest), mask]);
      const { total } = edit.lengths;
      const column = edit.op('Range', [edit.int(0), total, edit.int(1)]);
      const rows = edit.op('Range', [edit.int(0), edit.op('Squeeze', [edit.size(mask, 2)]), edit.int(1)]);
      const batch = edit.op('Range', [edit.int(0), edit.op('Squeeze', [edit.size(mask, 0)]), edit.int(1)]);
      const shape = edit.op('Concat', [edit.op('Shape', [given]), edit.ints(1)], { axis: 0n });
      const axis = (index: string, ...form: number[]): string =>
        edit.op('Expand', [edit.op('Reshape', [index, edit.ints(...form)]), shape]);
      const indices = edit.op(
        'Concat',
        [axis(batch, -1, 1, 1, 1, 1), axis(edit.ints(0), -1, 1, 1, 1), axis(rows, -1, 1, 1), axis(column, -1, 1)],
        { axis: -1n },
      );
      return edit.op('ScatterND', [mask, indices, given]);
    });
  }
}

/** The rotary tables are cut off at the length of the sequence before rows are picked, as before Transformers 4.37. */
export function withSlicedTables(edit: Edit): void {
  for (const name of ['cos_cached', 'sin_cached']) {
    edit.behind(name, (table) => {
      const { total } = edit.lengths;
      const end = edit.op('Unsqueeze', [total, edit.ints(0)]);
      return edit.op('Slice', [table, edit.ints(0), end, edit.ints(0), edit.ints(1)]);
    });
  }
}

/** Weights that come out as NaN where nothing is seen become 0. */
export function withNanGuard(edit: Edit): void {
  for (const { softmax } of edit.attentions) {
    edit.behind(softmax.output[0] ?? '', (x) => edit.op('Where', [edit.op('IsNaN', [x]), edit.float(0), x]));
  }
}

/** Scores of places that are not seen are replaced rather than added to. */
export function withChosenScores(edit: Edit): void {
  const seen = edit.op('GreaterOrEqual', [edit.distances, edit.float(0)]);
  for (const { softmax, masked } of edit.attentions) {
    edit.editor.setInput(softmax, 0, edit.op('Where', [seen, masked.input[0] ?? '', edit.float(-10_000)]));
  }
}

/** Product and scale in one operator of the runtime's own set, as its optimiser writes it. */
export function withFusedProduct(edit: Edit): void {
  for (const { scoring, masked } of edit.attentions) {
    const [query = '', turned = ''] = scoring.input;
    const key = edit.producer(turned).input[0] ?? '';
    const alpha = 1 / Math.sqrt(edit.config.headSize);
    const scores = edit.editor.apply('FusedMatMul', [query, key], { transB: 1n, alpha }, 'com.microsoft');
    edit.editor.setInput(masked, 0, scores);
  }
}
