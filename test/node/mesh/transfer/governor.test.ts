import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Clock } from '../../../../node/core/clock.ts';
import { MESH_LIMITS, type MeshLimits } from '../../../../node/mesh/limits.ts';
import { bulkBytesPerSecond, Governor, otherUtilisation } from '../../../../node/mesh/transfer/governor.ts';
import { youngCollector } from '../../../../node/mesh/transfer/young-collector.ts';
import { ManualClock } from '../manual-clock.ts';
import { never } from '../support.ts';

const LIMITS = MESH_LIMITS.governor;
const MIB = 1 << 20;

let clock: ManualClock;
let busy: boolean;
let activeMs: number;
let governor: Governor;

beforeEach(() => {
  clock = new ManualClock();
  busy = false;
  activeMs = 0;
  governor = new Governor({ clock }, { busy: () => busy, loopActiveMs: () => activeMs });
});

const lanes: AbortController[] = [];
afterEach(() => {
  for (const lane of lanes.splice(0)) lane.abort();
});

/** Takes as much as it may for as long as it runs. */
function lane(bytes = 4 * MIB): { moved: number } {
  const abort = new AbortController();
  lanes.push(abort);
  const state = { moved: 0 };
  const run = async (): Promise<void> => {
    for (;;) {
      const granted = await governor.take(bytes, abort.signal);
      state.moved += granted;
      governor.moved('in', granted);
      // Bytes take a moment to move.
      await new Promise<void>((resolve) => clock.after(1, resolve));
    }
  };
  run().catch(() => undefined);
  return state;
}

describe('Governor', () => {
  it('holds nothing back while there is nothing else to do', async () => {
    expect(await governor.take(4 * MIB, never)).toBe(4 * MIB);
    for (let index = 0; index < 100; index++) await governor.takeAll(4 * MIB, never);
    expect(clock.timers).toBe(0);
  });

  it('lets through so much a second beside inference, in small grants', async () => {
    busy = true;
    const all = [lane(), lane(), lane()];
    await clock.advance(10_000);
    const moved = all.reduce((sum, one) => sum + one.moved, 0);
    expect(moved / 10).toBeGreaterThan(0.95 * LIMITS.bytesPerSecond);
    expect(moved / 10).toBeLessThan(1.05 * LIMITS.bytesPerSecond);
  });

  it('grants in small pieces beside inference, so that no burst delays a token', async () => {
    busy = true;
    expect(await governor.take(4 * MIB, never)).toBe(LIMITS.grantBytes);
    busy = false;
    await clock.advance(LIMITS.lingerMs);
    expect(await governor.take(4 * MIB, never)).toBe(4 * MIB);
  });

  it('would take the whole event loop without the rule', async () => {
    const one = lane();
    await clock.advance(1_000);
    expect(one.moved).toBeGreaterThan(10 * LIMITS.bytesPerSecond);
  });

  it('is fair between lanes, whatever each asks for', async () => {
    busy = true;
    const all = [lane(4 * MIB), lane(MIB), lane(8 * MIB)];
    await clock.advance(10_000);
    const shares = all.map(({ moved }) => moved);
    expect(Math.min(...shares)).toBeGreaterThan(0.9 * Math.max(...shares));
  });

  it('makes up for what must be taken whole', async () => {
    busy = true;
    const begunMs = clock.now();
    const done: number[] = [];
    for (let index = 0; index < 3; index++) {
      void governor.takeAll(LIMITS.bytesPerSecond, never).then(() => done.push(clock.now() - begunMs));
    }
    await clock.advance(5_000);
    expect(done[0]).toBe(0);
    expect(done[1]).toBeGreaterThan(900);
    expect(done[1]).toBeLessThan(1_100);
    expect(done[2]).toBeGreaterThan(1_900);
  });

  it('keeps no credit for times in which nobody moved anything', async () => {
    busy = true;
    await clock.advance(60_000);
    const one = lane();
    await clock.advance(1_000);
    expect(one.moved).toBeLessThan(1.1 * LIMITS.bytesPerSecond);
  });

  describe('when timers come late', () => {
    const lateMs = 30;
    /** Bytes a second beside inference. */
    const rate = async (limits: MeshLimits['governor']): Promise<number> => {
      const late: Clock = {
        now: () => clock.now(),
        wallNow: () => clock.wallNow(),
        after: (ms, run) => clock.after(ms + lateMs, run),
      };
      governor = new Governor({ clock: late }, { busy: () => true, loopActiveMs: () => 0, limits });
      const all = [lane(), lane(), lane()];
      await clock.advance(10_000);
      return all.reduce((sum, { moved }) => sum + moved, 0) / 10;
    };

    it('lets through as much as when they come in time', async () => {
      expect(await rate(LIMITS)).toBeGreaterThan(0.95 * LIMITS.bytesPerSecond);
    });

    it('would lose a fifth of it without making up for that', async () => {
      expect(await rate({ ...LIMITS, catchUpMs: 0 })).toBeLessThan(0.8 * LIMITS.bytesPerSecond);
    });

    it('makes no burst of a long pause', async () => {
      busy = true;
      const all = Array.from({ length: 100 }, () => lane(LIMITS.grantBytes));
      // Nothing fires for a second, and then all of it.
      await clock.advance(1);
      const before = all.reduce((sum, { moved }) => sum + moved, 0);
      clock.stall(1_000);
      await clock.advance(1);
      const burst = all.reduce((sum, { moved }) => sum + moved, 0) - before;
      expect(burst).toBeLessThan((LIMITS.catchUpMs * LIMITS.bytesPerSecond) / 1_000 + 2 * LIMITS.grantBytes);
    });
  });

  it('goes on at full speed soon after the last request, and not at once', async () => {
    busy = true;
    const one = lane();
    await clock.advance(1_000);
    busy = false;
    const before = one.moved;
    await clock.advance(LIMITS.lingerMs - 100);
    expect(one.moved - before).toBeLessThan(LIMITS.bytesPerSecond);
    await clock.advance(1_000);
    expect(one.moved - before).toBeGreaterThan(10 * LIMITS.bytesPerSecond);
  });

  it('yields to whatever else keeps the event loop busy', async () => {
    const one = lane(64 << 10);
    /** Bytes in four seconds in which the loop works for so long in each tenth of one. */
    const movedBeside = async (activePerTenthMs: number): Promise<number> => {
      const before = one.moved;
      for (let tenth = 0; tenth < 40; tenth++) {
        activeMs += activePerTenthMs;
        await clock.advance(100);
      }
      return one.moved - before;
    };
    const alone = await movedBeside(0);
    await movedBeside(95);
    expect(await movedBeside(95)).toBeLessThan(0.75 * alone);
  });

  it('lets go of a lane that gives up', async () => {
    busy = true;
    await governor.takeAll(100 * LIMITS.bytesPerSecond, never);
    const abort = new AbortController();
    const waiting = governor.take(1, abort.signal);
    abort.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
    await expect(governor.take(1, abort.signal)).rejects.toMatchObject({ code: 'cancelled' });
    await clock.advance(LIMITS.pollMs);
    expect(clock.timers).toBe(0);
  });
});

