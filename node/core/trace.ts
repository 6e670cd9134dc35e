// One request's way, noted down while it goes: which node, which part, how long, and how long it had been predicted to
// take. Kept in a bounded ring by node/telemetry; read by the control API.
import type { NodeId, RequestId } from '../../protocol/ids.ts';
import type { Timing } from '../../protocol/infer.ts';
import type { Plan } from '../../protocol/plan.ts';
import type { PlanRecord } from '../../protocol/plan-record.ts';

/** `prepare`: template and token ids. `up`, `acknowledge`, `down`: on the link. The others: at the executor. */
export type SpanName = 'prepare' | 'up' | 'acknowledge' | 'queue' | 'load' | 'compute' | 'down';

export interface Span {
  readonly name: SpanName;
  readonly node: NodeId;
  /** Since the request began. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly predictedMs?: number;
  /** Of `up` to a peer that has a part of a graph: what left this node for it; of `down` what came back as blocks. */
  readonly tensors?: readonly CrossedTensor[];
}

export interface CrossedTensor {
  readonly name: string;
  /** As they crossed. */
  readonly bytes: number;
  /** What was lost on the way, of the Euclidean length. @default nothing */
  readonly error?: number;
}

/** The executor's own times, one behind the other. What it calls its queue holds the wait for a load, which counts as that. */
export function executorParts({ queueMs, loadMs, computeMs }: Timing): readonly {
  readonly name: 'queue' | 'load' | 'compute';
  readonly durationMs: number;
}[] {
  return [
    { name: 'queue', durationMs: Math.max(0, queueMs - loadMs) },
    { name: 'load', durationMs: loadMs },
    { name: 'compute', durationMs: computeMs },
  ];
}

/** An attempt on a node that failed. */
export interface FailedAttempt {
  readonly node: NodeId;
  readonly code: string;
  readonly atMs: number;
}

/** What a request is, as far as it may be shown: never its text. */
export interface TraceInit {
  readonly requestId: RequestId;
  /** Such as `POST /v1/chat/completions`, or `encode` for a peer's request. */
  readonly name: string;
  /** Who asked: absent for a client of this node's API. */
  readonly caller?: NodeId;
  /** W3C traceparent header that came with it; an invalid one counts as none. */
  readonly traceParent?: string | undefined;
}

/** How far a request of many items is, such as texts to encode. */
export interface BatchProgress {
  readonly done: number;
  readonly total: number;
  /** Items that are done, by the node that did them; absent where that isn't known of all. */
  readonly byNode?: ReadonlyMap<NodeId, number>;
}

export interface TraceOutcome {
  readonly status: 'ok' | 'error' | 'cancelled';
  /** Error code. */
  readonly code?: string;
}

/** A request under way. Every method may be called late, or for one that is forgotten: nothing happens then. */
export interface RequestTrace {
  readonly requestId: RequestId;
  /** W3C traceparent of this node's part, for whoever works on it elsewhere. */
  readonly traceParent: string;
  /** Milliseconds since it began. */
  elapsedMs(): number;
  /** Hub id of the model, once it is known. */
  model(id: string): void;
  span(span: Span): void;
  /**
   * A plan, before it is carried out.
   * @param record what was known when it was made, to be decided again later
   */
  placed(plan: Plan, record?: PlanRecord): void;
  failed(node: NodeId, code: string): void;
  /** Told where items are done in several pieces, or on several nodes: after each. */
  progress(progress: BatchProgress): void;
  /** Tokens or rows that were made, and how long the first token took. */
  usage(usage: {
    readonly promptTokens?: number;
    readonly completionTokens?: number;
    readonly ttftMs?: number | undefined;
  }): void;
  end(outcome: TraceOutcome): void;
}

/** A request as it is kept. */
export interface TraceRecord {
  readonly requestId: RequestId;
  /** 32 hex digits, as in W3C Trace Context. */
  readonly traceId: string;
  readonly name: string;
  readonly caller: NodeId | undefined;
  readonly model: string | undefined;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  /** Until now, for one that is under way. */
  readonly durationMs: number;
  readonly status: 'running' | TraceOutcome['status'];
  readonly code: string | undefined;
  readonly promptTokens: number | undefined;
  readonly completionTokens: number | undefined;
  /** Until the first token; absent where none was made. */
  readonly ttftMs?: number;
  readonly spans: readonly Span[];
  /** Every plan that was tried, in order. */
  readonly plans: readonly Plan[];
  readonly failures: readonly FailedAttempt[];
}

/** A decision as it is kept. */
export interface PlacementRecord {
  readonly plan: Plan;
  /** Milliseconds since the request began. */
  readonly atMs: number;
  /** Undefined where none came, or it was dropped to make room for those of later requests. */
  readonly record: PlanRecord | undefined;
  /** What became of it, by part; parts that took no time are left out. Empty for a placement that has not ended. */
  readonly measured: Measured;
}

/** Measured milliseconds of an attempt, by part, as a plan's {@link Price} has them. */
export type Measured = Readonly<Partial<Record<'upMs' | 'queueMs' | 'loadMs' | 'computeMs' | 'downMs', number>>>;

export interface Traces {
  begin(init: TraceInit): RequestTrace;
  get(requestId: RequestId): TraceRecord | undefined;
  /** Every decision of a request, in order. */
  placements(requestId: RequestId): readonly PlacementRecord[] | undefined;
  /** Newest first. */
  list(): readonly TraceRecord[];
}
