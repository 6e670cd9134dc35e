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
 * The next token.
 * @param logits float32 [vocabulary]; -Infinity excludes a token
 * @param index position of the token behind the prompt, from 0
 * @throws WeftError `internal` when a logit is NaN or none is finite
 */
export function sample(logits: Float32Array, sampling: Sampling, index: number): number {
  const best = argmax(logits);
  const { temperature, topK, topP, seed } = sampling;
  if (temperature === 0 || topK === 1) return best;
  const candidates = weigh(logits, logits[best] ?? 0, temperature, topK);
  if (topP < 1) keepNucleus(candidates, topP, logits.length);
  return draw(candidates, uniform(seed, index));
}

/** The largest logit's token; of equal ones the first. */
function argmax(logits: Float32Array): number {
  let best = 0;
  let max = Number.NEGATIVE_INFINITY;
  // NaN compares false with everything: the sum is what tells that there was one.
  let sum = 0;
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token] as number;
    sum += logit;
    if (logit > max) {
      max = logit;
      best = token;
    }
  }
  // All finite, or some excluded by -Infinity; +Infinity, NaN, or nothing to choose from leave no distribution.
  if (Number.isNaN(sum) || !Number.isFinite(max)) {
    throw new WeftError({
      code: 'internal',
      message: "The model's output is not a number: there is no next token to choose.",
      facts: { reason: 'logits_invalid' },
    });
  }
  return best;
}

/** Tokens that may be drawn, with weights in proportion to their probabilities. */
interface Candidates {
  tokens: Uint32Array;
  weights: Float64Array;
  total: number;
}

function weigh(logits: Float32Array, max: number, temperature: number, topK: number): Candidates {
  const floor = topK > 0 && topK < logits.length ? kthLargest(logits, topK) : Number.NEGATIVE_INFINITY;
  const tokens = new Uint32Array(logits.length);
  const weights = new Float64Array(logits.length);
  let count = 0;
  let total = 0;
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token] as number;
    if (logit < floor) continue;
    const weight = Math.exp((logit - max) / temperature);
    if (weight === 0) continue;
    tokens[count] = token;
    weights[count] = weight;
    total += weight;
    count++;
  }
  return { tokens: tokens.subarray(0, count), weights: weights.subarray(0, count), total };
}

/** The k-th largest logit; tokens that equal it all stay, so that the order of equal logits decides nothing. */
function kthLargest(logits: Float32Array, k: number): number {
  const sorted = logits.slice().sort();
  return sorted[sorted.length - k] ?? Number.NEGATIVE_INFINITY;
}

/** Keeps the smallest set of likeliest tokens whose probabilities reach `topP` (Holtzman et al., ICLR 2020). */
function keepNucleus(candidates: Candidates, topP: number, vocabulary: number): void {
  const { tokens, weights, total } = candidates;
  // Tokens below this share have less than 1 - topP in all, so the nucleus is among the others: few are left to sort.
  const floor = ((1 - topP) / vocabulary) * total;
  const order: number[] = [];
  for (let at = 0; at < weights.length; at++) if ((weights[at] as number) >= floor) order.push(at);
  order.sort((a, b) => (weights[b] as number) - (weights[a] as number) || a - b);
  let kept = 0;
  let sum = 0;
  while (kept < order.length && (kept === 0 || sum < topP * total)) sum += weights[order[kept++] as number] as number;
  order.length = kept;
  candidates.tokens = Uint32Array.from(order, (at) => tokens[at] as number);
  candidates.weights = Float64Array.from(order, (at) => weights[at] as number);
  candidates.total = sum;
}

function draw({ tokens, weights, total }: Candidates, random: number): number {
  let left = random * total;
  for (let at = 0; at < tokens.length; at++) {
    left -= weights[at] as number;
    if (left < 0) return tokens[at] as number;
  }
  // Rounding may leave a rest after the last one.
  return tokens[tokens.length - 1] as number;
}
