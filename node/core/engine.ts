// The one interface for "run this on these tensors" and "generate from these ids". LocalEngine and RemoteEngine both
// implement it, so dispatch never knows where work happens; one compliance suite runs on both.
import type { Load, ModelOffer } from '../../protocol/capability.ts';
import type { CutTable, ObservedPart } from '../../protocol/cut-table.ts';
import type { ModelRef, NodeId, RequestId } from '../../protocol/ids.ts';
import type {
  EncodeRequest,
  EncodeResult,
  GenerateRequest,
  GenerateResult,
  OnTokens,
  RunRequest,
  RunResult,
} from '../../protocol/infer.ts';
import type { GraphPart } from '../../protocol/part.ts';
import type { NamedTensor } from '../../protocol/tensor.ts';

/** Interactive work goes before batch work wherever both wait; nobody starves. */
export type Priority = 'interactive' | 'batch';

/** How one call is made. */
export interface WorkOptions {
  readonly signal: AbortSignal;
  readonly requestId: RequestId;
  /** @default 'interactive' */
  readonly priority?: Priority;
  /**
   * A condition: the executor declines with `declined` and `facts.quotedMs` when it predicts that the whole of the work
   * would take longer than so many milliseconds from its arrival there. Nothing has been done then.
   */
  readonly withinMs?: number;
  /** Milliseconds that are left for the whole of it; absent = the method's own bound. */
  readonly budgetMs?: number;
  /** For how long it has waited already, where it came from, because every node was busy: demand, as its queue here is. */
  readonly waitedMs?: number;
  /** W3C traceparent of the request, passed on to peers. */
  readonly traceParent?: string;
  /** The node that asks, where it is another one. Never sent: a peer is known by its connection. */
  readonly caller?: NodeId;
  /** The executor has the request. Never called by an engine that works here. */
  readonly onAck?: () => void;
  /**
   * A measurement that nobody waits for: no part of load, queue or observed speed. Only for models that are loaded, while
   * there is no other request; the next one ends it within one step.
   */
  readonly background?: true;
}

/**
 * Executes work. Every method rejects with a WeftError: `cancelled` after the signal aborts; codes that say
 * `elsewhere` when another engine may succeed; others when the request itself is at fault.
 */
export interface Engine {
  /** The node that does the work. */
  readonly node: NodeId;
  run(request: RunRequest, options: WorkOptions): Promise<RunResult>;
  encode(request: EncodeRequest, options: WorkOptions): Promise<EncodeResult>;
  /** Calls `onTokens` in order, without gap or repetition; never again once the promise has settled. */
  generate(request: GenerateRequest, options: WorkOptions, onTokens: OnTokens): Promise<GenerateResult>;
}

/** A loaded or loading model, for `weft ps`. */
export interface LoadedModel {
  readonly id: string;
  /** Several variants of one id may be loaded. Of a part it is the part's own, which no model has. */
  readonly digest: string;
  /** It is a part of a model's graph. @default the whole */
  readonly part?: LoadedPart | undefined;
  readonly state: 'loading' | 'loaded' | 'quarantined';
  readonly provider: string;
  /** Why it isn't the provider that was asked for. */
  readonly fallbackReason: string | undefined;
  readonly runnerPid: number | undefined;
  /** All that is reserved for it, KV rows included. */
  readonly residentBytes: number;
  readonly requestsInFlight: number;
  /** Milliseconds until it is unloaded if nobody asks for it; undefined = never. */
  readonly idleUntilMs: number | undefined;
  /** It is never unloaded to make room, nor when it is idle. */
  readonly pinned: boolean;
  /** Why it is quarantined. */
  readonly reason: string | undefined;
  /** Of text generators that are loaded. */
  readonly generation: GenerationStatus | undefined;
  /** Whether requests on its graph share runs. Of other models that are loaded. */
  readonly batching?: BatchingStatus | undefined;
}

/** A part of a graph that is in memory by itself. */
export interface LoadedPart {
  /** Of the whole model. */
  readonly model: string;
  /** Names of the tensors that it takes, and gives. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export interface BatchingStatus {
  /** `rows`: those of several requests go through the graph in one run. */
  readonly batching: 'rows' | 'none';
  /** Why they don't, or don't yet. */
  readonly reason: string | undefined;
}

/** What a text generator does and holds. */
export interface GenerationStatus {
  /** `rewritten`: sequences share runs and the cache stays where it is; `plain`: the graph as it was exported. */
  readonly decoder: 'rewritten' | 'plain';
  /** Why it is `plain`. */
  readonly decoderReason: string | undefined;
  readonly sequences: number;
  readonly sequencesMax: number;
  readonly waiting: number;
  /** Of all sequences together, over the last seconds; 0 when idle. */
  readonly tokensPerS: number;
  readonly kvBytes: number;
  readonly prefixBytes: number;
  readonly kvBytesMax: number;
  readonly kvBytesPerToken: number;
  /** Since it was loaded. */
  readonly promptTokens: number;
  /** Of the prompts' tokens: taken from kept prefixes. */
  readonly cachedTokens: number;
  readonly draftedTokens: number;
  readonly acceptedTokens: number;
}

