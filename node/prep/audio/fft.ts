// The discrete Fourier transform of any length, fast where the length has small factors: Whisper's 400 = 2⁴ · 5².
// Mixed-radix decimation in time (Cooley and Tukey, 1965).

/** Transforms of one length. */
export class FourierTransform {
  readonly size: number;
  readonly #factors: readonly number[];
  /** cos and -sin of 2πk / size. */
  readonly #cos: Float64Array;
  readonly #sin: Float64Array;
  readonly #sumsReal: Float64Array;
  readonly #sumsImaginary: Float64Array;

  constructor(size: number) {
    this.size = size;
    this.#factors = factorsOf(size);
    this.#cos = Float64Array.from({ length: size }, (_, k) => Math.cos((2 * Math.PI * k) / size));
    this.#sin = Float64Array.from({ length: size }, (_, k) => -Math.sin((2 * Math.PI * k) / size));
    const widest = Math.max(1, ...this.#factors);
    this.#sumsReal = new Float64Array(widest);
    this.#sumsImaginary = new Float64Array(widest);
  }

  /** From `real` and `imaginary` into the other two, all of this size. */
  transform(real: Float64Array, imaginary: Float64Array, outReal: Float64Array, outImaginary: Float64Array): void {
    this.#part(real, imaginary, 0, 1, outReal, outImaginary, 0, this.size, 0);
  }

  /** The transform of every `stride`-th value from `from` on, `length` in all, written from `to` on. */
  #part(
    real: Float64Array,
    imaginary: Float64Array,
    from: number,
    stride: number,
    outReal: Float64Array,
    outImaginary: Float64Array,
    to: number,
    length: number,
    level: number,
  ): void {
    if (length === 1) {
      outReal[to] = real[from] as number;
      outImaginary[to] = imaginary[from] as number;
      return;
    }
    const radix = this.#factors[level] as number;
    const part = length / radix;
    for (let branch = 0; branch < radix; branch++) {
      const begin = from + branch * stride;
      this.#part(real, imaginary, begin, stride * radix, outReal, outImaginary, to + branch * part, part, level + 1);
    }
    const [cos, sin, sumsReal, sumsImaginary] = [this.#cos, this.#sin, this.#sumsReal, this.#sumsImaginary];
    // Angles of this length, in steps of the whole one.
    const unit = this.size / length;
    for (let k = 0; k < part; k++) {
      for (let row = 0; row < radix; row++) {
        let sumReal = 0;
        let sumImaginary = 0;
        for (let branch = 0; branch < radix; branch++) {
          const angle = (((k + row * part) * branch) % length) * unit;
          const [c, s] = [cos[angle] as number, sin[angle] as number];
          const a = outReal[to + branch * part + k] as number;
          const b = outImaginary[to + branch * part + k] as number;
          sumReal += a * c - b * s;
          sumImaginary += a * s + b * c;
        }
        sumsReal[row] = sumReal;
        sumsImaginary[row] = sumImaginary;
      }
      for (let row = 0; row < radix; row++) {
        outReal[to + row * part + k] = sumsReal[row] as number;
        outImaginary[to + row * part + k] = sumsImaginary[row] as number;
      }
    }
  }
}

function factorsOf(size: number): number[] {
  const factors: number[] = [];
  let rest = size;
  for (let factor = 2; rest > 1; factor = rest % factor === 0 ? factor : factor + 1) {
    while (rest % factor === 0) {
      factors.push(factor);
      rest /= factor;
    }
  }
  return factors;
}
