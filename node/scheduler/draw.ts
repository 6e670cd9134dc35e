// Draws by numbers that whoever decides is given: nothing here has chance of its own.

/**
 * A whole number from 0 up to, not including, `count`.
 * @param random uniform in [0, 1)
 */
export function draw(count: number, random: () => number): number {
  return Math.min(count - 1, Math.floor(random() * count));
}
