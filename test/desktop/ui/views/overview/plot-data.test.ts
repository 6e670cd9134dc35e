import { describe, expect, it } from 'vitest';
import type { Pulse } from '../../../../../desktop/ui/data/contract.ts';
import { gauges, ratesPerMinute, within } from '../../../../../desktop/ui/views/overview/plot-data.ts';

const pulse = (atMs: number, self: Partial<Pulse['self']> = {}): Pulse => ({
  atMs,
  self: {
    requestsInFlight: 0,
    queuedMs: 0,
    memoryFreeBytes: 0,
    memoryUsedBytes: 0,
    tokensPerSecond: 0,
    local: 0,
    remote: 0,
    ...self,
  },
  peers: [],
});

describe('plots', () => {
  it('break a line where pulses are missing, and leave out what nobody measured', () => {
    const { xs, values } = gauges(
      [pulse(1_000, { ttftMsP50: 5 }), pulse(2_000), pulse(60_000, { ttftMsP50: 7 })],
      [({ ttftMsP50 }) => ttftMsP50],
    );
    expect(xs).toEqual([1_000, 2_000, 2_001, 60_000]);
    expect(values).toEqual([[5, null, null, 7]]);
  });

  it('show the window and no more', () => {
    const pulses = [pulse(1_000), pulse(50_000), pulse(60_000)];
    expect(within(pulses, 10_000).map(({ atMs }) => atMs)).toEqual([50_000, 60_000]);
    expect(within(pulses, 100_000)).toHaveLength(3);
    expect(within([], 1)).toEqual([]);
  });

  it('count requests a minute: one a second is sixty, however the window is cut', () => {
    const pulses = Array.from({ length: 300 }, (_, at) => pulse((at + 1) * 1_000, { local: 1 }));
    const { values } = ratesPerMinute(pulses, 300_000, [({ local }) => local], 30);
    const whole = (values[0] ?? []).slice(1, -1);
    expect(whole.length).toBeGreaterThan(25);
    for (const rate of whole) expect(rate).toBeCloseTo(60);
  });

  it('leave slices empty in which nobody counted', () => {
    const { xs, values } = ratesPerMinute(
      [pulse(1_000, { local: 2 }), pulse(59_000, { local: 0 })],
      60_000,
      [({ local }) => local],
      6,
    );
    expect(xs).toHaveLength(6);
    expect(values[0]?.slice(1, 5)).toEqual([null, null, null, null]);
    expect(values[0]?.[0]).toBe(12);
    expect(values[0]?.[5]).toBe(0);
  });

  it('have nothing to show without pulses', () => {
    expect(ratesPerMinute([], 60_000, [({ local }) => local])).toEqual({ xs: [], values: [[]] });
  });
});
