// What a graph takes and gives, and which files its weights lie in, read from an ONNX file without its weights. Used
// when a manifest is built. Field numbers are those of onnx.proto3.
import { WeftError } from '../../protocol/errors.ts';
import { TENSOR_NAME_LENGTH_MAX, TENSOR_RANK_MAX } from '../../protocol/limits.ts';
import { dataTypeName } from '../../protocol/tensor.ts';
import { ONNX_INITIALIZERS_MAX, ONNX_PORTS_MAX } from '../limits.ts';
import { type ByteRange, type ByteSource, onnxCorrupt, ProtoWalker, withFileSource } from './protobuf.ts';

/** An input or output of a graph. */
export interface OnnxPort {
  readonly name: string;
  /** An element type such as `float32`; `sequence`, `map`, `optional` or `sparse` for what isn't a tensor. */
  readonly type: string;
  /** A number, or the name of a dimension that a run decides; `?` where it has no name, `*` for an unknown rank. */
  readonly dims: readonly (number | string)[];
}

export interface OnnxSummary {
  /** Without those that only give an initializer its name, as files of IR version 3 have them. */
  readonly inputs: readonly OnnxPort[];
  readonly outputs: readonly OnnxPort[];
  /** Names of the top graph's initializers. */
  readonly initializers: readonly string[];
  /** Locations of external data as the file names them, unchecked; those of inner graphs and functions included. */
  readonly externalLocations: readonly string[];
}

/** Reads a file's summary. @throws WeftError `model_corrupt` for a damaged or hostile file */
export function readOnnxFile(path: string): OnnxSummary {
  return withFileSource(path, readOnnx);
}

/** Reads a summary. @throws WeftError `model_corrupt` for damaged or hostile bytes */
export function readOnnx(source: ByteSource): OnnxSummary {
  return new OnnxReader(source).read({ start: 0, end: source.sizeBytes });
}

class OnnxReader {
  readonly #walker: ProtoWalker;
  readonly #inputs: OnnxPort[] = [];
  readonly #outputs: OnnxPort[] = [];
  readonly #initializers = new Set<string>();
  readonly #locations = new Set<string>();
  #tensors = 0;

  constructor(source: ByteSource) {
    this.#walker = new ProtoWalker(source);
  }

