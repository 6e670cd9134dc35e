// The supervisor's pure decisions: who is quarantined, who leaves memory, what speed is predicted.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fitLine, ModelProfile, median, worthTelling } from '../../../node/engine/profile.ts';
import { DeathLedger } from '../../../node/engine/quarantine.ts';
import { planRoom, predictedBytes, type Resident, residentTotal } from '../../../node/engine/residency.ts';
import { runs } from '../../support/property.ts';

describe('DeathLedger', () => {
  const died = (ledger: DeathLedger, ...ids: string[]): string | undefined =>
    ledger.diedWorking(new Set(ids), 'SIGSEGV');

  it('gives up at the second death by the same request', () => {
    const ledger = new DeathLedger();
    expect(died(ledger, 'a')).toBeUndefined();
    expect(died(ledger, 'b')).toBeUndefined();
    expect(died(ledger, 'c', 'a')).toContain('same request (SIGSEGV)');
  });

  it('gives up at the second load in a row', () => {
    const ledger = new DeathLedger();
    expect(ledger.diedAtLoad('SIGKILL')).toBeUndefined();
    expect(ledger.diedAtLoad('SIGKILL')).toContain('two loads');
  });

  it('forgets after a success, and only after one that says something', () => {
    const ledger = new DeathLedger();
    ledger.diedAtLoad('SIGKILL');
    ledger.loaded();
    expect(ledger.diedAtLoad('SIGKILL')).toBeUndefined();
    died(ledger, 'a');
    ledger.loaded();
    expect(died(ledger, 'a')).toBeDefined();
    ledger.worked();
    expect(died(ledger, 'a')).toBeUndefined();
  });

  it('remembers a bounded number of requests', () => {
    const ledger = new DeathLedger();
    died(ledger, 'old');
    for (let id = 0; id < 64; id++) died(ledger, `r${id}`);
    expect(died(ledger, 'old')).toBeUndefined();
    expect(died(ledger, 'r63')).toBeDefined();
  });
});

describe('planRoom', () => {
  const resident = (digest: string, bytes: number, lastUsedMs: number, idle = true): Resident => ({
    digest,
    bytes,
    lastUsedMs,
    idle,
  });

  it('unloads nothing that need not go', () => {
    expect(planRoom([resident('a', 50, 1)], 50, 100)).toEqual({ fits: true, unload: [] });
  });

  it('unloads the least recently used first, and no more than needed', () => {
    const residents = [resident('new', 30, 9), resident('old', 30, 1), resident('middle', 30, 5)];
    expect(planRoom(residents, 40, 100)).toEqual({ fits: true, unload: ['old'] });
    expect(planRoom(residents, 70, 100)).toEqual({ fits: true, unload: ['old', 'middle'] });
  });

  it('leaves alone what is at work', () => {
    const residents = [resident('busy', 80, 1, false), resident('idle', 10, 2)];
    expect(planRoom(residents, 50, 100)).toEqual({ fits: false, heldBytes: 80 });
  });

  it('never exceeds the budget, and never unloads without need', () => {
    const arbitrary = fc.array(fc.record({ bytes: fc.nat(100), lastUsedMs: fc.nat(100), idle: fc.boolean() }), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(arbitrary, fc.nat(100), fc.nat(400), (parts, needed, budget) => {
        const residents = parts.map((part, index) => ({ digest: String(index), ...part }));
        const plan = planRoom(residents, needed, budget);
        if (!plan.fits) {
          expect(plan.heldBytes + needed).toBeGreaterThan(budget);
          return;
        }
        const left = residents.filter(({ digest }) => !plan.unload.includes(digest));
        expect(residentTotal(left) + needed).toBeLessThanOrEqual(budget);
        const last = residents.find(({ digest }) => digest === plan.unload.at(-1));
        if (last !== undefined) expect(residentTotal(left) + last.bytes + needed).toBeGreaterThan(budget);
      }),
      runs(200),
    );
  });

  it('predicts a new process with its model', () => {
    expect(predictedBytes(100, true) - predictedBytes(100, false)).toBe(64 * 2 ** 20);
  });
});

describe('ModelProfile', () => {
  it('finds the line behind times, some of them disturbed', () => {
    const samples = Array.from({ length: 30 }, (_, index) => {
      const tokens = 10 + 20 * (index % 6);
      return { tokens, ms: 3 + 0.4 * tokens + (index % 10 === 0 ? 200 : 0) };
    });
    const { fixedMs, perTokenMs } = fitLine(samples);
    expect(perTokenMs).toBeCloseTo(0.4, 1);
    expect(fixedMs).toBeCloseTo(3, 0);
  });

  it('takes time as proportional where one size is all that it has seen', () => {
    expect(fitLine([10, 12, 11].map((ms) => ({ tokens: 20, ms })))).toEqual({ perTokenMs: 0.55, fixedMs: 0 });
    expect(fitLine([])).toEqual({ perTokenMs: 0, fixedMs: 0 });
    expect(median([3, 1, 2, 4])).toBe(2);
  });

  it('is told anew when it differs by more than a quarter, or was not known', () => {
    const profile = (perTokenMs: number, decodeMs = 0) => ({ fixedMs: 0, perTokenMs, decodeMs, loadMs: 0, samples: 1 });
    expect(worthTelling(profile(0), profile(0))).toBe(false);
    expect(worthTelling(profile(0), profile(1))).toBe(true);
    expect(worthTelling(profile(1), profile(1.2))).toBe(false);
    expect(worthTelling(profile(1), profile(1.3))).toBe(true);
    expect(worthTelling(profile(1), profile(0.7))).toBe(true);
    expect(worthTelling(profile(1, 10), profile(1, 14))).toBe(true);
  });

  it('predicts from what it has measured', () => {
    const profile = new ModelProfile();
    expect(profile.predictMs(100)).toBe(0);
    for (let tokens = 10; tokens <= 80; tokens += 10) profile.worked(tokens, 5 + tokens);
    profile.decoded(10, 140);
    profile.decoded(0, 0);
    profile.loaded(500);
    expect(profile.predictMs(100)).toBeCloseTo(105);
    expect(profile.snapshot()).toMatchObject({ decodeMs: 14, loadMs: 500, samples: 8 });
  });

  it('follows a machine that has become slower', () => {
    const profile = new ModelProfile();
    for (let sample = 0; sample < 64; sample++) profile.worked(10, 10);
    for (let sample = 0; sample < 64; sample++) profile.worked(10, 30);
    expect(profile.predictMs(10)).toBeCloseTo(30);
  });
});
