// The list of requests, the way of one in time, and its plan in words.
import { describe, expect, it } from 'vitest';
import {
  against,
  candidates,
  headline,
  type Plan,
  remarks,
} from '../../../../../desktop/ui/views/requests/plan-words.ts';
import {
  barOf,
  choices,
  filtered,
  isSlow,
  kindOf,
  NO_FILTER,
  type RequestRow,
  tokensOf,
  tookMs,
} from '../../../../../desktop/ui/views/requests/request-rows.ts';
import { steadyRows } from '../../../../../desktop/ui/views/requests/steady-rows.ts';
import { waterfallOf } from '../../../../../desktop/ui/views/requests/waterfall.ts';

const row = (rest: Partial<RequestRow> = {}): RequestRow => ({
  requestId: 'req_1',
  traceId: '',
  name: 'POST /v1/chat/completions',
  model: 'owner/chat',
  startedAtMs: 1_000,
  durationMs: 400,
  status: 'ok',
  nodes: ['desk'],
  failures: 0,
  ...rest,
});

describe('rows that are read', () => {
  const ids = (rows: readonly RequestRow[]): readonly string[] => rows.map(({ requestId }) => requestId);
  const held = [row({ requestId: 'b', status: 'running' }), row({ requestId: 'a' })];

  it('stay where they are while others come before them and between them', () => {
    const all = ['d', 'c', 'b', 'between', 'a'].map((requestId) => row({ requestId }));
    const steady = steadyRows(held, all, all);
    expect(ids(steady.rows)).toEqual(['b', 'a']);
    expect(steady.fresh).toBe(3);
  });

  it('change in their place, also where the filter would not let them in any more', () => {
    const all = [row({ requestId: 'b', status: 'error' }), row({ requestId: 'a' })];
    const steady = steadyRows(held, all, []);
    expect(steady.rows.map(({ status }) => status)).toEqual(['error', 'ok']);
    expect(steady.fresh).toBe(0);
  });

  it('stay as they were last known once they are not kept any more', () => {
    const done = steadyRows(held, [row({ requestId: 'b' })], []);
    const gone = steadyRows(done.rows, [row({ requestId: 'c' })], [row({ requestId: 'c' })]);
    expect(gone.rows.map(({ requestId, status }) => [requestId, status])).toEqual([
      ['b', 'ok'],
      ['a', 'ok'],
    ]);
    expect(gone.fresh).toBe(1);
  });

  it('count only those of the new that the filter lets in', () => {
    const all = [row({ requestId: 'd' }), row({ requestId: 'c' }), ...held];
    expect(steadyRows(held, all, all.slice(1)).fresh).toBe(1);
  });
});

describe('the list', () => {
  const rows = [
    row({ requestId: 'a' }),
    row({ requestId: 'b', model: 'owner/embed', nodes: ['attic', 'desk'], predictedMs: 100 }),
    row({ requestId: 'c', status: 'running', durationMs: 0, predictedMs: 300 }),
    row({ requestId: 'd', status: 'error', nodes: ['attic'] }),
  ];
  const ids = (filter: Partial<typeof NO_FILTER>, nowMs = 1_100) =>
    filtered(rows, { ...NO_FILTER, ...filter }, nowMs).map(({ requestId }) => requestId);

  it('is filtered by model, node, state and slowness', () => {
    expect(ids({})).toEqual(['a', 'b', 'c', 'd']);
    expect(ids({ model: 'owner/embed' })).toEqual(['b']);
    expect(ids({ node: 'attic' })).toEqual(['b', 'd']);
    expect(ids({ state: 'running' })).toEqual(['c']);
    expect(ids({ state: 'failed', node: 'desk' })).toEqual([]);
    expect(ids({ slow: true })).toEqual(['b']);
    // One that runs past its time is slow before it ends.
    expect(ids({ slow: true }, 2_000)).toEqual(['b', 'c']);
    expect(choices(rows)).toEqual({ models: ['owner/chat', 'owner/embed'], nodes: ['attic', 'desk'] });
  });

  it('does not call slow what is over by little', () => {
    expect(isSlow(row({ durationMs: 9, predictedMs: 3 }), 0)).toBe(false);
    expect(isSlow(row({ durationMs: 1_400, predictedMs: 1_000 }), 0)).toBe(false);
    expect(isSlow(row(), 0)).toBe(false);
    expect(tookMs(row({ status: 'running', durationMs: 0 }), 1_250)).toBe(250);
  });

  it('says in words what each was', () => {
    expect(kindOf('POST /v1/chat/completions')).toBe('Chat');
    expect(kindOf('POST /v3/something')).toBe('something');
    expect(kindOf('encode')).toBe('encode');
    expect(tokensOf(row({ promptTokens: 31, completionTokens: 8 }))).toBe('31 → 8');
    expect(tokensOf(row({ promptTokens: 31 }))).toBe('31');
    expect(tokensOf(row())).toBe('');
    expect(barOf(200, 100)).toEqual({ took: 1, predicted: 0.5 });
    expect(barOf(50, undefined)).toEqual({ took: 1, predicted: undefined });
  });
});

