// Reads an ONNX file as a message that can be edited, without its weights: a large tensor becomes a reference to the
// bytes where they already lie. The rewriter and the partitioner change such a message and give it to the runtime as
// bytes, together with the folder of the original file.
import { basename } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { INLINE_TENSOR_BYTES_MAX, ONNX_INITIALIZERS_MAX } from '../limits.ts';
import { MessageDecoder } from './decode.ts';
import {
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProtoSchema,
} from './messages/onnx_pb.js';
import { type ByteRange, type ByteSource, onnxCorrupt, ProtoWalker, withFileSource } from './protobuf.ts';

/** Field numbers of onnx.proto that are looked at before anything is decoded. */
const MODEL_GRAPH = 7;
const GRAPH_INITIALIZER = 5;
const TENSOR_DATA_TYPE = 2;
const TENSOR_FLOAT_DATA = 4;
const TENSOR_RAW_DATA = 9;
const TENSOR_DOUBLE_DATA = 10;

/** A field with values, and where its tag begins. */
interface Payload {
  readonly number: number;
  readonly start: number;
  readonly range: ByteRange;
}

/**
 * Reads a model. Every initializer of its top graph that is larger than INLINE_TENSOR_BYTES_MAX refers to its bytes in
 * this same file; references to other files stay as they are, unchecked. The weights are never read, so a file of any
 * size opens in the time that its graph takes. Blocks on the disk.
 * @throws WeftError `model_corrupt` for a damaged or hostile file
 */
export function readModel(path: string): ModelProto {
  return withFileSource(path, (source) => readModelFrom(source, basename(path)));
}

/**
 * As `readModel`, from any bytes.
 * @param location what references to these bytes call them
 */
export function readModelFrom(source: ByteSource, location: string): ModelProto {
  return new ModelReader(source, location).read({ start: 0, end: source.sizeBytes });
}

/** The bytes of a model, for a file or the runtime. */
export function writeModel(model: ModelProto): Uint8Array {
  return toBinary(ModelProtoSchema, model);
}

class ModelReader {
  readonly #walker: ProtoWalker;
  readonly #decoder: MessageDecoder;
  readonly #location: string;

  constructor(source: ByteSource, location: string) {
    this.#walker = new ProtoWalker(source);
    this.#decoder = new MessageDecoder(this.#walker);
    this.#location = location;
  }

  read(file: ByteRange): ModelProto {
    let graph: Payload | undefined;
    this.#walker.walk(file, 0, (field) => {
      if (field.wire !== 'bytes' || field.number !== MODEL_GRAPH) return;
      // Protobuf would merge two of them; no writer makes that.
      if (graph !== undefined) throw onnxCorrupt('it has two graphs');
      graph = field;
    });
    if (graph === undefined) throw onnxCorrupt('it has no graph');
    const model = this.#decoder.decode(ModelProtoSchema, without(file, [graph]), 0);
    model.graph = this.#graph(graph.range);
    return model;
  }

  #graph(range: ByteRange): ModelProto['graph'] {
    const tensors: Payload[] = [];
    this.#walker.walk(range, 1, (field) => {
      if (field.wire !== 'bytes' || field.number !== GRAPH_INITIALIZER) return;
      if (tensors.length >= ONNX_INITIALIZERS_MAX) throw onnxCorrupt('it has too many tensors');
      tensors.push(field);
    });
    const graph = this.#decoder.decode(GraphProtoSchema, without(range, tensors), 1);
    if (graph.output.length === 0) throw onnxCorrupt('its graph gives nothing');
    graph.initializer = tensors.map((tensor) => this.#initializer(tensor.range));
    return graph;
  }

  #initializer(range: ByteRange): TensorProto {
    let dataType = 0;
    const payloads: Payload[] = [];
    this.#walker.walk(range, 2, (field) => {
      if (field.number === TENSOR_DATA_TYPE && field.wire === 'varint') dataType = Number(field.value);
      else if (field.wire === 'bytes' && canBeReferred(field.number)) payloads.push(field);
    });
    const [payload] = payloads;
    const moves =
      payload !== undefined &&
      payloads.length === 1 &&
      payload.range.end - payload.range.start > INLINE_TENSOR_BYTES_MAX &&
      isRaw(payload.number, dataType);
    const tensor = this.#decoder.decode(TensorProtoSchema, moves ? without(range, [payload]) : [range], 2);
    if (moves) this.#refer(tensor, payload.range);
    return tensor;
  }

  /** Names these bytes of the file as the tensor's. */
  #refer(tensor: TensorProto, { start, end }: ByteRange): void {
    if (tensor.dataLocation === TensorProto_DataLocation.EXTERNAL || tensor.externalData.length > 0) {
      throw onnxCorrupt('a tensor has its bytes in two places');
    }
    const entries = { location: this.#location, offset: String(start), length: String(end - start) };
    tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
    tensor.externalData = Object.entries(entries).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value }),
    );
  }
}

const canBeReferred = (number: number): boolean =>
  number === TENSOR_RAW_DATA || number === TENSOR_FLOAT_DATA || number === TENSOR_DOUBLE_DATA;

/** Whether the field's bytes are those of the tensor: packed floats are, as protobuf and ONNX are both little-endian. */
function isRaw(number: number, dataType: number): boolean {
  if (number === TENSOR_FLOAT_DATA) return dataType === TensorProto_DataType.FLOAT;
  if (number === TENSOR_DOUBLE_DATA) return dataType === TensorProto_DataType.DOUBLE;
  return dataType !== TensorProto_DataType.UNDEFINED && dataType !== TensorProto_DataType.STRING;
}

/** What is left of a message without these fields, which follow one another. */
function without(whole: ByteRange, fields: readonly Payload[]): ByteRange[] {
  const ranges: ByteRange[] = [];
  let start = whole.start;
  for (const field of fields) {
    if (field.start > start) ranges.push({ start, end: field.start });
    start = field.range.end;
  }
  return [...ranges, { start, end: whole.end }];
}
