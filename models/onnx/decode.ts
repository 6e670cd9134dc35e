// Turns ranges of an ONNX file into messages of the generated schema. The library's own decoder trusts wire types and
// takes as much memory as the bytes ask for, so each range is walked first: what passes cannot surprise it.
import { type DescField, type DescMessage, fromBinary, type MessageShape, ScalarType } from '@bufbuild/protobuf';
import { ONNX_HEAP_BYTES_MAX } from '../limits.ts';
import { type ByteRange, onnxCorrupt, type ProtoField, type ProtoWalker } from './protobuf.ts';

/** Rough sizes on the heap: messages of this schema have up to seven lists of their own, int64 are BigInts. */
const MESSAGE_BYTES = 512;
const SCALAR_BYTES = 32;
const TEXT_BYTES = 128;

type Fields = ReadonlyMap<number, DescField>;

/** Decodes messages of one file, with one budget of memory for all of them. */
export class MessageDecoder {
  readonly #walker: ProtoWalker;
  readonly #fields = new Map<DescMessage, Fields>();
  #heapBytesLeft = ONNX_HEAP_BYTES_MAX;

  constructor(walker: ProtoWalker) {
    this.#walker = walker;
  }

  /**
   * The message whose fields lie in these ranges, each of which begins and ends between two fields.
   * @param depth how many messages it lies in
   * @throws WeftError `model_corrupt` for bytes that are no such message, too many of them, or nesting without end
   */
  decode<Desc extends DescMessage>(schema: Desc, ranges: readonly ByteRange[], depth: number): MessageShape<Desc> {
    this.#charge(MESSAGE_BYTES);
    for (const range of ranges) this.#check(schema, range, depth);
    const bytes = this.#walker.bytes(ranges);
    try {
      return fromBinary(schema, bytes);
    } catch {
      throw onnxCorrupt(`what should be a ${schema.name} is none`);
    }
  }

  #check(desc: DescMessage, range: ByteRange, depth: number): void {
    const fields = this.#fieldsOf(desc);
    this.#walker.walk(range, depth, (field) => {
      const known = fields.get(field.number);
      if (known === undefined) {
        this.#charge(TEXT_BYTES + (field.wire === 'bytes' ? field.range.end - field.range.start : 0));
      } else if (field.wire !== 'bytes') {
        if (wireOf(known) !== (field.wire === 'fixed' ? field.bits : 'varint')) throw mistyped(known);
        this.#charge(SCALAR_BYTES);
      } else if (known.message !== undefined) {
        this.#charge(MESSAGE_BYTES);
        this.#check(known.message, field.range, depth + 1);
      } else if (wireOf(known) === 'bytes') {
        this.#charge(TEXT_BYTES + 2 * (field.range.end - field.range.start));
      } else {
        this.#packed(known, field);
      }
    });
  }

  /** Many numbers in one field. */
  #packed(known: DescField, { range }: Extract<ProtoField, { wire: 'bytes' }>): void {
    if (known.fieldKind !== 'list') throw mistyped(known);
    const wire = wireOf(known);
    const length = range.end - range.start;
    if (wire === 'varint') {
      this.#charge(TEXT_BYTES + SCALAR_BYTES * length);
      // A last number without an end would go on into the next field.
      const [last = 0] = this.#walker.bytes(length === 0 ? [] : [{ start: range.end - 1, end: range.end }]);
      if (last >= 0x80) throw mistyped(known);
    } else {
      const size = wire === 32 ? 4 : 8;
      this.#charge(TEXT_BYTES + SCALAR_BYTES * (length / size));
      if (length % size !== 0) throw mistyped(known);
    }
  }

  #charge(bytes: number): void {
    this.#heapBytesLeft -= bytes;
    if (this.#heapBytesLeft < 0) throw onnxCorrupt('there is too much in it beside its weights');
  }

  #fieldsOf(desc: DescMessage): Fields {
    let fields = this.#fields.get(desc);
    if (fields === undefined) {
      fields = new Map(desc.fields.map((field) => [field.number, field]));
      this.#fields.set(desc, fields);
    }
    return fields;
  }
}

const mistyped = (field: DescField): Error => onnxCorrupt(`the wire type of "${field.name}" is wrong`);

/** How one value of the field is written. */
function wireOf(field: DescField): 'varint' | 'bytes' | 32 | 64 {
  if (field.message !== undefined) return 'bytes';
  switch (field.scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return 'bytes';
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return 32;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return 64;
    default:
      return 'varint';
  }
}