/**
 * What is done to load a model: `room`: others leave; `start`: a process begins; `verify`: files are hashed; `load`: the
 * runtime reads the graph; `check`: a rewritten graph is compared with the original; `warm`: a first run.
 */
export const LOAD_PHASES = ['room', 'start', 'verify', 'load', 'check', 'warm'] as const;
export type LoadPhase = (typeof LOAD_PHASES)[number];

/** How far a load is. */
export interface LoadingProgress {
  readonly id: string;
  readonly phase: LoadPhase;
  /** Of this phase, 0 to 1; undefined where it isn't known. */
  readonly fraction: number | undefined;
}

/** The work that load is asked for. */
export interface LoadOf {
  /** Of this model or part: what stands before work on others doesn't count, where those have another runner. @default any */
  readonly digest?: string;
  /** @default 'interactive' */
  readonly priority?: Priority;
}

/** A tensor, or the shape of one. */
export type SampleInput = Omit<NamedTensor, 'data'> & Partial<Pick<NamedTensor, 'data'>>;

/** How a table of cuts is asked for. */
export interface CutsOptions {
  readonly signal: AbortSignal;
  /** Inputs of a request, or their shapes: those are filled. @default inputs of usual shapes are made up */
  readonly sample?: readonly SampleInput[];
  /** Inputs that as few segments as possible may read: raw data that stays where it is. @default none */
  readonly raw?: readonly string[];
  /**
   * A request waits for it: where the node is not quiet soon it is measured beside other work, and not kept on disk.
   * @default it waits until the node is quiet, and gives way to requests
   */
  readonly urgent?: boolean;
  /** Measure anew what has been measured. @default false */
  readonly refresh?: boolean;
}

/** The engine of this node, with what only its own node may ask. */
export interface LocalEngine extends Engine {
  /** What this node offers now, with measured profiles. */
  offers(): readonly ModelOffer[];
  /**
   * A part of a graph as an offer: its state and what its runs were seen to take. Its digest is the part's own, for
   * {@link LocalEngine.load}, `unload` and {@link LoadedModel}.
   * @returns undefined for a part that was not asked for lately, of which nothing is known
   */
  partOffer(model: ModelRef, part: GraphPart): ModelOffer | undefined;
  /** @param work what others are told of is interactive work on any model: the default */
  load(work?: LoadOf): Load;
  loaded(): readonly LoadedModel[];
  /**
   * Loads a model that nobody asks for yet; resolves once it is in memory. Shares a load that is under way.
   * @param digest of the model
   * @param options `pin`: it then stays until {@link LocalEngine.unload}
   * @throws WeftError `model_not_found`, `model_quarantined`, `out_of_memory`, what loading failed with, or `cancelled`: the
   *   load itself goes on
   */
  ensureLoaded(digest: string, options: { readonly signal: AbortSignal; readonly pin?: boolean }): Promise<void>;
  /** These stay in memory, and are loaded now; those that were named before, and are not any more, may leave again. */
  keepLoaded(digests: readonly string[]): void;
  /** Calls back while models load. Returns what ends the subscription. */
  onLoading(listener: (progress: LoadingProgress) => void): () => void;
  /**
   * Frees the memory of a model and of its parts, pinned or not. Its requests under way are answered first; later ones load
   * it again.
   * @param digest of the model, or of one part
   * @returns false when it wasn't loaded
   */
  unload(digest: string): Promise<boolean>;
  /** Stops offering a model, and frees its memory, because its files are about to go. */
  withdraw(digest: string): Promise<void>;
  /**
   * Where a model's graph can be cut and what its parts take here: kept from an earlier measurement, else measured now, which
   * takes some seconds of a node that has nothing else to do; requests go before.
   * @param options `sample`: inputs to measure with, else some are made up; `refresh`: measure anew what is kept
   * @throws WeftError `model_not_found`; `unsupported` where this node doesn't measure, or no inputs could be made up;
   *   `overloaded` where it is never quiet; `out_of_memory`; what the measurement fails with
   */
  cuts(model: ModelRef, options: CutsOptions): Promise<CutTable>;
  /** A table of inputs that were given, corrected by runs of its parts, and kept. */
  cutsObserved(table: CutTable, parts: readonly ObservedPart[]): Promise<CutTable>;
  /** Calls back whenever an offer's state changes. Returns what ends the subscription. */
  onChange(listener: () => void): () => void;
  start(): Promise<void>;
  /** Ends every runner. Work under way rejects with `stopping`. */
  stop(): Promise<void>;
}
