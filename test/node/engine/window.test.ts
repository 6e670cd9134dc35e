// When a batch is closed, and what goes first.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ARRIVALS_MIN, CALL_OVERHEAD_MS, WINDOW_MS_MAX } from '../../../node/engine/limits.ts';
import {
  ArrivalRate,
  closesAtMs,
  DeviceForecast,
  type Formed,
  isUrgent,
  nextOf,
  type Rank,
  type Surroundings,
  waitingPays,
} from '../../../node/engine/window.ts';
import { runs } from '../../support/property.ts';

/** A large accelerator: four times as many rows take hardly longer. */
const ACCELERATOR = { nowMs: 10, oneMoreMs: 10.1, aloneMs: 10 };
/** One core: every row takes its own time. */
const CORE = { nowMs: 10, oneMoreMs: 19, aloneMs: 10 };

const formed = (overrides: Partial<Formed> = {}): Formed => ({
  requests: 1,
  full: false,
  oldestArrivedAtMs: 1_000,
  remainingMs: 60_000,
  cost: ACCELERATOR,
  ...overrides,
});
const around = (overrides: Partial<Surroundings> = {}): Surroundings => ({
  nowMs: 1_000,
  deviceFreeAtMs: 'idle',
  deviceBusyMs: 0,
  gapMs: 1,
  lastArrivalMs: 1_000,
  contended: false,
  ...overrides,
});

const millis = fc.double({ min: 0, max: 1_000, noNaN: true });
const anyFormed = fc.record({
  requests: fc.integer({ min: 1, max: 32 }),
  full: fc.boolean(),
  oldestArrivedAtMs: fc.double({ min: 0, max: 1_000, noNaN: true }),
  remainingMs: fc.double({ min: 1, max: 10_000, noNaN: true }),
  cost: fc.option(fc.record({ nowMs: millis, oneMoreMs: millis, aloneMs: millis }), { nil: undefined }),
});
const anyAround = fc.record({
  nowMs: fc.constant(1_000),
  deviceFreeAtMs: fc.oneof(
    fc.constant('idle' as const),
    fc.constant(undefined),
    millis.map((ms) => 1_000 + ms),
  ),
  deviceBusyMs: millis,
  gapMs: fc.oneof(millis, fc.constant(Number.POSITIVE_INFINITY)),
  lastArrivalMs: millis,
  contended: fc.boolean(),
});

describe('the window', () => {
  it('is closed at once on an idle device, unless waiting pays', () => {
    expect(closesAtMs(formed(), around())).toBeGreaterThan(1_000);
    expect(closesAtMs(formed({ cost: CORE }), around())).toBe(1_000);
    expect(closesAtMs(formed(), around({ gapMs: 50 }))).toBe(1_000);
    expect(closesAtMs(formed(), around({ gapMs: Number.POSITIVE_INFINITY }))).toBe(1_000);
    expect(closesAtMs(formed(), around({ contended: true }))).toBe(1_000);
    expect(closesAtMs(formed({ cost: undefined }), around())).toBe(1_000);
    expect(closesAtMs(formed({ full: true }), around())).toBe(1_000);
    // Twice the gap has passed, and nobody came.
    expect(closesAtMs(formed(), around({ lastArrivalMs: 998 }))).toBe(1_000);
  });

  it('stays open on a busy device until its run is nearly over', () => {
    const closes = closesAtMs(formed({ cost: CORE }), around({ deviceFreeAtMs: 1_100, deviceBusyMs: 100 }));
    expect(closes).toBeGreaterThanOrEqual(1_080);
    expect(closes).toBeLessThan(1_100);
    // Nobody can say how long it is busy.
    expect(closesAtMs(formed(), around({ deviceFreeAtMs: undefined }))).toBe(1_000);
  });

  it('never costs a deadline, and on an idle device never more than its cap', () => {
    fc.assert(
      fc.property(anyFormed, anyAround, (batch, surroundings) => {
        const { nowMs } = surroundings;
        const closes = Math.max(nowMs, closesAtMs(batch, surroundings));
        expect(Number.isFinite(closes)).toBe(true);
        if (closes === nowMs) return;
        // Still time for the run and its call, as it is predicted.
        expect(closes + (batch.cost?.nowMs ?? 0) + CALL_OVERHEAD_MS).toBeLessThanOrEqual(nowMs + batch.remainingMs);
        if (surroundings.deviceFreeAtMs === 'idle') {
          expect(closes).toBeLessThanOrEqual(batch.oldestArrivedAtMs + WINDOW_MS_MAX);
        } else {
          expect(closes).toBeLessThan(surroundings.deviceFreeAtMs as number);
        }
      }),
      runs(500),
    );
  });
});

