// The node's pulse, by a clock that the test moves.
import { describe, expect, it } from 'vitest';
import { PulseMonitor } from '../../../node/app/pulse.ts';
import type { LoadedModel } from '../../../node/core/engine.ts';
import { silentLog } from '../../../node/core/log.ts';
import type { PeerRecord } from '../../../node/core/mesh.ts';
import type { Pulse } from '../../../node/core/pulse.ts';
import { EventLog } from '../../../node/telemetry/event-log.ts';
import { HistoryAnswer, type RequestChange } from '../../../protocol/api/control.ts';
import { ManualClock } from '../core/manual-clock.ts';

const SELF = 'self';
const LOAD = { requestsInFlight: 2, queuedMs: 30, latencyMs: 5, memoryFreeBytes: 100 };

function peer(node: string, overrides: Partial<PeerRecord> = {}): PeerRecord {
  const link = { rttMs: 1.23456, rttFloorMs: 1, goodputBytesPerSecond: 1_000.4, path: 'direct' as const };
  return { advert: { node }, state: 'connected', link, load: LOAD, ...overrides } as PeerRecord;
}

function start({ peers = [] as readonly PeerRecord[], started = true } = {}) {
  const clock = new ManualClock(1_000_000);
  const events = new EventLog({ clock, log: silentLog });
  let reads = 0;
  const monitor = new PulseMonitor({
    clock,
    events,
    mesh: { self: SELF, peers: () => peers },
    engine: {
      load: () => {
        reads += 1;
        return { requestsInFlight: 9, queuedMs: 12.3456, latencyMs: 0, memoryFreeBytes: 4_000 };
      },
      loaded: () =>
        [
          { residentBytes: 600, generation: { tokensPerS: 20 } },
          { residentBytes: 400, generation: undefined },
        ] as unknown as readonly LoadedModel[],
    },
    dispatcher: { inFlight: () => 3 },
  });
  if (started) monitor.start();
  const ended = (change: Partial<RequestChange>): void =>
    events.publish('request', { requestId: 'r', phase: 'ended', name: 'x', status: 'ok', nodes: [SELF], ...change });
  /** Lets time pass in steps of a second, as a clock does. */
  const pass = (seconds: number): void => {
    for (let step = 0; step < seconds; step += 1) clock.advance(1_000);
  };
  return { clock, events, monitor, ended, pass, reads: () => reads };
}

describe('the history', () => {
  it('has a pulse every 5 seconds, for an hour', () => {
    const { monitor, pass, clock } = start();
    expect(monitor.history()).toEqual([]);
    pass(10);
    expect(monitor.history().map(({ atMs }) => atMs)).toEqual([1_005_000, 1_010_000]);
    pass(3_600);
    expect(monitor.history()).toHaveLength(720);
    expect(monitor.history().at(-1)?.atMs).toBe(clock.wallNow());
    expect(() => HistoryAnswer.parse({ stepMs: monitor.stepMs, pulses: monitor.history() })).not.toThrow();
  });

  it('says how the node and its peers in reach are', () => {
    const gone = peer('gone', { state: 'gone' });
    const link = { rttMs: undefined, rttFloorMs: undefined, goodputBytesPerSecond: undefined, path: undefined };
    const { monitor, pass } = start({ peers: [peer('near'), gone, peer('fresh', { link })] });
    pass(5);
    expect(monitor.history()).toEqual([
      {
        atMs: 1_005_000,
        self: {
          requestsInFlight: 3,
          queuedMs: 12.35,
          memoryFreeBytes: 4_000,
          memoryUsedBytes: 1_000,
          tokensPerSecond: 20,
          local: 0,
          remote: 0,
        },
        peers: [
          { node: 'near', rttMs: 1.23, goodputBytesPerSecond: 1_000, load: LOAD },
          { node: 'fresh', load: LOAD },
        ],
      },
    ]);
  });

  it('is bounded in a mesh of a thousand', () => {
    const { monitor, pass } = start({ peers: Array.from({ length: 1_000 }, (_, index) => peer(`n${index}`)) });
    const seen: Pulse[] = [];
    monitor.watch((pulse) => seen.push(pulse));
    pass(5);
    expect(seen.at(-1)?.peers).toHaveLength(256);
    expect(monitor.history().at(-1)?.peers).toHaveLength(32);
  });

  it('does not make up for the time that a machine slept', () => {
    const { monitor, clock } = start();
    clock.advance(3_600_000);
    expect(monitor.history()).toHaveLength(1);
    clock.advance(1_000);
    expect(monitor.history()).toHaveLength(2);
  });

  it('costs one look in 5 seconds while nobody watches, whatever happens', () => {
    const { ended, pass, reads } = start();
    for (let requests = 0; requests < 1_000; requests += 1) ended({ durationMs: 1 });
    pass(5);
    expect(reads()).toBe(1);
    pass(20);
    expect(reads()).toBe(5);
  });
});

