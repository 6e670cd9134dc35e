// Walks protobuf messages in a file of any size without loading it: fields come as numbers and byte ranges, and what
// nobody asks for (weights above all) is never read. Used by the ONNX reader beside it.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { WeftError } from '../../protocol/errors.ts';
import { ONNX_DEPTH_MAX, ONNX_WINDOW_BYTES } from '../limits.ts';

/** Bytes that can be looked at anywhere. */
export interface ByteSource {
  readonly sizeBytes: number;
  /** Up to `length` bytes from there, fewer at the end; valid until the next call. */
  view(offset: number, length: number): Uint8Array;
}

/** A part of the source, from `start` up to but not including `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** One field: a varint's value, the bytes of a length-delimited one, or the mere presence of a fixed-width one. */
export type ProtoField = {
  readonly number: number;
  /** Where its tag begins; it ends where the next field begins. */
  readonly start: number;
} & (
  | { readonly wire: 'varint'; readonly value: bigint }
  | { readonly wire: 'bytes'; readonly range: ByteRange }
  | { readonly wire: 'fixed'; readonly bits: 32 | 64 }
);

/**
 * Fields of one file, walked in all. Every field takes two bytes or more and real graphs have a few million of them;
 * a file made of nothing but tiny fields must not keep the reader busy for minutes.
 */
const FIELDS_MAX = 1 << 24;

/** An error for a file that isn't what it should be. */
export const onnxCorrupt = (what: string): WeftError =>
  new WeftError({
    code: 'model_corrupt',
    message: `The ONNX file is damaged or hostile: ${what}.`,
    remedy: 'Install the model again, from a source that you trust.',
  });

/** Bytes in memory as a source. */
export function memorySource(bytes: Uint8Array): ByteSource {
  return {
    sizeBytes: bytes.byteLength,
    view: (offset, length) => bytes.subarray(offset, Math.min(offset + length, bytes.byteLength)),
  };
}

/**
 * Opens a file as a source with one small window in memory, gives it to `use`, and closes it. Reads no more than is
 * asked for, give or take a page: what is stepped over stays on the disk. Blocks on the disk.
 * @throws WeftError `model_corrupt` for anything but a plain file
 */
export function withFileSource<Result>(path: string, use: (source: ByteSource) => Result): Result {
  // Not blocking: opening a pipe that nobody writes to would wait without end.
  const file = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) throw onnxCorrupt('it is no plain file');
    const window = new Uint8Array(ONNX_WINDOW_BYTES);
    let start = 0;
    let end = 0;
    return use({
      sizeBytes: stat.size,
      view(offset, length) {
        if (length > window.byteLength) throw onnxCorrupt('a name is longer than any should be');
        if (offset < start || offset + length > end) {
          start = offset;
          end = offset + readSync(file, window, 0, Math.max(length, PAGE_BYTES), offset);
        }
        return window.subarray(offset - start, Math.min(offset - start + length, end - start));
      },
    });
  } finally {
    closeSync(file);
  }
}

/** The least that is read of a file at a time. */
const PAGE_BYTES = 4 << 10;

/** What a walker looks at first behind something that it stepped over; twice as much each time that it goes on there. */
const FIRST_LOOK_BYTES = 256;

/** A varint of 64 bits. */
const VARINT_BYTES_MAX = 10;

/** Walks the messages of one source, with one budget of fields for all of them. One walker at a time per source. */
export class ProtoWalker {
  readonly #source: ByteSource;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  #fieldsLeft = FIELDS_MAX;
  #position = 0;
  /** Bytes of the source from `#windowStart` on. */
  #window: Uint8Array = EMPTY;
  #windowStart = 0;
  #lookBytes = FIRST_LOOK_BYTES;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /**
   * Calls back for every field of the message in that range, in order.
   * @param depth how many messages of the same kind this one lies in
   * @throws WeftError `model_corrupt` for a length beyond the message, an unknown wire type, or nesting without end
   */
  walk(range: ByteRange, depth: number, visit: (field: ProtoField) => void): void {
    if (depth > ONNX_DEPTH_MAX) throw onnxCorrupt('it is nested too deeply');
    let position = range.start;
    while (position < range.end) {
      if (--this.#fieldsLeft < 0) throw onnxCorrupt('it has too many fields');
      this.#position = position;
      const tag = this.#number(range.end);
      const number = Math.floor(tag / 8);
      if (number < 1 || number > 0x1fff_ffff) throw onnxCorrupt('a field number is out of range');
      const field = this.#field(number, position, tag % 8, range.end);
      position = this.#position;
      visit(field);
    }
  }

  /** The text in that range. @throws WeftError `model_corrupt` when it is longer than `bytesMax` or not UTF-8 */
  text(range: ByteRange, bytesMax: number): string {
    const length = range.end - range.start;
    if (length > bytesMax) throw onnxCorrupt(`a name has ${length} bytes`);
    try {
      return this.#decoder.decode(this.#view(range.start, length));
    } catch {
      throw onnxCorrupt('a name is not UTF-8');
    }
  }

  /** A copy of the bytes in these ranges, one behind the other. The caller bounds their number. */
  bytes(ranges: readonly ByteRange[]): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(ranges.reduce((sum, { start, end }) => sum + end - start, 0));
    let written = 0;
    for (const { start, end } of ranges) {
      for (let position = start; position < end; ) {
        const part = this.#view(position, Math.min(end - position, ONNX_WINDOW_BYTES));
        if (part.byteLength === 0) throw onnxCorrupt('it became shorter while it was read');
        bytes.set(part, written);
        written += part.byteLength;
        position += part.byteLength;
      }
    }
    return bytes;
  }

