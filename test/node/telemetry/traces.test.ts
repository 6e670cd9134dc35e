// The ways of requests, as they are noted down and read.
import { describe, expect, it } from 'vitest';
import { systemRandom } from '../../../node/app/random.ts';
import {
  FAILURES_PER_TRACE_MAX,
  PLANS_PER_TRACE_MAX,
  PROGRESS_MS_MIN,
  REJECTIONS_PER_PLAN_MAX,
  SPANS_PER_TRACE_MAX,
  TRACE_TEXT_LENGTH_MAX,
} from '../../../node/telemetry/limits.ts';
import { parseTraceParent } from '../../../node/telemetry/trace-context.ts';
import { type EndedTrace, TraceRing } from '../../../node/telemetry/traces.ts';
import type { PlanRecord } from '../../../protocol/plan-record.ts';
import { ManualClock } from '../core/manual-clock.ts';
import { BASE, NODE, PEER, PRICE, Published, plan, span } from './support.ts';

function make(capacity?: number, recordNodesMax?: number) {
  const clock = new ManualClock();
  const events = new Published();
  const exported: EndedTrace[] = [];
  const observed: [string, number][] = [];
  const counted: [string, number][] = [];
  const ring = new TraceRing(
    {
      clock,
      random: systemRandom,
      events,
      exporter: { export: (trace) => void exported.push(trace) },
      telemetry: {
        observe: (name, seconds) => void observed.push([name, seconds]),
        count: (name, _labels, by = 1) => void counted.push([name, by]),
      },
    },
    { ...(capacity !== undefined && { capacity }), ...(recordNodesMax !== undefined && { recordNodesMax }) },
  );
  return { clock, events, exported, observed, counted, ring };
}

const CHAT = 'POST /v1/chat/completions';

