// From text to text: what the gateway asks for. The coordinator owns a request until it is answered.
import type { ModelTask } from '../../protocol/capability.ts';
import type { NodeId, RequestId } from '../../protocol/ids.ts';
import type { Plan } from '../../protocol/plan.ts';

export interface RequestOptions {
  readonly signal: AbortSignal;
  readonly requestId: RequestId;
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
}

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export interface ChatRequest {
  /** Hub id or short name. */
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  /** Absent = as many as the context holds. */
  readonly maxTokens?: number;
  readonly temperature: number;
  readonly topP: number;
  /** 64 bits; absent = drawn at random. */
  readonly seed?: bigint;
  readonly stop: readonly string[];
}

export interface ChatUsage {
  readonly promptTokens: number;
  /** Every token that was drawn, end-of-turn token included. */
  readonly completionTokens: number;
}

export interface ChatTimings {
  /** Request received → first token. */
  readonly ttftMs: number;
  readonly totalMs: number;
  readonly tokensPerSecond: number;
}

export interface ChatResult {
  /** The model's hub id. */
  readonly model: string;
  readonly finish: 'stop' | 'length';
  readonly usage: ChatUsage;
  readonly timings: ChatTimings;
  readonly nodes: readonly NodeId[];
  readonly plan: Plan;
}

/** How a chat answer arrives. Text comes whole characters at a time, stop strings already cut off. */
export interface ChatEvents {
  /** Before the first text: which node begins it, under which hub id. A recovery calls it again. */
  readonly onPlaced?: (node: NodeId, model: string) => void;
  readonly onText: (text: string) => void;
}

export interface EmbedRequest {
  readonly model: string;
  readonly inputs: readonly string[];
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

export interface Coordinator {
  models(): readonly ModelListing[];
  /** @throws WeftError `model_not_found`, `bad_request`, `context_too_long`, or the work's own failure */
  chat(request: ChatRequest, options: RequestOptions, events: ChatEvents): Promise<ChatResult>;
  embed(request: EmbedRequest, options: RequestOptions): Promise<EmbedAnswer>;
}
