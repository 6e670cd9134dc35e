// Gives every node of a graph a name that tells its place, so that what a runtime says of a node can be told of which:
// runtimes invent names for nodes without one, and may give two nodes the same.
import { create } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
} from '../messages/onnx_pb.js';

const PREFIX = 'weft:';

/** A name, and what an optimiser may have put behind it: `weft:12_token_3`, `weft:12/MatMulScaleFusion/`. */
const NAME = /^weft:(\d+)(?!\d)/;

/** The same model with every node named by the place of the top graph's node that it is, or is within. */
export function withNodeNames(model: ModelProto): ModelProto {
  const { graph } = model;
  if (graph === undefined) return model;
  const node = graph.node.map((each, index) => named(each, `${PREFIX}${index}`));
  return create(ModelProtoSchema, {
    ...fieldsOf(model),
    graph: create(GraphProtoSchema, { ...fieldsOf(graph), node }),
  });
}

/** Place of the top graph's node that a name speaks of; undefined for a name of another origin. */
export function placeIn(name: string): number | undefined {
  const place = NAME.exec(name)?.[1];
  return place === undefined ? undefined : Number(place);
}

function named(node: NodeProto, name: string): NodeProto {
  let inner = 0;
  const graphOf = (graph: GraphProto): GraphProto =>
    create(GraphProtoSchema, {
      ...fieldsOf(graph),
      node: graph.node.map((each) => named(each, `${name}-${inner++}`)),
    });
  const attributeOf = (attribute: AttributeProto): AttributeProto => {
    const { g, graphs } = attribute;
    if (g === undefined && graphs.length === 0) return attribute;
    const changed = { graphs: graphs.map(graphOf), ...(g !== undefined && { g: graphOf(g) }) };
    return create(AttributeProtoSchema, { ...fieldsOf(attribute), ...changed });
  };
  return create(NodeProtoSchema, { ...fieldsOf(node), name, attribute: node.attribute.map(attributeOf) });
}

/** What is set in a message: copies share it. */
function fieldsOf<Message extends { $typeName: string; $unknown?: unknown }>(
  message: Message,
): Omit<Message, '$typeName' | '$unknown'> {
  const { $typeName: _, $unknown: __, ...fields } = message;
  return fields;
}
