// Whether a tensor is what its shape and type say, told from how many bytes it has and where, without reading them.
import { TENSOR_NAME_LENGTH_MAX, TENSOR_RANK_MAX } from '../../../protocol/limits.ts';
import { ONNX_ELEMENTS_MAX, SPARSE_INDEX_BYTES_MAX } from '../../limits.ts';
import { type ByteRange, onnxCorrupt, type ProtoField, type ProtoWalker } from '../protobuf.ts';
import type { SizeOfExternal } from './external.ts';
import { Once, type OnnxCheck, quoted } from './names.ts';

/** Bits of an element by ONNX's number of its type; types below a byte are packed. Strings have none. */
const BITS: ReadonlyMap<number, number> = new Map([
  ...[1, 6, 12].map((type) => [type, 32] as const),
  ...[2, 3, 9, 17, 18, 19, 20, 24].map((type) => [type, 8] as const),
  ...[4, 5, 10, 16].map((type) => [type, 16] as const),
  ...[7, 11, 13, 14].map((type) => [type, 64] as const),
  [15, 128],
  ...[21, 22, 23].map((type) => [type, 4] as const),
  ...[25, 26].map((type) => [type, 2] as const),
]);
const STRING = 8;
const INT64 = 7;

const RAW_DATA = 9;
const STRING_DATA = 6;

/** Which field may list the elements of which types, beside raw bytes. */
const LISTS: ReadonlyMap<number, ReadonlySet<number>> = new Map([
  [4, new Set([1, 14])],
  [5, new Set([2, 3, 4, 5, 6, 9, 10, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26])],
  [STRING_DATA, new Set([STRING])],
  [7, new Set([INT64])],
  [10, new Set([11, 15])],
  [11, new Set([12, 13])],
]);

/** Bytes per number of the packed fields of fixed width. */
const WIDTHS: ReadonlyMap<number, number> = new Map([
  [4, 4],
  [10, 8],
]);

/** A packed list of numbers up to this size is counted; of a longer one, only the bounds are known: 1 to 10 bytes each. */
const COUNTED_BYTES_MAX = 64 << 10;

/** Values are kept of tensors up to this many elements: shapes, axes and scales. */
const VALUES_MAX = TENSOR_RANK_MAX;

/** Keys of external data. Those of the runtime's own prepacked weights begin as the last one. */
const EXTERNAL_KEYS: ReadonlySet<string> = new Set(['location', 'offset', 'length', 'checksum']);
const PREPACKED = 'prepacked';

/** A tensor, without its bytes. */
export interface TensorFacts {
  readonly name: string;
  readonly dims: readonly number[];
  readonly elements: number;
  /** File that its bytes lie in, as the graph names it. */
  readonly location: string | undefined;
  /** Of a small tensor of numbers in the file. */
  readonly values: readonly number[] | undefined;
}

/** How many numbers one field of a tensor lists, or between how many. */
interface Listed {
  least: number;
  most: number;
}

/** A TensorProto as it is read. */
class Draft {
  name = '';
  type = 0;
  readonly dims: bigint[] = [];
  raw: ByteRange | undefined;
  readonly lists = new Map<number, Listed>();
  /** Where the numbers of a short list are. */
  readonly listedAt: ByteRange[] = [];
  external: Map<string, string> | undefined;
  place = 0n;
}

export class TensorChecker {
  readonly #walker: ProtoWalker;
  readonly #sizeOf: SizeOfExternal;
  readonly #checks: ReadonlySet<OnnxCheck>;

  constructor(walker: ProtoWalker, sizeOf: SizeOfExternal, checks: ReadonlySet<OnnxCheck>) {
    this.#walker = walker;
    this.#sizeOf = sizeOf;
    this.#checks = checks;
  }

