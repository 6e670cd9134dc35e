// Who leaves memory for whom, and how much each runner may take.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  capsOf,
  growthMax,
  planRoom,
  predictedBytes,
  type Resident,
  residentTotal,
  withHeadroom,
  worthPerByte,
} from '../../../node/engine/residency.ts';
import { runs } from '../../support/property.ts';

const MIB = 2 ** 20;

describe('planRoom', () => {
  const resident = (digest: string, bytes: number, overrides: Partial<Resident> = {}): Resident => ({
    digest,
    bytes,
    lastUsedMs: 0,
    state: 'idle',
    worth: 0,
    ...overrides,
  });

  it('unloads nothing that need not go', () => {
    expect(planRoom([resident('a', 50)], 50, 100)).toEqual({ fits: true, unload: [] });
  });

  it('unloads what is worth least first, and no more than needed', () => {
    const residents = [
      resident('dear', 30, { worth: 9 }),
      resident('cheap', 30, { worth: 1, lastUsedMs: 99 }),
      resident('middle', 30, { worth: 5 }),
    ];
    expect(planRoom(residents, 40, 100)).toEqual({ fits: true, unload: ['cheap'] });
    expect(planRoom(residents, 70, 100)).toEqual({ fits: true, unload: ['cheap', 'middle'] });
  });

  it('of equal worth, unloads the least recently used first', () => {
    const residents = [resident('new', 30, { lastUsedMs: 9 }), resident('old', 30, { lastUsedMs: 1 })];
    expect(planRoom(residents, 50, 100)).toEqual({ fits: true, unload: ['old'] });
  });

  it('leaves alone what is held', () => {
    const residents = [resident('held', 80, { state: 'held' }), resident('idle', 10)];
    expect(planRoom(residents, 50, 100)).toEqual({ fits: false, heldBytes: 80 });
  });

  it('counts what is leaving until it has left, and waits for that before it unloads more', () => {
    const residents = [resident('idle', 40), resident('leaving', 40, { state: 'leaving', worth: 99 })];
    expect(planRoom(residents, 50, 100)).toEqual({ fits: true, unload: ['leaving'] });
    expect(planRoom(residents, 80, 100)).toEqual({ fits: true, unload: ['leaving', 'idle'] });
  });

  it('never exceeds the budget, never unloads without need, and never what is held', () => {
    const part = fc.record({
      bytes: fc.nat(100),
      lastUsedMs: fc.nat(100),
      worth: fc.nat(3),
      state: fc.constantFrom('leaving' as const, 'idle' as const, 'held' as const),
    });
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), fc.nat(100), fc.nat(400), (parts, needed, budget) => {
        const residents = parts.map((one, index) => ({ digest: String(index), ...one }));
        const plan = planRoom(residents, needed, budget);
        if (!plan.fits) {
          expect(plan.heldBytes).toBe(residentTotal(residents.filter(({ state }) => state === 'held')));
          expect(plan.heldBytes + needed).toBeGreaterThan(budget);
          return;
        }
        const left = residents.filter(({ digest }) => !plan.unload.includes(digest));
        expect(residentTotal(left) + needed).toBeLessThanOrEqual(budget);
        const gone = residents.filter(({ digest }) => plan.unload.includes(digest));
        expect(gone.map(({ state }) => state)).not.toContain('held');
        const last = residents.find(({ digest }) => digest === plan.unload.at(-1));
        if (last !== undefined) expect(residentTotal(left) + last.bytes + needed).toBeGreaterThan(budget);
      }),
      runs(200),
    );
  });
});

describe('worthPerByte', () => {
  it('grows with demand and with the cost of loading again, and falls with size', () => {
    const usual = { demand: 4, loadMs: 1_000, bytes: 100 * MIB };
    expect(worthPerByte({ ...usual, demand: 8 })).toBeGreaterThan(worthPerByte(usual));
    expect(worthPerByte({ ...usual, loadMs: 2_000 })).toBeGreaterThan(worthPerByte(usual));
    expect(worthPerByte({ ...usual, bytes: 200 * MIB })).toBeLessThan(worthPerByte(usual));
    expect(worthPerByte({ demand: 0, loadMs: 0, bytes: 0 })).toBe(0);
  });
});

describe('what a model is taken to need', () => {
  it('has the process in it where there is a new one, and headroom above all', () => {
    expect(predictedBytes(100 * MIB, false)).toBe(withHeadroom(250 * MIB));
    expect(predictedBytes(100 * MIB, true)).toBe(withHeadroom(314 * MIB));
    expect(withHeadroom(100 * MIB)).toBeGreaterThan(100 * MIB);
  });
});

describe('capsOf', () => {
  it('shares what nobody has reserved, up to what each may grow', () => {
    const runners = [
      { reservedBytes: 100, growthBytesMax: 10 },
      { reservedBytes: 200, growthBytesMax: 1_000 },
    ];
    expect(capsOf(runners, 500)).toEqual([110, 300]);
    expect(capsOf(runners, 300)).toEqual([100, 200]);
    expect(capsOf([], 300)).toEqual([]);
    expect(growthMax(100 * MIB)).toBe(25 * MIB + 64 * MIB);
  });

  it('gives all of it to a load that was never measured', () => {
    const runners = [
      { reservedBytes: 100, growthBytesMax: 50 },
      { reservedBytes: 100, growthBytesMax: Number.POSITIVE_INFINITY },
    ];
    expect(capsOf(runners, 500)).toEqual([100, 400]);
  });

  it('never promises more than there is, and nobody less than was reserved', () => {
    const runner = fc.record({
      reservedBytes: fc.nat(1_000),
      growthBytesMax: fc.oneof(fc.nat(1_000), fc.constant(Number.POSITIVE_INFINITY)),
    });
    fc.assert(
      fc.property(fc.array(runner, { maxLength: 8 }), fc.nat(5_000), (runners, budget) => {
        const caps = capsOf(runners, budget);
        const reserved = runners.reduce((sum, { reservedBytes }) => sum + reservedBytes, 0);
        expect(caps.reduce((sum, cap) => sum + cap, 0)).toBeLessThanOrEqual(Math.max(budget, reserved));
        for (const [index, cap] of caps.entries()) {
          const { reservedBytes, growthBytesMax } = runners[index] as (typeof runners)[number];
          expect(cap).toBeGreaterThanOrEqual(reservedBytes);
          expect(cap - reservedBytes).toBeLessThanOrEqual(growthBytesMax);
        }
      }),
      runs(300),
    );
  });
});
