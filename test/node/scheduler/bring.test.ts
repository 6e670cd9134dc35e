import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BringSnapshot, bring, type Demand } from '../../../node/scheduler/bring.ts';
import { BRING_AGAIN_MS, BRING_REQUESTS_MIN } from '../../../node/scheduler/limits.ts';
import { runs } from '../../support/property.ts';
import { PROFILE, UNMEASURED } from './builders.ts';

// On the peer a request takes 10 + 20 + 20 · 10 = 230 ms; with link and queue this node waited 400.
const demand = (changes: Partial<Demand> = {}): Demand => ({
  requests: 200,
  remoteMs: 400,
  inputTokens: 20,
  outputTokens: 20,
  ...changes,
});

/** 100 MB at 10 MB/s on an idle node that is as fast as the peer. */
const snapshot = (changes: Partial<BringSnapshot> = {}): BringSnapshot => ({
  state: 'away',
  sizeBytes: 100e6,
  fetchBytes: 100e6,
  goodputBytesPerSecond: 10e6,
  profile: PROFILE,
  speedRatio: 1,
  coldShare: 0.01,
  queuedMs: 0,
  diskFreeBytes: 50e9,
  memoryFreeBytes: 4e9,
  leftAgoMs: undefined,
  ...changes,
});

describe('bringing a model here', () => {
  it('pays when the demand seen would have been answered sooner, the fetch included', () => {
    const decision = bring(demand(), snapshot());
    expect(decision).toMatchObject({
      bring: true,
      elsewhere: { fetchMs: 0, eachMs: 400, totalMs: 80_000 },
      here: { fetchMs: 10_000, eachMs: 230, coldMs: 5, totalMs: 57_000 },
      gainMs: 23_000,
      gainMsMin: 16_000,
      basis: 'measured',
    });
    expect(decision.reason).toBe(
      '200 requests take 80 s elsewhere, 57 s here, 10 s of fetching included: it saves 23 s',
    );
  });

  it.each<[string, Partial<Demand>, Partial<BringSnapshot>, RegExp]>([
    ['nobody asked', { requests: 0 }, {}, /nobody asked/],
    ['hardly anybody asked', { requests: BRING_REQUESTS_MIN - 1, remoteMs: 1e6 }, {}, /2 of the 3 requests/],
    ['the fetch takes longer than it saves', { requests: 50 }, {}, /a copy would not be faster/],
    ['it saves little', { requests: 117 }, {}, /too little for a copy/],
    ['this node is slower than the peer and the link', {}, { speedRatio: 2 }, /would not be faster/],
    ['this node has a queue', {}, { queuedMs: 200 }, /would not be faster/],
    ['it would be loaded anew each time', {}, { coldShare: 0.5 }, /would not be faster/],
    ['the line is slow', {}, { goodputBytesPerSecond: 1e6 }, /would not be faster/],
    [
      'the disk is nearly full',
      {},
      { diskFreeBytes: 1.5e9 },
      /takes 0\.1 GB of disk and should leave 2\.0 GB; 1\.5 GB are free/,
    ],
    ['there is too little memory', {}, { memoryFreeBytes: 0.2e9 }, /needs about 0\.3 GB of memory; 0\.2 GB can be had/],
    ['it was let go of lately', {}, { leftAgoMs: 60_000 }, /let go of 1 min ago/],
    ['nobody measured it, and its size says nothing good', {}, { profile: UNMEASURED }, /guess by its size/],
    ['how fast this node is beside that peer is unknown', {}, { speedRatio: undefined }, /guess by its speed there/],
  ])('does not when %s', (_what, asked, changes, reason) => {
    const decision = bring(demand(asked), snapshot(changes));
    expect(decision.bring).toBe(false);
    expect(decision.reason).toMatch(reason);
  });

  it.each<[string, Partial<Demand>, Partial<BringSnapshot>]>([
    ['a part of it is here already', { requests: 130 }, { fetchBytes: 10e6 }],
    ['it was let go of long ago', {}, { leftAgoMs: BRING_AGAIN_MS }],
    ['waiting elsewhere costs more than the most pessimistic guess', { remoteMs: 2_000 }, { profile: undefined }],
    ['… or than the peer at half its speed', { remoteMs: 2_000 }, { speedRatio: undefined }],
    ['this node is faster', { requests: 80 }, { speedRatio: 0.2 }],
  ])('does when %s', (_what, asked, changes) => {
    expect(bring(demand(asked), snapshot(changes)).bring).toBe(true);
  });

  it('fetches on and keeps what it would not begin to fetch', () => {
    const asked = demand({ requests: 100 });
    expect(bring(asked, snapshot()).bring).toBe(false);
    expect(bring(asked, snapshot({ state: 'coming' }))).toMatchObject({ bring: true, gainMsMin: -8_000 });
    expect(bring(asked, snapshot({ state: 'here', fetchBytes: 0, leftAgoMs: 0, diskFreeBytes: 0 })).bring).toBe(true);
    // Until it is clearly a loss.
    const slower = bring(asked, snapshot({ state: 'here', fetchBytes: 0, queuedMs: 500 }));
    expect(slower).toMatchObject({ bring: false, reason: expect.stringMatching(/no longer worth it/) });
  });

  it('stays a number whatever a peer says', () => {
    const wild = {
      fixedMs: Number.NaN,
      perTokenMs: -1,
      decodeMs: Number.POSITIVE_INFINITY,
      loadMs: Number.NaN,
      samples: 1,
    };
    const decision = bring(demand(), snapshot({ profile: wild, goodputBytesPerSecond: 0, coldShare: Number.NaN }));
    expect(decision.bring).toBe(false);
    for (const { totalMs, eachMs, coldMs } of [decision.here, decision.elsewhere]) {
      for (const ms of [totalMs, eachMs, coldMs]) expect(Number.isFinite(ms)).toBe(true);
    }
  });
});