  /** A TensorProto. @throws WeftError `model_corrupt` when it lies about what or where it is */
  tensor(range: ByteRange, depth: number): TensorFacts {
    const draft = this.#read(range, depth);
    const facts = {
      name: draft.name,
      dims: draft.dims.map(Number),
      elements: 0,
      location: undefined,
      values: undefined,
    };
    if (!this.#checks.has('elements')) {
      const location = draft.external?.get('location');
      if (location !== undefined) this.#checkPlace(draft, location, undefined);
      return { ...facts, location };
    }
    const elements = elementsOf(draft);
    const bytes = bytesOf(draft, elements);
    if (draft.external !== undefined || draft.place !== 0n) {
      if (draft.place !== 1n || draft.external === undefined)
        throw lie(draft, 'does not say clearly where its bytes are');
      if (draft.raw !== undefined || draft.lists.size > 0) throw lie(draft, 'has its bytes in two places');
      const location = draft.external.get('location');
      if (location === undefined || bytes === undefined) throw lie(draft, 'names no file that could hold its bytes');
      this.#checkPlace(draft, location, bytes);
      return { ...facts, elements, location };
    }
    this.#checkBytes(draft, elements, bytes);
    const values = this.#valuesOf(draft, elements);
    return { ...facts, elements, values: values?.length === elements ? values : undefined };
  }

