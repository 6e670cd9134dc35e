// Nodes that are alike are priced alike. A compute time is known from a few dozen answers: without this the node whose last
// ones happened to be short looks faster than its equals, and a queue forms there while others are idle. Called by estimate.

/** Bins per doubling: 8, so one is about 9 % wide. */
const BINS_PER_DOUBLING = 8;
/** Of the high word of a double, whose upper bits are a logarithm as they stand: sign, exponent, first bits of the mantissa. */
const MANTISSA_BITS_LEFT_OUT = 17;
const BINS = 1 << 9;
/** Of 2 to the power of -12, a quarter of a microsecond: exponents are stored with 1,023 added. */
const FIRST_BIN = (1_023 - 12) * BINS_PER_DOUBLING;

// Used again by every call, which leaves nothing in the first two.
const counts = new Float64Array(BINS);
const sums = new Float64Array(BINS);
const means = new Float64Array(BINS);

/**
 * Replaces every time by the mean of the times that are as near to it as chance alone makes them: one that stands apart
 * keeps its own, and so does each of a row of ever faster ones.
 * @param times milliseconds, more than 0; changed in place
 * @param noise standard deviation of the logarithm of a time that is known
 */
export function likenAlike(times: Float64Array, noise: number): void {
  if (times.length < 2) return;
  const reach = Math.min(BINS_PER_DOUBLING * 2, Math.round(2 * noise * Math.LOG2E * BINS_PER_DOUBLING));
  if (reach < 1) return;
  const words = new Int32Array(times.buffer, times.byteOffset, times.length * 2);
  const bins = new Uint16Array(times.length);
  let first = BINS;
  let last = 0;
  for (let at = 0; at < times.length; at++) {
    const bin = binOf(words, at);
    bins[at] = bin;
    counts[bin] = (counts[bin] ?? 0) + 1;
    sums[bin] = (sums[bin] ?? 0) + (times[at] ?? 0);
    if (bin < first) first = bin;
    if (bin > last) last = bin;
  }
  for (let bin = first; bin <= last; bin++) {
    if ((counts[bin] ?? 0) > 0) means[bin] = meanAround(bin, reach);
  }
  for (let at = 0; at < times.length; at++) times[at] = means[bins[at] ?? 0] ?? 0;
  counts.fill(0, first, last + 1);
  sums.fill(0, first, last + 1);
}

function meanAround(bin: number, reach: number): number {
  const to = Math.min(counts.length - 1, bin + reach);
  let count = 0;
  let sum = 0;
  for (let near = Math.max(0, bin - reach); near <= to; near++) {
    count += counts[near] ?? 0;
    sum += sums[near] ?? 0;
  }
  // Single precision: the same in whatever order the nodes come.
  return Math.fround(sum / count);
}

function binOf(words: Int32Array, at: number): number {
  const bin = ((words[at * 2 + HIGH] ?? 0) >> MANTISSA_BITS_LEFT_OUT) - FIRST_BIN;
  if (bin < 0) return 0;
  return bin < BINS ? bin : BINS - 1;
}

/** Which half of a double comes second in memory, as this machine orders bytes. */
const HIGH = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 1 : 0;
