import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RequestTrace, Span } from '../../../node/core/trace.ts';
import { spansOf } from '../../../node/dispatch/spans.ts';
import { runs } from '../../support/property.ts';
import { SMOL } from '../scheduler/builders.ts';
import { fakeMesh } from './fakes.ts';

const price = { queueMs: 1, loadMs: 0, upMs: 2, computeMs: 10, downMs: 3, totalMs: 16 };
const timing = { queueMs: 4, loadMs: 0, computeMs: 20, prefillMs: 0 };

/** Remembers what it is told. */
function notes() {
  const said: unknown[] = [];
  let ms = 0;
  const trace: RequestTrace = {
    requestId: 'req_test',
    traceParent: '00-11111111111111111111111111111111-2222222222222222-01',
    elapsedMs: () => ms++,
    model: (id) => said.push(['model', id]),
    span: ({ name, node }) => said.push([name, node]),
    placed: (plan) => said.push(['placed', plan.kind]),
    failed: (node, code) => said.push(['failed', node, code]),
    progress: () => undefined,
    usage: () => undefined,
    end: () => undefined,
  };
  return { said, trace };
}

describe('the spans of an attempt', () => {
  it('are what a peer said and what the link took, beside the prediction', () => {
    const times = { node: 'a', price, timing, startMs: 100, endMs: 140, acknowledgedMs: 107, rttMs: 4 };
    expect(spansOf(times)).toEqual([
      { name: 'up', node: 'a', startMs: 100, durationMs: 5, predictedMs: 2 },
      { name: 'acknowledge', node: 'a', startMs: 105, durationMs: 2 },
      { name: 'queue', node: 'a', startMs: 105, durationMs: 4, predictedMs: 1 },
      { name: 'compute', node: 'a', startMs: 109, durationMs: 20, predictedMs: 10 },
      { name: 'down', node: 'a', startMs: 129, durationMs: 11, predictedMs: 3 },
    ] satisfies Span[]);
  });

  it('are what was seen from here where the attempt ended before it could tell', () => {
    const times = { node: 'a', price, timing: undefined, startMs: 0, endMs: 30, acknowledgedMs: 7, rttMs: 4 };
    expect(spansOf(times).map(({ name, startMs, durationMs }) => [name, startMs, durationMs])).toEqual([
      ['up', 0, 5],
      ['acknowledge', 5, 2],
      ['compute', 5, 25],
    ]);
  });

  it('leave the executor its time where the acknowledgement was seen late', () => {
    const times = { node: 'a', price, timing, startMs: 100, endMs: 140, acknowledgedMs: 130, rttMs: 4 };
    expect(spansOf(times).map(({ name, startMs, durationMs }) => [name, startMs, durationMs])).toEqual([
      ['up', 100, 16],
      ['acknowledge', 116, 14],
      ['queue', 116, 4],
      ['compute', 120, 20],
      ['down', 140, 0],
    ]);
  });

  it('count the wait for a load once', () => {
    const cold = { ...timing, queueMs: 900, loadMs: 890 };
    const times = { node: 'self', price, timing: cold, startMs: 0, endMs: 920, acknowledgedMs: undefined, rttMs: 0 };
    expect(spansOf(times).map(({ name, durationMs }) => [name, durationMs])).toEqual([
      ['queue', 10],
      ['load', 890],
      ['compute', 20],
    ]);
  });

  it('have no link in them for work that was done here', () => {
    const times = { node: 'self', price, timing, startMs: 0, endMs: 30, acknowledgedMs: undefined, rttMs: undefined };
    expect(spansOf(times).map(({ name }) => name)).toEqual(['queue', 'compute']);
  });

  it('lie within the attempt, whatever a peer says of its own', () => {
    const ms = fc.double({ min: 0, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(ms, ms, ms, ms, ms, ms, (startMs, lasted, acknowledged, queueMs, computeMs, rttMs) => {
        const spans = spansOf({
          node: 'a',
          price,
          timing: { ...timing, queueMs, computeMs },
          startMs,
          endMs: startMs + lasted,
          acknowledgedMs: startMs + acknowledged,
          rttMs,
        });
        for (const span of spans) {
          expect(span.durationMs).toBeGreaterThanOrEqual(0);
          expect(span.startMs).toBeGreaterThanOrEqual(startMs);
          expect(span.startMs + span.durationMs).toBeLessThanOrEqual((startMs + lasted) * (1 + 1e-12));
        }
      }),
      runs(200),
    );
  });
});

describe('a traced request', () => {
  it('notes each plan, each failure, and the parts of the attempt that succeeded', async () => {
    const { said, trace } = notes();
    const mesh = fakeMesh({ nodes: { a: [{ dieAt: 0 }], self: [{}] } });
    const request = {
      model: SMOL,
      ids: Int32Array.of(1, 2, 3),
      lengths: Int32Array.of(3),
      pooling: 'mean',
      normalize: true,
    } as const;
    const options = { signal: new AbortController().signal, requestId: 'req_test', trace };
    await mesh.dispatcher.encode(request, options);
    expect(said.slice(0, 4)).toEqual([
      ['placed', 'remote'],
      ['compute', 'a'],
      ['failed', 'a', 'peer_lost'],
      ['placed', 'local'],
    ]);
    expect(said).toContainEqual(['compute', 'self']);
    expect(mesh.engine('a').traceParents).toEqual([trace.traceParent]);
  });
});
