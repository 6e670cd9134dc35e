import { describe, expect, it } from 'vitest';
import type { EventOf, Pulse } from '../../../../desktop/ui/data/contract.ts';
import { FINE_PULSES_MS, LIVE_REQUESTS_MAX, PULSES_MAX } from '../../../../desktop/ui/data/limits.ts';
import { EMPTY_LIVE, reduceLive, withHistory } from '../../../../desktop/ui/data/live.ts';

type Request = EventOf<'request'>['data'];

const request = (data: Partial<Request> & Pick<Request, 'requestId' | 'phase'>, atMs = 1_000): EventOf<'request'> => ({
  id: '1',
  type: 'request',
  atMs,
  data: { name: 'chat', ...data },
});

const pulse = (atMs: number, local = 1): Pulse => ({
  atMs,
  self: {
    requestsInFlight: 0,
    queuedMs: 0,
    memoryFreeBytes: 1,
    memoryUsedBytes: 1,
    tokensPerSecond: 0,
    local,
    remote: 0,
  },
  peers: [],
});

const beat = (atMs: number, local = 1): EventOf<'pulse'> => ({
  id: '1',
  type: 'pulse',
  atMs,
  data: pulse(atMs, local),
});

describe('live requests', () => {
  it('follow a request from its beginning over its placing to its end', () => {
    const begun = reduceLive(EMPTY_LIVE, [request({ requestId: 'r', phase: 'begun', model: 'm' })]);
    expect(begun.requests.get('r')).toMatchObject({ status: 'running', model: 'm', nodes: [], startedAtMs: 1_000 });
    const ended = reduceLive(begun, [
      request({ requestId: 'r', phase: 'placed', nodes: ['n1'], plan: 'remote', predictedMs: 80 }),
      request({ requestId: 'r', phase: 'ended', status: 'error', code: 'peer_lost', durationMs: 90 }, 1_090),
    ]);
    expect(ended.requests.get('r')).toMatchObject({
      status: 'error',
      model: 'm',
      nodes: ['n1'],
      plan: 'remote',
      code: 'peer_lost',
      endedAtMs: 1_090,
    });
  });

  it('know when one began of which only the end was seen', () => {
    const { requests } = reduceLive(EMPTY_LIVE, [request({ requestId: 'r', phase: 'ended', durationMs: 400 }, 1_000)]);
    expect(requests.get('r')).toMatchObject({ startedAtMs: 600, status: 'ok' });
  });

  it('stay within their bound, and let go of those that have ended first', () => {
    const running = request({ requestId: 'running', phase: 'begun' });
    let state = reduceLive(EMPTY_LIVE, [running]);
    for (let at = 0; at < LIVE_REQUESTS_MAX * 3; at += 1) {
      state = reduceLive(state, [
        request({ requestId: `r${at}`, phase: 'begun' }),
        request({ requestId: `r${at}`, phase: 'ended' }),
      ]);
    }
    expect(state.requests.size).toBe(LIVE_REQUESTS_MAX);
    expect(state.requests.has('running')).toBe(true);
    expect(state.requests.has('r0')).toBe(false);
    const flood = Array.from({ length: LIVE_REQUESTS_MAX * 2 }, (_, at) =>
      request({ requestId: `f${at}`, phase: 'begun' }),
    );
    expect(reduceLive(state, flood).requests.size).toBe(LIVE_REQUESTS_MAX);
  });

  it('are the same object where nothing of theirs has happened', () => {
    const state = reduceLive(EMPTY_LIVE, [request({ requestId: 'r', phase: 'begun' })]);
    expect(reduceLive(state, [])).toBe(state);
    expect(reduceLive(state, [beat(5)]).requests).toBe(state.requests);
  });
});

describe('pulses', () => {
  it('come behind those of the node’s own memory, each once', () => {
    const live = reduceLive(EMPTY_LIVE, [beat(10_000), beat(11_000), beat(11_000)]);
    const all = withHistory(live, [pulse(5_000), pulse(10_000)]);
    expect(all.pulses.map(({ atMs }) => atMs)).toEqual([5_000, 10_000, 11_000]);
    expect(withHistory(all, [pulse(5_000)])).toBe(all);
  });

  it('of an hour have room, the older ones fewer, with all that they counted', () => {
    let state = EMPTY_LIVE;
    for (let second = 1; second <= 3_500; second += 1) state = reduceLive(state, [beat(second * 1_000)]);
    expect(state.pulses.length).toBeLessThanOrEqual(PULSES_MAX);
    expect(state.pulses[0]?.atMs).toBe(1_000);
    const newest = state.pulses.at(-1)?.atMs ?? 0;
    expect(state.pulses.filter(({ atMs }) => newest - atMs < FINE_PULSES_MS)).toHaveLength(FINE_PULSES_MS / 1_000);
    expect(state.pulses.reduce((sum, { self }) => sum + self.local, 0)).toBe(3_500);
    for (let second = 3_501; second <= 9_000; second += 1) state = reduceLive(state, [beat(second * 1_000)]);
    expect(state.pulses.length).toBeLessThanOrEqual(PULSES_MAX);
    expect(9_000_000 - (state.pulses[0]?.atMs ?? 0)).toBeLessThanOrEqual(3_600_000 + 600_000);
  });
});
