// Protobuf by hand, for the few messages that every call sends: the same bytes as the library's, by straight-line code.
// Between two calls the processor's caches fill with a model's weights, and what runs then runs cold: the library's
// walk over descriptors costs several times what these few lines do (see docs/decisions/0005-flat-messages.md).
import { WeftError } from './errors.ts';

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** Bytes that a varint of up to 64 bits, with its tag, takes at most. */
export const FIELD_BYTES_MAX = 16;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const malformed = (): WeftError =>
  new WeftError({ code: 'frame_invalid', message: "A message's bytes are malformed." });

/** Writes fields one after the other into memory of its own or its caller's. Fields at their default are left out. */
export class FlatWriter {
  readonly bytes: Uint8Array;
  pos: number;

  /** @param bytes room for all that will be written, from `pos` on */
  constructor(bytes: Uint8Array, pos = 0) {
    this.bytes = bytes;
    this.pos = pos;
  }

  /** An unsigned whole number, at most 2^53 - 1. */
  uint(field: number, value: number): void {
    if (value === 0) return;
    this.varint((field << 3) | VARINT);
    this.varint(value);
  }

  uint64(field: number, value: bigint): void {
    if (value <= 0xffff_ffffn) {
      this.uint(field, Number(value));
      return;
    }
    this.varint((field << 3) | VARINT);
    let rest = BigInt.asUintN(64, value);
    while (rest > 0x7fn) {
      this.bytes[this.pos++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.bytes[this.pos++] = Number(rest);
  }

  bool(field: number, value: boolean): void {
    this.uint(field, value ? 1 : 0);
  }

  double(field: number, value: number): void {
    // Minus zero is not the default.
    if (Object.is(value, 0)) return;
    this.varint((field << 3) | FIXED64);
    new DataView(this.bytes.buffer, this.bytes.byteOffset + this.pos, 8).setFloat64(0, value, true);
    this.pos += 8;
  }

  /** One element of a packed list. */
  float(value: number): void {
    new DataView(this.bytes.buffer, this.bytes.byteOffset + this.pos, 4).setFloat32(0, value, true);
    this.pos += 4;
  }

  string(field: number, text: string): void {
    if (text === '') return;
    const start = this.open(field);
    this.pos += encoder.encodeInto(text, this.bytes.subarray(this.pos)).written;
    this.close(start);
  }

  data(field: number, bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return;
    this.varint((field << 3) | BYTES);
    this.varint(bytes.byteLength);
    this.bytes.set(bytes, this.pos);
    this.pos += bytes.byteLength;
  }

  /** Begins a submessage or packed list. @returns what {@link close} takes */
  open(field: number): number {
    this.varint((field << 3) | BYTES);
    return this.pos++;
  }

  /** Ends it: writes its length before it, and makes room where that takes more than the one byte kept for it. */
  close(start: number): void {
    let length = this.pos - start - 1;
    let extra = 0;
    for (let rest = length >>> 7; rest > 0; rest >>>= 7) extra++;
    if (extra > 0) {
      this.bytes.copyWithin(start + 1 + extra, start + 1, this.pos);
      this.pos += extra;
    }
    for (let at = start; at < start + extra; at++) {
      this.bytes[at] = (length & 0x7f) | 0x80;
      length >>>= 7;
    }
    this.bytes[start + extra] = length;
  }

  varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.bytes[this.pos++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.bytes[this.pos++] = rest;
  }
}

/** Reads fields one after the other. Every read checks that the bytes are there. @throws WeftError `frame_invalid` */
export class FlatReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #pos: number;
  #wireType = 0;

  constructor(bytes: Uint8Array, pos = 0, end = bytes.byteLength) {
    this.#bytes = bytes;
    this.#pos = pos;
    this.#end = end;
  }

  /** The number of the next field; 0 at the end. */
  next(): number {
    if (this.#pos === this.#end) return 0;
    const tag = this.#varint();
    this.#wireType = tag & 7;
    const field = tag >>> 3;
    if (field === 0 || tag > 0xffff_ffff) throw malformed();
    return field;
  }

  /** At most 2^53 - 1 is exact; what is above comes as a number above, never as a smaller one. */
  uint(): number {
    this.#expect(VARINT);
    return this.#varint();
  }

  /** All 64 bits. */
  uint64(): bigint {
    const at = this.#pos;
    const value = this.uint();
    if (value <= Number.MAX_SAFE_INTEGER) return BigInt(value);
    let exact = 0n;
    for (let byte = at; byte < this.#pos; byte++) {
      exact |= BigInt((this.#bytes[byte] as number) & 0x7f) << BigInt(7 * (byte - at));
    }
    return BigInt.asUintN(64, exact);
  }

  /** As a 32-bit field reads: the low 32 bits. */
  uint32(): number {
    return this.uint() % 0x1_0000_0000;
  }

  bool(): boolean {
    return this.uint() !== 0;
  }

  double(): number {
    this.#expect(FIXED64);
    const at = this.#skipBytes(8);
    return new DataView(this.#bytes.buffer, this.#bytes.byteOffset + at, 8).getFloat64(0, true);
  }

  string(): string {
    const bytes = this.data();
    // Ids and names are short and plain.
    if (bytes.byteLength <= 128) {
      let text = '';
      for (const byte of bytes) {
        if (byte > 0x7f) return decode(bytes);
        text += String.fromCharCode(byte);
      }
      return text;
    }
    return decode(bytes);
  }

  /** A view of the bytes. */
  data(): Uint8Array {
    this.#expect(BYTES);
    const length = this.#varint();
    const at = this.#skipBytes(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** A reader of the submessage. */
  message(): FlatReader {
    this.#expect(BYTES);
    const length = this.#varint();
    const at = this.#skipBytes(length);
    return new FlatReader(this.#bytes, at, at + length);
  }

  /** Appends a list of numbers, packed or one by one. @throws WeftError beyond `max` elements */
  uints(into: number[], max: number): void {
    if (this.#wireType === VARINT) {
      into.push(this.#varint());
    } else {
      const list = this.message();
      while (list.#pos < list.#end && into.length <= max) into.push(list.#varint());
    }
    if (into.length > max) throw malformed();
  }

  /** Appends a list of 32-bit floats, packed or one by one. @throws WeftError beyond `max` elements */
  floats(into: number[], max: number): void {
    if (this.#wireType === FIXED32) {
      into.push(this.#float());
    } else {
      const list = this.message();
      while (list.#pos < list.#end && into.length <= max) into.push(list.#float());
    }
    if (into.length > max) throw malformed();
  }

  /** Passes over a field that this version doesn't know. */
  skip(): void {
    if (this.#wireType === VARINT) this.#varint();
    else if (this.#wireType === FIXED64) this.#skipBytes(8);
    else if (this.#wireType === FIXED32) this.#skipBytes(4);
    else if (this.#wireType === BYTES) this.#skipBytes(this.#varint());
    else throw malformed();
  }

  #expect(wireType: number): void {
    if (this.#wireType !== wireType) throw malformed();
  }

  #skipBytes(length: number): number {
    const at = this.#pos;
    if (length > this.#end - at) throw malformed();
    this.#pos = at + length;
    return at;
  }

  #float(): number {
    const at = this.#skipBytes(4);
    return new DataView(this.#bytes.buffer, this.#bytes.byteOffset + at, 4).getFloat32(0, true);
  }

  #varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10; count++) {
      if (this.#pos >= this.#end) throw malformed();
      const byte = this.#bytes[this.#pos++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw malformed();
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new WeftError({ code: 'frame_invalid', message: 'A text in a message is not UTF-8.' }, { cause });
  }
}
