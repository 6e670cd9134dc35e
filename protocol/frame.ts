// Frames: how messages and tensors lie on a byte stream, between peers and to runners alike.
//
//   offset 0   u8    0x57 "W"
//          1   u8    format version, 1
//          2   u16   reserved, 0
//          4   u32   header length, little-endian (≤ HEADER_BYTES_MAX)
//          8   u32   body length, little-endian (≤ FRAME_BODY_BYTES_MAX)
//         12         header: protobuf `weft.v1.Header`
//                    body: tensor bytes, each tensor starting at a multiple of 8 within its message
//
// A message whose tensors exceed one frame goes on in `more` frames of the same call.
import { toWeftError, WeftError } from './errors.ts';
import { type FrameHeader, type HeaderKind, readHeader, type TensorInfo, writeHeader } from './header.ts';
import {
  FRAME_BODY_BYTES_MAX,
  HEADER_BYTES_MAX,
  MESSAGE_BYTES_MAX,
  TENSOR_NAME_LENGTH_MAX,
  TENSORS_MAX,
} from './limits.ts';
import { byteLength, checkTensor, dataTypeName, elementCount, type NamedTensor } from './tensor.ts';
import { NO_TENSORS } from './wire.ts';

export type { FrameHeader, HeaderKind, TensorInfo } from './header.ts';

/** First byte of every frame. */
export const FRAME_MAGIC = 0x57;
/** Version of the layout above. */
export const FRAME_VERSION = 1;
/** Bytes before the header. */
export const FRAME_PREFIX_BYTES = 12;

/** Below this, a frame is copied into one buffer: one write costs more than 64 KiB of memcpy. */
const COPY_BELOW_BYTES = 64 << 10;
const ALIGNMENT = 8;
const PADDING = new Uint8Array(ALIGNMENT);

const invalid = (message: string): WeftError => new WeftError({ code: 'frame_invalid', message });
const tooLarge = (bytesMax: number): WeftError =>
  new WeftError({ code: 'tensor_invalid', message: `The tensors of the message take more than ${bytesMax} bytes.` });
const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/**
 * Lays a message out as frames.
 * @param bytesMax bound on its tensors, padding included
 * @returns for each frame the pieces to write one after the other; large pieces are views of the tensors' own memory,
 *   which must not change until they are written
 * @throws WeftError `tensor_invalid` when bytes and shape disagree or there are too many, `frame_invalid` when the header
 *   is too large
 */
export function encodeFrames(
  callId: number,
  kind: HeaderKind,
  tensors: readonly NamedTensor[] = NO_TENSORS,
  bytesMax: number = MESSAGE_BYTES_MAX,
): Uint8Array[][] {
  if (tensors.length > TENSORS_MAX) throw invalid(`${tensors.length} tensors are above the limit of ${TENSORS_MAX}.`);
  let bodyBytes = 0;
  for (const tensor of tensors) {
    checkTensor(tensor);
    bodyBytes += aligned(tensor.data.byteLength);
  }
  if (bodyBytes > bytesMax) throw tooLarge(bytesMax);
  const copied = bodyBytes < COPY_BELOW_BYTES;
  const { bytes, end } = writeHeader(callId, kind, tensors, {
    before: FRAME_PREFIX_BYTES,
    behind: copied ? bodyBytes : 0,
  });
  const headerBytes = end - FRAME_PREFIX_BYTES;
  if (headerBytes > HEADER_BYTES_MAX) throw invalid(`A header of ${headerBytes} bytes is above the limit.`);
  if (copied) {
    writePrefix(bytes, headerBytes, bodyBytes);
    let offset = end;
    for (const { data } of tensors) {
      bytes.set(data, offset);
      offset += aligned(data.byteLength);
    }
    return [[bytes.subarray(0, offset)]];
  }

  const frames: Uint8Array[][] = [];
  let left = bodyBytes;
  let room = Math.min(left, FRAME_BODY_BYTES_MAX);
  writePrefix(bytes, headerBytes, room);
  let frame = [bytes.subarray(0, end)];
  frames.push(frame);
  const put = (piece: Uint8Array): void => {
    let from = 0;
    while (from < piece.byteLength) {
      if (room === 0) {
        room = Math.min(left, FRAME_BODY_BYTES_MAX);
        frame = [continuation(callId, room)];
        frames.push(frame);
      }
      const taken = Math.min(room, piece.byteLength - from);
      frame.push(piece.subarray(from, from + taken));
      from += taken;
      room -= taken;
      left -= taken;
    }
  };
  for (const { data } of tensors) {
    put(data);
    put(PADDING.subarray(0, aligned(data.byteLength) - data.byteLength));
  }
  return frames;
}

