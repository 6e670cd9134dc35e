import { describe, expect, it } from 'vitest';
import type { NodeEvent } from '../../../../../desktop/ui/data/contract.ts';
import type { LiveRequest } from '../../../../../desktop/ui/data/live.ts';
import { activeByNode, DOTS_MAX, dotsAfter, TRAVEL_MS } from '../../../../../desktop/ui/views/overview/flows.ts';
import { lastRequests } from '../../../../../desktop/ui/views/overview/last-requests.ts';

const SELF = 'self';

const request = (requestId: string, fields: Partial<LiveRequest> = {}): LiveRequest => ({
  requestId,
  name: 'chat',
  nodes: [],
  startedAtMs: 1_000,
  status: 'running',
  ...fields,
});

const mapOf = (...requests: readonly LiveRequest[]): ReadonlyMap<string, LiveRequest> =>
  new Map(requests.map((each) => [each.requestId, each]));

const event = (data: Record<string, unknown>): NodeEvent =>
  ({ id: '1', type: 'request', atMs: 1, data: { name: 'chat', requestId: 'a', ...data } }) as NodeEvent;

describe('flows', () => {
  it('count what is under way at each node, and at the peer that asked', () => {
    const requests = mapOf(
      request('a', { nodes: ['n1'] }),
      request('b', { nodes: ['n1'], status: 'ok', endedAtMs: 1_900 }),
      request('c', { nodes: [SELF], caller: 'n2' }),
    );
    expect(Object.fromEntries(activeByNode(requests))).toEqual({ n1: 1, n2: 1, [SELF]: 1 });
    expect(activeByNode(requests)).toBe(activeByNode(requests));
  });

  it('send a dot out where a request is placed, and one back where it has ended', () => {
    const requests = mapOf(request('a', { nodes: ['n1'] }));
    const out = dotsAfter([], [event({ phase: 'begun' }), event({ phase: 'placed', nodes: ['n1'] })], requests, 0);
    expect(out).toEqual([{ node: 'n1', outward: true, startMs: 0 }]);
    const back = dotsAfter(out, [event({ phase: 'progress' }), event({ phase: 'ended' })], requests, TRAVEL_MS);
    expect(back).toEqual([{ node: 'n1', outward: false, startMs: TRAVEL_MS }]);
  });

  it('come in from a peer that asks, and go back to it', () => {
    const requests = mapOf(request('a', { caller: 'n1' }));
    expect(dotsAfter([], [event({ phase: 'begun', caller: 'n1' })], requests, 0)).toEqual([
      { node: 'n1', outward: false, startMs: 0 },
    ]);
    expect(dotsAfter([], [event({ phase: 'ended' })], requests, 0)).toEqual([
      { node: 'n1', outward: true, startMs: 0 },
    ]);
  });

  it('stay few, whatever happens', () => {
    const flood = Array.from({ length: 1_000 }, () => event({ phase: 'placed', nodes: ['n1', 'n2'] }));
    expect(dotsAfter([], flood, mapOf(), 0)).toHaveLength(DOTS_MAX);
  });
});

describe('lastRequests', () => {
  it('shows those under way, then the newest that ended, then what was read', () => {
    const live = mapOf(
      request('ended-1', { status: 'ok', endedAtMs: 1 }),
      request('running'),
      request('ended-2', { status: 'error', endedAtMs: 2 }),
    );
    const read = [
      { ...request('ended-1', { status: 'ok' }), traceId: '', durationMs: 1, failures: 0, nodes: [] },
      { ...request('older', { status: 'ok' }), traceId: '', durationMs: 1, failures: 0, nodes: [] },
    ];
    const ids = (count: number): string[] => lastRequests(live, read, count).map(({ requestId }) => requestId);
    expect(ids(9)).toEqual(['running', 'ended-2', 'ended-1', 'older']);
    expect(ids(2)).toEqual(['running', 'ended-2']);
  });
});
