// Sends ended requests to an OpenTelemetry collector, as spans over OTLP/HTTP. Loaded by the composition root only where a
// collector is named (WEFT_OTLP_ENDPOINT): the libraries cost a few MB and a tenth of a second at the start.
import {
  type Attributes,
  type HrTime,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
} from '@opentelemetry/api';
import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace';
import type { NodeId } from '../../protocol/ids.ts';
import { planNodes } from '../../protocol/plan.ts';
import { type Clock, delay, type Random } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Span } from '../core/trace.ts';
import { EXPORT_BATCH_MAX, EXPORT_DELAY_MS, EXPORT_QUEUE_MAX, EXPORT_TIMEOUT_MS } from './limits.ts';
import { newTraceContext, type TraceContext } from './trace-context.ts';
import type { EndedTrace, TraceExporter } from './traces.ts';

export interface OtlpExportComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Pick<Log, 'info' | 'warn'>;
}

export interface OtlpExportInit {
  /** Of the collector, such as `http://127.0.0.1:4318`; `/v1/traces` is put behind it where it isn't there already. */
  readonly endpoint: string;
  readonly node: NodeId;
  readonly name: string;
  readonly version: string;
  /** @default EXPORT_DELAY_MS */
  readonly delayMs?: number;
  /** @default EXPORT_TIMEOUT_MS */
  readonly timeoutMs?: number;
}

const SCOPE = { name: 'weft' };

/** Spans on a link are calls to another node; the others are this node's own, or its account of the other's. */
const LINK_SPANS: ReadonlySet<Span['name']> = new Set(['up', 'acknowledge', 'down']);

/** A collector that is slow or gone costs a bounded queue, and no request anything. */
export class OtlpExport implements TraceExporter {
  readonly #components: OtlpExportComponents;
  readonly #processor: BatchSpanProcessor;
  readonly #resource: Resource;
  readonly #timeoutMs: number;

  constructor(components: OtlpExportComponents, init: OtlpExportInit) {
    this.#components = components;
    this.#timeoutMs = init.timeoutMs ?? EXPORT_TIMEOUT_MS;
    const exporter = new OTLPTraceExporter({ url: tracesUrl(init.endpoint), timeoutMillis: this.#timeoutMs });
    this.#processor = new BatchSpanProcessor({
      exporter: new LoggedExporter({ exporter, log: components.log }),
      maxQueueSize: EXPORT_QUEUE_MAX,
      maxExportBatchSize: EXPORT_BATCH_MAX,
      scheduledDelayMillis: init.delayMs ?? EXPORT_DELAY_MS,
      // The exporter's own timeout comes first, and says more.
      exportTimeoutMillis: 2 * this.#timeoutMs,
    });
    this.#resource = resourceFromAttributes({
      'service.name': 'weft',
      'service.version': init.version,
      'service.instance.id': init.node,
      'weft.node.name': init.name,
    });
  }

  export(trace: EndedTrace): void {
    const root = this.#root(trace);
    this.#processor.onEnd(root);
    for (const span of trace.record.spans) this.#processor.onEnd(this.#part(trace, span));
  }

  /** Sends what waits, for as long as one attempt may take. Never rejects. */
  async stop(): Promise<void> {
    const waited = new AbortController();
    const flushed = this.#processor.shutdown().catch((error: unknown) => {
      this.#components.log.warn({ error }, 'the last traces did not reach the collector');
    });
    const late = delay(this.#components.clock, this.#timeoutMs, waited.signal).catch(() => undefined);
    await Promise.race([flushed, late]);
    waited.abort();
  }

  #root({ record, context, parentSpanId }: EndedTrace): ReadableSpan {
    const { startedAtMs, durationMs, status, code, plans, failures } = record;
    const plan = plans.at(-1);
    return {
      ...this.#common(record.name, startedAtMs, durationMs),
      kind: SpanKind.SERVER,
      spanContext: () => spanContext(context),
      ...(parentSpanId === undefined ? {} : { parentSpanContext: spanContext({ ...context, spanId: parentSpanId }) }),
      status: status === 'ok' ? { code: SpanStatusCode.OK } : { code: SpanStatusCode.ERROR, message: code ?? status },
      attributes: defined({
        'weft.request_id': record.requestId,
        'weft.caller': record.caller,
        'weft.status': status,
        'error.type': code,
        'gen_ai.request.model': record.model,
        'gen_ai.usage.input_tokens': record.promptTokens,
        'gen_ai.usage.output_tokens': record.completionTokens,
        'weft.plans': plans.length,
        'weft.plan.kind': plan?.kind,
        'weft.plan.nodes': plan === undefined ? undefined : [...planNodes(plan)],
        'weft.plan.predicted_ms': plan?.price.totalMs,
      }),
      events: failures.map(({ node, code: reason, atMs }) => ({
        name: 'weft.attempt_failed',
        time: hrTime(startedAtMs + atMs),
        attributes: { 'weft.node': node, 'error.type': reason },
      })),
    };
  }

  #part({ record, context }: EndedTrace, span: Span): ReadableSpan {
    const own = newTraceContext(this.#components.random, context);
    return {
      ...this.#common(span.name, record.startedAtMs + span.startMs, span.durationMs),
      kind: LINK_SPANS.has(span.name) ? SpanKind.CLIENT : SpanKind.INTERNAL,
      spanContext: () => spanContext(own),
      parentSpanContext: spanContext(context),
      status: { code: SpanStatusCode.UNSET },
      attributes: defined({ 'weft.node': span.node, 'weft.predicted_ms': span.predictedMs }),
      events: [],
    };
  }

  #common(name: string, startedAtMs: number, durationMs: number) {
    return {
      name,
      startTime: hrTime(startedAtMs),
      endTime: hrTime(startedAtMs + durationMs),
      duration: hrTime(durationMs),
      ended: true,
      links: [],
      resource: this.#resource,
      instrumentationScope: SCOPE,
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    };
  }
}

/** Says once that the collector is gone, and once that it is back. Whatever is lost is lost without a word. */
class LoggedExporter implements SpanExporter {
  readonly #exporter: SpanExporter;
  readonly #log: OtlpExportComponents['log'];
  #failing = false;

  constructor(components: { readonly exporter: SpanExporter; readonly log: OtlpExportComponents['log'] }) {
    this.#exporter = components.exporter;
    this.#log = components.log;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.#exporter.export(spans, ({ code, error }) => {
      const failed = code === ExportResultCode.FAILED;
      if (failed && !this.#failing) this.#log.warn({ error: String(error) }, 'traces do not reach the collector');
      if (!failed && this.#failing) this.#log.info({}, 'traces reach the collector again');
      this.#failing = failed;
      done({ code: ExportResultCode.SUCCESS });
    });
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }
}

function tracesUrl(endpoint: string): string {
  const base = endpoint.replace(/\/+$/, '');
  return base.endsWith('/v1/traces') ? base : `${base}/v1/traces`;
}

function spanContext({ traceId, spanId }: TraceContext): SpanContext {
  return { traceId, spanId, traceFlags: TraceFlags.SAMPLED };
}

/** Seconds and nanoseconds. */
function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.trunc((ms - seconds * 1_000) * 1e6)];
}

/** Without the attributes that are not known. */
function defined(attributes: Attributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}