describe('what bulk work leaves behind', () => {
  it('is collected now and then, however it moves', async () => {
    let collected = 0;
    const tidy = new Governor({ clock }, { busy: () => busy, collect: () => collected++ });
    for (let index = 0; index < 64; index++) tidy.moved('in', MIB);
    expect(collected).toBe((64 * MIB) / LIMITS.collectInBytes);
    collected = 0;
    for (let index = 0; index < 64; index++) tidy.moved('out', MIB);
    expect(collected).toBe((64 * MIB) / LIMITS.collectOutBytes);
    tidy.moved('in', 16 * MIB);
    expect(collected).toBe((64 * MIB) / LIMITS.collectOutBytes + 1);
  });

  it('has room in the heap while it moves, and for a while after', async () => {
    const told: boolean[] = [];
    const roomy = new Governor({ clock }, { busy: () => busy, collect: () => undefined, room: (is) => told.push(is) });
    roomy.moved('in', LIMITS.collectInBytes - 1);
    expect(told).toEqual([]);
    for (let second = 0; second < 20; second++) {
      roomy.moved('in', LIMITS.collectInBytes);
      await clock.advance(1_000);
    }
    expect(told).toEqual([true]);
    await clock.advance(2 * LIMITS.roomMs);
    expect(told).toEqual([true, false]);
    expect(clock.timers).toBe(0);
    roomy.moved('out', 2 * LIMITS.collectOutBytes);
    expect(told).toEqual([true, false, true]);
  });

  it('is freed by the collector of young objects alone', async () => {
    const collect = youngCollector();
    const before = process.memoryUsage().arrayBuffers;
    for (let index = 0; index < 256; index++) new Uint8Array(64 << 10).fill(1);
    const full = process.memoryUsage().arrayBuffers;
    expect(full - before).toBeGreaterThan(8 * MIB);
    collect();
    await vi.waitFor(() => expect(process.memoryUsage().arrayBuffers).toBeLessThan(before + 2 * MIB));
    // Nobody else of the process got hold of it.
    expect(Reflect.get(globalThis, 'gc')).toBeUndefined();
  });
});

describe('bulkBytesPerSecond', () => {
  it('is bounded while a request runs, a little longer, and when others fill the loop', () => {
    const rate = (sinceBusyMs: number, other: number): number =>
      bulkBytesPerSecond({ sinceBusyMs, otherUtilisation: other }, LIMITS);
    expect(rate(0, 0)).toBe(LIMITS.bytesPerSecond);
    expect(rate(LIMITS.lingerMs, 0)).toBe(Number.POSITIVE_INFINITY);
    expect(rate(Number.POSITIVE_INFINITY, 0.9)).toBe(LIMITS.bytesPerSecond);
  });
});

describe('otherUtilisation', () => {
  it('leaves out what bulk work may have cost', () => {
    const share = (activeMs: number, movedBytes: number): number =>
      otherUtilisation({ elapsedMs: 1_000, activeMs, movedBytes }, LIMITS);
    expect(share(1_000, 0)).toBe(1);
    expect(share(1_000, 150 * MIB)).toBe(0);
    expect(share(900, 25 * MIB)).toBeCloseTo(0.7, 5);
    expect(otherUtilisation({ elapsedMs: 0, activeMs: 0, movedBytes: 0 }, LIMITS)).toBe(0);
  });
});
