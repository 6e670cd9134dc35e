// A sound's spectra, window by window, as a speech model takes them; and the room that all sounds under way share.
// Used by speech recognition.
import type { SpeechSpec } from '../../models/manifest.ts';
import { WeftError } from '../../protocol/errors.ts';
import { type NamedTensor, tensorOf } from '../../protocol/tensor.ts';
import type { Spectrogram } from '../core/prep.ts';
import { SOUND_BYTES_HELD_MAX } from './limits.ts';

/** Counts what all sounds hold. */
export class SoundRoom {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(init: { readonly bytesMax?: number } = {}) {
    this.#bytesMax = init.bytesMax ?? SOUND_BYTES_HELD_MAX;
  }

  /** @returns what gives the room back @throws WeftError `overloaded` when there isn't as much */
  take(bytes: number): () => void {
    if (this.#bytes + bytes > this.#bytesMax) {
      throw new WeftError({ code: 'overloaded', message: 'Too many long sounds are being written down.' });
    }
    this.#bytes += bytes;
    return () => {
      this.#bytes -= bytes;
    };
  }
}

/** The window of a sound that begins at a frame, followed by silence: float32 [1, mel bins, frames]. */
export function windowOf(sound: Spectrogram, seek: number, { frames, melBins }: SpeechSpec): NamedTensor {
  const values = new Float32Array(melBins * frames).fill(sound.silence);
  const count = Math.min(frames, sound.frames - seek);
  for (let frame = 0; frame < count; frame++) {
    const from = (seek + frame) * melBins;
    for (let bin = 0; bin < melBins; bin++) values[bin * frames + frame] = sound.data[from + bin] as number;
  }
  return tensorOf('features', 'float32', [1, melBins, frames], values);
}
