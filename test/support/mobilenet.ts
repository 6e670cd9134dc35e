// Graphs of MobileNetV2's shape (Sandler et al., CVPR 2018) with made-up weights, in floats or quantised to 8 bits as
// exporters write it, with QuantizeLinear and DequantizeLinear around every operator.
import { create } from '@bufbuild/protobuf';
import type { AttributeValue } from '../../models/onnx/attributes.ts';
import { attribute } from '../../models/onnx/attributes.ts';
import {
  TensorProto_DataType as DataType,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
} from '../../models/onnx/messages/onnx_pb.js';
import { floatTensor, rawTensor, valueInfo } from '../../models/onnx/tensors.ts';
import { SeededRandom } from './seeded.ts';

export interface MobilenetInit {
  /** Pixels of each side of the image. @default 224 */
  readonly size?: number;
  /** Of all widths. @default 1 */
  readonly width?: number;
  /** @default 1000 */
  readonly classes?: number;
  readonly quantized: boolean;
}

/** Expansion, channels, repeats and first stride of each group of blocks. */
const GROUPS = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const;

/** Takes `image`, float32 [1, 3, size, size], and gives `classes`, logits of float32. */
export function mobilenet({ size = 224, width = 1, classes = 1000, quantized }: MobilenetInit): ModelProto {
  const writer = new Writer(quantized);
  const scaled = (channels: number): number => Math.max(8, Math.round((channels * width) / 8) * 8);
  let value = writer.conv(writer.enter('image'), 3, scaled(32), { kernel: 3, stride: 2, clip: true });
  let channels = scaled(32);
  for (const [expansion, base, repeats, firstStride] of GROUPS) {
    for (let index = 0; index < repeats; index++) {
      const stride = index === 0 ? firstStride : 1;
      const inner = channels * expansion;
      let branch = value;
      if (expansion > 1) branch = writer.conv(branch, channels, inner, { clip: true });
      branch = writer.conv(branch, inner, inner, { kernel: 3, stride, depthwise: true, clip: true });
      branch = writer.conv(branch, inner, scaled(base), {});
      value = stride === 1 && channels === scaled(base) ? writer.op('Add', [value, branch]) : branch;
      channels = scaled(base);
    }
  }
  value = writer.conv(value, channels, scaled(1280), { clip: true });
  value = writer.op('GlobalAveragePool', [value]);
  value = writer.op('Flatten', [value], { axis: 1n });
  value = writer.dense(value, scaled(1280), classes);
  writer.leave(value, 'classes');
  return create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [{ domain: '', version: 17n }],
    graph: {
      name: 'mobilenet',
      node: writer.nodes,
      initializer: writer.weights,
      input: [valueInfo('image', DataType.FLOAT, [1, 3, size, size])],
      output: [valueInfo('classes', DataType.FLOAT, [1, classes])],
    },
  });
}

interface ConvInit {
  /** @default 1 */
  readonly kernel?: number;
  readonly stride?: number;
  readonly depthwise?: boolean;
  /** Behind it, to 0…6. */
  readonly clip?: boolean;
}

/** Values of the quantised form lie between ±8, steps of a sixteenth. */
const ACTIVATION_SCALE = 1 / 16;
const WEIGHT_SCALE = 1 / 128;

class Writer {
  readonly nodes: NodeProto[] = [];
  readonly weights: TensorProto[] = [];
  readonly #quantized: boolean;
  readonly #random = new SeededRandom(7);
  #count = 0;

  constructor(quantized: boolean) {
    this.#quantized = quantized;
    if (!quantized) return;
    this.weights.push(
      floatTensor('scale', [], [ACTIVATION_SCALE]),
      rawTensor('zero', DataType.INT8, [], Int8Array.of(0)),
      floatTensor('weight_scale', [], [WEIGHT_SCALE]),
      floatTensor('bias_scale', [], [ACTIVATION_SCALE * WEIGHT_SCALE]),
      rawTensor('bias_zero', DataType.INT32, [], Int32Array.of(0)),
    );
  }