  /** The varints of a packed field, each as a signed 64-bit number. @throws WeftError for more than `countMax` */
  packed(range: ByteRange, countMax: number): bigint[] {
    const values: bigint[] = [];
    for (let position = range.start; position < range.end; position = this.#position) {
      if (values.length >= countMax) throw onnxCorrupt('a list has too many numbers');
      this.#position = position;
      values.push(BigInt.asIntN(64, this.#varint(range.end)));
    }
    return values;
  }

  /** Bytes of the source, without a look further ahead. */
  #view(offset: number, length: number): Uint8Array {
    const at = offset - this.#windowStart;
    if (at >= 0 && at + length <= this.#window.byteLength) return this.#window.subarray(at, at + length);
    // The source may use its memory again.
    this.#window = EMPTY;
    return this.#source.view(offset, length);
  }

  /** Reads what follows a tag and moves behind it. */
  #field(number: number, start: number, wire: number, end: number): ProtoField {
    switch (wire) {
      case 0:
        return { number, start, wire: 'varint', value: this.#varint(end) };
      case 1:
        this.#skip(8, end);
        return { number, start, wire: 'fixed', bits: 64 };
      case 2: {
        const length = this.#number(end);
        const from = this.#position;
        if (length > end - from) throw onnxCorrupt('a length goes beyond the end of what holds it');
        this.#position = from + length;
        return { number, start, wire: 'bytes', range: { start: from, end: this.#position } };
      }
      case 5:
        this.#skip(4, end);
        return { number, start, wire: 'fixed', bits: 32 };
      default:
        throw onnxCorrupt(`wire type ${wire} is not one of ONNX's`);
    }
  }

  #skip(bytes: number, end: number): void {
    if (this.#position + bytes > end) throw onnxCorrupt('it ends within a field');
    this.#position += bytes;
  }

  /** Has the bytes of the next varint in the window. @returns where it begins there */
  #look(end: number): number {
    const at = this.#position - this.#windowStart;
    const needed = Math.min(VARINT_BYTES_MAX, end - this.#position);
    if (at >= 0 && at + needed <= this.#window.byteLength) return at;
    const goesOn = at >= 0 && at <= this.#window.byteLength;
    this.#lookBytes = goesOn ? Math.min(2 * this.#lookBytes, ONNX_WINDOW_BYTES) : FIRST_LOOK_BYTES;
    const length = Math.min(this.#lookBytes, this.#source.sizeBytes - this.#position);
    this.#window = this.#source.view(this.#position, length);
    this.#windowStart = this.#position;
    return 0;
  }

  /** A tag or a length: exact up to 2^53, and never less than that for anything above. */
  #number(end: number): number {
    const at = this.#look(end);
    const count = Math.min(VARINT_BYTES_MAX, end - this.#position, this.#window.byteLength - at);
    let value = 0;
    let scale = 1;
    for (let index = 0; index < count; index++) {
      const byte = this.#window[at + index] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (index === 9 && byte > 1) throw onnxCorrupt('a number has more than 64 bits');
        this.#position += index + 1;
        return value;
      }
      scale *= 128;
    }
    throw onnxCorrupt('a number has no end');
  }

  #varint(end: number): bigint {
    const start = this.#position;
    const value = this.#number(end);
    if (value <= Number.MAX_SAFE_INTEGER) return BigInt(value);
    let exact = 0n;
    const at = start - this.#windowStart;
    for (let index = this.#position - start - 1; index >= 0; index--) {
      exact = (exact << 7n) | BigInt((this.#window[at + index] as number) & 0x7f);
    }
    return exact;
  }
}

const EMPTY = new Uint8Array();
