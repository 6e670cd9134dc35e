// Seeded draws, fast enough for a million requests: sfc32 (Chris Doty-Humphrey, PractRand), seeded by SplitMix32. Streams
// of one seed with different names have nothing to do with each other, so that drawing more here moves nothing there.

/** Draws that every policy of one experiment sees alike. */
export class Draws {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;
  #spare: number | undefined;

  /** @param stream what the draws are for */
  constructor(seed: number, stream: string) {
    let state = seed | 0;
    const mix = (): number => {
      state = (state + 0x9e37_79b9) | 0;
      let mixed = state;
      mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
      mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
      return mixed ^ (mixed >>> 16);
    };
    for (let index = 0; index < stream.length; index++) state = (Math.imul(state, 31) + stream.charCodeAt(index)) | 0;
    this.#a = mix();
    this.#b = mix();
    this.#c = mix() ^ Math.floor(seed / 2 ** 32);
    for (let warm = 0; warm < 12; warm++) this.next();
  }

  /** Uniform in [0, 1), in steps of 2^-32. */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  }

  /** Whole number in [from, to]. */
  between(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  /** Uniform in [from, to). */
  within(from: number, to: number): number {
    return from + this.next() * (to - from);
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  /** One of these. @throws RangeError for none */
  pick<T>(choices: readonly T[]): T {
    if (choices.length === 0) throw new RangeError('Nothing to pick from.');
    return choices[this.between(0, choices.length - 1)] as T;
  }

  /** So many of these, each once, in the order drawn; all of them where there are fewer. */
  sample<T>(choices: readonly T[], count: number): T[] {
    const left = [...choices];
    const taken: T[] = [];
    while (taken.length < count && left.length > 0) taken.push(...left.splice(this.between(0, left.length - 1), 1));
    return taken;
  }

  /** Exponential with this mean: the wait for the next event of a Poisson process. */
  exponential(mean: number): number {
    return -Math.log(1 - this.next()) * mean;
  }

  /** Standard normal (Box and Muller, 1958). */
  normal(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    const angle = 2 * Math.PI * this.next();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  lognormal(median: number, sigma: number): number {
    return median * Math.exp(sigma * this.normal());
  }
}