  /** A value of the graph as the operators take it. */
  enter(name: string): string {
    return this.#rounded(name);
  }

  leave(value: string, name: string): void {
    this.#node('Identity', [value], name);
  }

  op(type: string, inputs: readonly string[], attributes: Readonly<Record<string, AttributeValue>> = {}): string {
    return this.#rounded(this.#node(type, inputs, this.#fresh(), attributes));
  }

  conv(value: string, from: number, to: number, init: ConvInit): string {
    const { kernel = 1, stride = 1, depthwise = false, clip = false } = init;
    const fanIn = (depthwise ? 1 : from) * kernel * kernel;
    const inputs = [value, this.#weight([to, depthwise ? 1 : from, kernel, kernel], fanIn), this.#bias(to)];
    const pad = BigInt(kernel >> 1);
    const made = this.#node('Conv', inputs, this.#fresh(), {
      kernel_shape: [BigInt(kernel), BigInt(kernel)],
      strides: [BigInt(stride), BigInt(stride)],
      pads: [pad, pad, pad, pad],
      group: BigInt(depthwise ? from : 1),
    });
    if (!clip) return this.#rounded(made);
    return this.#rounded(this.#node('Clip', [made, this.#scalar('low', 0), this.#scalar('high', 6)], this.#fresh()));
  }

  dense(value: string, from: number, to: number): string {
    return this.op('Gemm', [value, this.#weight([to, from], from), this.#bias(to)], { transB: 1n });
  }

  /** Behind every operator, in the quantised form: to 8 bits and back. */
  #rounded(value: string): string {
    if (!this.#quantized) return value;
    const small = this.#node('QuantizeLinear', [value, 'scale', 'zero'], this.#fresh());
    return this.#node('DequantizeLinear', [small, 'scale', 'zero'], this.#fresh());
  }

  #weight(dims: readonly number[], fanIn: number): string {
    const count = dims.reduce((product, dim) => product * dim, 1);
    // Keeps the size of the values from layer to layer (He et al., 2015).
    const spread = Math.sqrt(6 / fanIn);
    const values = Float32Array.from({ length: count }, () => (this.#random.next() * 2 - 1) * spread);
    const name = this.#fresh('w');
    if (!this.#quantized) {
      this.weights.push(floatTensor(name, dims, values));
      return name;
    }
    const small = Int8Array.from(values, (value) => Math.max(-127, Math.min(127, Math.round(value / WEIGHT_SCALE))));
    this.weights.push(rawTensor(name, DataType.INT8, dims, small));
    return this.#node('DequantizeLinear', [name, 'weight_scale', 'zero'], this.#fresh());
  }

  #bias(count: number): string {
    const values = Float32Array.from({ length: count }, () => this.#random.next() * 0.2 - 0.1);
    const name = this.#fresh('w');
    if (!this.#quantized) {
      this.weights.push(floatTensor(name, [count], values));
      return name;
    }
    const steps = Int32Array.from(values, (value) => Math.round(value / (ACTIVATION_SCALE * WEIGHT_SCALE)));
    this.weights.push(rawTensor(name, DataType.INT32, [count], steps));
    return this.#node('DequantizeLinear', [name, 'bias_scale', 'bias_zero'], this.#fresh());
  }

  #scalar(name: string, value: number): string {
    if (!this.weights.some((weight) => weight.name === name)) this.weights.push(floatTensor(name, [], [value]));
    return name;
  }

  #node(
    opType: string,
    inputs: readonly string[],
    output: string,
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): string {
    this.nodes.push(
      create(NodeProtoSchema, {
        opType,
        input: [...inputs],
        output: [output],
        attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
      }),
    );
    return output;
  }

  #fresh(prefix = 't'): string {
    return `${prefix}${this.#count++}`;
  }
}