describe('a request', () => {
  it('is kept with its plans, spans, failures, usage and outcome', () => {
    const { clock, ring } = make();
    clock.advance(1_000);
    const trace = ring.begin({ requestId: 'req_1', name: CHAT });
    clock.advance(10);
    expect(ring.get('req_1')).toMatchObject({ status: 'running', durationMs: 10, startedAtMs: 1_000, spans: [] });
    trace.model('owner/model');
    const first = plan({ others: [{ node: NODE, price: PRICE, samples: 3 }] });
    trace.placed(first);
    clock.advance(5);
    trace.failed(PEER, 'peer_lost');
    trace.placed({ ...BASE, kind: 'local', node: NODE });
    trace.span(span('compute', { predictedMs: 4, startMs: 15 }));
    trace.usage({ promptTokens: 7 });
    trace.usage({ completionTokens: 3 });
    clock.advance(20);
    trace.end({ status: 'ok' });
    clock.advance(1_000);
    expect(ring.get('req_1')).toEqual({
      requestId: 'req_1',
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
      name: CHAT,
      caller: undefined,
      model: 'owner/model',
      startedAtMs: 1_000,
      durationMs: 35,
      status: 'ok',
      code: undefined,
      promptTokens: 7,
      completionTokens: 3,
      spans: [{ name: 'compute', node: PEER, startMs: 15, durationMs: 5, predictedMs: 4 }],
      plans: [first, { ...BASE, kind: 'local', node: NODE }],
      failures: [{ node: PEER, code: 'peer_lost', atMs: 15 }],
    });
  });

  it('ends once, and nothing is noted down behind its end', () => {
    const { clock, ring, exported, events } = make();
    const trace = ring.begin({ requestId: 'req_1', name: CHAT });
    trace.end({ status: 'error', code: 'overloaded' });
    const before = ring.get('req_1');
    clock.advance(5);
    trace.end({ status: 'ok' });
    trace.model('late');
    trace.placed(plan());
    trace.span(span('down'));
    trace.failed(PEER, 'late');
    trace.usage({ promptTokens: 1 });
    expect(ring.get('req_1')).toEqual(before);
    expect(before).toMatchObject({ status: 'error', code: 'overloaded' });
    expect(exported).toHaveLength(1);
    expect(events.all).toHaveLength(2);
  });

  it('stays in the trace that its client named, and begins one where the header is none', () => {
    const { ring, exported } = make();
    const traceParent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const trace = ring.begin({ requestId: 'a', name: CHAT, traceParent });
    expect(parseTraceParent(trace.traceParent)?.traceId).toBe('4bf92f3577b34da6a3ce929d0e0e4736');
    expect(trace.traceParent).not.toBe(traceParent);
    trace.end({ status: 'ok' });
    expect(exported[0]).toMatchObject({ parentSpanId: '00f067aa0ba902b7' });
    const other = ring.begin({ requestId: 'b', name: CHAT, traceParent: traceParent.toUpperCase() });
    expect(parseTraceParent(other.traceParent)).toMatchObject({ traceId: ring.get('b')?.traceId, sampled: true });
    other.end({ status: 'ok' });
    expect(exported[1]?.parentSpanId).toBeUndefined();
  });

  it('whose client does not record it is kept, but not sent to a collector', () => {
    const { ring, exported } = make();
    const traceParent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00';
    const trace = ring.begin({ requestId: 'a', name: CHAT, traceParent });
    expect(trace.traceParent).toMatch(/-00$/);
    trace.end({ status: 'ok' });
    expect(ring.get('a')?.status).toBe('ok');
    expect(exported).toEqual([]);
  });

  it('is told of when it begins, is placed and ends, without a text', () => {
    const { ring, events, clock } = make();
    const trace = ring.begin({ requestId: 'req_1', name: 'encode', caller: PEER });
    trace.model('owner/model');
    const parts = [NODE, PEER, NODE].map((node) => ({ node, from: 0, to: 1, price: PRICE }));
    trace.placed({ ...BASE, kind: 'scatter', parts });
    clock.advance(12);
    trace.usage({ promptTokens: 5 });
    trace.end({ status: 'cancelled', code: 'cancelled' });
    const { traceId } = ring.get('req_1') ?? {};
    const common = { requestId: 'req_1', traceId, name: 'encode', caller: PEER };
    expect(events.all).toEqual([
      { type: 'request', data: { ...common, phase: 'begun', model: undefined } },
      {
        type: 'request',
        data: {
          ...common,
          phase: 'placed',
          model: 'owner/model',
          plan: 'scatter',
          nodes: [NODE, PEER],
          predictedMs: 35,
        },
      },
      {
        type: 'request',
        data: {
          ...common,
          phase: 'ended',
          model: 'owner/model',
          status: 'cancelled',
          code: 'cancelled',
          durationMs: 12,
          promptTokens: 5,
          completionTokens: undefined,
          plan: 'scatter',
          nodes: [NODE, PEER],
          ttftMs: undefined,
        },
      },
    ]);
  });

  it('ends with the way that it took at last, and with the time to its first token', () => {
    const { ring, events } = make();
    const trace = ring.begin({ requestId: 'req_1', name: 'POST /v1/chat/completions' });
    trace.placed({ ...BASE, kind: 'remote', node: PEER });
    trace.placed({ ...BASE, kind: 'local', node: NODE });
    trace.usage({ promptTokens: 5, completionTokens: 2, ttftMs: 31 });
    trace.usage({ completionTokens: 3 });
    trace.end({ status: 'ok' });
    expect(events.all.at(-1)?.data).toMatchObject({ phase: 'ended', plan: 'local', nodes: [NODE], ttftMs: 31 });
    expect(ring.get('req_1')).toMatchObject({ ttftMs: 31, completionTokens: 3 });
  });

  it('that is never placed ends without a way', () => {
    const { ring, events } = make();
    ring.begin({ requestId: 'req_1', name: 'POST /v1/embeddings' }).end({ status: 'error', code: 'model_not_found' });
    expect(events.all.at(-1)?.data).not.toHaveProperty('plan');
    expect(ring.get('req_1')).not.toHaveProperty('ttftMs');
  });

  it('of many items tells how far it is: at once, now and then, and when all are done', () => {
    const { ring, events, clock } = make();
    const trace = ring.begin({ requestId: 'req_1', name: 'POST /v1/embeddings' });
    const told = () => events.all.map(({ data }) => data as object).filter((data) => 'done' in data);
    const byNode = new Map([
      [NODE, 10],
      [PEER, 6],
    ]);
    trace.progress({ done: 16, total: 64, byNode });
    clock.advance(PROGRESS_MS_MIN - 1);
    trace.progress({ done: 32, total: 64 });
    expect(told()).toMatchObject([{ phase: 'progress', done: 16, total: 64, doneByNode: { [NODE]: 10, [PEER]: 6 } }]);
    clock.advance(1);
    trace.progress({ done: 48, total: 64 });
    trace.progress({ done: 64, total: 64 });
    expect(told().map((data) => Reflect.get(data, 'done'))).toEqual([16, 48, 64]);
    expect(told().at(-1)).not.toHaveProperty('doneByNode');
    trace.end({ status: 'ok' });
    trace.progress({ done: 64, total: 64 });
    expect(told().length).toBe(3);
  });

  it('is measured: its wait by every attempt, its tokens once and only where its client is', () => {
    const { ring, observed, counted } = make();
    const trace = ring.begin({ requestId: 'a', name: CHAT });
    trace.span(span('queue', { durationMs: 250 }));
    trace.span(span('compute', { durationMs: 10 }));
    trace.usage({ promptTokens: 7, completionTokens: 1 });
    trace.end({ status: 'ok' });
    const served = ring.begin({ requestId: 'b', name: 'encode', caller: PEER });
    served.usage({ promptTokens: 100 });
    served.end({ status: 'ok' });
    expect(observed).toEqual([['weft_queue_wait_seconds', 0.25]]);
    expect(counted).toEqual([['weft_tokens_prompt_total', 7]]);
  });

  it('takes bounded memory whatever is noted down', () => {
    const { ring } = make();
    const trace = ring.begin({ requestId: 'a', name: 'x'.repeat(10_000) });
    trace.model('m'.repeat(10_000));
    const rejected = Array.from({ length: 500 }, () => ({ node: PEER, reason: 'full' }));
    for (let index = 0; index < 1_000; index += 1) {
      trace.span(span('compute'));
      trace.placed(plan({ rejected }));
      trace.failed(PEER, 'c'.repeat(10_000));
    }
    const record = ring.get('a');
    expect([record?.name.length, record?.model?.length]).toEqual([TRACE_TEXT_LENGTH_MAX, TRACE_TEXT_LENGTH_MAX]);
    expect(record?.spans).toHaveLength(SPANS_PER_TRACE_MAX);
    expect(record?.plans).toHaveLength(PLANS_PER_TRACE_MAX);
    expect(record?.plans[0]?.rejected).toHaveLength(REJECTIONS_PER_PLAN_MAX);
    expect(record?.failures).toHaveLength(FAILURES_PER_TRACE_MAX);
    expect(record?.failures[0]?.code).toHaveLength(TRACE_TEXT_LENGTH_MAX);
  });
});

