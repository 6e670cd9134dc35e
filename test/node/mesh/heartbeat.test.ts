import { describe, expect, it } from 'vitest';
import { silentLog } from '../../../node/core/log.ts';
import { Heartbeat } from '../../../node/mesh/heartbeat.ts';
import { LIVENESS } from '../../../node/mesh/limits.ts';
import { ManualClock } from './manual-clock.ts';

const LIVE = { ...LIVENESS, intervalMs: 500, timeoutMs: 2_000 };

function watch(answers: () => boolean) {
  const clock = new ManualClock();
  const events: string[] = [];
  let heardMs = clock.now();
  let probes = 0;
  const heartbeat = new Heartbeat(
    {
      clock,
      log: silentLog,
      probe: () => {
        probes++;
        if (!answers()) return new Promise(() => undefined);
        heardMs = clock.now();
        return Promise.resolve();
      },
      lastHeardMs: () => heardMs,
      onSuspect: (suspect) => events.push(suspect ? 'suspect' : 'heard again'),
      onLost: () => events.push('lost'),
    },
    LIVE,
  );
  heartbeat.start();
  return {
    clock,
    events,
    heartbeat,
    hear: () => {
      heardMs = clock.now();
    },
    probes: () => probes,
  };
}

describe('Heartbeat', () => {
  it('asks once per interval while the peer answers', async () => {
    const { clock, events, probes } = watch(() => true);
    await clock.advance(10_000);
    expect(events).toEqual([]);
    expect(probes()).toBeGreaterThanOrEqual(20);
    expect(probes()).toBeLessThanOrEqual(21);
  });

  it('suspects a silent peer at half of the timeout, and gives it up at the whole', async () => {
    const { clock, events } = watch(() => false);
    await clock.advance(750);
    expect(events).toEqual([]);
    await clock.advance(500);
    expect(events).toEqual(['suspect']);
    await clock.advance(1_000);
    expect(events).toEqual(['suspect', 'lost']);
    expect(clock.timers).toBe(0);
  });

  it('takes any byte for a sign of life', async () => {
    const { clock, events, hear } = watch(() => false);
    for (let second = 0; second < 20; second++) {
      await clock.advance(900);
      hear();
    }
    expect(events).not.toContain('lost');
  });

  it('trusts a suspect peer again when it is heard', async () => {
    const { clock, events, hear } = watch(() => false);
    await clock.advance(1_500);
    hear();
    await clock.advance(250);
    expect(events).toEqual(['suspect', 'heard again']);
  });

  it('does not blame the peer when this process stood still', async () => {
    const { clock, events } = watch(() => false);
    await clock.advance(300);
    clock.stall(60_000);
    await clock.advance(250);
    expect(events).not.toContain('lost');
  });

  it('stops', async () => {
    const { clock, events, heartbeat } = watch(() => false);
    heartbeat.stop();
    await clock.advance(10_000);
    expect(events).toEqual([]);
    expect(clock.timers).toBe(0);
  });
});
