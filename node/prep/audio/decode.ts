// A sound file → samples at the rate that a model takes, channels mixed. Knows WAV, MP3, FLAC and Ogg with Vorbis or Opus;
// decodes in small pieces, so that a file that unpacks to hours is given up after the most that is taken.
import { FLACDecoder } from '@wasm-audio-decoders/flac';
import { OggVorbisDecoder } from '@wasm-audio-decoders/ogg-vorbis';
import { MPEGDecoder } from 'mpg123-decoder';
import { OggOpusDecoder } from 'ogg-opus-decoder';
import { WeftError } from '../../../protocol/errors.ts';
import {
  CHANNELS_MAX,
  MP3_BYTES_PER_PIECE,
  PACKED_BYTES_PER_PIECE,
  SAMPLE_RATE_MAX,
  SAMPLE_RATE_MIN,
} from '../limits.ts';
import { mixed, type Piece } from './piece.ts';
import { Resampler } from './resample.ts';
import { decodeWav, isWav } from './wav.ts';

const refuse = (message: string, remedy?: string): WeftError =>
  new WeftError({ code: 'bad_request', message, ...(remedy !== undefined && { remedy }), facts: { param: 'file' } });

/**
 * @param init.secondsMax longer sounds are refused
 * @returns mono samples at `sampleRate`
 * @throws WeftError `bad_request` for a file that is no sound, of an unknown kind, empty, or too long
 */
export async function decodeSound(
  bytes: Uint8Array,
  init: { readonly sampleRate: number; readonly secondsMax: number },
): Promise<Float32Array> {
  const { sampleRate, secondsMax } = init;
  const pieces: Float32Array[] = [];
  let length = 0;
  let resampler: Resampler | undefined;
  let rate = 0;
  const keep = (samples: Float32Array): void => {
    pieces.push(samples);
    length += samples.length;
    if (length > secondsMax * sampleRate) throw refuse(`The sound is longer than the ${secondsMax} s that are taken.`);
  };
  for await (const piece of decoderOf(bytes)) {
    if (piece.mono.length === 0) continue;
    if (piece.sampleRate !== rate) {
      if (resampler !== undefined) keep(resampler.flush());
      rate = piece.sampleRate;
      checkRate(rate);
      resampler = rate === sampleRate ? undefined : new Resampler({ from: rate, to: sampleRate });
    }
    keep(resampler === undefined ? piece.mono : resampler.push(piece.mono));
  }
  if (resampler !== undefined) keep(resampler.flush());
  if (length === 0)
    throw refuse('No sound could be read from the file.', 'Send a file that plays, as WAV, MP3, FLAC or Ogg.');
  const samples = new Float32Array(length);
  let offset = 0;
  for (const piece of pieces) {
    samples.set(piece, offset);
    offset += piece.length;
  }
  return samples;
}

function checkRate(rate: number): void {
  if (Number.isInteger(rate) && rate >= SAMPLE_RATE_MIN && rate <= SAMPLE_RATE_MAX) return;
  throw refuse(`A sound of ${rate} samples a second is not taken: ${SAMPLE_RATE_MIN} to ${SAMPLE_RATE_MAX} are.`);
}

function decoderOf(bytes: Uint8Array): Iterable<Piece> | AsyncIterable<Piece> {
  if (isWav(bytes)) return decodeWav(bytes);
  if (begins(bytes, 'fLaC')) return packed(new FLACDecoder(), bytes, PACKED_BYTES_PER_PIECE);
  if (begins(bytes, 'OggS')) return ogg(bytes);
  const id3 = begins(bytes, 'ID3');
  if (id3 || (bytes[0] === 0xff && ((bytes[1] ?? 0) & 0xe0) === 0xe0)) {
    return packed(new MPEGDecoder(), bytes, MP3_BYTES_PER_PIECE);
  }
  throw refuse(
    'The file is none of the kinds of sound that are known: WAV, MP3, FLAC, Ogg Vorbis, Ogg Opus.',
    'Convert it, for instance with `ffmpeg -i FILE -ar 16000 -ac 1 out.wav`.',
  );
}

function ogg(bytes: Uint8Array): AsyncIterable<Piece> {
  // A header says how many channels every packet becomes, up to 255; one of few bytes would unpack to gigabytes.
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const opus = view.includes('OpusHead');
  const [magic, channelsAt] = opus ? ['OpusHead', 9] : ['\x01vorbis', 11];
  if (!opus && !view.includes(magic, 0, 'latin1')) throw refuse('The Ogg file holds neither Vorbis nor Opus.');
  for (let at = view.indexOf(magic, 0, 'latin1'); at >= 0; at = view.indexOf(magic, at + 1, 'latin1')) {
    const channels = view[at + channelsAt] ?? 0;
    if (channels < 1 || channels > CHANNELS_MAX) throw refuse(`The Ogg file has ${channels} channels.`);
  }
  return packed(opus ? new OggOpusDecoder() : new OggVorbisDecoder(), bytes, PACKED_BYTES_PER_PIECE);
}

/** What the decoders of packed sound have in common. */
interface Decoder {
  readonly ready: Promise<void>;
  decode(bytes: Uint8Array): Decoded | Promise<Decoded>;
  flush?(): Promise<Decoded>;
  free(): void;
}

interface Decoded {
  readonly channelData: readonly Float32Array[];
  readonly samplesDecoded: number;
  readonly sampleRate: number;
}

async function* packed(decoder: Decoder, bytes: Uint8Array, bytesPerPiece: number): AsyncGenerator<Piece> {
  const pieceOf = ({ channelData, samplesDecoded, sampleRate }: Decoded): Piece => ({
    mono: mixed(channelData, Math.max(0, samplesDecoded)),
    sampleRate,
  });
  try {
    await decoder.ready;
    for (let at = 0; at < bytes.length; at += bytesPerPiece) {
      yield pieceOf(await decoder.decode(bytes.subarray(at, at + bytesPerPiece)));
    }
    if (decoder.flush !== undefined) yield pieceOf(await decoder.flush());
  } catch (cause) {
    if (cause instanceof WeftError) throw cause;
    throw new WeftError(
      { code: 'bad_request', message: 'The sound could not be decoded.', facts: { param: 'file' } },
      { cause },
    );
  } finally {
    decoder.free();
  }
}

const begins = (bytes: Uint8Array, text: string): boolean =>
  [...text].every((character, index) => bytes[index] === character.charCodeAt(0));