describe('the decisions of a request', () => {
  const record = (nodes: number): PlanRecord => ({
    request: {
      model: { id: 'owner/model', digest: 'sha256:0' },
      inputTokens: 1,
      outputTokens: 0,
      requestBytes: 0,
      answerBytes: 0,
      answerRows: 0,
      explore: false,
      excluded: [],
    },
    self: NODE,
    nodes: Array.from({ length: nodes }, () => ({}) as PlanRecord['nodes'][number]),
  });

  it('are kept with what was known, and with what became of them by part', () => {
    const { ring, clock } = make();
    const trace = ring.begin({ requestId: 'a', name: CHAT });
    trace.span(span('prepare', { node: NODE, startMs: 0, durationMs: 4 }));
    clock.advance(4);
    const first = record(2);
    trace.placed(plan(), first);
    trace.span(span('up', { startMs: 4, durationMs: 3 }));
    trace.span(span('acknowledge', { startMs: 7, durationMs: 1 }));
    trace.span(span('compute', { startMs: 7, durationMs: 20 }));
    clock.advance(30);
    trace.placed({ ...BASE, kind: 'local', node: NODE });
    trace.span(span('queue', { node: NODE, startMs: 34, durationMs: 2 }));
    trace.span(span('compute', { node: NODE, startMs: 36, durationMs: 9 }));
    clock.advance(12);
    trace.placed(plan());
    trace.span(span('queue', { startMs: 45, durationMs: 1 }));
    trace.span(span('compute', { startMs: 46, durationMs: 7 }));
    expect(ring.placements('a')).toEqual([
      { plan: plan(), atMs: 4, record: first, measured: { upMs: 3, computeMs: 20 } },
      {
        plan: { ...BASE, kind: 'local', node: NODE },
        atMs: 34,
        record: undefined,
        measured: { queueMs: 2, computeMs: 9 },
      },
      { plan: plan(), atMs: 46, record: undefined, measured: { queueMs: 1, computeMs: 7 } },
    ]);
    expect(ring.get('a')).not.toHaveProperty('placements');
    expect(ring.placements('b')).toBeUndefined();
  });

  it('that share the work of several nodes took as long as the longest of them', () => {
    const { ring } = make();
    const trace = ring.begin({ requestId: 'a', name: CHAT });
    const parts = [NODE, PEER].map((node) => ({ node, from: 0, to: 1, price: PRICE }));
    trace.placed({ ...BASE, kind: 'scatter', parts });
    trace.span(span('compute', { node: NODE, durationMs: 9 }));
    trace.span(span('compute', { node: PEER, durationMs: 12 }));
    trace.span(span('compute', { node: NODE, durationMs: 3 }));
    expect(ring.placements('a')?.[0]?.measured).toEqual({ computeMs: 12 });
  });

  it('lose what was known, the oldest first, past the bound over all requests', () => {
    const { ring } = make(10, 5);
    const kept = (): number[] => ['a', 'b', 'c', 'd'].map((id) => ring.placements(id)?.[0]?.record?.nodes.length ?? 0);
    for (const id of ['a', 'b', 'c']) ring.begin({ requestId: id, name: CHAT }).placed(plan(), record(2));
    expect(kept()).toEqual([0, 2, 2, 0]);
    ring.begin({ requestId: 'd', name: CHAT }).placed(plan(), record(6));
    expect(kept()).toEqual([0, 0, 0, 0]);
    ring.begin({ requestId: 'a', name: CHAT }).placed(plan(), record(5));
    expect(kept()).toEqual([5, 0, 0, 0]);
  });

  it('give their room back when the request is forgotten', () => {
    const { ring } = make(1, 5);
    for (let index = 0; index < 100; index += 1) {
      ring.begin({ requestId: String(index), name: CHAT }).placed(plan(), record(4));
      expect(ring.placements(String(index))?.[0]?.record?.nodes).toHaveLength(4);
    }
  });
});