  read(file: ByteRange): OnnxSummary {
    let graphs = 0;
    this.#walker.walk(file, 0, (field) => {
      if (field.wire !== 'bytes') return;
      if (field.number === 7) {
        // Protobuf would merge two of them; no writer makes that, and a reader that took one would miss the other.
        if (++graphs > 1) throw onnxCorrupt('it has two graphs');
        this.#graph(field.range, 0);
      } else if (field.number === 25) this.#nodes(field.range, 7, 1);
    });
    if (graphs === 0) throw onnxCorrupt('it has no graph');
    if (this.#outputs.length === 0) throw onnxCorrupt('its graph gives nothing');
    return {
      inputs: this.#inputs.filter((port) => !this.#initializers.has(port.name)),
      outputs: this.#outputs,
      initializers: [...this.#initializers],
      externalLocations: [...this.#locations],
    };
  }

  /** GraphProto. Ports and initializer names are kept of the top graph, external data of all. */
  #graph(range: ByteRange, depth: number): void {
    this.#walker.walk(range, depth, (field) => {
      if (field.wire !== 'bytes') return;
      if (field.number === 1) this.#node(field.range, depth + 1);
      else if (field.number === 5) {
        const name = this.#tensor(field.range, depth + 1);
        if (depth === 0) this.#initializers.add(name);
      } else if (field.number === 15) {
        const name = this.#sparseTensor(field.range, depth + 1);
        if (depth === 0) this.#initializers.add(name);
      } else if (field.number === 11 && depth === 0) this.#port(field.range, this.#inputs);
      else if (field.number === 12 && depth === 0) this.#port(field.range, this.#outputs);
    });
  }

  /** Every NodeProto in the message, under that field number. */
  #nodes(range: ByteRange, number: number, depth: number): void {
    this.#walker.walk(range, depth, (field) => {
      if (field.wire === 'bytes' && field.number === number) this.#node(field.range, depth + 1);
    });
  }

  #node(range: ByteRange, depth: number): void {
    this.#walker.walk(range, depth, (field) => {
      if (field.wire === 'bytes' && field.number === 5) this.#attribute(field.range, depth + 1);
    });
  }

  /** AttributeProto: tensors and graphs may hide in it. */
  #attribute(range: ByteRange, depth: number): void {
    this.#walker.walk(range, depth, (field) => {
      if (field.wire !== 'bytes') return;
      if (field.number === 5 || field.number === 10) this.#tensor(field.range, depth + 1);
      else if (field.number === 6 || field.number === 11) this.#graph(field.range, depth + 1);
      else if (field.number === 22 || field.number === 23) this.#sparseTensor(field.range, depth + 1);
    });
  }

  #sparseTensor(range: ByteRange, depth: number): string {
    let name = '';
    this.#walker.walk(range, depth, (field) => {
      if (field.wire !== 'bytes') return;
      if (field.number === 1) name = this.#tensor(field.range, depth + 1);
      else if (field.number === 2) this.#tensor(field.range, depth + 1);
    });
    return name;
  }

  /** TensorProto: its name, and where its bytes are if not here. Its raw data is stepped over. */
  #tensor(range: ByteRange, depth: number): string {
    if (++this.#tensors > ONNX_INITIALIZERS_MAX) throw onnxCorrupt('it has too many tensors');
    let name = '';
    this.#walker.walk(range, depth, (field) => {
      if (field.wire !== 'bytes') return;
      if (field.number === 8) name = this.#name(field.range);
      else if (field.number === 13) this.#externalData(field.range, depth + 1);
    });
    return name;
  }

  /** StringStringEntryProto of external data. */
  #externalData(range: ByteRange, depth: number): void {
    let key = '';
    let value: ByteRange | undefined;
    this.#walker.walk(range, depth, (field) => {
      if (field.wire !== 'bytes') return;
      if (field.number === 1) key = this.#name(field.range);
      else if (field.number === 2) value = field.range;
    });
    if (key === 'location' && value !== undefined) this.#locations.add(this.#name(value));
  }

  /** ValueInfoProto. */
  #port(range: ByteRange, ports: OnnxPort[]): void {
    if (ports.length >= ONNX_PORTS_MAX) throw onnxCorrupt('its graph has too many inputs or outputs');
    let name = '';
    let shape: Omit<OnnxPort, 'name'> | undefined;
    this.#walker.walk(range, 0, (field) => {
      if (field.wire !== 'bytes') return;
      if (field.number === 1) name = this.#name(field.range);
      else if (field.number === 2) shape = this.#type(field.range);
    });
    if (name === '' || shape === undefined) throw onnxCorrupt('an input or output has no name or type');
    ports.push({ name, ...shape });
  }

  /** TypeProto: the element type and dimensions of a tensor, the kind of anything else. */
  #type(range: ByteRange): Omit<OnnxPort, 'name'> {
    const kinds: Readonly<Record<number, string>> = { 4: 'sequence', 5: 'map', 8: 'sparse', 9: 'optional' };
    let type: Omit<OnnxPort, 'name'> | undefined;
    this.#walker.walk(range, 0, (field) => {
      if (field.wire !== 'bytes') return;
      if (field.number === 1) type = this.#tensorType(field.range);
      else if (kinds[field.number] !== undefined) type = { type: kinds[field.number] as string, dims: [] };
    });
    if (type === undefined) throw onnxCorrupt('an input or output has no type');
    return type;
  }

  #tensorType(range: ByteRange): Omit<OnnxPort, 'name'> {
    let element = 0;
    let dims: (number | string)[] = ['*'];
    this.#walker.walk(range, 0, (field) => {
      if (field.number === 1 && field.wire === 'varint') element = Number(field.value);
      else if (field.number === 2 && field.wire === 'bytes') dims = this.#dims(field.range);
    });
    try {
      return { type: dataTypeName(element), dims };
    } catch (cause) {
      if (cause instanceof WeftError) throw onnxCorrupt(`element type ${element} is not one of ONNX's`);
      throw cause;
    }
  }

  /** TensorShapeProto. */
  #dims(range: ByteRange): (number | string)[] {
    const dims: (number | string)[] = [];
    this.#walker.walk(range, 0, (field) => {
      if (field.number !== 1 || field.wire !== 'bytes') return;
      if (dims.length >= TENSOR_RANK_MAX) throw onnxCorrupt('a shape has too many dimensions');
      let dim: number | string = '?';
      this.#walker.walk(field.range, 0, (inner) => {
        if (inner.number === 1 && inner.wire === 'varint') {
          // Some exporters write −1 for "decided by the run".
          const value = BigInt.asIntN(64, inner.value);
          if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw onnxCorrupt('a dimension is out of range');
          dim = value < 0n ? '?' : Number(value);
        } else if (inner.number === 2 && inner.wire === 'bytes') dim = this.#name(inner.range) || '?';
      });
      dims.push(dim);
    });
    return dims;
  }

  #name(range: ByteRange): string {
    return this.#walker.text(range, TENSOR_NAME_LENGTH_MAX);
  }
}
