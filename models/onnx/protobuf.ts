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

/** Opens a file as a source with one small window in memory, gives it to `use`, and closes it. Blocks on the disk. */
export function withFileSource<Result>(path: string, use: (source: ByteSource) => Result): Result {
  const file = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  try {
    const sizeBytes = fstatSync(file).size;
    const window = new Uint8Array(ONNX_WINDOW_BYTES);
    let start = 0;
    let end = 0;
    return use({
      sizeBytes,
      view(offset, length) {
        if (length > window.byteLength) throw onnxCorrupt('a name is longer than any should be');
        if (offset < start || offset + length > end) {
          start = offset;
          end = offset + readSync(file, window, 0, window.byteLength, offset);
        }
        return window.subarray(offset - start, Math.min(offset - start + length, end - start));
      },
    });
  } finally {
    closeSync(file);
  }
}

/** Walks the messages of one source, with one budget of fields for all of them. */
export class ProtoWalker {
  readonly #source: ByteSource;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  #fieldsLeft = FIELDS_MAX;
  #position = 0;

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
      const tag = this.#varint(range.end);
      const number = Number(tag >> 3n);
      if (number < 1 || number > 0x1fff_ffff) throw onnxCorrupt('a field number is out of range');
      const field = this.#field({ number, start: position }, Number(tag & 7n), range.end);
      position = this.#position;
      visit(field);
    }
  }

  /** The text in that range. @throws WeftError `model_corrupt` when it is longer than `bytesMax` or not UTF-8 */
  text(range: ByteRange, bytesMax: number): string {
    const length = range.end - range.start;
    if (length > bytesMax) throw onnxCorrupt(`a name has ${length} bytes`);
    try {
      return this.#decoder.decode(this.#source.view(range.start, length));
    } catch {
      throw onnxCorrupt('a name is not UTF-8');
    }
  }

  /** A copy of the bytes in these ranges, one behind the other. The caller bounds their number. */
  bytes(ranges: readonly ByteRange[]): Uint8Array {
    const bytes = new Uint8Array(ranges.reduce((sum, { start, end }) => sum + end - start, 0));
    let written = 0;
    for (const { start, end } of ranges) {
      for (let position = start; position < end; ) {
        const part = this.#source.view(position, Math.min(end - position, ONNX_WINDOW_BYTES));
        if (part.byteLength === 0) throw onnxCorrupt('it became shorter while it was read');
        bytes.set(part, written);
        written += part.byteLength;
        position += part.byteLength;
      }
    }
    return bytes;
  }

  /** Reads what follows a tag and moves behind it. */
  #field(at: { readonly number: number; readonly start: number }, wire: number, end: number): ProtoField {
    switch (wire) {
      case 0:
        return { ...at, wire: 'varint', value: this.#varint(end) };
      case 1:
        this.#skip(8, end);
        return { ...at, wire: 'fixed', bits: 64 };
      case 2: {
        const length = this.#varint(end);
        const start = this.#position;
        // Compared as BigInt: a length of 2^63 must not become a number that happens to fit.
        if (length > BigInt(end - start)) throw onnxCorrupt('a length goes beyond the end of what holds it');
        this.#position = start + Number(length);
        return { ...at, wire: 'bytes', range: { start, end: this.#position } };
      }
      case 5:
        this.#skip(4, end);
        return { ...at, wire: 'fixed', bits: 32 };
      default:
        throw onnxCorrupt(`wire type ${wire} is not one of ONNX's`);
    }
  }

  #skip(bytes: number, end: number): void {
    if (this.#position + bytes > end) throw onnxCorrupt('it ends within a field');
    this.#position += bytes;
  }

  #varint(end: number): bigint {
    const bytes = this.#source.view(this.#position, Math.min(10, end - this.#position));
    let low = 0;
    for (let index = 0; index < bytes.byteLength; index++) {
      const byte = bytes[index] as number;
      // Tags and lengths of small messages fit 28 bits: no BigInt arithmetic on the usual way.
      if (index < 4) {
        low |= (byte & 0x7f) << (7 * index);
        if (byte < 0x80) {
          this.#position += index + 1;
          return BigInt(low);
        }
      } else if (byte < 0x80) {
        return this.#longVarint(bytes.subarray(0, index + 1));
      }
    }
    throw onnxCorrupt('a number has no end');
  }

  #longVarint(bytes: Uint8Array): bigint {
    let value = 0n;
    for (let index = bytes.byteLength - 1; index >= 0; index--)
      value = (value << 7n) | BigInt((bytes[index] ?? 0) & 0x7f);
    if (value > 0xffff_ffff_ffff_ffffn) throw onnxCorrupt('a number has more than 64 bits');
    this.#position += bytes.byteLength;
    return value;
  }
}
