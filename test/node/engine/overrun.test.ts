// A runner that does not come back from a run: killed once its work is long overdue. On a clock that the test moves.
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../node/core/clock.ts';
import { type Flight, Flights } from '../../../node/engine/flights.ts';

/** A clock that stands still until it is told. */
function manualClock(): Clock & { advance(ms: number): void } {
  let now = 0;
  const timers: { atMs: number; callback: () => void }[] = [];
  return {
    now: () => now,
    wallNow: () => now,
    after(ms, callback) {
      const timer = { atMs: now + ms, callback };
      timers.push(timer);
      return { cancel: () => void timers.splice(timers.indexOf(timer), timers.includes(timer) ? 1 : 0) };
    },
    advance(ms) {
      const until = now + ms;
      for (;;) {
        const next = timers.filter(({ atMs }) => atMs <= until).sort((a, b) => a.atMs - b.atMs)[0];
        if (next === undefined) break;
        timers.splice(timers.indexOf(next), 1);
        now = next.atMs;
        next.callback();
      }
      now = until;
    },
  };
}

const flight = (overdueAtMs: number, lane: Flight['lane'] = 'short'): Flight =>
  ({ model: { calls: 0 }, lane, requestIds: ['req_a'], process: {}, overdueAtMs }) as unknown as Flight;

describe('Flights', () => {
  it('reports the call that is overdue, and no other', () => {
    const clock = manualClock();
    const overdue: Flight[] = [];
    const flights = new Flights({
      clock,
      onOverdue: (late) => {
        overdue.push(late);
        flights.remove(late);
      },
    });
    const [soon, later, done] = [flight(4_000), flight(9_500), flight(2_000)];
    for (const one of [soon, later, done]) flights.add(one);
    flights.remove(done);
    clock.advance(3_900);
    expect(overdue).toEqual([]);
    clock.advance(1_100);
    expect(overdue).toEqual([soon]);
    clock.advance(6_000);
    expect(overdue).toEqual([soon, later]);
    // With nothing left it rests, and wakes with the next call.
    const next = flight(clock.now() + 500);
    flights.add(next);
    clock.advance(2_000);
    expect(overdue).toEqual([soon, later, next]);
    flights.stop();
  });

  it('counts calls by lane, and by model', () => {
    const flights = new Flights({ clock: manualClock(), onOverdue: () => undefined });
    const [one, two, load] = [flight(1), flight(1), flight(1, 'load')];
    for (const each of [one, two, load]) flights.add(each);
    flights.remove(two);
    flights.remove(two);
    expect([flights.in('short'), flights.in('load'), flights.in('generation')]).toEqual([1, 1, 0]);
    expect([one.model.calls, two.model.calls]).toEqual([1, 0]);
  });
});
