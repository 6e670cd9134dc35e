// Sound at one rate → sound at another, piece by piece: band-limited interpolation with a windowed sinc, one set of
// coefficients for each phase. After J. O. Smith, "Digital Audio Resampling" (CCRMA, Stanford), with Kaiser's window.

/** Zero crossings of the sinc on each side: 64 coefficients a sample where the rate rises. */
const CROSSINGS = 32;

/** Where the pass band ends, as a share of the lower of both Nyquist frequencies. */
const ROLLOFF = 0.95;

/** Kaiser's parameter: side lobes are 90 dB down. */
const BETA = 9;

/** The modified Bessel function of the first kind and order 0, by its series. */
function bessel0(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > sum * 1e-12; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

const greatestCommonDivisor = (a: number, b: number): number => (b === 0 ? a : greatestCommonDivisor(b, a % b));

/** Turns samples of one rate into samples of another. Rates are whole numbers of Hz. */
export class Resampler {
  /** Output sample n lies at input position n · step / phases. */
  readonly #phases: number;
  readonly #step: number;
  /** Coefficients on each side of a position. */
  readonly #half: number;
  /** By phase, 2 · half each. */
  readonly #coefficients: Float32Array;
  /** Input that is still needed; `#from` is the position of its first sample. */
  #input: Float32Array;
  #length: number;
  #from: number;
  #produced = 0;
  #received = 0;

  constructor(init: { readonly from: number; readonly to: number }) {
    const divisor = greatestCommonDivisor(init.from, init.to);
    this.#phases = init.to / divisor;
    this.#step = init.from / divisor;
    const cutoff = Math.min(1, init.to / init.from) * ROLLOFF;
    this.#half = Math.ceil(CROSSINGS / cutoff);
    this.#coefficients = coefficients(this.#phases, this.#half, cutoff);
    // Silence before the first sample.
    this.#input = new Float32Array(4 * this.#half);
    this.#length = this.#half;
    this.#from = -this.#half;
  }

  /** @returns what the samples so far decide */
  push(samples: Float32Array): Float32Array {
    this.#received += samples.length;
    this.#append(samples);
    return this.#produce(Number.POSITIVE_INFINITY);
  }

  /** The last samples: silence follows the input. The output is as long as the input was, to the next whole sample. */
  flush(): Float32Array {
    this.#append(new Float32Array(2 * this.#half));
    return this.#produce(Math.ceil((this.#received * this.#phases) / this.#step));
  }

  #append(samples: Float32Array): void {
    if (this.#length + samples.length > this.#input.length) {
      const grown = new Float32Array(Math.max(this.#length + samples.length, 2 * this.#input.length));
      grown.set(this.#input.subarray(0, this.#length));
      this.#input = grown;
    }
    this.#input.set(samples, this.#length);
    this.#length += samples.length;
  }

  #produce(totalMax: number): Float32Array {
    const half = this.#half;
    // Every position whose whole neighbourhood is here.
    const end = this.#from + this.#length - half;
    const total = Math.max(this.#produced, Math.min(totalMax, Math.ceil((end * this.#phases) / this.#step)));
    const output = new Float32Array(total - this.#produced);
    for (let index = 0; index < output.length; index++) {
      const at = (this.#produced + index) * this.#step;
      const base = Math.floor(at / this.#phases);
      const row = (at - base * this.#phases) * 2 * half;
      const first = base - half + 1 - this.#from;
      let sum = 0;
      for (let tap = 0; tap < 2 * half; tap++) {
        sum += (this.#coefficients[row + tap] as number) * (this.#input[first + tap] as number);
      }
      output[index] = sum;
    }
    this.#produced = total;
    this.#forget();
    return output;
  }

  /** Drops what no later output needs. */
  #forget(): void {
    const needed = Math.floor((this.#produced * this.#step) / this.#phases) - this.#half + 1;
    const drop = Math.min(Math.max(0, needed - this.#from), this.#length);
    this.#input.copyWithin(0, drop, this.#length);
    this.#length -= drop;
    this.#from += drop;
  }
}

function coefficients(phases: number, half: number, cutoff: number): Float32Array {
  const rows = new Float32Array(phases * 2 * half);
  const scale = bessel0(BETA);
  for (let phase = 0; phase < phases; phase++) {
    let sum = 0;
    const row = rows.subarray(phase * 2 * half, (phase + 1) * 2 * half);
    for (let tap = 0; tap < 2 * half; tap++) {
      const distance = tap - half + 1 - phase / phases;
      const inside = 1 - (distance / half) ** 2;
      if (inside <= 0) continue;
      const x = Math.PI * distance * cutoff;
      row[tap] = (x === 0 ? 1 : Math.sin(x) / x) * (bessel0(BETA * Math.sqrt(inside)) / scale);
      sum += row[tap] as number;
    }
    // Every phase passes a constant as it is.
    for (let tap = 0; tap < 2 * half; tap++) row[tap] = (row[tap] as number) / sum;
  }
  return rows;
}
