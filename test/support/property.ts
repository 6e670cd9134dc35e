// Settings of random tests: fast-check prints the seed and path of a failure, WEFT_TEST_SEED takes a seed back.

/** Parameters for `fc.assert`. */
export function runs(numRuns: number): { readonly numRuns: number; readonly seed?: number } {
  const seed = process.env.WEFT_TEST_SEED;
  return seed === undefined ? { numRuns } : { numRuns, seed: Number(seed) };
}
