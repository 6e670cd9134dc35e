// Protobuf at the edge of a process: every message that comes in is read here, within bounds on time and memory.
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { WeftError } from './errors.ts';
import { MESSAGE_ELEMENTS_MAX } from './limits.ts';
import type { NamedTensor } from './tensor.ts';

/** A message as it travels: protobuf bytes, and tensors behind them. */
export interface Parts {
  readonly payload: Uint8Array;
  readonly tensors: readonly NamedTensor[];
}

/** Encodes and decodes one kind of message. `decode` throws WeftError `bad_request`, `frame_invalid` or `tensor_invalid`. */
export interface Codec<T> {
  encode(value: T): Parts;
  decode(parts: Parts): T;
}

/** For messages that carry none. */
export const NO_TENSORS: readonly NamedTensor[] = [];

const SUBMESSAGE_ELEMENTS = 4;

/** What a later version adds is passed over: nothing that was read is ever written again. */
const READ_OPTIONS = { readUnknownFields: false };

/**
 * Reads a protobuf message. Its bytes fields are views of `bytes`.
 * @throws WeftError `frame_invalid`
 */
export function readMessage<D extends DescMessage>(schema: D, bytes: Uint8Array): MessageShape<D> {
  try {
    // Fewer bytes can't hold that many elements, as each submessage takes a tag and a length.
    if ((bytes.byteLength / 2) * SUBMESSAGE_ELEMENTS > MESSAGE_ELEMENTS_MAX) {
      const count = countElements(schema, new BinaryReader(bytes), bytes.byteLength, 0);
      if (count > MESSAGE_ELEMENTS_MAX) throw new RangeError(`more than ${MESSAGE_ELEMENTS_MAX} elements`);
    }
    return fromBinary(schema, bytes, READ_OPTIONS);
  } catch (cause) {
    throw new WeftError({ code: 'frame_invalid', message: `The bytes are no ${schema.name}.` }, { cause });
  }
}

/** Writes a protobuf message. */
export function writeMessage<D extends DescMessage>(schema: D, init: MessageInitShape<D>): Uint8Array {
  return toBinary(schema, create(schema, init));
}

/**
 * What would be built of a message: submessages, strings, bytes, map entries and list elements, nested ones included.
 * Nothing is built here: a mebibyte of empty submessages would become half a million objects (116 MB, 1.4 s). Stops soon
 * after the limit.
 */
function countElements(desc: DescMessage, reader: BinaryReader, end: number, before: number): number {
  let count = before;
  while (reader.pos < end && count <= MESSAGE_ELEMENTS_MAX) {
    const [number, wireType] = reader.tag();
    const field = desc.fields.find((candidate) => candidate.number === number);
    if (field === undefined || wireType !== WireType.LengthDelimited) {
      reader.skip(wireType, number);
      if (field?.fieldKind === 'list') count++;
      continue;
    }
    const length = reader.uint32();
    const to = reader.pos + length;
    if (to > end) throw new RangeError('premature end');
    if (field.message !== undefined) {
      count = countElements(field.message, reader, to, count + SUBMESSAGE_ELEMENTS);
    } else {
      // Packed numbers take one byte each at least.
      count += field.fieldKind === 'list' && field.packed ? length : 1;
    }
    reader.pos = to;
  }
  return count;
}

/** A protobuf message as a plain object: without the names that the library adds. */
export type Plain<T> = T extends Uint8Array
  ? T
  : T extends readonly (infer Element)[]
    ? Plain<Element>[]
    : T extends object
      ? { [Key in keyof T as Key extends '$typeName' | '$unknown' ? never : Key]: Plain<T[Key]> }
      : T;

/** A codec whose values are the protobuf message's own fields (without tensors). */
export function messageCodec<D extends DescMessage>(schema: D): Codec<Plain<MessageShape<D>>> {
  return {
    encode: (value) => ({ payload: writeMessage(schema, value as MessageInitShape<D>), tensors: NO_TENSORS }),
    decode: (parts) => readMessage(schema, parts.payload) as Plain<MessageShape<D>>,
  };
}

/** A message with nothing in it. */
export const emptyCodec: Codec<void> = {
  encode: () => ({ payload: new Uint8Array(0), tensors: NO_TENSORS }),
  decode: () => undefined,
};
