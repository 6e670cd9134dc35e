// The one interface for "run this on these tensors" and "generate from these ids". LocalEngine and RemoteEngine both
// implement it, so dispatch never knows where work happens; one compliance suite runs on both.
import type { Load, ModelOffer } from '../../protocol/capability.ts';
import type { NodeId, RequestId } from '../../protocol/ids.ts';
import type {
  EncodeRequest,
  EncodeResult,
  GenerateRequest,
  GenerateResult,
  OnTokens,
  RunRequest,
  RunResult,
} from '../../protocol/infer.ts';

/** How one call is made. */
export interface WorkOptions {
  readonly signal: AbortSignal;
  readonly requestId: RequestId;
  /** Milliseconds that are left for the whole of it; absent = the method's own bound. */
  readonly budgetMs?: number;
  /** W3C traceparent of the request, passed on to peers. */
  readonly traceParent?: string;
  /** The executor has the request. Never called by an engine that works here. */
  readonly onAck?: () => void;
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
  readonly state: 'loading' | 'loaded' | 'quarantined';
  readonly provider: string;
  readonly runnerPid: number | undefined;
  readonly residentBytes: number;
  readonly requestsInFlight: number;
  /** Milliseconds until it is unloaded if nobody asks for it; undefined = never. */
  readonly idleUntilMs: number | undefined;
  /** Why it is quarantined. */
  readonly reason: string | undefined;
}

/** The engine of this node, with what only its own node may ask. */
export interface LocalEngine extends Engine {
  /** What this node offers now, with measured profiles. */
  offers(): readonly ModelOffer[];
  load(): Load;
  loaded(): readonly LoadedModel[];
  /**
   * Frees a model's memory. Its requests under way are answered first; later ones load it again.
   * @param digest of the model
   * @returns false when it wasn't loaded
   */
  unload(digest: string): Promise<boolean>;
  /** Stops offering a model, and frees its memory, because its files are about to go. */
  withdraw(digest: string): Promise<void>;
  /** Calls back whenever an offer's state changes. Returns what ends the subscription. */
  onChange(listener: () => void): () => void;
  start(): Promise<void>;
  /** Ends every runner. Work under way rejects with `stopping`. */
  stop(): Promise<void>;
}
