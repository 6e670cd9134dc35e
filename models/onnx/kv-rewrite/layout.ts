// What a rewritten decoder takes and gives. Written by the rewriter beside it, read by the runner's decoder.
//
// B sequences with S new tokens each; C rows of past, of which a bias hides those that a sequence doesn't have. H heads
// of size D in groups of G = H / KV that share a head of keys and values.

/** Names of the rewritten graph's ports. `logits` keeps its name. */
export const PORTS = {
  /** int64 [B, S] */
  ids: 'input_ids',
  /** int64 [B, S]: place of each new token in its sequence. */
  positions: 'weft_positions',
  /** int64 [2]: C and S, how the joined scores are split again. */
  split: 'weft_split',
  /** int64 [L]: which of the B · S rows logits are wanted of. */
  rows: 'weft_rows',
  /** float32 [L, vocabulary], or [1, L, vocabulary]. */
  logits: 'logits',
  /** [layers · B, KV, S, D]: layer by layer; as one tensor, because each one that leaves the runtime costs 4 µs. */
  newKeys: 'weft_new_keys',
  /** As `newKeys`. */
  newValues: 'weft_new_values',
} as const;

/** [B, KV, D, C]: keys of the past, one column per token, so that they are multiplied as they lie. */
export const pastKey = (layer: number): string => `weft_past.${layer}.key`;
/** [B, KV, C, D] */
export const pastValue = (layer: number): string => `weft_past.${layer}.value`;

/**
 * [B, 1, G · S, C] or [B, 1, 1, C]: added to the scores against the past, 0 where a token is seen. Layers that see only
 * the last `window` tokens have a bias of their own; 0 = all of them.
 */
export const pastBias = (window: number): string => (window === 0 ? 'weft_past_bias' : `weft_past_bias_${window}`);
/** [1, 1, G · S, S]: the same against the new tokens. Rows are in the order of (head in its group, new token). */
export const newBias = (window: number): string => (window === 0 ? 'weft_new_bias' : `weft_new_bias_${window}`);

/** The sizes that the runner needs beside the names. */
export interface DecoderLayout {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headSize: number;
  /** Heads that share one head of keys and values: G. */
  readonly group: number;
  readonly vocabularySize: number;
  /** Of keys, values and biases. */
  readonly type: 'float32' | 'float16';
  /** The distinct windows of its layers; 0 stands for all tokens. At least one. */
  readonly windows: readonly number[];
}

/** Bytes of one token's keys and values over all layers. */
export function rowBytes({ layers, kvHeads, headSize, type }: DecoderLayout): number {
  return 2 * layers * kvHeads * headSize * (type === 'float32' ? 4 : 2);
}
