// Decisions of earlier requests, made again.
import { describe, expect, it } from 'vitest';
import { systemRandom } from '../../../node/app/random.ts';
import { replayRequest } from '../../../node/app/replay.ts';
import { POLICY_NAMES } from '../../../node/scheduler/policies.ts';
import { TraceRing } from '../../../node/telemetry/traces.ts';
import type { PlanRecord, RecordedNode } from '../../../protocol/plan-record.ts';
import { ManualClock } from '../core/manual-clock.ts';
import { PEER, plan, span } from '../telemetry/support.ts';

const MODEL = { id: 'owner/model', digest: 'sha256:0' };

const node = (name: string, fixedMs: number, more: Partial<RecordedNode> = {}): RecordedNode => ({
  node: name,
  name,
  state: 'connected',
  offer: {
    state: 'loaded',
    dimensions: 0,
    sizeBytes: 1_000,
    profile: { fixedMs, perTokenMs: 0, decodeMs: 0, loadMs: 1, samples: 9 },
  },
  load: { requestsInFlight: 0, queuedMs: 0, latencyMs: 0, memoryFreeBytes: 1e9 },
  link: { rttMs: 1, goodputBytesPerSecond: 1e9, path: 'direct' },
  callsInFlight: 0,
  heardAgoMs: 1,
  ...more,
});

const recordWith = (nodes: readonly RecordedNode[]): PlanRecord => ({
  request: {
    model: MODEL,
    inputTokens: 1,
    outputTokens: 0,
    requestBytes: 4,
    answerBytes: 4,
    answerRows: 0,
    explore: false,
    excluded: [],
  },
  self: 'self',
  nodes,
});

const FAST = node('fast', 10);
/** Slow, but with fewer calls from here. */
const SLOW = node('slow', 500);

function make(...records: (PlanRecord | undefined)[]) {
  const clock = new ManualClock();
  const traces = new TraceRing({ clock, random: systemRandom });
  const trace = traces.begin({ requestId: 'req_1', name: 'POST /v1/embeddings' });
  trace.model(MODEL.id);
  for (const record of records) {
    clock.advance(5);
    trace.placed(plan({ node: PEER, policy: 'weft' }), record);
    trace.span(span('compute', { startMs: 5, durationMs: 12 }));
  }
  trace.end({ status: 'ok' });
  return (policy?: string) => replayRequest({ traces, nameOf: (id) => `name of ${id}` }, 'req_1', policy);
}

describe('a replay', () => {
  it('decides again as Weft would, beside what was done and measured then', () => {
    const replayed = make(recordWith([{ ...FAST, callsInFlight: 1 }, SLOW]))();
    expect(replayed).toEqual({
      requestId: 'req_1',
      model: MODEL.id,
      status: 'ok',
      durationMs: 5,
      policy: 'weft',
      placements: [
        {
          atMs: 5,
          old: plan({ node: PEER, policy: 'weft' }),
          measured: { computeMs: 12 },
          new: expect.objectContaining({ kind: 'remote', node: 'fast' }),
          reason: undefined,
          explanation: expect.arrayContaining([expect.stringContaining('name of fast')]),
        },
      ],
    });
  });

  it('decides by another policy, which may choose otherwise', () => {
    const replay = make(recordWith([{ ...FAST, callsInFlight: 1 }, SLOW]));
    expect(replay('least-connections').placements[0]?.new).toMatchObject({ node: 'slow', policy: 'least-connections' });
  });

  it.each(POLICY_NAMES)('by %s is the same each time', (name) => {
    const replay = make(recordWith(Array.from({ length: 9 }, (_, at) => node(`n${at}`, 10 + at))));
    const first = replay(name);
    expect(first.policy).toBe(name);
    for (let again = 0; again < 5; again += 1) expect(replay(name)).toEqual(first);
  });

  it('says why there is no choice: nothing is kept, or nobody could do it', () => {
    const { placements } = make(undefined, recordWith([node('gone', 1, { state: 'gone' })]))();
    expect(placements.map(({ new: again, reason }) => [again, reason])).toEqual([
      [undefined, expect.stringContaining('no longer kept')],
      [undefined, expect.stringContaining('No node of this mesh')],
    ]);
  });

  it('shows what a node had quoted when it declined', () => {
    const { placements } = make(recordWith([{ ...FAST, quotedMs: 4_321 }, SLOW]))();
    expect(placements[0]?.explanation.join('\n')).toContain('4321 ms');
  });

  it('refuses a policy that there is not, and a request that is not kept', () => {
    const traces = new TraceRing({ clock: new ManualClock(), random: systemRandom });
    const components = { traces, nameOf: (id: string) => id };
    expect(() => replayRequest(components, 'req_2', undefined)).toThrow(expect.objectContaining({ code: 'not_found' }));
    for (const name of ['best', '__proto__', 'constructor']) {
      expect(() => replayRequest(components, 'req_2', name)).toThrow(
        expect.objectContaining({ code: 'bad_request', remedy: expect.stringContaining('prequal') }),
      );
    }
  });
});
