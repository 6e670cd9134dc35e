// What an Engine is asked for, and what it answers: the same whether it works here or on a peer.
import type { ModelRef, NodeId } from './ids.ts';
import type { NamedTensor } from './tensor.ts';

/** Where the time of one piece of work went, in milliseconds. */
export interface Timing {
  /** Received → work begun. */
  readonly queueMs: number;
  /** Loading the model, when this request had to wait for it. */
  readonly loadMs: number;
  /** Inside the runtime. */
  readonly computeMs: number;
  /** The part of computeMs before the first token (generation only, else 0). */
  readonly prefillMs: number;
}

/** Any graph: tensors in, tensors out. */
export interface RunRequest {
  readonly model: ModelRef;
  readonly inputs: readonly NamedTensor[];
  /** Names of the outputs wanted; empty = all. */
  readonly outputs: readonly string[];
}
export interface RunResult {
  readonly outputs: readonly NamedTensor[];
  readonly node: NodeId;
  readonly timing: Timing;
}

/** Token ids of several texts → one vector each. Padding, batching and pooling are the engine's. */
export interface EncodeRequest {
  readonly model: ModelRef;
  /** Token ids of all texts, one after the other, special tokens included: int32 [sum(lengths)]. */
  readonly ids: Int32Array;
  /** Tokens of each text: int32 [texts], each ≥ 1. */
  readonly lengths: Int32Array;
  readonly pooling: 'mean' | 'cls';
  /** Divide each vector by its Euclidean length. */
  readonly normalize: boolean;
}
export interface EncodeResult {
  /** float32 [texts × dimensions], row by row, in the order of the texts. */
  readonly embeddings: Float32Array;
  readonly dimensions: number;
  readonly node: NodeId;
  readonly timing: Timing;
}

/** How the next token is drawn. The draw depends on (seed, index) alone, so a resumed stream repeats itself. */
export interface Sampling {
  /** 0 = greedy. */
  readonly temperature: number;
  /** Nucleus: keep the smallest set of tokens whose probabilities reach this; 1 = off. */
  readonly topP: number;
  /** Keep the k likeliest; 0 = off. */
  readonly topK: number;
  /** 64 bits. */
  readonly seed: bigint;
}

/** Token ids → further token ids. */
export interface GenerateRequest {
  readonly model: ModelRef;
  /** The prompt, and behind it what another node has generated already: int32 [≥ 1]. */
  readonly ids: Int32Array;
  /** How many of the ids are the prompt. */
  readonly promptLength: number;
  /** Counted from the end of the prompt, resumed tokens included. */
  readonly maxNewTokens: number;
  /** Generation ends when one of these is drawn; it is reported as a token all the same. */
  readonly stopIds: readonly number[];
  readonly sampling: Sampling;
}
export interface GenerateResult {
  /** `stop`: a stop id was drawn; `length`: maxNewTokens or the context is reached. */
  readonly finish: 'stop' | 'length';
  /** Tokens behind the prompt, resumed ones included. */
  readonly generated: number;
  readonly node: NodeId;
  readonly timing: Timing;
}

/** Receives tokens as they are drawn. Index 0 is the first one behind the prompt; ids follow without a gap. */
export type OnTokens = (firstIndex: number, ids: readonly number[]) => void;
