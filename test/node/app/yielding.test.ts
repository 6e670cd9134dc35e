import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Yielding } from '../../../node/app/yielding.ts';
import { silentLog } from '../../../node/core/log.ts';
import type { YieldReason } from '../../../protocol/capability.ts';
import { ManualClock } from '../core/manual-clock.ts';

const CORES = 4;
const LOOK_MS = 5_000;

let clock: ManualClock;
let battery: () => Promise<boolean | undefined>;
let busy: boolean;
let heeds: readonly YieldReason[];
let totalMs: number;
let busyMs: number;
let ownMs: number;
let yielding: Yielding;
let told: string[];

beforeEach(async () => {
  clock = new ManualClock();
  battery = async () => undefined;
  busy = false;
  heeds = ['battery', 'owner'];
  totalMs = busyMs = ownMs = 0;
  told = [];
  yielding = new Yielding(
    {
      clock,
      log: silentLog,
      onBattery: () => battery(),
      busy: () => busy,
      times: () => ({ totalMs, busyMs }),
      ownMs: () => ownMs,
    },
    { heeds: () => heeds, cores: CORES },
  );
  yielding.onChange(() => told.push(yielding.reasons().join('+')));
});
afterEach(() => yielding.stop());

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Starts it, and lets its first look end. */
async function start(): Promise<void> {
  yielding.start();
  await settle();
}

/** Five seconds in which others, and Weft itself, take so many cores. */
async function pass(others: number, own = 0): Promise<void> {
  totalMs += CORES * LOOK_MS;
  busyMs += (others + own) * LOOK_MS;
  ownMs += own * LOOK_MS;
  clock.advance(LOOK_MS);
  await settle();
}

describe('the owner of the machine', () => {
  it('is noticed at the second look that finds others at work', async () => {
    await start();
    await pass(1);
    expect(yielding.reasons()).toEqual([]);
    await pass(1);
    expect(yielding.reasons()).toEqual(['owner']);
    expect(told).toEqual(['owner']);
  });

  it('is not what Weft takes itself, nor a single burst', async () => {
    await start();
    for (let look = 0; look < 4; look++) await pass(0.1, 2);
    await pass(3);
    for (let look = 0; look < 4; look++) await pass(0);
    expect(told).toEqual([]);
  });

  it('is not looked for while requests are computed here', async () => {
    await start();
    busy = true;
    for (let look = 0; look < 4; look++) await pass(3);
    expect(told).toEqual([]);
    // The first look after it has nothing to compare with.
    busy = false;
    await pass(3);
    await pass(1);
    expect(yielding.reasons()).toEqual([]);
    await pass(1);
    expect(yielding.reasons()).toEqual(['owner']);
  });

  it('is gone after a minute of rest, and not before', async () => {
    await start();
    for (let look = 0; look < 2; look++) await pass(1);
    for (let look = 0; look < 11; look++) await pass(0);
    expect(yielding.reasons()).toEqual(['owner']);
    await pass(0);
    expect(yielding.reasons()).toEqual([]);
    expect(told).toEqual(['owner', '']);
  });

  it('counts only where the settings say so, at once', async () => {
    heeds = ['battery'];
    await start();
    for (let look = 0; look < 3; look++) await pass(2);
    expect(yielding.reasons()).toEqual([]);
    heeds = ['battery', 'owner'];
    await pass(2);
    expect(yielding.reasons()).toEqual(['owner']);
  });
});

describe('the battery', () => {
  it('is noticed at the start, and looked at every half minute', async () => {
    battery = async () => true;
    await start();
    expect(yielding.reasons()).toEqual(['battery']);
    battery = async () => false;
    for (let look = 0; look < 5; look++) await pass(0);
    expect(yielding.reasons()).toEqual(['battery']);
    await pass(0);
    expect(yielding.reasons()).toEqual([]);
  });

  it('that nobody can tell of counts as none', async () => {
    battery = async () => Promise.reject(new Error('no such tool'));
    await start();
    expect(yielding.reasons()).toEqual([]);
    await pass(0);
    expect(told).toEqual([]);
  });

  it('is asked for once where there is none, and again where the question failed', async () => {
    let asked = 0;
    battery = async () => {
      if (++asked === 1) throw new Error('no answer in time');
      return undefined;
    };
    await start();
    for (let look = 0; look < 6; look++) await pass(0);
    expect(asked).toBe(2);
    for (let look = 0; look < 12; look++) await pass(0);
    expect(asked).toBe(2);
    expect(told).toEqual([]);
  });

  it('is not even asked for where it does not count', async () => {
    let asked = 0;
    battery = async () => {
      asked++;
      return true;
    };
    heeds = [];
    await start();
    for (let look = 0; look < 7; look++) await pass(0);
    expect(asked).toBe(0);
  });
});

it('looks no more once it is stopped', async () => {
  await start();
  yielding.stop();
  for (let look = 0; look < 4; look++) await pass(2);
  expect(told).toEqual([]);
});