describe('the ring', () => {
  it('lists the newest first', () => {
    const { ring } = make();
    for (const requestId of ['a', 'b', 'c']) ring.begin({ requestId, name: CHAT });
    expect(ring.list().map(({ requestId }) => requestId)).toEqual(['c', 'b', 'a']);
    expect(ring.get('d')).toBeUndefined();
  });

  it('forgets the oldest that has ended before any that is under way', () => {
    const { ring } = make(3);
    const ids = (): string[] => ring.list().map(({ requestId }) => requestId);
    ring.begin({ requestId: 'long', name: CHAT });
    ring.begin({ requestId: 'short', name: CHAT }).end({ status: 'ok' });
    ring.begin({ requestId: 'c', name: CHAT });
    ring.begin({ requestId: 'd', name: CHAT });
    expect(ids()).toEqual(['d', 'c', 'long']);
    ring.begin({ requestId: 'e', name: CHAT });
    expect(ids()).toEqual(['e', 'd', 'c']);
  });

  it('is not disturbed by a request that it has forgotten', () => {
    const { ring, events, exported } = make(1);
    const forgotten = ring.begin({ requestId: 'a', name: CHAT });
    ring.begin({ requestId: 'b', name: CHAT });
    const before = events.all.length;
    forgotten.placed(plan());
    forgotten.span(span('queue'));
    forgotten.end({ status: 'ok' });
    expect(ring.get('a')).toBeUndefined();
    expect([events.all.length, exported.length]).toEqual([before, 0]);
    expect(forgotten.elapsedMs()).toBe(0);
  });

  it('gives the latest of several with one id, and forgets each by itself', () => {
    const { ring } = make(2);
    ring.begin({ requestId: 'a', name: 'first' }).end({ status: 'ok' });
    ring.begin({ requestId: 'a', name: 'second' });
    expect(ring.get('a')?.name).toBe('second');
    expect(ring.list()).toHaveLength(2);
    ring.begin({ requestId: 'b', name: 'third' });
    expect(ring.get('a')?.name).toBe('second');
    ring.begin({ requestId: 'c', name: 'fourth' });
    expect(ring.get('a')).toBeUndefined();
  });
});
