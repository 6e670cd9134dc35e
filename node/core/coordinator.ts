// From text to text: what the gateway asks for. The coordinator owns a request until it is answered.
import type { ModelTask } from '../../protocol/capability.ts';
import type { ModelRef, NodeId, RequestId } from '../../protocol/ids.ts';
import type { LogitBias, Timing } from '../../protocol/infer.ts';
import type { Plan, WholePlan } from '../../protocol/plan.ts';
import type { NamedTensor } from '../../protocol/tensor.ts';
import type { ConsideredCut, CutWish } from './dispatcher.ts';
import type { Priority } from './engine.ts';
import type { RequestTrace } from './trace.ts';

export interface RequestOptions {
  readonly signal: AbortSignal;
  readonly requestId: RequestId;
  /** @default 'interactive' */
  readonly priority?: Priority;
  /** Milliseconds that are left for the whole answer, at the time of asking. @default no deadline */
  readonly leftMs?: () => number;
  /** Where its way is noted down. */
  readonly trace?: RequestTrace;
  /** Whether and where the graph of a run is cut. @default 'auto' */
  readonly cut?: CutWish;
  /** What must not leave this node: all that the request brings, or inputs of a graph by name. @default nothing */
  readonly rawLocal?: true | readonly string[];
}

/** A model as clients see it. */
export interface ModelListing {
  readonly id: string;
  readonly aliases: readonly string[];
  readonly task: ModelTask;
  readonly contextLength: number;
  readonly dimensions: number;
  readonly sizeBytes: number;
  /** Nodes that offer it, and how each stands. */
  readonly nodes: readonly {
    readonly node: NodeId;
    readonly name: string;
    readonly state: string;
    readonly self: boolean;
  }[];
  /** How the weights are stored, such as `q4`: what may stand behind a colon. Undefined where its nodes don't tell. */
  readonly precision?: string;
  /** Where there are several of this id with other weights: all of them, this one first. */
  readonly forms?: readonly ModelForm[];
}

/** One of several forms of a model: asked for by `ID:FORM`. */
export interface ModelForm extends Pick<ModelListing, 'sizeBytes' | 'nodes'> {
  readonly form: string;
}

// ── Text ────────────────────────────────────────────────────────────────────────────────────────

/** A JSON schema, as it came. */
export type JsonSchema = Readonly<Record<string, unknown>>;

export interface ToolSpec {
  readonly name: string;
  readonly description?: string;
  /** Of its arguments, an object. */
  readonly parameters: JsonSchema;
}

export type ToolChoice = 'none' | 'auto' | 'required' | { readonly name: string };

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON text of an object. */
  readonly arguments: string;
}

/** What the whole text of an answer must be. */
export type AnswerFormat =
  | { readonly kind: 'text' }
  | { readonly kind: 'json_object' }
  | { readonly kind: 'json_schema'; readonly name: string; readonly schema: JsonSchema };

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
  /** Of an assistant's message: what it asked for. */
  readonly toolCalls?: readonly ToolCall[];
  /** Of a tool's message: the call that it answers. */
  readonly toolCallId?: string;
}

/** How answers are drawn. Absent = off, or as many as the context holds. */
export interface AnswerSettings {
  readonly maxTokens?: number;
  readonly temperature: number;
  readonly topP: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  readonly logitBias?: readonly LogitBias[];
  /** 64 bits; absent = drawn at random. Choice i of n is drawn from seed + i. */
  readonly seed?: bigint;
  readonly stop: readonly string[];
  /** Answers to each prompt. @default 1 */
  readonly n?: number;
  /** Report log probabilities, and this many alternatives of each token (0 to 20). */
  readonly logprobs?: number;
}

export interface ChatRequest extends AnswerSettings {
  /** Hub id or short name. */
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly format?: AnswerFormat;
  readonly tools?: readonly ToolSpec[];
  /** @default 'auto' where there are tools */
  readonly toolChoice?: ToolChoice;
  /** @default true */
  readonly parallelToolCalls?: boolean;
}

/** Texts, or token ids, that are gone on with as they stand: no template. */
export interface CompletionRequest extends AnswerSettings {
  readonly model: string;
  /** Choice `i` answers prompt `⌊i / n⌋`. */
  readonly prompts: readonly (string | Int32Array)[];
}