/** Prefix and header of a frame that goes on with a message. */
function continuation(callId: number, bodyBytes: number): Uint8Array {
  const room = { before: FRAME_PREFIX_BYTES, behind: 0 };
  const { bytes, end } = writeHeader(callId, { case: 'more', value: {} }, NO_TENSORS, room);
  writePrefix(bytes, end - FRAME_PREFIX_BYTES, bodyBytes);
  return bytes.subarray(0, end);
}

function writePrefix(target: Uint8Array, headerBytes: number, bodyBytes: number): void {
  const view = new DataView(target.buffer, target.byteOffset, FRAME_PREFIX_BYTES);
  view.setUint8(0, FRAME_MAGIC);
  view.setUint8(1, FRAME_VERSION);
  view.setUint32(4, headerBytes, true);
  view.setUint32(8, bodyBytes, true);
}

/** What a {@link FrameReader} hands on. Pieces of the body are views that hold only during the call. */
export interface FrameSink {
  header(header: FrameHeader, bodyBytes: number): void;
  body(piece: Uint8Array): void;
}

/**
 * Takes frames apart as bytes come in, in pieces of any size, without holding a body: pieces go to the sink at once.
 * Memory held is at most one header, and never more than twice what came of it.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  /** Prefix and header of a frame that came in pieces; `#held` bytes of it are here. */
  #head = new Uint8Array(64);
  #held = 0;
  #bodyLeft = 0;
  #broken: WeftError | undefined;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** True between frames: the end of the stream is clean only here. */
  get atFrameBoundary(): boolean {
    return this.#held === 0 && this.#bodyLeft === 0;
  }

  /**
   * @param chunk must not change afterwards: the bytes fields of headers are views of it
   * @throws WeftError `frame_invalid`, or what the sink throws; the link is of no use afterwards, and every further push
   *   throws the same
   */
  push(chunk: Uint8Array): void {
    if (this.#broken !== undefined) throw this.#broken;
    try {
      this.#take(chunk);
    } catch (error) {
      this.#broken = toWeftError(error);
      this.#head = new Uint8Array(0);
      throw this.#broken;
    }
  }

  #take(chunk: Uint8Array): void {
    let offset = 0;
    while (offset < chunk.byteLength) {
      if (this.#bodyLeft > 0) {
        const taken = Math.min(this.#bodyLeft, chunk.byteLength - offset);
        this.#bodyLeft -= taken;
        this.#sink.body(chunk.subarray(offset, offset + taken));
        offset += taken;
        continue;
      }
      const available = chunk.byteLength - offset;
      if (this.#held === 0 && available >= FRAME_PREFIX_BYTES) {
        const headBytes = FRAME_PREFIX_BYTES + readPrefix(chunk, offset).headerBytes;
        if (available >= headBytes) {
          this.#open(chunk.subarray(offset, offset + headBytes));
          offset += headBytes;
          continue;
        }
      }
      offset += this.#hold(chunk.subarray(offset));
    }
  }

  /** Keeps what is missing of prefix and header. @returns how many bytes it took */
  #hold(bytes: Uint8Array): number {
    const wanted =
      this.#held < FRAME_PREFIX_BYTES ? FRAME_PREFIX_BYTES : FRAME_PREFIX_BYTES + readPrefix(this.#head, 0).headerBytes;
    const taken = Math.min(wanted - this.#held, bytes.byteLength);
    const held = this.#held + taken;
    if (held > this.#head.byteLength) {
      // Doubled, so that a header in many small pieces is copied twice at most on average.
      const grown = new Uint8Array(Math.min(wanted, Math.max(held, 2 * this.#head.byteLength)));
      grown.set(this.#head.subarray(0, this.#held));
      this.#head = grown;
    }
    this.#head.set(bytes.subarray(0, taken), this.#held);
    this.#held = held;
    if (held < FRAME_PREFIX_BYTES) return taken;
    if (held === FRAME_PREFIX_BYTES + readPrefix(this.#head, 0).headerBytes) {
      const head = this.#head.subarray(0, held);
      this.#head = new Uint8Array(64);
      this.#held = 0;
      this.#open(head);
    }
    return taken;
  }

  #open(head: Uint8Array): void {
    const { bodyBytes } = readPrefix(head, 0);
    const header = readHeader(head.subarray(FRAME_PREFIX_BYTES));
    this.#bodyLeft = bodyBytes;
    this.#sink.header(header, bodyBytes);
  }
}

function readPrefix(bytes: Uint8Array, offset: number): { headerBytes: number; bodyBytes: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, FRAME_PREFIX_BYTES);
  if (view.getUint8(0) !== FRAME_MAGIC) throw invalid('The bytes are not a Weft frame.');
  if (view.getUint8(1) !== FRAME_VERSION) throw invalid(`Frame format ${view.getUint8(1)} is not known here.`);
  if (view.getUint16(2, true) !== 0) throw invalid('A reserved field of the frame is in use.');
  const headerBytes = view.getUint32(4, true);
  const bodyBytes = view.getUint32(8, true);
  if (headerBytes > HEADER_BYTES_MAX) throw invalid(`A header of ${headerBytes} bytes is above the limit.`);
  if (bodyBytes > FRAME_BODY_BYTES_MAX) throw invalid(`A body of ${bodyBytes} bytes is above the limit.`);
  return { headerBytes, bodyBytes };
}

/**
 * Collects the tensors of one message over its frames. The memory for all of them is taken once, when the first byte
 * comes and every size has been checked; the views that it gives are aligned.
 */
export class TensorAssembler {
  readonly #layout: {
    readonly name: string;
    readonly type: NamedTensor['type'];
    readonly dims: number[];
    readonly offset: number;
    readonly bytes: number;
  }[] = [];
  readonly #bytes: number;
  #memory: Uint8Array | undefined;
  #filled = 0;
  #discarded = false;

  /** @throws WeftError `tensor_invalid` or `frame_invalid` before anything is allocated */
  constructor(infos: readonly TensorInfo[], bytesMax: number = MESSAGE_BYTES_MAX) {
    if (infos.length > TENSORS_MAX) throw invalid(`${infos.length} tensors are above the limit of ${TENSORS_MAX}.`);
    let total = 0;
    const names = new Set<string>();
    for (const info of infos) {
      if (info.name.length > TENSOR_NAME_LENGTH_MAX) throw invalid('A tensor name is too long.');
      if (names.has(info.name)) throw invalid(`Two tensors are named "${info.name}".`);
      names.add(info.name);
      const type = dataTypeName(info.dataType);
      const dims = [...info.dims];
      const bytes = info.byteLength;
      const expected = byteLength(type, dims, bytesMax);
      if (!Number.isSafeInteger(bytes) || bytes > bytesMax || (expected !== undefined && bytes !== expected)) {
        throw new WeftError({
          code: 'tensor_invalid',
          message: `"${info.name}", ${type} [${dims.join(', ')}], needs ${expected ?? `at most ${bytesMax}`} bytes, but says ${bytes}.`,
        });
      }
      // A string takes at least its length field: a count that the bytes can't hold is refused before allocation.
      if (expected === undefined && elementCount(dims) * 4 > bytes) {
        throw new WeftError({ code: 'tensor_invalid', message: `"${info.name}" can't hold its strings.` });
      }
      this.#layout.push({ name: info.name, type, dims, offset: total, bytes });
      total += aligned(bytes);
      if (total > bytesMax) throw tooLarge(bytesMax);
    }
    this.#bytes = total;
  }

  /** Bytes that are still to come. */
  get missing(): number {
    return this.#bytes - this.#filled;
  }

  /** Takes the next piece of the body. @throws WeftError `frame_invalid` when more comes than was declared */
  write(piece: Uint8Array): void {
    if (piece.byteLength > this.missing) throw invalid('More tensor bytes came than the header declares.');
    if (!this.#discarded) {
      this.#memory ??= new Uint8Array(this.#bytes);
      this.#memory.set(piece, this.#filled);
    }
    this.#filled += piece.byteLength;
  }

  /** Nobody wants these tensors any more: gives the memory back, and only counts what still comes. */
  discard(): void {
    this.#discarded = true;
    this.#memory = undefined;
  }

  /** The tensors, as views of one buffer. @throws WeftError when bytes are missing or strings are malformed */
  finish(): NamedTensor[] {
    if (this.missing > 0) throw invalid(`${this.missing} tensor bytes are missing.`);
    if (this.#discarded) throw new Error('Invariant broken: discarded tensors are not asked for');
    const memory = this.#memory ?? new Uint8Array(0);
    return this.#layout.map(({ name, type, dims, offset, bytes }) => {
      const tensor = { name, type, dims, data: memory.subarray(offset, offset + bytes) };
      if (type === 'string') checkTensor(tensor);
      return tensor;
    });
  }
}
