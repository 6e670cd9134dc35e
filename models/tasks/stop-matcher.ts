// Ends an answer at a stop string, wherever the pieces of text happen to be parted. The coordinator puts one behind the
// detokenizer when a request names stop strings.
//
// Of all stop strings in the answer, the one that ends first stops it; of several that end together, the longest. The
// answer is the text before it. So the result depends on the text alone, not on how it came.

/** What one push gives. */
export interface StopStep {
  /** Text that may be shown: no part of a stop string is in it, and none can begin in it. */
  readonly text: string;
  /** True from the push on that completes a stop string. */
  readonly stopped: boolean;
}

/** One stop string, with the automaton of Knuth, Morris and Pratt. */
interface Pattern {
  readonly text: string;
  /** Longest proper prefix of the first n characters that is also their end. */
  readonly fallbacks: Int32Array;
  /** How much of the string the text so far ends with. */
  matched: number;
}

export class StopMatcher {
  readonly #patterns: readonly Pattern[];
  #held = '';
  #stopped = false;

  /** @param stops strings that end the answer; empty ones, and halves of a character, never match */
  constructor(stops: readonly string[]) {
    this.#patterns = stops
      .filter((stop) => stop !== '' && stop.isWellFormed())
      .map((text) => ({ text, fallbacks: fallbacksOf(text), matched: 0 }));
  }

  /** @param text whole characters, as a {@link Detokenizer} gives them. After the stop everything is ignored. */
  push(text: string): StopStep {
    if (this.#stopped) return { text: '', stopped: true };
    const all = this.#held + text;
    for (let index = this.#held.length; index < all.length; index++) {
      const length = this.#advance(all.charCodeAt(index));
      if (length > 0) {
        this.#stopped = true;
        this.#held = '';
        return { text: all.slice(0, index + 1 - length), stopped: true };
      }
    }
    const heldLength = Math.max(0, ...this.#patterns.map((pattern) => pattern.matched));
    this.#held = all.slice(all.length - heldLength);
    return { text: all.slice(0, all.length - heldLength), stopped: false };
  }

  /** What was held back and turned out to be no stop string, because the text ends here. What follows is another text. */
  flush(): string {
    const text = this.#held;
    this.#held = '';
    for (const pattern of this.#patterns) pattern.matched = 0;
    return text;
  }

  /** Takes one UTF-16 unit. Returns the length of the longest stop string that ends with it, or 0. */
  #advance(unit: number): number {
    let longest = 0;
    for (const pattern of this.#patterns) {
      const { text, fallbacks } = pattern;
      let matched = pattern.matched;
      while (matched > 0 && text.charCodeAt(matched) !== unit) matched = fallbacks[matched - 1] ?? 0;
      if (text.charCodeAt(matched) === unit) matched++;
      pattern.matched = matched;
      if (matched === text.length) longest = Math.max(longest, matched);
    }
    return longest;
  }
}

function fallbacksOf(text: string): Int32Array {
  const fallbacks = new Int32Array(text.length);
  let length = 0;
  for (let index = 1; index < text.length; index++) {
    while (length > 0 && text.charCodeAt(index) !== text.charCodeAt(length)) length = fallbacks[length - 1] ?? 0;
    if (text.charCodeAt(index) === text.charCodeAt(length)) length++;
    fallbacks[index] = length;
  }
  return fallbacks;
}
