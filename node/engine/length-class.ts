// Lengths that count as one: the queue keeps texts by them, the batch curve measures by them.

/**
 * The longest length that shares a class with this one: classes are 8 tokens wide up to 128, then an eighth of the power
 * of two below, so that at most an eighth of a long batch of one class is padding.
 */
export function lengthClass(length: number): number {
  const width = Math.max(8, 2 ** Math.floor(Math.log2(Math.max(1, length))) / 8);
  return Math.ceil(length / width) * width;
}
