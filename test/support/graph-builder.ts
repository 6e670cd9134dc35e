// Writes small ONNX graphs, operator by operator, for tests that need a model of a certain layout.
import { create } from '@bufbuild/protobuf';
import { type AttributeValue, attribute } from '../../models/onnx/attributes.ts';
import {
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  type ValueInfoProto,
} from '../../models/onnx/messages/onnx_pb.js';
import { writeModel } from '../../models/onnx/model-file.ts';
import { floatTensor, int64Tensor } from '../../models/onnx/tensors.ts';

/** Opset of the graphs, and the version of the format that has it. */
const OPSET = 17n;
const IR_VERSION = 8n;

/** One graph under construction. Every method that makes a value gives its name. */
export class GraphBuilder {
  readonly #nodes: NodeProto[] = [];
  readonly #initializers: TensorProto[] = [];
  readonly #prefix: string;

  /** @param prefix of the names within: graphs within graphs see the names around them */
  constructor(prefix = '') {
    this.#prefix = prefix;
  }

  op(opType: string, inputs: readonly string[], attributes: Readonly<Record<string, AttributeValue>> = {}): string {
    const [output] = this.ops(opType, inputs, 1, attributes);
    return output as string;
  }

  /** As {@link op}, for operators with several outputs. @param outputs their names, or how many */
  ops(
    opType: string,
    inputs: readonly string[],
    outputs: number | readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): readonly string[] {
    const name = `${this.#prefix}${opType}_${this.#nodes.length}`;
    const names =
      typeof outputs === 'number' ? Array.from({ length: outputs }, (_, index) => `${name}:${index}`) : outputs;
    this.#nodes.push(
      create(NodeProtoSchema, {
        name,
        opType,
        input: [...inputs],
        output: [...names],
        attribute: Object.entries(attributes).map(([key, value]) => attribute(key, value)),
      }),
    );
    return names;
  }

  /** Gives a value the name of an output. */
  as(name: string, value: string): string {
    this.ops('Identity', [value], [name]);
    return name;
  }

  floats(dims: readonly number[], values: Iterable<number>): string {
    const name = `${this.#prefix}float_${this.#initializers.length}`;
    this.#initializers.push(floatTensor(name, dims, values));
    return name;
  }

  ints(...values: readonly number[]): string {
    const name = `${this.#prefix}int_${this.#initializers.length}`;
    this.#initializers.push(int64Tensor(name, [values.length], values));
    return name;
  }

  int(value: number): string {
    const name = `${this.#prefix}int_${this.#initializers.length}`;
    this.#initializers.push(int64Tensor(name, [], [value]));
    return name;
  }

  graph(inputs: readonly ValueInfoProto[], outputs: readonly ValueInfoProto[]): GraphProto {
    return create(GraphProtoSchema, {
      name: `${this.#prefix}graph`,
      node: this.#nodes,
      initializer: this.#initializers,
      input: [...inputs],
      output: [...outputs],
    });
  }

  /** The bytes of a file with this graph. */
  file(inputs: readonly ValueInfoProto[], outputs: readonly ValueInfoProto[]): Uint8Array {
    return writeModel(
      create(ModelProtoSchema, {
        irVersion: IR_VERSION,
        opsetImport: [{ domain: '', version: OPSET }],
        graph: this.graph(inputs, outputs),
      }),
    );
  }
}