describe('requests that ended', () => {
  it('count by where they were computed, once for each pulse', () => {
    const { monitor, ended, pass } = start();
    ended({});
    ended({ status: 'error', nodes: [SELF] });
    ended({ nodes: ['other'] });
    ended({ nodes: [SELF, 'other'] });
    pass(5);
    ended({ nodes: ['other'] });
    pass(5);
    const counts = monitor.history().map(({ self: { local, remote } }) => [local, remote]);
    expect(counts).toEqual([
      [2, 2],
      [0, 1],
    ]);
  });

  it('do not count where they are those of a peer, had no place, or go on', () => {
    const { monitor, ended, events, pass } = start();
    ended({ caller: 'other', durationMs: 5 });
    events.publish('request', { requestId: 'r', phase: 'ended', name: 'x', status: 'error' });
    ended({ phase: 'placed' });
    pass(5);
    expect(monitor.history()[0]?.self).toMatchObject({ local: 0, remote: 0 });
    expect(monitor.history()[0]?.self).not.toHaveProperty('durationMsP50');
  });

  it('give percentiles of the last minute, of those that went well', () => {
    const { monitor, ended, pass } = start();
    for (let ms = 1; ms <= 100; ms += 1) ended({ durationMs: ms, ...(ms <= 20 && { ttftMs: ms / 2 }) });
    ended({ durationMs: 9_999, status: 'error' });
    pass(5);
    expect(monitor.history()[0]?.self).toMatchObject({
      durationMsP50: 50,
      durationMsP95: 95,
      ttftMsP50: 5,
      ttftMsP95: 9.5,
    });
    pass(55);
    expect(monitor.history().at(-1)?.self).not.toHaveProperty('durationMsP50');
  });
});

describe('a watcher', () => {
  it('gets a pulse every second, with the requests since the last one, and leaves the history as it is', () => {
    const { monitor, ended, pass } = start();
    ended({});
    const seen: Pulse[] = [];
    const unwatch = monitor.watch((pulse) => seen.push(pulse));
    ended({});
    pass(1);
    ended({ nodes: ['other'] });
    pass(4);
    expect(seen.map(({ atMs }) => atMs)).toEqual([1_001_000, 1_002_000, 1_003_000, 1_004_000, 1_005_000]);
    expect(seen.map(({ self }) => [self.local, self.remote]).slice(0, 3)).toEqual([
      [1, 0],
      [0, 1],
      [0, 0],
    ]);
    expect(monitor.history().map(({ self }) => [self.local, self.remote])).toEqual([[2, 1]]);
    unwatch();
    pass(20);
    expect(seen).toHaveLength(5);
    expect(monitor.history()).toHaveLength(5);
  });

  it('that comes in the midst of a step waits for a second at most', () => {
    const { monitor, clock, pass } = start();
    clock.advance(2_500);
    const seen: Pulse[] = [];
    monitor.watch((pulse) => seen.push(pulse));
    pass(1);
    expect(seen).toHaveLength(1);
  });

  it('shares its pulses with others', () => {
    const { monitor, pass, reads } = start();
    let calls = 0;
    for (let watchers = 0; watchers < 10; watchers += 1) monitor.watch(() => (calls += 1));
    pass(3);
    expect([calls, reads()]).toEqual([30, 3]);
  });

  it('hears nothing of a node that has stopped, and no timer is left', () => {
    const { monitor, clock, pass } = start();
    let calls = 0;
    monitor.watch(() => (calls += 1));
    monitor.stop();
    pass(10);
    expect([calls, clock.waiting]).toEqual([0, 0]);
  });
});
