// How much memory a text generator gets for the keys and values of its sequences. Pure; asked by the memory keeper
// before a load, and told to the runner, which admits sequences by it.
import type { Manifest } from '../../models/manifest.ts';
import { KV_SHARE, KV_TOKENS_MIN } from './limits.ts';

/** What sequences take. */
export interface KvNeed {
  readonly bytesPerToken: number;
  /** One sequence of a usual length: with less, the model isn't worth loading. */
  readonly bytesMin: number;
  /** As many sequences as may run, each as long as the context. */
  readonly bytesMax: number;
}

const ELEMENT_BYTES: Readonly<Record<string, number>> = { float32: 4, float16: 2, bfloat16: 2 };

/** Undefined for a model that keeps no keys and values. */
export function kvNeed(manifest: Manifest, sequencesMax: number): KvNeed | undefined {
  const { generation, contextLength, inputs, speech } = manifest;
  if (generation === undefined) return undefined;
  const past = inputs.find(({ name }) => name.startsWith('past_key_values'));
  const elementBytes = ELEMENT_BYTES[past?.type ?? ''] ?? 4;
  const bytesPerToken = 2 * generation.layers * generation.kvHeads * generation.headSize * elementBytes;
  // What was heard has keys and values as well, one for two frames, for as long as it is written down.
  const heardBytes = speech === undefined ? 0 : bytesPerToken * Math.ceil(speech.frames / 2);
  return {
    bytesPerToken,
    bytesMin: bytesPerToken * Math.min(contextLength, KV_TOKENS_MIN) + heardBytes,
    bytesMax: (bytesPerToken * contextLength + heardBytes) * sequencesMax,
  };
}

/**
 * What is reserved for keys and values: what can be used at most, but no more than a share of what is free, which leaves
 * room for other models, and no less than one sequence takes.
 * @param freeBytes of the budget, the weights of this model taken off; at least `bytesMin`
 */
export function kvReservation(need: KvNeed, freeBytes: number): number {
  const share = Math.floor(Math.max(0, freeBytes) * KV_SHARE);
  return Math.min(need.bytesMax, Math.max(need.bytesMin, share));
}
