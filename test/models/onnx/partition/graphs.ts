// Small graphs written by hand, for what random ones seldom hold.
import { create } from '@bufbuild/protobuf';
import { type AttributeValue, attribute } from '../../../../models/onnx/attributes.ts';
import {
  TensorProto_DataType as DataType,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  ValueInfoProtoSchema,
} from '../../../../models/onnx/messages/onnx_pb.js';
import { valueInfo } from '../../../../models/onnx/tensors.ts';

/** A node without a name. Operators of other sets stand behind their domain: `com.microsoft/Gelu`. */
export function node(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, AttributeValue>> = {},
): NodeProto {
  const [opType = '', domain = ''] = op.split('/').reverse();
  return create(NodeProtoSchema, {
    opType,
    domain,
    input: [...inputs],
    output: [...outputs],
    attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
  });
}

/** What a test says of a graph. */
export interface GraphInit {
  readonly nodes: readonly NodeProto[];
  /** Float matrices of any number of rows and that many columns. */
  readonly inputs: Readonly<Record<string, number>>;
  readonly outputs: readonly string[];
  readonly weights?: GraphProto['initializer'];
}

export function modelOf({ nodes, inputs, outputs, weights = [] }: GraphInit): ModelProto {
  return create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [{ domain: '', version: 17n }],
    graph: {
      name: 'g',
      node: [...nodes],
      initializer: weights,
      input: Object.entries(inputs).map(([name, columns]) => valueInfo(name, DataType.FLOAT, ['rows', columns])),
      output: outputs.map((name) => create(ValueInfoProtoSchema, { name })),
    },
  });
}