export interface ChatUsage {
  readonly promptTokens: number;
  /** Every token that was drawn for any choice, end-of-turn tokens included. */
  readonly completionTokens: number;
  /** Of the prompts: what no choice had to compute, because its rows were kept. Absent = none, or not known. */
  readonly cachedTokens?: number;
}

export interface ChatTimings {
  /** Request received → first token. */
  readonly ttftMs: number;
  readonly totalMs: number;
  readonly tokensPerSecond: number;
}

/** A token's text with its log probability. */
export interface TokenText {
  readonly token: string;
  /** Its bytes; a token may be a part of a character. */
  readonly bytes: readonly number[];
  readonly logprob: number;
}

export interface TokenReport extends TokenText {
  readonly top: readonly TokenText[];
}

export interface Choice {
  readonly finish: 'stop' | 'length' | 'tool_calls';
}

export interface AnswerResult {
  /** The model's hub id. */
  readonly model: string;
  readonly choices: readonly Choice[];
  readonly usage: ChatUsage;
  readonly timings: ChatTimings;
  readonly nodes: readonly NodeId[];
  /** Of the first choice. */
  readonly plan: Plan;
}

/** A piece of one choice. Text comes whole characters at a time, stop strings already cut off, calls of tools taken out. */
export interface AnswerDelta {
  readonly choice: number;
  readonly text: string;
  /** Of the tokens whose text this is, where they were asked for. */
  readonly logprobs?: readonly TokenReport[];
  /** A call of a tool, whole: the choice's next. */
  readonly toolCall?: ToolCall;
}

/** How an answer arrives. */
export interface AnswerEvents {
  /** Before the first text: which node begins a choice, under which hub id. A recovery calls it again. */
  readonly onPlaced?: (node: NodeId, model: string) => void;
  readonly onDelta: (delta: AnswerDelta) => void;
}

// ── Vectors and tensors ─────────────────────────────────────────────────────────────────────────

export interface EmbedRequest {
  readonly model: string;
  /** Texts, or token ids with the special ones in them. */
  readonly inputs: readonly (string | Int32Array)[];
  /** Cut to so many values, and normalised again. @default the model's own */
  readonly dimensions?: number;
}

export interface EmbedAnswer {
  readonly model: string;
  /** float32 [inputs × dimensions], row by row. */
  readonly embeddings: Float32Array;
  readonly dimensions: number;
  /** Tokens that the graph saw, special tokens included. */
  readonly promptTokens: number;
  /** How many inputs were cut to the graph's positions. */
  readonly truncated: number;
  readonly nodes: readonly NodeId[];
  readonly plan: Plan;
}

export interface RerankRequest {
  readonly model: string;
  readonly query: string;
  readonly documents: readonly string[];
  /** How many are wanted. @default all */
  readonly topN?: number;
}

export interface RerankAnswer {
  readonly model: string;
  /** Best first, of equal ones the earlier document. */
  readonly results: readonly {
    readonly index: number;
    /** From 0 to 1: the logistic function of the graph's logit. */
    readonly score: number;
  }[];
  /** Tokens that the graph saw, the query's counted with every document. */
  readonly promptTokens: number;
  /** How many documents were cut to what the query left of the graph's positions. */
  readonly truncated: number;
  readonly nodes: readonly NodeId[];
  readonly plan: Plan;
}

// ── Sound ───────────────────────────────────────────────────────────────────────────────────────

export interface TranscribeRequest {
  readonly model: string;
  /** A whole file: WAV, MP3, FLAC, Ogg Vorbis or Ogg Opus. */
  readonly file: Uint8Array;
  /** Writes English, whatever is spoken. */
  readonly translate: boolean;
  /** What is spoken, as a code (`de`) or by its English name. @default found out */
  readonly language?: string;
  /** Text that sets the style, or comes before. */
  readonly prompt?: string;
  /** 0 = the likeliest tokens. */
  readonly temperature: number;
  /** 64 bits; absent = drawn at random. */
  readonly seed?: bigint;
  /** Segments with their times are wanted. */
  readonly timestamps: boolean;
}

