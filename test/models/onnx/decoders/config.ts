// Sizes and weights of the small decoders that tests make. A weight depends on the seed and its name alone, so that
// two decoders with one config are the same model, however their graphs are written.
import { SeededRandom } from '../../../support/seeded.ts';

export interface DecoderConfig {
  readonly seed: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  /** A multiple of 16: GroupQueryAttention turns no others. */
  readonly headSize: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly vocabulary: number;
  readonly contextLength: number;
  readonly ropeTheta: number;
  readonly epsilon: number;
}

/** Two query heads share the keys and values of one. */
export const GROUPED: DecoderConfig = {
  seed: 20_240,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headSize: 16,
  hidden: 64,
  intermediate: 96,
  vocabulary: 300,
  contextLength: 256,
  ropeTheta: 10_000,
  epsilon: 1e-5,
};

/** Every query head has keys and values of its own; a third layer, and heads that are together wider than the rest. */
export const MULTI_HEAD: DecoderConfig = { ...GROUPED, layers: 3, kvHeads: 4, hidden: 48 };

/** A matrix [inputs, outputs] that keeps the size of what goes through it. */
export function matrix(config: DecoderConfig, name: string, inputs: number, outputs: number): Float32Array {
  const random = randomOf(config, name);
  const scale = 1.3 * Math.sqrt(3 / inputs);
  return Float32Array.from({ length: inputs * outputs }, () => scale * (2 * random.next() - 1));
}

/** A vector around a mean: a norm's weights around 1, a bias around 0. */
export function vector(config: DecoderConfig, name: string, length: number, mean: number): Float32Array {
  const random = randomOf(config, name);
  return Float32Array.from({ length }, () => mean + 0.4 * (random.next() - 0.5));
}

/** Inverse frequencies of the rotary embedding, [head size / 2]. */
export const inverseFrequencies = ({ headSize, ropeTheta }: DecoderConfig): Float32Array =>
  Float32Array.from({ length: headSize / 2 }, (_, index) => ropeTheta ** ((-2 * index) / headSize));

/** Cosines or sines for every position, [context, head size / 2]. */
export function rotaryTable(config: DecoderConfig, wave: (angle: number) => number): Float32Array {
  const frequencies = inverseFrequencies(config);
  return Float32Array.from({ length: config.contextLength * frequencies.length }, (_, index) => {
    const position = Math.floor(index / frequencies.length);
    return wave(Math.fround(position * (frequencies[index % frequencies.length] as number)));
  });
}

function randomOf({ seed }: DecoderConfig, name: string): SeededRandom {
  let hash = seed;
  for (const character of name) hash = (Math.imul(hash, 31) + (character.codePointAt(0) ?? 0)) >>> 0;
  return new SeededRandom(hash);
}
