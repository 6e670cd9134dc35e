// The ways of the last requests, kept in memory: how long each part took beside what it had been predicted to take, which
// plans were tried, what failed. The gateway and the server of peers' calls begin traces; the control API reads them.
import type { NodeId, RequestId } from '../../protocol/ids.ts';
import { type Plan, planNodes } from '../../protocol/plan.ts';
import type { PlanRecord } from '../../protocol/plan-record.ts';
import type { Clock, Random } from '../core/clock.ts';
import type { Events } from '../core/events.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type {
  BatchProgress,
  FailedAttempt,
  PlacementRecord,
  RequestTrace,
  Span,
  TraceInit,
  TraceOutcome,
  TraceRecord,
  Traces,
} from '../core/trace.ts';
import { KeptRecords } from './kept-records.ts';
import {
  FAILURES_PER_TRACE_MAX,
  PLANS_PER_TRACE_MAX,
  PROGRESS_MS_MIN,
  RECORD_NODES_MAX,
  REJECTIONS_PER_PLAN_MAX,
  SPANS_PER_TRACE_MAX,
  TRACE_TEXT_LENGTH_MAX,
  TRACES_MAX,
} from './limits.ts';
import { KeptPlacement } from './placements.ts';
import { formatTraceParent, newTraceContext, parseTraceParent, type TraceContext } from './trace-context.ts';

/** A request that is over, for whoever keeps it elsewhere. */
export interface EndedTrace {
  readonly record: TraceRecord;
  readonly context: TraceContext;
  /** Span of the caller, where it sent one. */
  readonly parentSpanId: string | undefined;
}

/** Takes ended requests. Must neither throw nor wait. */
export interface TraceExporter {
  export(trace: EndedTrace): void;
}

export interface TraceRingComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly events?: Pick<Events, 'publish'>;
  readonly telemetry?: Pick<Telemetry, 'count' | 'observe'>;
  readonly exporter?: TraceExporter;
}

export interface TraceRingInit {
  /** Requests that are kept. @default TRACES_MAX */
  readonly capacity?: number;
  /** Nodes that decisions are kept of, over all requests. @default RECORD_NODES_MAX */
  readonly recordNodesMax?: number;
}

/** Past its capacity the ring forgets the oldest request that has ended; where all are under way, the oldest of all. */
export class TraceRing implements Traces {
  readonly #components: TraceComponents;
  readonly #capacity: number;
  /** Oldest first. */
  readonly #traces = new Set<Trace>();
  /** Where one id comes again, as it does when a peer repeats its call, the latest counts. */
  readonly #byId = new Map<RequestId, Trace>();

  constructor(components: TraceRingComponents, init: TraceRingInit = {}) {
    const records = new KeptRecords({ nodesMax: init.recordNodesMax ?? RECORD_NODES_MAX });
    this.#components = { ...components, records };
    this.#capacity = init.capacity ?? TRACES_MAX;
  }

