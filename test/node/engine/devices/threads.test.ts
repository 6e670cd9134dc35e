import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planThreads, type RunnerThreads, threadsInAll } from '../../../../node/engine/devices/threads.ts';
import { runs } from '../../../support/property.ts';

const busy = (threads: number): RunnerThreads => ({ threads, busy: true });
const idle = (threads: number): RunnerThreads => ({ threads, busy: false });

describe('threads in all', () => {
  it('are the cores, not their threads, and not more than a session gains from', () => {
    expect(threadsInAll({ asked: undefined, available: 8, physical: 4 })).toBe(4);
    expect(threadsInAll({ asked: undefined, available: 2, physical: 64 })).toBe(2);
    expect(threadsInAll({ asked: undefined, available: 64, physical: 32 })).toBe(8);
    expect(threadsInAll({ asked: undefined, available: 3, physical: undefined })).toBe(3);
  });

  it('are what was set, whatever the machine has', () => {
    expect(threadsInAll({ asked: 24, available: 4, physical: 2 })).toBe(24);
  });
});

describe('the plan of a session', () => {
  it('gives a runner that is alone everything, spinning', () => {
    expect(planThreads(8, [])).toEqual({ threads: 8, spin: true });
  });

  it('takes nothing off for runners that are idle, but lets no thread spin beside them', () => {
    expect(planThreads(8, [idle(8), idle(4)])).toEqual({ threads: 8, spin: false });
  });

  it('shares with those that compute, or takes what they leave', () => {
    expect(planThreads(8, [busy(8)])).toEqual({ threads: 4, spin: false });
    expect(planThreads(8, [busy(2)])).toEqual({ threads: 6, spin: false });
    expect(planThreads(2, [busy(2), busy(1), idle(2)])).toEqual({ threads: 1, spin: false });
  });

  it('never gives less than one thread, nor more than there are', () => {
    const runner = fc.record({ threads: fc.integer({ min: 1, max: 64 }), busy: fc.boolean() });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 256 }), fc.array(runner, { maxLength: 12 }), (total, others) => {
        const { threads, spin } = planThreads(total, others);
        expect(threads).toBeGreaterThanOrEqual(1);
        expect(threads).toBeLessThanOrEqual(total);
        expect(spin).toBe(others.length === 0);
      }),
      runs(300),
    );
  });
});
