// Writes a decoder's graph: the parts that all ways of exporting one have in common.
import { create } from '@bufbuild/protobuf';
import type { AttributeValue } from '../../../../models/onnx/attributes.ts';
import { GraphEditor } from '../../../../models/onnx/graph.ts';
import {
  TensorProto_DataType as DataType,
  type ModelProto,
  ModelProtoSchema,
} from '../../../../models/onnx/messages/onnx_pb.js';
import { floatTensor, rawTensor, valueInfo } from '../../../../models/onnx/tensors.ts';
import { type DecoderConfig, matrix, vector } from './config.ts';

/** The "to the end" of a slice. */
export const INT64_MAX = 2n ** 63n - 1n;

/** What a masked score is set to. */
export const LOWEST = -3.4028234663852886e38;

type Attributes = Readonly<Record<string, AttributeValue>>;

export class DecoderWriter {
  readonly config: DecoderConfig;
  readonly editor: GraphEditor;

  constructor(config: DecoderConfig, opset: bigint) {
    this.config = config;
    this.editor = new GraphEditor(
      create(ModelProtoSchema, {
        irVersion: 8n,
        producerName: 'weft-tests',
        opsetImport: [{ domain: '', version: opset }],
        graph: { name: 'main_graph' },
      }),
    );
  }

  /** Declares the inputs in the hub's layout; the mask's length has the name that the exporters give it. */
  inputs(total: string, withPositions: boolean): void {
    const { layers, kvHeads, headSize } = this.config;
    const { editor } = this;
    editor.addInput(valueInfo('input_ids', DataType.INT64, ['batch_size', 'sequence_length']));
    editor.addInput(valueInfo('attention_mask', DataType.INT64, ['batch_size', total]));
    if (withPositions) editor.addInput(valueInfo('position_ids', DataType.INT64, ['batch_size', 'sequence_length']));
    for (let layer = 0; layer < layers; layer++) {
      for (const half of ['key', 'value']) {
        const dims = ['batch_size', kvHeads, 'past_sequence_length', headSize];
        editor.addInput(valueInfo(`past_key_values.${layer}.${half}`, DataType.FLOAT, dims));
      }
    }
  }

  /** Declares the outputs, which nodes have been given by now, and gives the model. */
  finish(total: string): ModelProto {
    const { layers, kvHeads, headSize, vocabulary } = this.config;
    const { editor } = this;
    editor.addOutput(valueInfo('logits', DataType.FLOAT, ['batch_size', 'sequence_length', vocabulary]));
    for (let layer = 0; layer < layers; layer++) {
      for (const half of ['key', 'value']) {
        editor.addOutput(
          valueInfo(`present.${layer}.${half}`, DataType.FLOAT, ['batch_size', kvHeads, total, headSize]),
        );
      }
    }
    return editor.finish();
  }

  op(op: string, inputs: readonly string[], attributes?: Attributes): string {
    return this.editor.apply(op, inputs, attributes);
  }

  /** An operator of the runtime's own set. */
  fused(op: string, inputs: readonly string[], attributes?: Attributes): string {
    return this.editor.apply(op, inputs, attributes, 'com.microsoft');
  }

  /** A list of int64. */
  ints(...values: readonly (number | bigint)[]): string {
    const bytes = BigInt64Array.from(values, BigInt);
    return this.editor.addInitializer(rawTensor(this.editor.freshName('ints'), DataType.INT64, [values.length], bytes));
  }

  /** One int64, as a Constant node. */
  int(value: number): string {
    return this.op('Constant', [], { value: rawTensor('', DataType.INT64, [], BigInt64Array.of(BigInt(value))) });
  }

  /** One float32, as a Constant node. */
  float(value: number): string {
    return this.op('Constant', [], { value: floatTensor('', [], [value]) });
  }

  /** A dimension of a tensor, as one number. */
  dim(tensor: string, axis: number): string {
    return this.op('Gather', [this.op('Shape', [tensor]), this.int(axis)], { axis: 0n });
  }

  /** Numbers as a shape. */
  shape(...dims: readonly (string | number)[]): string {
    const parts = dims.map((dim) =>
      typeof dim === 'number' ? this.ints(dim) : this.op('Unsqueeze', [dim, this.ints(0)]),
    );
    return this.op('Concat', parts, { axis: 0n });
  }

  /** Adds a dimension of one. */
  unsqueeze(tensor: string, axis: number): string {
    return this.op('Unsqueeze', [tensor, this.ints(axis)]);
  }

  castToFloat(tensor: string): string {
    return this.op('Cast', [tensor], { to: BigInt(DataType.FLOAT) });
  }

  /** An initializer; asked for twice, it is written once. */
  weights(name: string, dims: readonly number[], values: () => Float32Array): string {
    return this.editor.initializer(name) === undefined
      ? this.editor.addInitializer(floatTensor(name, dims, values()))
      : name;
  }

  vector(name: string, length: number, mean: number): string {
    return this.weights(name, [length], () => vector(this.config, name, length, mean));
  }

  /** x · W, [… , inputs] → [… , outputs]. */
  linear(x: string, name: string, inputs: number, outputs: number): string {
    const weight = `${name}.weight`;
    return this.op('MatMul', [
      x,
      this.weights(weight, [inputs, outputs], () => matrix(this.config, weight, inputs, outputs)),
    ]);
  }

  /** The rows of a table, one for each id. */
  embedding(name: string, ids: string, rows: number): string {
    const { hidden } = this.config;
    // As large as what the norms give: the rows are added to.
    const table = this.weights(name, [rows, hidden], () => matrix(this.config, name, hidden, rows));
    return this.op('Gather', [table, ids]);
  }

  /** silu(x · gate) · (x · up) · down, as nearly all decoders of today have it. */
  gatedMlp(x: string, prefix: string): string {
    const { hidden, intermediate } = this.config;
    const gate = this.linear(x, `${prefix}.gate_proj`, hidden, intermediate);
    const up = this.linear(x, `${prefix}.up_proj`, hidden, intermediate);
    const active = this.op('Mul', [gate, this.op('Sigmoid', [gate])]);
    return this.linear(this.op('Mul', [active, up]), `${prefix}.down_proj`, intermediate, hidden);
  }

  /** Names the last tensor `logits`. */
  head(x: string): void {
    const { hidden, vocabulary } = this.config;
    const weight = this.weights('lm_head.weight', [hidden, vocabulary], () =>
      matrix(this.config, 'lm_head.weight', hidden, vocabulary),
    );
    this.editor.addNode({ op: 'MatMul', inputs: [x, weight], outputs: ['logits'] });
  }
}
