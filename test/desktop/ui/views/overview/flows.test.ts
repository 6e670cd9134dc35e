import { describe, expect, it } from 'vitest';
import type { LiveRequest } from '../../../../../desktop/ui/data/live.ts';
import { flowAt, flowsOf } from '../../../../../desktop/ui/views/overview/flows.ts';
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

describe('flows', () => {
  it('send a dot out while a request runs elsewhere, and one back when it has ended', () => {
    const flows = flowsOf(
      mapOf(
        request('a', { nodes: ['n1'] }),
        request('b', { nodes: ['n1'], status: 'ok', endedAtMs: 1_900 }),
        request('old', { nodes: ['n1'], status: 'ok', endedAtMs: 1_000 }),
      ),
      SELF,
    );
    expect(flowAt(flows, 'n1')).toEqual({ active: 1, out: ['a'], back: ['b'] });
    expect(flowAt(flows, 'n2')).toEqual({ active: 0, out: [], back: [] });
  });

  it('come in from a peer that asked, and go back to it', () => {
    const running = flowsOf(mapOf(request('a', { caller: 'n1', nodes: [SELF] })), SELF);
    expect(flowAt(running, 'n1')).toMatchObject({ active: 1, back: ['a'], out: [] });
    const ended = flowsOf(mapOf(request('a', { caller: 'n1', nodes: [SELF], status: 'ok', endedAtMs: 1_000 })), SELF);
    expect(flowAt(ended, 'n1')).toMatchObject({ active: 0, out: ['a'], back: [] });
  });

  it('draw no more than a few dots on one link', () => {
    const flows = flowsOf(mapOf(...Array.from({ length: 40 }, (_, at) => request(`r${at}`, { nodes: ['n1'] }))), SELF);
    expect(flowAt(flows, 'n1').active).toBe(40);
    expect(flowAt(flows, 'n1').out).toHaveLength(5);
    expect(flowAt(flows, 'n1').out.at(-1)).toBe('r39');
  });

  it('are computed once for a state', () => {
    const requests = mapOf(request('a', { nodes: ['n1'] }));
    expect(flowsOf(requests, SELF)).toBe(flowsOf(requests, SELF));
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
