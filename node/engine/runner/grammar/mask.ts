// Bitmasks of tokens: bit i of word w stands for token 32 w + i, as the grammar library writes them.

/** Sets the logits of tokens without a bit to -Infinity. Logits beyond the mask are set too. */
export function applyMask(words: Int32Array, logits: Float32Array): void {
  const whole = Math.min(words.length, logits.length >> 5);
  for (let word = 0; word < whole; word++) {
    const bits = words[word] as number;
    if (bits === -1) continue;
    const from = word << 5;
    if (bits === 0) logits.fill(Number.NEGATIVE_INFINITY, from, from + 32);
    else clear(bits, logits, from, 32);
  }
  const from = whole << 5;
  if (from < logits.length) clear(words[whole] ?? 0, logits, from, Math.min(32, logits.length - from));
  if (from + 32 < logits.length) logits.fill(Number.NEGATIVE_INFINITY, from + 32);
}

function clear(bits: number, logits: Float32Array, from: number, count: number): void {
  for (let bit = 0; bit < count; bit++) {
    if (((bits >>> bit) & 1) === 0) logits[from + bit] = Number.NEGATIVE_INFINITY;
  }
}

/** Whether a token's bit is set. */
export const allows = (words: Int32Array, id: number): boolean => (((words[id >> 5] ?? 0) >>> (id & 31)) & 1) === 1;
