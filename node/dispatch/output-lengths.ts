// How many tokens a model's answers have: learned from those that came, so that a generation is priced by what it will
// take and not by what it may take at most.
import { keepNewest } from '../core/keep-newest.ts';
import { OUTPUT_LENGTHS_KEPT, OUTPUT_MODELS_MAX, OUTPUT_TOKENS_EXPECTED } from './limits.ts';

interface Lengths {
  /** The newest replaces the oldest. */
  readonly ring: number[];
  next: number;
  median: number;
}

export class OutputLengths {
  readonly #models = new Map<string, Lengths>();

  /**
   * One answer's length.
   * @param whole false where it was cut at its bound: it would have been longer, so it counts as no less than the median
   */
  note(digest: string, tokens: number, whole = true): void {
    let lengths = this.#models.get(digest);
    if (lengths === undefined) {
      lengths = { ring: [], next: 0, median: OUTPUT_TOKENS_EXPECTED };
      this.#models.set(digest, lengths);
      keepNewest(this.#models, OUTPUT_MODELS_MAX);
    }
    lengths.ring[lengths.next] = whole ? tokens : Math.max(tokens, lengths.median);
    lengths.next = (lengths.next + 1) % OUTPUT_LENGTHS_KEPT;
    const sorted = lengths.ring.toSorted((a, b) => a - b);
    lengths.median = sorted[sorted.length >> 1] ?? OUTPUT_TOKENS_EXPECTED;
  }

  /** Tokens that an answer is expected to have: at least one, and no more than its bound. */
  expected(digest: string, maxNewTokens: number): number {
    const median = this.#models.get(digest)?.median ?? OUTPUT_TOKENS_EXPECTED;
    return Math.max(1, Math.min(maxNewTokens, median));
  }
}