  /** A SparseTensorProto: its values' name, and where its parts lie. */
  sparse(range: ByteRange, depth: number): TensorFacts {
    const once = new Once();
    let values: TensorFacts | undefined;
    let indices: ByteRange | undefined;
    let indexFacts: TensorFacts | undefined;
    const dims: bigint[] = [];
    this.#walker.walk(range, depth, (field) => {
      if (field.number === 3) this.#dims(field, dims);
      if (field.wire !== 'bytes') return;
      if (field.number === 1 || field.number === 2) once.see(field.number, 'a part of a sparse tensor');
      if (field.number === 1) values = this.tensor(field.range, depth + 1);
      else if (field.number === 2) {
        indices = field.range;
        indexFacts = this.tensor(field.range, depth + 1);
      }
    });
    if (values === undefined) throw onnxCorrupt('a sparse tensor has no values');
    if (this.#checks.has('elements')) this.#checkSparse(values, indexFacts, indices, dims, depth);
    return { ...values, values: undefined, location: values.location ?? indexFacts?.location };
  }

  #checkSparse(
    values: TensorFacts,
    indices: TensorFacts | undefined,
    range: ByteRange | undefined,
    bigDims: readonly bigint[],
    depth: number,
  ): void {
    const elements = countOf(bigDims, `the sparse tensor ${quoted(values.name)}`);
    const dims = bigDims.map(Number);
    const wrong = (what: string): Error => onnxCorrupt(`the sparse tensor ${quoted(values.name)} ${what}`);
    if (indices === undefined || range === undefined) {
      if (values.elements > 0) throw wrong('has values without a place');
      return;
    }
    if (values.dims.length !== 1 || indices.dims[0] !== values.elements) throw wrong('has more values or places');
    const perValue = indices.dims.length === 1 ? 1 : indices.dims.length === 2 ? indices.dims[1] : 0;
    if (perValue !== 1 && perValue !== dims.length) throw wrong('has places of another rank');
    // The runtime writes each value where its index says.
    const draft = this.#read(range, depth + 1);
    if (draft.type !== INT64 || draft.external !== undefined)
      throw wrong('has its places elsewhere, or no whole numbers');
    const length = draft.raw === undefined ? 0 : draft.raw.end - draft.raw.start;
    if (Math.max(length, 8 * indices.elements) > SPARSE_INDEX_BYTES_MAX) throw wrong('has too many places');
    const places = this.#int64(draft, indices.elements);
    if (places.length !== indices.elements) throw wrong('has its places in a form that is not read here');
    const flat = indices.dims.length === 1 || perValue !== dims.length;
    places.forEach((place, index) => {
      const end = flat ? elements : (dims[index % dims.length] ?? 0);
      if (place < 0n || place >= BigInt(end)) throw wrong('has a value outside of its shape');
    });
  }

  #read(range: ByteRange, depth: number): Draft {
    const draft = new Draft();
    const once = new Once();
    this.#walker.walk(range, depth, (field) => {
      const { number } = field;
      if (number === 1) this.#dims(field, draft.dims);
      else if (number === 2 && field.wire === 'varint') {
        once.see(number, 'the type of a tensor');
        draft.type = Number(field.value);
      } else if (number === 14 && field.wire === 'varint') {
        once.see(number, 'the place of a tensor');
        draft.place = field.value;
      } else if (number === 3 && field.wire === 'bytes') throw onnxCorrupt('a tensor is one of several segments');
      else if (number === 8 && field.wire === 'bytes') {
        once.see(number, 'the name of a tensor');
        draft.name = this.#walker.text(field.range, TENSOR_NAME_LENGTH_MAX);
      } else if (number === RAW_DATA && field.wire === 'bytes') {
        once.see(number, 'the bytes of a tensor');
        draft.raw = field.range;
      } else if (number === 13 && field.wire === 'bytes') {
        draft.external ??= new Map();
        this.#externalEntry(field.range, depth + 1, draft.external);
      } else if (LISTS.has(number)) this.#list(field, draft);
    });
    return draft;
  }

  #dims(field: ProtoField, dims: bigint[]): void {
    if (field.wire === 'varint') dims.push(BigInt.asIntN(64, field.value));
    else if (field.wire === 'bytes') dims.push(...this.#walker.packed(field.range, TENSOR_RANK_MAX));
    if (dims.length > TENSOR_RANK_MAX) throw onnxCorrupt('a tensor has too many dimensions');
  }

  #list(field: ProtoField, { lists, listedAt }: Draft): void {
    const listed = lists.get(field.number) ?? { least: 0, most: 0 };
    lists.set(field.number, listed);
    if (field.wire !== 'bytes' || field.number === STRING_DATA) {
      listed.least++;
      listed.most++;
      return;
    }
    const length = field.range.end - field.range.start;
    const width = WIDTHS.get(field.number);
    if (width !== undefined) {
      if (length % width !== 0) throw onnxCorrupt('a tensor lists half a number');
      listed.least += length / width;
      listed.most += length / width;
    } else if (length <= COUNTED_BYTES_MAX) {
      let count = 0;
      for (const byte of this.#walker.bytes([field.range])) if (byte < 0x80) count++;
      listed.least += count;
      listed.most += count;
    } else {
      listed.least += Math.ceil(length / 10);
      listed.most += length;
    }
    if (length <= 10 * VALUES_MAX) listedAt.push(field.range);
  }

  /** StringStringEntryProto. */
  #externalEntry(range: ByteRange, depth: number, entries: Map<string, string>): void {
    const once = new Once();
    let key = '';
    let value = '';
    this.#walker.walk(range, depth, (field) => {
      if (field.wire !== 'bytes' || field.number > 2) return;
      once.see(field.number, 'a key of external data');
      const text = this.#walker.text(field.range, TENSOR_NAME_LENGTH_MAX);
      if (field.number === 1) key = text;
      else value = text;
    });
    if (entries.has(key)) throw onnxCorrupt(`external data has ${quoted(key)} twice`);
    if (!EXTERNAL_KEYS.has(key) && !key.startsWith(PREPACKED)) {
      throw onnxCorrupt(`external data has the unknown key ${quoted(key)}`);
    }
    entries.set(key, value);
  }

  /** @param bytes of the tensor; undefined when they are not looked at */
  #checkPlace(draft: Draft, location: string, bytes: number | undefined): void {
    const sizeBytes = this.#sizeOf(location);
    if (!this.#checks.has('extents')) return;
    const number = (key: string): number | undefined => {
      const text = draft.external?.get(key);
      if (text === undefined) return undefined;
      if (!/^\d{1,16}$/.test(text)) throw lie(draft, `has the ${key} ${quoted(text)}`);
      return Number(text);
    };
    const offset = number('offset') ?? 0;
    const length = number('length') ?? bytes ?? 0;
    if (bytes !== undefined && length !== bytes) {
      throw lie(draft, `takes ${bytes} bytes, and its external data is ${length} long`);
    }
    if (offset + length > sizeBytes) throw lie(draft, `goes beyond the end of ${quoted(location)}`);
  }

  #checkBytes(draft: Draft, elements: number, bytes: number | undefined): void {
    if (draft.raw !== undefined) {
      if (draft.lists.size > 0) throw lie(draft, 'has its bytes in two places');
      const length = draft.raw.end - draft.raw.start;
      if (length !== bytes) throw lie(draft, `takes ${bytes ?? 'no'} bytes, and has ${length}`);
      return;
    }
    if (draft.lists.size > 1) throw lie(draft, 'has its elements in two places');
    const [[field, listed] = [0, { least: 0, most: 0 }]] = draft.lists;
    if (draft.lists.size > 0 && LISTS.get(field)?.has(draft.type) !== true)
      throw lie(draft, 'lists elements of another type');
    const wanted = listedFor(draft.type, elements);
    if (wanted < listed.least || wanted > listed.most) throw lie(draft, `should list ${wanted} numbers, and does not`);
  }

  #valuesOf(draft: Draft, elements: number): readonly number[] | undefined {
    if (elements === 0 || elements > VALUES_MAX) return undefined;
    if (draft.type === INT64) return this.#int64(draft, elements).map(Number);
    const { type, raw, listedAt } = draft;
    if (raw === undefined) {
      return type === 6 && listedAt.length > 0
        ? listedAt.flatMap((range) => this.#walker.packed(range, VALUES_MAX).map(Number))
        : undefined;
    }
    const bytes = this.#walker.bytes([raw]);
    const view = new DataView(bytes.buffer);
    const each = (size: number, read: (at: number) => number): number[] =>
      Array.from({ length: elements }, (_, index) => read(index * size));
    if (type === 6) return each(4, (at) => view.getInt32(at, true));
    if (type === 1) return each(4, (at) => view.getFloat32(at, true));
    if (type === 11) return each(8, (at) => view.getFloat64(at, true));
    return undefined;
  }

  /** Every element of a tensor of whole numbers in the file, whose bytes were found to be as many. */
  #int64(draft: Draft, elements: number): bigint[] {
    if (draft.raw === undefined) return draft.listedAt.flatMap((range) => this.#walker.packed(range, elements));
    const bytes = this.#walker.bytes([draft.raw]);
    const view = new DataView(bytes.buffer);
    return Array.from({ length: elements }, (_, index) => view.getBigInt64(8 * index, true));
  }
}

