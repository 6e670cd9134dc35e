import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PowerPort } from '../../../desktop/main/host.ts';
import { SILENT } from '../../../desktop/main/log.ts';
import { fromNetworkManager, fromWindows, isMetered } from '../../../desktop/main/network.ts';
import { isWorking, Pausing, pauseReasons } from '../../../desktop/main/pausing.ts';
import type { Preferences } from '../../../desktop/shared/bridge.ts';
import { until } from '../../support/wait.ts';

const PREFERENCES: Preferences = {
  startAtLogin: false,
  pauseOnBattery: true,
  pauseOnMetered: true,
  pauseWhileWorking: true,
  notifications: true,
  theme: 'system',
};
const QUIET = { byHand: false, onBattery: false, metered: false, working: false };

describe('the reasons to pause', () => {
  it.each([
    ['nothing', QUIET, {}, []],
    ['a hand', { ...QUIET, byHand: true }, {}, ['hand']],
    ['the battery', { ...QUIET, onBattery: true }, {}, ['battery']],
    ['the battery, where it does not count', { ...QUIET, onBattery: true }, { pauseOnBattery: false }, []],
    ['a metered network', { ...QUIET, metered: true }, {}, ['metered']],
    ['a network of which nobody knows', { ...QUIET, metered: undefined }, {}, []],
    ['work', { ...QUIET, working: true }, {}, ['working']],
    ['work, where it does not count', { ...QUIET, working: true }, { pauseWhileWorking: false }, []],
    [
      'everything at once',
      { byHand: true, onBattery: true, metered: true, working: true },
      {},
      ['hand', 'battery', 'metered', 'working'],
    ],
  ])('are those of %s', (_what, circumstances, changes, reasons) => {
    expect(pauseReasons(circumstances, { ...PREFERENCES, ...changes })).toEqual(reasons);
  });

  it('do not flutter while somebody reads', () => {
    expect(isWorking(false, 29)).toBe(true);
    expect(isWorking(false, 31)).toBe(false);
    expect(isWorking(true, 299)).toBe(true);
    expect(isWorking(true, 300)).toBe(false);
  });
});

describe('a metered network', () => {
  it.each([
    ['u 1\n', true],
    ['u 3\n', true],
    ['u 2\n', false],
    ['u 4\n', false],
    ['u 0\n', undefined],
    ['Failed to get property', undefined],
  ])('is read from what NetworkManager says: %j', (answer, metered) => {
    expect(fromNetworkManager(answer)).toBe(metered);
  });

  it.each([
    ['Fixed\r\n', true],
    ['Variable', true],
    ['Unrestricted', false],
    ['Unknown', undefined],
    ['', undefined],
  ])('is read from what Windows says: %j', (answer, metered) => {
    expect(fromWindows(answer)).toBe(metered);
  });

  it('is not known on macOS, nor where the program is missing', async () => {
    expect(await isMetered('darwin', async () => 'u 1')).toBeUndefined();
    expect(await isMetered('linux', () => Promise.reject(new Error('ENOENT')))).toBeUndefined();
    expect(await isMetered('linux', async (file) => (file === 'busctl' ? 'u 1' : ''))).toBe(true);
  });
});

describe('Pausing', () => {
  let battery: boolean;
  let idleSeconds: number;
  let byHand: boolean;
  let metered: boolean | undefined;
  let refusal: Error | undefined;
  let told: boolean[];
  let batteryChanged: () => void;
  let pausing: Pausing;
  const power: PowerPort = {
    onBattery: () => battery,
    onBatteryChange(listener) {
      batteryChanged = listener;
      return () => undefined;
    },
    idleSeconds: () => idleSeconds,
    onResume: () => () => undefined,
  };

  beforeEach(() => {
    battery = byHand = false;
    idleSeconds = 3_600;
    metered = false;
    refusal = undefined;
    told = [];
    pausing = new Pausing(
      {
        power,
        log: SILENT,
        preferences: () => PREFERENCES,
        byHand: () => byHand,
        isMetered: async () => metered,
        async tellNode(paused) {
          if (refusal !== undefined) throw refusal;
          told.push(paused);
        },
      },
      { idleLookMs: 3_600_000, networkLookMs: 3_600_000, retryMs: 20 },
    );
  });
  afterEach(() => pausing.stop());

  it('tells a node nothing while all is quiet, and of the battery when it takes over', async () => {
    pausing.start();
    pausing.nodeServes(true);
    expect(told).toEqual([]);
    battery = true;
    batteryChanged();
    await until('the pause', () => told.length === 1);
    expect(pausing.view).toEqual({ sharing: 'paused', pausedBy: ['battery'] });
    battery = false;
    batteryChanged();
    await until('its end', () => told.length === 2);
    expect(told).toEqual([true, false]);
    expect(pausing.view).toEqual({ sharing: 'on', pausedBy: [] });
  });

  it('tells a node that has been started anew', async () => {
    byHand = true;
    pausing.start();
    pausing.nodeServes(true);
    await until('the pause', () => told.length === 1);
    pausing.nodeServes(false);
    pausing.nodeServes(true);
    await until('the pause', () => told.length === 2);
    expect(told).toEqual([true, true]);
  });

  it('pauses on a metered network', async () => {
    metered = true;
    pausing.start();
    pausing.nodeServes(true);
    await until('the pause', () => told.length === 1);
    expect(pausing.view.pausedBy).toEqual(['metered']);
  });

  it('says so when the node can not be told, and tries again', async () => {
    byHand = true;
    refusal = new Error('The node answered 404.');
    pausing.start();
    pausing.nodeServes(true);
    await until('the word', () => pausing.view.sharingDetail?.includes('404'));
    refusal = undefined;
    await until('the pause', () => told.length === 1);
    expect(pausing.view.sharingDetail).toBeUndefined();
  });

  it('ends a pause of its own with the app, and keeps one by hand', async () => {
    battery = true;
    pausing.start();
    pausing.nodeServes(true);
    await until('the pause', () => told.length === 1);
    await pausing.stop();
    expect(told).toEqual([true, false]);
  });

  it('keeps a pause by hand at its end', async () => {
    byHand = true;
    pausing.start();
    pausing.nodeServes(true);
    await until('the pause', () => told.length === 1);
    await pausing.stop();
    expect(told).toEqual([true]);
  });
});
