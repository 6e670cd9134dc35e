// What an Engine is asked for, and what it answers: the same whether it works here or on a peer.
import type { ModelRef, NodeId } from './ids.ts';
import type { GraphPart } from './part.ts';
import type { NamedTensor } from './tensor.ts';

/** Where the time of one piece of work went, in milliseconds. */
export interface Timing {
  /** Received → work begun, the wait for a load included. */
  readonly queueMs: number;
  /** Of which: loading the model, when this request had to wait for it. */
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
  /** Only this part of the model's graph: its inputs are the tensors, its outputs the names. @default the whole graph */
  readonly part?: GraphPart;
  /** Inputs and outputs that may cross as blocks, where a peer runs it: float32 alone. @default all cross as they are */
  readonly blocks?: readonly string[];
  /** On the wire: inputs that do. */
  readonly packed?: readonly PackedTensor[];
}
export interface RunResult {
  readonly outputs: readonly NamedTensor[];
  readonly node: NodeId;
  readonly timing: Timing;
  /** Tensors that crossed as blocks, inputs too. @default none */
  readonly packed?: readonly PackedTensor[];
}

/** A float32 tensor that crosses as blocks of eight bits (protocol/blocks.ts). */
export interface PackedTensor {
  readonly name: string;
  /** Its own. */
  readonly dims: readonly number[];
  /** What was lost: Euclidean length of the difference over that of the tensor. */
  readonly error: number;
}

/** Token ids of several texts → one vector each. Padding, batching and pooling are the engine's. */
export interface EncodeRequest {
  readonly model: ModelRef;
  /** Token ids of all texts, one after the other, special tokens included: int32 [sum(lengths)]. */
  readonly ids: Int32Array;
  /** Tokens of each text: int32 [texts], each ≥ 1. */
  readonly lengths: Int32Array;
  /** `logits`: what the graph says of the whole text, as it comes; a reranker's text is a pair. */
  readonly pooling: 'mean' | 'cls' | 'logits';
  /** Divide each vector by its Euclidean length. */
  readonly normalize: boolean;
  /**
   * Where texts are pairs: tokens of each text's first segment, int32 [texts], 0 to its length. Token types are 0 in it and
   * 1 behind it. @default every text is one segment
   */
  readonly firstLengths?: Int32Array;
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
  /** Drop tokens less likely than this share of the likeliest one (Nguyen et al., ICLR 2025). @default 0, off */
  readonly minP?: number;
  /** Divides positive and multiplies negative logits of ids that were seen, prompt included (Keskar et al., 2019). @default 1, off */
  readonly repetitionPenalty?: number;
  /** Taken from the logit of every id that was generated already, once. @default 0 */
  readonly presencePenalty?: number;
  /** Taken from the logit of an id for each time that it was generated. @default 0 */
  readonly frequencyPenalty?: number;
  /** Added to the logits of these ids. @default none */
  readonly logitBias?: readonly LogitBias[];
  /** 64 bits. */
  readonly seed: bigint;
}

export interface LogitBias {
  readonly id: number;
  readonly bias: number;
}

/**
 * What the text of an answer must look like: tokens that would break it are never drawn. Schemas are JSON texts.
 * `tools`: free text in which `<tool_call>{"name": …, "arguments": {…}}</tool_call>` may stand (`auto`), or nothing but
 * such calls, one at least (`required`); one at most unless `parallel`.
 */
export type Constraint =
  | { readonly kind: 'json_object' }
  | { readonly kind: 'json_schema'; readonly schema: string }
  | {
      readonly kind: 'tools';
      readonly tools: readonly { readonly name: string; readonly schema: string }[];
      readonly choice: 'auto' | 'required';
      readonly parallel: boolean;
    };

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
  readonly constraint?: Constraint;
  /** Report each token's log probability, and this many of the likeliest beside it (0 to 20). @default no report */
  readonly logprobs?: number;
  /** What a speech model listens to: a log-mel spectrogram, float32 [1, mel bins, frames]. */
  readonly features?: NamedTensor;
  /** Further tokens that the caller expects, ≥ 1: for predictions alone, it bounds nothing. @default not told */
  readonly expectedTokens?: number;
}
export interface GenerateResult {
  /** `stop`: a stop id was drawn; `length`: maxNewTokens or the context is reached. */
  readonly finish: 'stop' | 'length';
  /** Tokens behind the prompt, resumed ones included. */
  readonly generated: number;
  readonly node: NodeId;
  readonly timing: Timing;
  /** Of the prompt's tokens: taken from kept prefixes, which cost no prefill. @default 0 */
  readonly cachedTokens?: number;
}

/** What the model itself thought of a token, before any sampling setting: natural logarithms of its softmax. */
export interface TokenLogprob {
  readonly logprob: number;
  /** The likeliest, best first. */
  readonly top: readonly { readonly id: number; readonly logprob: number }[];
}

/**
 * Receives tokens as they are drawn. Index 0 is the first one behind the prompt; ids follow without a gap.
 * @param logprobs one for each id, where the request asked for them
 */
export type OnTokens = (firstIndex: number, ids: readonly number[], logprobs?: readonly TokenLogprob[]) => void;
