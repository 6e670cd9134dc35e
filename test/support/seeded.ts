// Randomness of a test that can be repeated: the seed is printed, and taken back from WEFT_TEST_SEED.
import { randomInt } from 'node:crypto';

/** Uniform draws from one seed (SplitMix64; Steele, Lea & Flood, OOPSLA 2014). */
export class SeededRandom {
  readonly seed: number;
  #state: bigint;

  constructor(seed: number) {
    this.seed = seed;
    this.#state = BigInt(seed);
  }

  /** Uniform in [0, 1). */
  next(): number {
    this.#state = BigInt.asUintN(64, this.#state + 0x9e37_79b9_7f4a_7c15n);
    let mixed = this.#state;
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 30n)) * 0xbf58_476d_1ce4_e5b9n);
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d0_49bb_1331_11ebn);
    mixed ^= mixed >> 31n;
    return Number(mixed >> 11n) / 2 ** 53;
  }

  /** Whole number in [from, to]. */
  between(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  /** One of these. */
  pick<T>(choices: readonly T[]): T {
    return choices[this.between(0, choices.length - 1)] as T;
  }
}

/** A generator whose seed is printed; WEFT_TEST_SEED repeats a run. */
export function seededRandom(what: string): SeededRandom {
  const given = process.env.WEFT_TEST_SEED;
  const seed = given === undefined ? randomInt(2 ** 31) : Number(given);
  console.log(`${what}: WEFT_TEST_SEED=${seed}`);
  return new SeededRandom(seed);
}
