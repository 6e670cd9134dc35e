// Samples → log-mel spectrogram, as WhisperFeatureExtractor of Hugging Face's transformers 4 makes it (and OpenAI's
// whisper/audio.py before it): Hann window, power spectrum, Slaney's mel filters, log10, the loudest 8 decades, scaled.
import type { SoundSpec, Spectrogram } from '../../core/prep.ts';
import { FourierTransform } from './fft.ts';

/** Below this nothing is told from silence: log10 of it is -10. */
const MEL_FLOOR = 1e-10;

/** Decades below the loudest value that are kept. */
const DECADES = 8;

/** The filters of one model, each with the first spectral line that it takes. */
type Filters = readonly { readonly first: number; readonly weights: Float64Array }[];

const scaled = (decades: number): number => (decades + 4) / 4;

/**
 * Frames that begin before the sound does are mirrored at its beginning; silence follows its end, as long as anybody
 * asks for: {@link Spectrogram.silence} is the value of all frames there.
 */
export function spectrogram(samples: Float32Array, spec: SoundSpec): Spectrogram {
  const { fftSize, hopLength, melBins } = spec;
  const half = fftSize >> 1;
  const lines = half + 1;
  const frames = Math.ceil((samples.length + half) / hopLength);
  const data = new Float32Array(frames * melBins);
  const window = Float64Array.from({ length: fftSize }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / fftSize));
  const filters = melFilters(spec);
  const transform = new FourierTransform(fftSize);
  const [a, b, real, imaginary] = Array.from({ length: 4 }, () => new Float64Array(fftSize)) as Quadruple;
  const power = [new Float64Array(lines), new Float64Array(lines)] as const;
  let loudest = Math.log10(MEL_FLOOR);
  // Two frames at once: one as the real part, one as the imaginary part, told apart by symmetry.
  for (let frame = 0; frame < frames; frame += 2) {
    windowed(samples, frame * hopLength - half, window, a);
    windowed(samples, (frame + 1) * hopLength - half, window, b);
    transform.transform(a, b, real, imaginary);
    for (let line = 0; line < lines; line++) {
      const mirror = line === 0 ? 0 : fftSize - line;
      const [xr, xi] = [real[line] as number, imaginary[line] as number];
      const [yr, yi] = [real[mirror] as number, imaginary[mirror] as number];
      power[0][line] = ((xr + yr) ** 2 + (xi - yi) ** 2) / 4;
      power[1][line] = ((xi + yi) ** 2 + (yr - xr) ** 2) / 4;
    }
    for (const [offset, spectrum] of power.entries()) {
      if (frame + offset >= frames) break;
      for (const [bin, { first, weights }] of filters.entries()) {
        let sum = 0;
        for (let line = 0; line < weights.length; line++) {
          sum += (weights[line] as number) * (spectrum[first + line] as number);
        }
        const decades = Math.log10(Math.max(MEL_FLOOR, sum));
        if (decades > loudest) loudest = decades;
        data[(frame + offset) * melBins + bin] = decades;
      }
    }
  }
  const floor = loudest - DECADES;
  for (let index = 0; index < data.length; index++) data[index] = scaled(Math.max(floor, data[index] as number));
  const silence = scaled(Math.max(floor, Math.log10(MEL_FLOOR)));
  return { data, frames, melBins, contentFrames: Math.floor(samples.length / hopLength), silence };
}

type Quadruple = [Float64Array, Float64Array, Float64Array, Float64Array];

function windowed(samples: Float32Array, from: number, window: Float64Array, into: Float64Array): void {
  for (let n = 0; n < window.length; n++) {
    // What lies before the sound is what lies as far behind its beginning.
    into[n] = (samples[Math.abs(from + n)] ?? 0) * (window[n] as number);
  }
}

/** Slaney's mel scale (Auditory Toolbox, 1998): linear up to 1 kHz, logarithmic above. */
const LOG_FROM_HZ = 1000;
const LOG_FROM_MEL = 15;
const LOG_STEP = 27 / Math.log(6.4);

const melOf = (hz: number): number =>
  hz < LOG_FROM_HZ ? (3 * hz) / 200 : LOG_FROM_MEL + Math.log(hz / LOG_FROM_HZ) * LOG_STEP;
const hzOf = (mel: number): number =>
  mel < LOG_FROM_MEL ? (200 * mel) / 3 : LOG_FROM_HZ * Math.exp((mel - LOG_FROM_MEL) / LOG_STEP);

/** Triangles of equal area over the lines of a spectrum, from 0 Hz to half the sampling rate. */
function melFilters({ sampleRate, fftSize, melBins }: SoundSpec): Filters {
  const highest = melOf(sampleRate / 2);
  const edges = Array.from({ length: melBins + 2 }, (_, index) => hzOf((highest * index) / (melBins + 1)));
  const lineHz = sampleRate / fftSize;
  return Array.from({ length: melBins }, (_, bin) => {
    const [low, peak, high] = edges.slice(bin, bin + 3) as [number, number, number];
    const first = Math.ceil(low / lineHz);
    const last = Math.min(fftSize >> 1, Math.floor(high / lineHz));
    const weights = Float64Array.from({ length: Math.max(0, last - first + 1) }, (_unused, index) => {
      const hz = (first + index) * lineHz;
      return Math.max(0, Math.min((hz - low) / (peak - low), (high - hz) / (high - peak))) * (2 / (high - low));
    });
    return { first, weights };
  });
}
