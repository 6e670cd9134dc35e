// The supervisor's pure decisions: who is quarantined, what speed is predicted.
import { describe, expect, it } from 'vitest';
import type { MeasuredProfile } from '../../../node/core/profile.ts';
import { fitLine, ModelProfile, median, worthTelling } from '../../../node/engine/profile.ts';
import { DeathLedger } from '../../../node/engine/quarantine.ts';

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

const CLAIM: MeasuredProfile = {
  device: 'cpu',
  machine: 'Example CPU, 2 threads',
  version: '0.1.0',
  measuredAtMs: 0,
  work: [
    { tokens: 32, ms: 68 },
    { tokens: 256, ms: 516 },
  ],
  decode: [
    { context: 40, ms: 10 },
    { context: 240, ms: 14 },
  ],
  batch: [
    { size: 1, ms: 10 },
    { size: 8, ms: 30 },
  ],
  loadMs: 500,
};

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

  it('takes a measurement for its speed until enough requests say otherwise', () => {
    const profile = new ModelProfile();
    profile.loaded(480);
    profile.claim(CLAIM);
    expect(profile.snapshot()).toEqual({
      fixedMs: expect.closeTo(4),
      perTokenMs: expect.closeTo(2),
      decodeMs: expect.closeTo(14.32),
      loadMs: 480,
      samples: 4,
      batch: CLAIM.batch,
    });
    for (let sample = 0; sample < 7; sample++) profile.worked(100, 3 * 204);
    expect(profile.predictMs(100)).toBeCloseTo(204);
    for (let sample = 0; sample < 25; sample++) profile.worked(50, 3 * 104);
    expect(profile.predictMs(100)).toBeCloseTo(3 * 204);
    // What was never asked for is corrected as well: the line keeps its shape.
    expect(profile.predictMs(1_000)).toBeCloseTo(3 * 2_004);
    expect(profile.report().observed).toMatchObject({ samples: 32, workRatio: expect.closeTo(3), decodeRatio: 1 });
  });

  it('makes no correction for company that the measured curve accounts for', () => {
    const profile = new ModelProfile();
    profile.claim(CLAIM);
    // Eight sequences share steps of three times the length.
    for (let answer = 0; answer < 20; answer++) profile.decoded(10, 10 * 30, { context: 40, sequences: 8 });
    expect(profile.report().observed).toMatchObject({ answers: 20, decodeMs: 30, decodeRatio: expect.closeTo(1) });
    expect(profile.decodeMs).toBeCloseTo(14.32);
    for (let answer = 0; answer < 32; answer++) profile.decoded(10, 10 * 20, { context: 40, sequences: 1 });
    expect(profile.decodeMs).toBeCloseTo(2 * 14.32);
    expect(profile.snapshot().batch).toEqual([
      { size: 1, ms: expect.closeTo(20) },
      { size: 8, ms: expect.closeTo(60) },
    ]);
  });

  it('goes by requests alone where a part could not be measured', () => {
    const profile = new ModelProfile();
    profile.worked(10, 30);
    profile.decoded(4, 40);
    profile.claim({ ...CLAIM, work: [], decode: [], batch: [] });
    expect(profile.snapshot()).toEqual({ fixedMs: 0, perTokenMs: 3, decodeMs: 10, loadMs: 500, samples: 1 });
  });

  it('is told anew when it has got a batch curve', () => {
    const { batch: _batch, ...told } = { fixedMs: 0, perTokenMs: 1, decodeMs: 1, loadMs: 0, samples: 1, batch: [] };
    expect(worthTelling(told, { ...told, batch: CLAIM.batch })).toBe(true);
    expect(worthTelling({ ...told, batch: CLAIM.batch }, { ...told, batch: CLAIM.batch })).toBe(false);
  });

  it('follows a machine that has become slower', () => {
    const profile = new ModelProfile();
    for (let sample = 0; sample < 64; sample++) profile.worked(10, 10);
    for (let sample = 0; sample < 64; sample++) profile.worked(10, 30);
    expect(profile.predictMs(10)).toBeCloseTo(30);
  });
});