const lie = ({ name }: Draft, what: string): Error => onnxCorrupt(`the tensor ${quoted(name)} ${what}`);

/** Elements of these dimensions. @throws WeftError for a negative one, an overflow, or 2^31 and more */
function countOf(dims: readonly bigint[], what: string): number {
  let count = 1;
  let empty = false;
  for (const dim of dims) {
    if (dim < 0n) throw onnxCorrupt(`${what} has a negative dimension`);
    if (dim > BigInt(ONNX_ELEMENTS_MAX)) throw onnxCorrupt(`${what} has 2^31 elements or more`);
    if (dim === 0n) empty = true;
    else count *= Number(dim);
    // Also with a zero elsewhere: what multiplies in another order must not overflow.
    if (count > ONNX_ELEMENTS_MAX) throw onnxCorrupt(`${what} has 2^31 elements or more`);
  }
  return empty ? 0 : count;
}

const elementsOf = (draft: Draft): number => countOf(draft.dims, `the tensor ${quoted(draft.name)}`);

/** Bytes of that many elements; undefined for strings. */
function bytesOf(draft: Draft, elements: number): number | undefined {
  if (draft.type === STRING) return undefined;
  const bits = BITS.get(draft.type);
  if (bits === undefined) throw lie(draft, `is of element type ${draft.type}, which ONNX lacks`);
  return Math.ceil((elements * bits) / 8);
}

/** Numbers that a list of that many elements has: complex ones are two, those below a byte share one. */
function listedFor(type: number, elements: number): number {
  if (type === 14 || type === 15) return 2 * elements;
  const bits = BITS.get(type) ?? 8;
  return bits < 8 ? Math.ceil((elements * bits) / 8) : elements;
}
