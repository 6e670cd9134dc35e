// Guesses the next tokens of a sequence from what stands in it already: where its last few tokens occurred before, what
// followed then may follow again. Prompt lookup decoding (Saxena, 2023; "n-gram" speculation in transformers and vLLM):
// no second model, and much of code, quotes, edits and JSON. Whether drafting pays is draft-policy.ts's to decide.

/** Sequences beyond this are not drafted for any more: with all of it, three arrays of 0.5 MB for each n. */
export const LOOKUP_TOKENS_MAX = 131_072;

/** Earlier places that are looked at. Every one is that of a hash, so hostile text costs no more than this. */
const PLACES_MAX = 16;

const CAPACITY_MIN = 256;

export interface PromptLookupInit {
  /** Longest run of last tokens that is looked for, first. @default 3 */
  readonly ngramMax?: number;
  /** Shortest. A single token occurs nearly everywhere, and says little. @default 2 */
  readonly ngramMin?: number;
  /** @default 10 */
  readonly draftMax?: number;
}

/** The index of one sequence, which grows with it. O(1) for each token, amortised. */
export class PromptLookup {
  readonly #draftMax: number;
  /** Longest n-grams first. */
  readonly #indexes: readonly NgramIndex[];
  #ids: Int32Array;
  #length = 0;

  /** @param ids the prompt, and what has been generated behind it */
  constructor(ids: Int32Array | readonly number[], init: PromptLookupInit = {}) {
    const { ngramMax = 3, ngramMin = 2, draftMax = 10 } = init;
    this.#draftMax = draftMax;
    this.#ids = new Int32Array(capacityFor(ids.length));
    this.#indexes = Array.from({ length: ngramMax - ngramMin + 1 }, (_, less) => new NgramIndex(ngramMax - less));
    for (const index of this.#indexes) index.grow(this.#ids, 0);
    for (const id of ids) this.accept(id);
  }

  /** The sequence goes on with this token. */
  accept(id: number): void {
    if (this.#length === LOOKUP_TOKENS_MAX) return;
    if (this.#length === this.#ids.length) {
      const ids = new Int32Array(capacityFor(this.#length + 1));
      ids.set(this.#ids);
      this.#ids = ids;
      for (const index of this.#indexes) index.grow(ids, this.#length);
    }
    // Only now that something follows it is the last n-gram of any use.
    for (const index of this.#indexes) index.add(this.#ids, this.#length);
    this.#ids[this.#length++] = id;
  }

  /**
   * What may come next: what followed the latest place that ends alike, the longest likeness first. Of the latest places
   * the first one behind which there is enough.
   * @returns up to `max` ids; none where nothing is alike
   */
  draft(max: number): number[] {
    const wanted = Math.min(max, this.#draftMax);
    if (!(wanted > 0) || this.#length === LOOKUP_TOKENS_MAX) return [];
    for (const index of this.#indexes) {
      const from = index.find(this.#ids, this.#length, wanted);
      if (from !== undefined) return [...this.#ids.subarray(from, Math.min(from + wanted, this.#length))];
    }
    return [];
  }
}

/** Powers of two, so that growing is rare and a hash is cut to its lower bits. */
function capacityFor(length: number): number {
  return Math.min(LOOKUP_TOKENS_MAX, Math.max(CAPACITY_MIN, 2 ** Math.ceil(Math.log2(Math.max(1, length)))));
}

/** Where each run of n tokens ended, latest first: hash chains, as in zlib's deflate. */
class NgramIndex {
  readonly #size: number;
  /** By hash: the latest place behind such a run, 0 = none. */
  #latest = new Int32Array(0);
  /** By place: the one before it with the same hash. */
  #before = new Int32Array(0);

  constructor(size: number) {
    this.#size = size;
  }

  /** Makes room for as many places as there is room for ids, and takes up those that are there. */
  grow(ids: Int32Array, length: number): void {
    this.#latest = new Int32Array(ids.length);
    this.#before = new Int32Array(ids.length);
    for (let place = this.#size; place < length; place++) this.add(ids, place);
  }

  /** @param place index of the token behind the run */
  add(ids: Int32Array, place: number): void {
    if (place < this.#size) return;
    const hash = this.#hash(ids, place);
    this.#before[place] = this.#latest[hash] as number;
    this.#latest[hash] = place;
  }

  /** The latest place behind the run that ends at `end` with `wanted` tokens behind it, else that with the most. */
  find(ids: Int32Array, end: number, wanted: number): number | undefined {
    if (end < this.#size) return undefined;
    let best: number | undefined;
    let place = this.#latest[this.#hash(ids, end)] as number;
    for (let looked = 0; place > 0 && looked < PLACES_MAX; looked++) {
      if (this.#isAlike(ids, place, end)) {
        best = place;
        if (end - place >= wanted) break;
      }
      place = this.#before[place] as number;
    }
    return best;
  }

  #isAlike(ids: Int32Array, a: number, b: number): boolean {
    for (let back = 1; back <= this.#size; back++) if (ids[a - back] !== ids[b - back]) return false;
    return true;
  }

  #hash(ids: Int32Array, place: number): number {
    let hash = 0;
    for (let back = 1; back <= this.#size; back++) {
      hash = Math.imul(hash ^ (ids[place - back] as number), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    return hash & (this.#latest.length - 1);
  }
}
