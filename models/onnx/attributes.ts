// Attributes of ONNX nodes as plain values: numbers are floats and BigInts are integers, as the format tells them apart.
import { create } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  type NodeProto,
  type TensorProto,
} from './messages/onnx_pb.js';
import { onnxCorrupt } from './protobuf.ts';

/** number: float; bigint: int; lists of one of them, or of texts. An empty list is one of ints. */
export type AttributeValue =
  | number
  | bigint
  | string
  | TensorProto
  | GraphProto
  | readonly number[]
  | readonly bigint[]
  | readonly string[];

/** An attribute of that name and value. */
export function attribute(name: string, value: AttributeValue): AttributeProto {
  return create(AttributeProtoSchema, { name, ...typedValue(value) });
}

function typedValue(value: AttributeValue): Partial<Omit<AttributeProto, '$typeName' | '$unknown'>> {
  if (typeof value === 'number') return { type: AttributeType.FLOAT, f: value };
  if (typeof value === 'bigint') return { type: AttributeType.INT, i: value };
  if (typeof value === 'string') return { type: AttributeType.STRING, s: Buffer.from(value) };
  if ('$typeName' in value) {
    return value.$typeName === 'onnx.GraphProto'
      ? { type: AttributeType.GRAPH, g: value }
      : { type: AttributeType.TENSOR, t: value };
  }
  if (isListOf(value, 'number')) return { type: AttributeType.FLOATS, floats: [...value] };
  if (isListOf(value, 'string'))
    return { type: AttributeType.STRINGS, strings: value.map((text) => Buffer.from(text)) };
  return { type: AttributeType.INTS, ints: [...(value as readonly bigint[])] };
}

type List = readonly number[] | readonly bigint[] | readonly string[];

function isListOf(list: List, type: 'number'): list is readonly number[];
function isListOf(list: List, type: 'string'): list is readonly string[];
function isListOf(list: List, type: string): boolean {
  return typeof list[0] === type;
}

/** The attribute of that name, if the node has it. */
export function attributeOf(node: NodeProto, name: string): AttributeProto | undefined {
  return node.attribute.find((candidate) => candidate.name === name);
}

/** An int. @throws WeftError `model_corrupt` when the attribute is of another type; so do those below */
export function intAttribute<Default extends number | undefined>(
  node: NodeProto,
  name: string,
  fallback: Default,
): number | Default {
  const found = typed(node, name, AttributeType.INT);
  return found === undefined ? fallback : Number(found.i);
}

/** A float. */
export function floatAttribute<Default extends number | undefined>(
  node: NodeProto,
  name: string,
  fallback: Default,
): number | Default {
  return typed(node, name, AttributeType.FLOAT)?.f ?? fallback;
}

/** A text. */
export function stringAttribute<Default extends string | undefined>(
  node: NodeProto,
  name: string,
  fallback: Default,
): string | Default {
  const found = typed(node, name, AttributeType.STRING);
  return found === undefined ? fallback : Buffer.from(found.s).toString();
}

/** A list of ints. */
export function intsAttribute<Default extends readonly number[] | undefined>(
  node: NodeProto,
  name: string,
  fallback: Default,
): readonly number[] | Default {
  return typed(node, name, AttributeType.INTS)?.ints.map(Number) ?? fallback;
}

function typed(node: NodeProto, name: string, type: AttributeType): AttributeProto | undefined {
  const found = attributeOf(node, name);
  // Files of the first IR versions leave the type out.
  if (found !== undefined && found.type !== type && found.type !== AttributeType.UNDEFINED) {
    throw onnxCorrupt(`the attribute "${name}" of a ${node.opType} has the wrong type`);
  }
  return found;
}