describe('waitingPays', () => {
  it('says so exactly where the mean time to an answer is shorter with the wait', () => {
    const requests = fc.integer({ min: 1, max: 32 });
    fc.assert(
      fc.property(requests, millis, millis, millis, millis, (count, nowMs, more, aloneMs, gapMs) => {
        const [together, joined, single] = [nowMs, nowMs + more, aloneMs].map((ms) => ms + CALL_OVERHEAD_MS) as [
          number,
          number,
          number,
        ];
        // The next one finds the device busy: else it need not wait for anybody.
        fc.pre(gapMs < together);
        const without = count * together + (together - gapMs + single);
        const withWait = count * (gapMs + joined) + joined;
        fc.pre(Math.abs(without - withWait) > 1e-6);
        expect(waitingPays(count, { nowMs, oneMoreMs: nowMs + more, aloneMs }, gapMs)).toBe(withWait < without);
      }),
      runs(500),
    );
  });
});

describe('ArrivalRate', () => {
  it('learns the time between requests, as soon as there are enough', () => {
    const rate = new ArrivalRate();
    for (let count = 1; count < ARRIVALS_MIN; count++) rate.saw(count * 10, count);
    expect(rate.gapMs).toBe(Number.POSITIVE_INFINITY);
    for (let count = ARRIVALS_MIN; count <= 40; count++) rate.saw(count * 10, count);
    expect(rate.gapMs).toBeCloseTo(10, 5);
    // Four that come at once count as four.
    for (let turn = 1; turn <= 40; turn++) rate.saw(400 + turn * 20, 40 + turn * 4);
    expect(rate.gapMs).toBeCloseTo(5, 1);
    rate.saw(1_250, 200);
    expect([rate.gapMs, rate.lastMs]).toEqual([expect.closeTo(5, 1), 1_200]);
    // One after a long silence is no sign of the next.
    rate.saw(61_200, 201);
    expect(rate.gapMs).toBeGreaterThan(10_000);
  });
});

describe('DeviceForecast', () => {
  it('adds up the runs that the device has, from when the first of them began', () => {
    const forecast = new DeviceForecast();
    expect(forecast.freeAtMs()).toBe('idle');
    const [first, second, unknown] = [{ predictedMs: 30 }, { predictedMs: 20 }, { predictedMs: undefined }];
    forecast.sent(100, first);
    forecast.sent(110, second);
    expect(forecast.freeAtMs()).toBe(150);
    forecast.ended(140, first);
    expect(forecast.freeAtMs()).toBe(160);
    forecast.sent(145, unknown);
    expect(forecast.freeAtMs()).toBeUndefined();
    forecast.ended(150, unknown);
    expect(forecast.freeAtMs()).toBe(160);
    forecast.ended(150, unknown);
    forecast.ended(162, second);
    expect(forecast.freeAtMs()).toBe('idle');
  });
});

describe('what goes first', () => {
  const head = (arrival: number, urgent = false, rank: Rank = 0) => ({ arrival, urgent, rank });

  it('is the oldest, and before it what is urgent', () => {
    expect(nextOf([], false)).toBeUndefined();
    expect(nextOf([head(5), head(3), head(4)], false)).toBe(1);
    expect(nextOf([head(5), head(3), head(4, true)], false)).toBe(2);
    expect(nextOf([head(5, true), head(3), head(4, true)], false)).toBe(2);
    expect(nextOf([head(1, false, 2), head(9)], false)).toBe(1);
    expect(nextOf([head(1, false, 2), head(9, false, 1)], false)).toBe(1);
    // However urgent, it waits for the class whose turn it is.
    expect(nextOf([head(1, true, 1), head(9)], false)).toBe(1);
    expect(nextOf([head(1, true, 1), head(9)], true)).toBe(1);
  });

  it('is the oldest at every second turn at the latest, however many are urgent', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 60 }), (arrivals) => {
        // The oldest is never urgent, and at every turn new ones come that are.
        let lastJumped = false;
        let waited = 0;
        for (const [turn, fresh] of arrivals.entries()) {
          const heads = [head(0), ...Array.from({ length: fresh }, (_, index) => head(1 + turn * 10 + index, true))];
          const next = nextOf(heads, lastJumped);
          lastJumped = next !== 0;
          waited = lastJumped ? waited + 1 : 0;
          expect(waited).toBeLessThan(2);
        }
      }),
      runs(200),
    );
  });

  it('is urgent when it makes its deadline now and not behind another run', () => {
    expect(isUrgent(100, 0, 10, 20)).toBe(false);
    expect(isUrgent(30, 0, 10, 20)).toBe(true);
    expect(isUrgent(30, 15, 10, 20)).toBe(true);
    // It is lost already.
    expect(isUrgent(30, 25, 10, 20)).toBe(false);
  });
});