const anyDemand = fc.record<Demand>({
  requests: fc.nat({ max: 100_000 }),
  remoteMs: fc.double({ min: 0, max: 1e5, noNaN: true }),
  inputTokens: fc.nat({ max: 10_000 }),
  outputTokens: fc.nat({ max: 2_000 }),
});

const bytes = fc.double({ min: 0, max: 100e9, noNaN: true });
const ms = fc.double({ min: 0, max: 1e5, noNaN: true });
const anySnapshot = fc.record<BringSnapshot>({
  state: fc.constantFrom('away', 'coming', 'here'),
  sizeBytes: bytes,
  fetchBytes: bytes,
  goodputBytesPerSecond: fc.option(fc.double({ min: 0, max: 1e9, noNaN: true }), { nil: undefined }),
  profile: fc.option(
    fc.record({
      fixedMs: ms,
      perTokenMs: fc.double({ min: 0, max: 50 }),
      decodeMs: fc.double({ min: 0, max: 200 }),
      loadMs: ms,
      samples: fc.nat({ max: 3 }),
    }),
    { nil: undefined },
  ),
  speedRatio: fc.option(fc.double({ min: 0, max: 50, noNaN: true }), { nil: undefined }),
  coldShare: fc.double({ min: 0, max: 1, noNaN: true }),
  queuedMs: ms,
  diskFreeBytes: fc.oneof(bytes, fc.constant(1e15)),
  memoryFreeBytes: fc.oneof(bytes, fc.constant(1e15)),
  leftAgoMs: fc.option(fc.nat({ max: 2 * BRING_AGAIN_MS }), { nil: undefined }),
});

describe('the decision', () => {
  it('is never turned from yes to no by more demand', () => {
    let yes = 0;
    fc.assert(
      fc.property(anyDemand, anySnapshot, fc.nat({ max: 100_000 }), (asked, facts, more) => {
        if (!bring(asked, facts).bring) return;
        yes++;
        expect(bring({ ...asked, requests: asked.requests + more }, facts).bring).toBe(true);
      }),
      runs(2_000),
    );
    expect(yes).toBeGreaterThan(50);
  });

  it('is never turned from no to yes by a larger file', () => {
    let no = 0;
    fc.assert(
      fc.property(anyDemand, anySnapshot, bytes, (asked, facts, more) => {
        if (bring(asked, facts).bring) return;
        no++;
        const larger = { ...facts, sizeBytes: facts.sizeBytes + more, fetchBytes: facts.fetchBytes + more };
        expect(bring(asked, larger).bring).toBe(false);
      }),
      runs(2_000),
    );
    expect(no).toBeGreaterThan(50);
  });

  it('is no without demand, and where there is no room, and has a reason and both prices always', () => {
    fc.assert(
      fc.property(anyDemand, anySnapshot, (asked, facts) => {
        expect(bring({ ...asked, requests: 0 }, facts).bring).toBe(false);
        expect(bring(asked, { ...facts, memoryFreeBytes: facts.sizeBytes, sizeBytes: facts.sizeBytes + 1 }).bring).toBe(
          false,
        );
        expect(bring(asked, { ...facts, state: 'away', diskFreeBytes: facts.fetchBytes }).bring).toBe(false);
        const { reason, elsewhere, here, gainMs } = bring(asked, facts);
        expect(reason).toMatch(/^\S.{10,200}\S$/);
        expect(gainMs).toBe(elsewhere.totalMs - here.totalMs);
      }),
      runs(2_000),
    );
  });

  it('does not flap where the demand goes up and down around what a copy needs', () => {
    // Between 80 and 160 requests a window; a copy pays from 118 on, and is a loss below 41.
    const noise = (window: number): number => 120 + 40 * Math.sin(window * 2.4);
    let state: BringSnapshot['state'] = 'away';
    let changes = 0;
    let changesWithout = 0;
    let before = false;
    for (let window = 0; window < 200; window++) {
      const asked = demand({ requests: Math.round(noise(window)) });
      const { bring: wants } = bring(asked, snapshot({ state, leftAgoMs: undefined }));
      if (wants !== (state !== 'away')) changes++;
      state = wants ? 'coming' : 'away';
      // The twin forgets that it has begun.
      const again = bring(asked, snapshot()).bring;
      if (again !== before) changesWithout++;
      before = again;
    }
    expect(changes).toBe(1);
    expect(changesWithout).toBeGreaterThan(20);
  });
});