/** Times in seconds from the beginning of the sound. */
export interface TranscriptSegment {
  readonly id: number;
  /** Where the window began that it was heard in, in frames of 10 ms for Whisper. */
  readonly seek: number;
  readonly startS: number;
  readonly endS: number;
  readonly text: string;
  readonly tokens: readonly number[];
  readonly temperature: number;
  /** Of the tokens of its window, natural logarithm. */
  readonly averageLogprob: number;
  /** Bytes of its text to bytes of the same compressed: what repeats itself has much. */
  readonly compressionRatio: number;
}

export interface TranscribeAnswer {
  readonly model: string;
  readonly text: string;
  /** What was spoken, as a code; undefined where the model doesn't say. */
  readonly language: string | undefined;
  readonly durationS: number;
  /** Of the whole sound; one where no times were wanted. */
  readonly segments: readonly TranscriptSegment[];
  readonly usage: ChatUsage;
  readonly nodes: readonly NodeId[];
  /** Of the first window. */
  readonly plan: Plan;
}

/** How a transcript arrives. */
export interface TranscribeEvents {
  /** Before the first text: which node begins, under which hub id. */
  readonly onPlaced?: (node: NodeId, model: string) => void;
  /** Text that will not change any more, in order. */
  readonly onText?: (text: string) => void;
}

/** Any graph. */
export interface TensorRequest {
  readonly model: string;
  readonly inputs: readonly NamedTensor[];
  /** Empty = all. */
  readonly outputs: readonly string[];
}

export interface TensorAnswer {
  readonly model: ModelRef;
  readonly outputs: readonly NamedTensor[];
  readonly timing: Timing;
  readonly nodes: readonly NodeId[];
  readonly plan: Plan;
}

// ── Dry runs ────────────────────────────────────────────────────────────────────────────────────

/** Work that is only to be planned: texts, as the model's task takes them, or tensors for its graph. */
export type PlanRequest = {
  /** Hub id or short name. */
  readonly model: string;
} & (
  | {
      readonly kind: 'texts';
      /** One prompt for a text generator, texts for an encoder, documents for a reranker. */
      readonly texts: readonly string[];
      /** What a reranker's documents are to answer. */
      readonly query?: string;
      /** Of a text generator's answer. @default as many as the context holds */
      readonly maxTokens?: number;
    }
  | { readonly kind: 'tensors'; readonly inputs: readonly NamedTensor[] }
);

export interface PlanAnswer {
  readonly model: ModelRef;
  readonly work: 'run' | 'encode' | 'generate';
  /** Tokens that go in; 0 for tensors. */
  readonly inputTokens: number;
  /** Pieces of work that the request is sent in; the plan is that of the first. */
  readonly requests: number;
  /** The best one for the whole. */
  readonly plan: WholePlan;
  /** Where something is said of cuts, or of what must stay here. */
  readonly cut?: ConsideredCut;
}

export interface Coordinator {
  models(): readonly ModelListing[];
  /** @throws WeftError `model_not_found`, `bad_request`, `context_too_long`, or the work's own failure */
  chat(request: ChatRequest, options: RequestOptions, events: AnswerEvents): Promise<AnswerResult>;
  /** As {@link chat}. */
  complete(request: CompletionRequest, options: RequestOptions, events: AnswerEvents): Promise<AnswerResult>;
  embed(request: EmbedRequest, options: RequestOptions): Promise<EmbedAnswer>;
  /** @throws WeftError `model_not_found`, `bad_request`, `context_too_long` for the query, or the work's own failure */
  rerank(request: RerankRequest, options: RequestOptions): Promise<RerankAnswer>;
  /** @throws WeftError `model_not_found`, `bad_request` for what is no sound, or the work's own failure */
  transcribe(request: TranscribeRequest, options: RequestOptions, events: TranscribeEvents): Promise<TranscribeAnswer>;
  /** @throws WeftError `model_not_found`, `tensor_invalid`, or the work's own failure */
  run(request: TensorRequest, options: RequestOptions): Promise<TensorAnswer>;
  /**
   * Prepares the work as if it were to be done, and says where it would go now. No executor hears of it.
   * @throws WeftError as the work itself would before it is placed; `no_capable_node`
   */
  plan(request: PlanRequest, options: RequestOptions): Promise<PlanAnswer>;
}
