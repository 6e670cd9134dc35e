// What a token may see, as numbers that are added to its scores: 0, or so little that nothing is left of it. Pure.
import type { KvArray } from './kv-block.ts';

/** Far below every score, and finite: rows in which nothing is seen must not become NaN. */
const HIDDEN = -1e9;
/** The lowest finite float16, as bits. */
const HIDDEN_FLOAT16 = 0xfbff;

type Type = 'float32' | 'float16';

const blank = (type: Type, length: number): KvArray =>
  type === 'float32' ? new Float32Array(length) : new Uint16Array(length);
const hidden = (type: Type): number => (type === 'float32' ? HIDDEN : HIDDEN_FLOAT16);

export interface PastBiasInit {
  /** Rows that each sequence has. */
  readonly lengths: readonly number[];
  readonly capacity: number;
  /** New tokens of each. */
  readonly tokens: number;
  readonly group: number;
  /** A token sees itself and `window` − 1 before it; 0 = all. */
  readonly window: number;
}

/**
 * Of the past, all rows that a sequence has, or those within the window of each new token.
 * @returns [B, 1, rows, capacity] with one row for all new tokens, or one for each of group × tokens
 */
export function fillPastBias(type: Type, init: PastBiasInit): { readonly data: KvArray; readonly rows: number } {
  const { lengths, capacity, tokens, group, window } = init;
  const away = hidden(type);
  // Where no window has closed yet, every new token sees the same.
  const windowed = window > 0 && lengths.some((length) => length + tokens > window);
  const rows = windowed ? group * tokens : 1;
  const data = blank(type, lengths.length * rows * capacity);
  for (const [index, length] of lengths.entries()) {
    for (let row = 0; row < rows; row++) {
      const at = (index * rows + row) * capacity;
      data.fill(away, at + length, at + capacity);
      const first = windowed ? length + (row % tokens) - window + 1 : 0;
      if (first > 0) data.fill(away, at, at + Math.min(first, length));
    }
  }
  return { data, rows };
}

/** Of the new tokens, themselves and those before them. @returns [1, 1, group · tokens, tokens] */
export function fillNewBias(
  type: Type,
  { tokens, group, window }: Pick<PastBiasInit, 'tokens' | 'group' | 'window'>,
): KvArray {
  const away = hidden(type);
  const data = blank(type, group * tokens * tokens);
  for (let row = 0; row < group * tokens; row++) {
    const s = row % tokens;
    data.fill(away, row * tokens + s + 1, (row + 1) * tokens);
    if (window > 0 && s >= window) data.fill(away, row * tokens, row * tokens + s - window + 1);
  }
  return data;
}