describe('the way of a request', () => {
  const span = (
    name: 'queue' | 'compute' | 'up' | 'down',
    node: string,
    startMs: number,
    durationMs: number,
    predictedMs?: number,
  ) => ({
    name,
    node,
    startMs,
    durationMs,
    ...(predictedMs === undefined ? {} : { predictedMs }),
  });

  it('is grouped by stays on nodes, with failures where they were known', () => {
    const { legs, endMs } = waterfallOf({
      durationMs: 100,
      spans: [
        span('compute', 'b', 50, 40, 25),
        span('up', 'b', 45, 5),
        span('queue', 'a', 0, 10),
        span('compute', 'a', 10, 20),
      ],
      failures: [{ node: 'a', code: 'peer_lost', atMs: 40 }],
    });
    expect(endMs).toBe(100);
    expect(
      legs.map(({ node, rows }) => [node, rows.map((one) => (one.kind === 'span' ? one.name : one.code))]),
    ).toEqual([
      ['a', ['queue', 'compute', 'peer_lost']],
      ['b', ['up', 'compute']],
    ]);
    expect(legs[1]?.rows[1]).toMatchObject({ from: 0.5, length: expect.closeTo(0.4), predictedTo: 0.75 });
  });

  it('puts what begins at one moment in the order in which it is done', () => {
    const { legs } = waterfallOf({
      durationMs: 10,
      spans: [span('compute', 'a', 1, 3), span('queue', 'a', 1, 0), span('up', 'a', 1, 0)],
      failures: [],
    });
    expect(legs[0]?.rows.map((one) => one.kind === 'span' && one.name)).toEqual(['up', 'queue', 'compute']);
  });

  it('has round times on its axis, and survives nothing at all', () => {
    const ticks = waterfallOf({ durationMs: 789, spans: [], failures: [] }).ticks.map(({ ms }) => ms);
    expect(ticks).toEqual([0, 200, 400, 600]);
    expect(waterfallOf({ durationMs: 0, spans: [], failures: [] })).toMatchObject({ legs: [] });
    // A prediction beyond the end stays in the picture.
    const { legs } = waterfallOf({ durationMs: 10, spans: [span('compute', 'a', 0, 10, 99)], failures: [] });
    expect(legs[0]?.rows[0]).toMatchObject({ predictedTo: 1 });
  });
});

describe('a plan in words', () => {
  const price = (totalMs: number) => ({ queueMs: 0, loadMs: 0, upMs: 0, computeMs: totalMs, downMs: 0, totalMs });
  const nameOf = (node: string): string => node.toUpperCase();
  const local: Plan = {
    kind: 'local',
    node: 'desk',
    price: price(100),
    samples: 0,
    others: [{ node: 'attic', price: price(250), samples: 7, correction: 1.5 }],
    rejected: [{ node: 'cellar', reason: 'is asleep' }],
  };

  it('says what was chosen, and by how much the others lost', () => {
    expect(headline(local, nameOf)).toBe('Computed here, on DESK: 100 ms predicted.');
    expect(remarks(local)).toEqual(['Of all that could, nothing was predicted to be sooner.']);
    expect(candidates(local).map(({ role, note }) => [role, note])).toEqual([
      ['chosen', 'chosen, a guess: never measured'],
      ['other', '150 ms slower, from 7 measured requests, corrected by ×1.5'],
    ]);
    expect([against(0), against(-30)]).toEqual(['as soon', '30 ms sooner']);
  });

  it('says of a cut that it was asked for, and lists its parts', () => {
    const cut: Plan = {
      kind: 'cut',
      parts: [
        { node: 'desk', from: 0, to: 6, price: price(10) },
        { node: 'attic', from: 6, to: 7, price: price(20) },
      ],
      price: price(30),
      withinMs: 80,
      policy: 'prequal',
      others: [{ node: 'desk', price: price(12), samples: 1 }],
      rejected: [],
    };
    expect(headline(cut, nameOf)).toBe('The graph was cut, in parts on DESK, ATTIC: 30 ms predicted.');
    expect(remarks(cut)).toEqual([
      'Another one was predicted to be sooner, but what was asked for goes first.',
      'Chosen by prequal.',
      'The node was to decline past 80 ms.',
    ]);
    expect(candidates(cut).map(({ part }) => part)).toEqual([
      undefined,
      'Part 1, segments 0–5',
      'Part 2, segments 6',
      undefined,
    ]);
  });

  it('says when nobody else could, and how a hedge goes', () => {
    expect(remarks({ ...local, others: [] })).toEqual(['No other node could have done it.']);
    const hedged: Plan = {
      kind: 'hedged',
      nodes: ['desk', 'attic'],
      afterMs: 40,
      price: price(5),
      others: [],
      rejected: [],
    };
    expect(headline(hedged, nameOf)).toBe('Sent to the first of DESK, ATTIC, and after 40 ms to the next one, too.');
  });
});
