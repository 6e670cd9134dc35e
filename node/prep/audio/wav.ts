// WAV files → samples: PCM of 8, 16, 24 and 32 bits and floats, in pieces. Whatever a file says of lengths, nothing
// beyond its bytes is read. RIFF as in Microsoft's "Multimedia Programming Interface and Data Specifications 1.0".
import { WeftError } from '../../../protocol/errors.ts';
import { CHANNELS_MAX } from '../limits.ts';
import type { Piece } from './piece.ts';

const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;

/** Frames (one sample of every channel) that are read at a time. */
const FRAMES_PER_PIECE = 1 << 15;

interface Format {
  readonly encoding: number;
  readonly channels: number;
  readonly sampleRate: number;
  readonly bits: number;
}

const refuse = (message: string): WeftError =>
  new WeftError({ code: 'bad_request', message, facts: { param: 'file' } });

const text = (bytes: Uint8Array, at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4));

/** True for a file that begins as a WAV file does. */
export const isWav = (bytes: Uint8Array): boolean => text(bytes, 0) === 'RIFF' && text(bytes, 8) === 'WAVE';

/** @throws WeftError `bad_request` for a file without sound, or of a kind that isn't known */
export function* decodeWav(bytes: Uint8Array): Generator<Piece> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let format: Format | undefined;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const name = text(bytes, at);
    // A stream's writer, who doesn't know the length, says 0 or the most that there is: the rest is sound then.
    const said = view.getUint32(at + 4, true);
    const from = at + 8;
    const rest = bytes.length - from;
    if (name === 'fmt ') format = readFormat(view, from, Math.min(said, rest));
    if (name === 'data') {
      if (format === undefined) throw refuse('The WAV file says nothing of its format before its sound.');
      yield* samples(view, from, said === 0 ? rest : Math.min(said, rest), format);
      return;
    }
    // Chunks lie on even addresses.
    at = from + said + (said % 2);
  }
  throw refuse('The WAV file holds no sound.');
}

function readFormat(view: DataView, at: number, length: number): Format {
  if (length < 16) throw refuse("The WAV file's format is cut short.");
  const tag = view.getUint16(at, true);
  const format = {
    // The extensible form says the encoding in the first bytes of a GUID.
    encoding: tag === EXTENSIBLE && length >= 26 ? view.getUint16(at + 24, true) : tag,
    channels: view.getUint16(at + 2, true),
    sampleRate: view.getUint32(at + 4, true),
    bits: view.getUint16(at + 14, true),
  };
  const { encoding, channels, bits } = format;
  const known = encoding === PCM ? [8, 16, 24, 32] : encoding === FLOAT ? [32, 64] : [];
  if (!known.includes(bits)) throw refuse(`WAV files of encoding ${encoding} with ${bits} bits are not known.`);
  if (channels < 1 || channels > CHANNELS_MAX) throw refuse(`The WAV file has ${channels} channels.`);
  return format;
}

function* samples(view: DataView, from: number, length: number, format: Format): Generator<Piece> {
  const { channels, sampleRate } = format;
  const width = format.bits / 8;
  const read = reader(view, format);
  const frames = Math.floor(length / (width * channels));
  for (let frame = 0; frame < frames; frame += FRAMES_PER_PIECE) {
    const count = Math.min(FRAMES_PER_PIECE, frames - frame);
    const mono = new Float32Array(count);
    let at = from + frame * width * channels;
    for (let index = 0; index < count; index++) {
      let sum = 0;
      for (let channel = 0; channel < channels; channel++, at += width) sum += read(at);
      mono[index] = sum / channels;
    }
    yield { mono, sampleRate };
  }
}

/** Reads one sample, full scale as 1. */
function reader(view: DataView, { encoding, bits }: Format): (at: number) => number {
  if (encoding === FLOAT) {
    const float = bits === 32 ? (at: number) => view.getFloat32(at, true) : (at: number) => view.getFloat64(at, true);
    return (at) => {
      const value = float(at);
      // Half a spectrum of NaN would make all of it NaN.
      return Number.isFinite(value) ? value : 0;
    };
  }
  // Samples of 8 bits are the only ones without a sign.
  if (bits === 8) return (at) => (view.getUint8(at) - 128) / 128;
  if (bits === 16) return (at) => view.getInt16(at, true) / 2 ** 15;
  if (bits === 24) return (at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 2 ** 16) / 2 ** 23;
  return (at) => view.getInt32(at, true) / 2 ** 31;
}
