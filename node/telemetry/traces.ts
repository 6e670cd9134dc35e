// The ways of the last requests, kept in memory: how long each part took beside what it had been predicted to take, which
// plans were tried, what failed. The gateway and the server of peers' calls begin traces; the control API reads them.
import type { NodeId, RequestId } from '../../protocol/ids.ts';
import { type Plan, planNodes } from '../../protocol/plan.ts';
import type { Clock, Random } from '../core/clock.ts';
import type { Events } from '../core/events.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { FailedAttempt, RequestTrace, Span, TraceInit, TraceOutcome, TraceRecord, Traces } from '../core/trace.ts';
import {
  FAILURES_PER_TRACE_MAX,
  PLANS_PER_TRACE_MAX,
  REJECTIONS_PER_PLAN_MAX,
  SPANS_PER_TRACE_MAX,
  TRACE_TEXT_LENGTH_MAX,
  TRACES_MAX,
} from './limits.ts';
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
}

/** Past its capacity the ring forgets the oldest request that has ended; where all are under way, the oldest of all. */
export class TraceRing implements Traces {
  readonly #components: TraceRingComponents;
  readonly #capacity: number;
  /** Oldest first. */
  readonly #traces = new Set<Trace>();
  /** Where one id comes again, as it does when a peer repeats its call, the latest counts. */
  readonly #byId = new Map<RequestId, Trace>();

  constructor(components: TraceRingComponents, init: TraceRingInit = {}) {
    this.#components = components;
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

class Trace implements RequestTrace {
  readonly requestId: RequestId;
  readonly traceParent: string;
  readonly #components: TraceRingComponents;
  readonly #name: string;
  readonly #caller: NodeId | undefined;
  readonly #context: TraceContext;
  readonly #parent: TraceContext | undefined;
  readonly #startedMs: number;
  readonly #startedAtMs: number;
  readonly #spans: Span[] = [];
  readonly #plans: Plan[] = [];
  readonly #failures: FailedAttempt[] = [];
  #model: string | undefined;
  #promptTokens: number | undefined;
  #completionTokens: number | undefined;
  #outcome: TraceOutcome | undefined;
  #durationMs: number | undefined;
  /** Nothing is noted down any more. */
  #closed = false;

  constructor(components: TraceRingComponents, init: TraceInit) {
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
  }

  placed(plan: Plan): void {
    if (this.#closed) return;
    if (this.#plans.length < PLANS_PER_TRACE_MAX) {
      this.#plans.push({ ...plan, rejected: plan.rejected.slice(0, REJECTIONS_PER_PLAN_MAX) });
    }
    this.#publish('placed', { plan: plan.kind, nodes: planNodes(plan), predictedMs: plan.price.totalMs });
  }

  failed(node: NodeId, code: string): void {
    if (this.#closed || this.#failures.length >= FAILURES_PER_TRACE_MAX) return;
    this.#failures.push({ node, code: clip(code), atMs: this.elapsedMs() });
  }

  usage(usage: { readonly promptTokens?: number; readonly completionTokens?: number }): void {
    if (this.#closed) return;
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
    this.#publish('ended', {
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
      spans: [...this.#spans],
      plans: [...this.#plans],
      failures: [...this.#failures],
    };
  }

  #publish(phase: 'begun' | 'placed' | 'ended', facts: Readonly<Record<string, unknown>>): void {
    const { requestId } = this;
    const common = { requestId, phase, name: this.#name, caller: this.#caller, model: this.#model };
    this.#components.events?.publish('request', { ...common, ...facts });
  }
}

function clip(text: string): string {
  return text.length <= TRACE_TEXT_LENGTH_MAX ? text : text.slice(0, TRACE_TEXT_LENGTH_MAX).toWellFormed();
}
