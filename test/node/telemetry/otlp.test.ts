// Traces as a collector receives them, over HTTP.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemRandom } from '../../../node/app/random.ts';
import { systemClock } from '../../../node/core/clock.ts';
import { EXPORT_BATCH_MAX, EXPORT_QUEUE_MAX } from '../../../node/telemetry/limits.ts';
import { OtlpExport, type OtlpExportInit } from '../../../node/telemetry/otlp.ts';
import { TraceRing } from '../../../node/telemetry/traces.ts';
import { until } from '../../support/wait.ts';
import { NODE, PEER, plan, recordingLog, span } from './support.ts';

interface Attribute {
  readonly key: string;
  readonly value: Record<string, unknown>;
}
interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly Attribute[];
  readonly events: readonly { readonly name: string; readonly attributes: readonly Attribute[] }[];
  readonly status: { readonly code: number; readonly message?: string };
}

/** A collector that keeps what comes. */
async function collector(status = 200) {
  const spans: OtlpSpan[] = [];
  const resources: (readonly Attribute[])[] = [];
  const paths: (string | undefined)[] = [];
  let answers = status;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      paths.push(request.url);
      if (answers === 200) {
        const body = JSON.parse(Buffer.concat(chunks).toString()) as {
          resourceSpans: { resource: { attributes: Attribute[] }; scopeSpans: { spans: OtlpSpan[] }[] }[];
        };
        for (const { resource, scopeSpans } of body.resourceSpans) {
          resources.push(resource.attributes);
          for (const scope of scopeSpans) spans.push(...scope.spans);
        }
      }
      response.writeHead(answers, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    spans,
    resources,
    paths,
    endpoint: `http://127.0.0.1:${port}`,
    answer: (next: number) => {
      answers = next;
    },
  };
}

function make(init: Partial<OtlpExportInit> & Pick<OtlpExportInit, 'endpoint'>) {
  const log = recordingLog();
  const components = { clock: systemClock, random: systemRandom, log };
  const exporter = new OtlpExport(components, { node: NODE, name: 'desk', version: '1.2.3', delayMs: 5, ...init });
  const ring = new TraceRing({ clock: systemClock, random: systemRandom, exporter });
  return { log, exporter, ring };
}

const attributeOf = (attributes: readonly Attribute[], key: string): unknown =>
  Object.values(attributes.find((attribute) => attribute.key === key)?.value ?? {})[0];

describe('a request that has ended', () => {
  it('reaches the collector as a span with its parts, plan, failures and outcome', async () => {
    const { endpoint, spans, resources, paths } = await collector();
    const { ring, exporter } = make({ endpoint });
    const trace = ring.begin({
      requestId: 'req_1',
      name: 'POST /v1/chat/completions',
      traceParent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    });
    trace.model('owner/model');
    trace.placed(plan());
    trace.failed(PEER, 'peer_lost');
    trace.span(span('up', { startMs: 1, durationMs: 2.5, predictedMs: 2 }));
    trace.span(span('compute', { startMs: 4, durationMs: 30 }));
    trace.usage({ promptTokens: 7, completionTokens: 3 });
    trace.end({ status: 'error', code: 'peer_lost' });
    await until('three spans', () => spans.length === 3);

    const root = spans.find(({ name }) => name === 'POST /v1/chat/completions');
    expect(root).toMatchObject({
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      parentSpanId: '00f067aa0ba902b7',
      kind: 2,
      status: { code: 2, message: 'peer_lost' },
      events: [{ name: 'weft.attempt_failed' }],
    });
    expect(trace.traceParent).toContain(root?.spanId);
    const attribute = (key: string): unknown => attributeOf(root?.attributes ?? [], key);
    expect(attribute('weft.request_id')).toBe('req_1');
    expect(attribute('gen_ai.request.model')).toBe('owner/model');
    expect(attribute('gen_ai.usage.input_tokens')).toBe(7);
    expect(attribute('weft.plan.kind')).toBe('remote');
    expect(attribute('weft.plan.predicted_ms')).toBe(35);
    expect(JSON.stringify(attribute('weft.plan.nodes'))).toContain(PEER);
    expect(attribute('error.type')).toBe('peer_lost');

    const up = spans.find(({ name }) => name === 'up');
    expect(up).toMatchObject({ traceId: root?.traceId, parentSpanId: root?.spanId, kind: 3 });
    expect(BigInt(up?.endTimeUnixNano ?? 0) - BigInt(up?.startTimeUnixNano ?? 0)).toBe(2_500_000n);
    expect(attributeOf(up?.attributes ?? [], 'weft.predicted_ms')).toBe(2);
    expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(3);
    expect(attributeOf(resources[0] ?? [], 'service.instance.id')).toBe(NODE);
    expect(paths[0]).toBe('/v1/traces');
    await exporter.stop();
  });

  it('that waits for others is sent at the stop', async () => {
    const { endpoint, spans } = await collector();
    const { ring, exporter } = make({ endpoint: `${endpoint}/v1/traces/`, delayMs: 3_600_000 });
    ring.begin({ requestId: 'a', name: 'x' }).end({ status: 'ok' });
    ring.begin({ requestId: 'b', name: 'x' }).end({ status: 'ok' });
    expect(spans).toHaveLength(0);
    await exporter.stop();
    expect(spans).toHaveLength(2);
    ring.begin({ requestId: 'c', name: 'x' }).end({ status: 'ok' });
  });
});

describe('a collector that is gone', () => {
  it('costs one line in the log, and one when it is back; requests go on', async () => {
    const { endpoint, spans, answer } = await collector(400);
    const { ring, exporter, log } = make({ endpoint });
    const request = (): void => ring.begin({ requestId: 'a', name: 'x' }).end({ status: 'ok' });
    request();
    await until('the refusal', () => log.lines.length === 1);
    request();
    answer(200);
    await until('its return', () => {
      request();
      return spans.length > 0 && log.lines.length === 2;
    });
    expect(log.lines.map(({ level }) => level)).toEqual(['warn', 'info']);
    await exporter.stop();
  });

  it('holds a bounded number of spans, and a stop for no longer than one attempt', async () => {
    // Takes everything, and never answers.
    let received = 0;
    const server = createServer((request) => {
      request.setEncoding('utf8').on('data', (text: string) => {
        received += text.split('"traceId"').length - 1;
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const { ring, exporter } = make({ endpoint: `http://127.0.0.1:${port}`, timeoutMs: 300 });
    for (let index = 0; index < 3 * EXPORT_QUEUE_MAX; index += 1) {
      ring.begin({ requestId: String(index), name: 'x' }).end({ status: 'ok' });
    }
    await exporter.stop();
    expect(received).toBeGreaterThan(0);
    expect(received).toBeLessThanOrEqual(EXPORT_QUEUE_MAX + EXPORT_BATCH_MAX);
  });
});
