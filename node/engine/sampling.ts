// Draws the next token from a row of logits. Pure: the draw depends on the logits, the settings and (seed, index)
// alone, so that a stream that goes on elsewhere repeats what it would have been. Called by the runner's token loop.
import { WeftError } from '../../protocol/errors.ts';
import type { Sampling } from '../../protocol/infer.ts';

const MASK = (1n << 64n) - 1n;
/** 2^64 divided by the golden ratio, odd: the increment of SplitMix64. */
const GAMMA = 0x9e3779b97f4a7c15n;

/**
 * The finaliser of SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014),
 * with the constants of Stafford's variant 13 as in java.util.SplittableRandom.
 */
function mix(value: bigint): bigint {
  let z = value & MASK;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return z ^ (z >> 31n);
}

/**
 * The random number of one position of one stream: SplitMix64's value number `index` of the stream `seed`. The seed is
 * mixed first, because streams of neighbouring seeds would otherwise be the same numbers shifted.
 * @returns uniform in [0, 1), 53 bits
 */
export function uniform(seed: bigint, index: number): number {
  const bits = mix(mix(seed) + (BigInt(index) + 1n) * GAMMA);
  return Number(bits >> 11n) / 2 ** 53;
}

/**
 * The next token, drawn in the order of vLLM: temperature, top-k, min-p, top-p. Whatever changes logits (biases,
 * penalties, a constraint's mask) has been applied to them before.
 * @param logits float32 [vocabulary]; -Infinity excludes a token
 * @param index position of the token behind the prompt, from 0
 * @throws WeftError `internal` when a logit is NaN or none is finite
 */
export function sample(logits: Float32Array, sampling: Sampling, index: number): number {
  const best = argmax(logits);
  const { temperature, topK, topP, minP = 0, seed } = sampling;
  if (temperature === 0 || topK === 1) return best;
  const candidates = weigh(logits, { max: logits[best] ?? 0, temperature, topK, minP });
  return draw(topP < 1 ? nucleus(candidates, topP) : candidates, uniform(seed, index));
}

/** The largest logit's token; of equal ones the first. */
function argmax(logits: Float32Array): number {
  let best = 0;
  let max = Number.NEGATIVE_INFINITY;
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token] as number;
    // Also true for NaN, which compares false with everything.
    if (!(logit <= max)) {
      if (Number.isNaN(logit)) throw noNumbers();
      max = logit;
      best = token;
    }
  }
  // Tokens may be excluded by -Infinity, but not all of them; +Infinity leaves no probabilities.
  if (!Number.isFinite(max)) throw noNumbers();
  return best;
}

/** What a model gave can't be gone on with. */
export const noNumbers = (): WeftError =>
  new WeftError({
    code: 'internal',
    message: "The model's output is not a number: there is no next token to choose.",
    facts: { reason: 'logits_invalid' },
  });

/** Tokens that may be drawn, with weights in proportion to their probabilities. */
interface Candidates {
  readonly tokens: Uint32Array;
  readonly weights: Float64Array;
  readonly total: number;
}

/** @param rule `max` is the largest logit; its token weighs 1, so that `minP` is the least weight that stays */
function weigh(
  logits: Float32Array,
  rule: { readonly max: number; readonly temperature: number; readonly topK: number; readonly minP: number },
): Candidates {
  const { max, temperature, topK, minP } = rule;
  const floor = topK > 0 && topK < logits.length ? kthLargest(logits, topK) : Number.NEGATIVE_INFINITY;
  const tokens = new Uint32Array(logits.length);
  const weights = new Float64Array(logits.length);
  let count = 0;
  let total = 0;
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token] as number;
    const exponent = (logit - max) / temperature;
    if (logit < floor || exponent < NEGLIGIBLE_EXPONENT) continue;
    const weight = Math.exp(exponent);
    if (weight < minP) continue;
    tokens[count] = token;
    weights[count] = weight;
    total += weight;
    count++;
  }
  return { tokens: tokens.subarray(0, count), weights: weights.subarray(0, count), total };
}

/** Tokens below this have, all of a million together, less probability than a draw's 53 bits can tell from none. */
const NEGLIGIBLE_EXPONENT = -52;

/**
 * The k-th largest logit; tokens that equal it all stay, so that the order of equal logits decides nothing.
 * A heap of the k largest so far, the least on top: most logits cost one comparison (sorting all takes 4 ms).
 */
function kthLargest(logits: Float32Array, k: number): number {
  const heap = logits.slice(0, k).sort();
  for (let token = k; token < logits.length; token++) {
    const logit = logits[token] as number;
    if (logit <= (heap[0] as number)) continue;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child + 1 < k && (heap[child + 1] as number) < (heap[child] as number)) child++;
      if (child >= k || (heap[child] as number) >= logit) break;
      heap[at] = heap[child] as number;
      at = child;
    }
    heap[at] = logit;
  }
  return heap[0] as number;
}

/** The smallest set of likeliest tokens whose probabilities reach `topP` (Holtzman et al., ICLR 2020). */
function nucleus({ tokens, weights, total }: Candidates, topP: number): Candidates {
  // What is below this share has less than 1 - topP in all, so the nucleus is among the rest: few are left to sort.
  const floor = ((1 - topP) / weights.length) * total;
  const sorted = weights.filter((weight) => weight >= floor).sort();
  let sum = 0;
  let least = Number.POSITIVE_INFINITY;
  let ofLeast = 0;
  for (let at = sorted.length - 1; at >= 0 && (sum < topP * total || at === sorted.length - 1); at--) {
    const weight = sorted[at] as number;
    ofLeast = weight === least ? ofLeast + 1 : 1;
    least = weight;
    sum += weight;
  }
  // Of those that weigh as much as the last one taken, the first tokens stay, as many as were taken.
  let count = 0;
  for (let at = 0; at < weights.length; at++) {
    const weight = weights[at] as number;
    if (weight < least || (weight === least && ofLeast-- <= 0)) continue;
    tokens[count] = tokens[at] as number;
    weights[count] = weight;
    count++;
  }
  return { tokens: tokens.subarray(0, count), weights: weights.subarray(0, count), total: sum };
}

function draw({ tokens, weights, total }: Candidates, random: number): number {
  let left = random * total;
  for (let at = 0; at < tokens.length; at++) {
    left -= weights[at] as number;
    if (left < 0) return tokens[at] as number;
  }
  // Rounding may leave a rest behind the last one.
  return tokens[tokens.length - 1] as number;
}