  begin(init: TraceInit): RequestTrace {
    const trace = new Trace(this.#components, init);
    this.#traces.add(trace);
    this.#byId.set(init.requestId, trace);
    if (this.#traces.size > this.#capacity) this.#forget(trace);
    return trace;
  }

  get(requestId: RequestId): TraceRecord | undefined {
    return this.#byId.get(requestId)?.record();
  }

  placements(requestId: RequestId): readonly PlacementRecord[] | undefined {
    return this.#byId.get(requestId)?.placements();
  }

  list(): readonly TraceRecord[] {
    return [...this.#traces].reverse().map((trace) => trace.record());
  }

  #forget(newest: Trace): void {
    const [oldest] = this.#traces;
    const victim = this.#traces.values().find((trace) => trace.ended && trace !== newest) ?? oldest;
    if (victim === undefined) return;
    victim.close();
    this.#traces.delete(victim);
    if (this.#byId.get(victim.requestId) === victim) this.#byId.delete(victim.requestId);
  }
}

interface TraceComponents extends TraceRingComponents {
  readonly records: KeptRecords;
}

class Trace implements RequestTrace {
  readonly requestId: RequestId;
  readonly traceParent: string;
  readonly #components: TraceComponents;
  readonly #name: string;
  readonly #caller: NodeId | undefined;
  readonly #context: TraceContext;
  readonly #parent: TraceContext | undefined;
  readonly #startedMs: number;
  readonly #startedAtMs: number;
  readonly #spans: Span[] = [];
  readonly #placements: KeptPlacement[] = [];
  readonly #failures: FailedAttempt[] = [];
  #model: string | undefined;
  #promptTokens: number | undefined;
  #completionTokens: number | undefined;
  #ttftMs: number | undefined;
  #outcome: TraceOutcome | undefined;
  #durationMs: number | undefined;
  /** When watchers were last told how far it is. */
  #toldMs = Number.NEGATIVE_INFINITY;
  /** Nothing is noted down any more. */
  #closed = false;

  constructor(components: TraceComponents, init: TraceInit) {
    const { clock, random } = components;
    this.#components = components;
    this.requestId = init.requestId;
    this.#name = clip(init.name);
    this.#caller = init.caller;
    this.#parent = parseTraceParent(init.traceParent);
    this.#context = newTraceContext(random, this.#parent);
    this.traceParent = formatTraceParent(this.#context);
    this.#startedMs = clock.now();
    this.#startedAtMs = clock.wallNow();
    this.#publish('begun', {});
  }

  get ended(): boolean {
    return this.#outcome !== undefined;
  }

  elapsedMs(): number {
    return this.#components.clock.now() - this.#startedMs;
  }

  model(id: string): void {
    if (!this.#closed) this.#model = clip(id);
  }

  span(span: Span): void {
    if (this.#closed) return;
    if (span.name === 'queue') {
      this.#components.telemetry?.observe('weft_queue_wait_seconds', span.durationMs / 1_000);
    }
    if (this.#spans.length < SPANS_PER_TRACE_MAX) this.#spans.push(span);
    // An attempt tells its parts when it ends: they are those of the last placement on its node that has none yet.
    this.#placements.findLast((placement) => placement.take(span));
  }

  placed(plan: Plan, record?: PlanRecord): void {
    if (this.#closed) return;
    if (this.#placements.length < PLANS_PER_TRACE_MAX) {
      const kept = { ...plan, rejected: plan.rejected.slice(0, REJECTIONS_PER_PLAN_MAX) };
      const placement = new KeptPlacement(kept, this.elapsedMs());
      this.#placements.push(placement);
      if (record !== undefined) this.#components.records.keep(placement, record);
    }
    this.#publish('placed', { plan: plan.kind, nodes: planNodes(plan), predictedMs: plan.price.totalMs });
  }

  failed(node: NodeId, code: string): void {
    if (this.#closed || this.#failures.length >= FAILURES_PER_TRACE_MAX) return;
    this.#failures.push({ node, code: clip(code), atMs: this.elapsedMs() });
  }

  progress({ done, total, byNode }: BatchProgress): void {
    const nowMs = this.#components.clock.now();
    if (this.#closed || (done < total && nowMs - this.#toldMs < PROGRESS_MS_MIN)) return;
    this.#toldMs = nowMs;
    this.#publish('progress', { done, total, ...(byNode !== undefined && { doneByNode: Object.fromEntries(byNode) }) });
  }

  usage(usage: Parameters<RequestTrace['usage']>[0]): void {
    if (this.#closed) return;
    this.#ttftMs = usage.ttftMs ?? this.#ttftMs;
    this.#promptTokens = usage.promptTokens ?? this.#promptTokens;
    this.#completionTokens = usage.completionTokens ?? this.#completionTokens;
  }

  end(outcome: TraceOutcome): void {
    if (this.#closed) return;
    this.#durationMs = this.elapsedMs();
    this.#outcome = outcome.code === undefined ? outcome : { ...outcome, code: clip(outcome.code) };
    this.#closed = true;
    const { telemetry, exporter } = this.#components;
    // A peer's request is counted where its client is.
    if (this.#caller === undefined) telemetry?.count('weft_tokens_prompt_total', {}, this.#promptTokens ?? 0);
    const plan = this.#placements.at(-1)?.plan;
    this.#publish('ended', {
      ...(plan !== undefined && { plan: plan.kind, nodes: planNodes(plan) }),
      ttftMs: this.#ttftMs,
      status: outcome.status,
      code: this.#outcome.code,
      durationMs: this.#durationMs,
      promptTokens: this.#promptTokens,
      completionTokens: this.#completionTokens,
    });
    if (this.#context.sampled) {
      exporter?.export({ record: this.record(), context: this.#context, parentSpanId: this.#parent?.spanId });
    }
  }

  /** The ring forgets it: later calls change nothing. */
  close(): void {
    this.#closed = true;
    for (const placement of this.#placements) this.#components.records.drop(placement);
  }

  placements(): readonly PlacementRecord[] {
    return this.#placements.map((placement) => placement.toRecord());
  }

  record(): TraceRecord {
    return {
      requestId: this.requestId,
      traceId: this.#context.traceId,
      name: this.#name,
      caller: this.#caller,
      model: this.#model,
      startedAtMs: this.#startedAtMs,
      durationMs: this.#durationMs ?? this.elapsedMs(),
      status: this.#outcome?.status ?? 'running',
      code: this.#outcome?.code,
      promptTokens: this.#promptTokens,
      completionTokens: this.#completionTokens,
      ...(this.#ttftMs !== undefined && { ttftMs: this.#ttftMs }),
      spans: [...this.#spans],
      plans: this.#placements.map(({ plan }) => plan),
      failures: [...this.#failures],
    };
  }

  #publish(phase: 'begun' | 'placed' | 'progress' | 'ended', facts: Readonly<Record<string, unknown>>): void {
    const { requestId } = this;
    const { traceId } = this.#context;
    const common = { requestId, traceId, phase, name: this.#name, caller: this.#caller, model: this.#model };
    this.#components.events?.publish('request', { ...common, ...facts });
  }
}

function clip(text: string): string {
  return text.length <= TRACE_TEXT_LENGTH_MAX ? text : text.slice(0, TRACE_TEXT_LENGTH_MAX).toWellFormed();
}
