import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEVICE_KINDS, type DeviceSetting, parseDeviceSetting } from '../../../../node/core/devices.ts';
import {
  type ChoiceInput,
  chooseDevices,
  type DeviceMeasurement,
  untriedDevices,
} from '../../../../node/engine/devices/choose.ts';
import { type DetectedDevice, deviceKey } from '../../../../node/engine/devices/device.ts';
import { poolBudgets, poolFreeBytes } from '../../../../node/engine/devices/memory.ts';
import { runs } from '../../../support/property.ts';

const GIB = 2 ** 30;
const device = (overrides: Partial<DetectedDevice>): DetectedDevice => {
  const { kind = 'cpu', index = 0 } = overrides;
  return {
    kind,
    index,
    name: kind,
    memoryBytes: 16 * GIB,
    memoryFreeBytes: undefined,
    pool: kind === 'cpu' ? 'cpu' : `gpu:${kind}:${index}`,
    driver: '',
    software: false,
    foundBy: [],
    probe: undefined,
    ...overrides,
  };
};
const speed = (gflops: number) => ({ ok: true, gflops, copyBytesPerS: 1e9 }) as const;
const cpu = device({ probe: speed(300) });
const gpu0 = device({ kind: 'cuda', index: 0, probe: speed(9_000) });
const gpu1 = device({ kind: 'cuda', index: 1, probe: speed(9_000) });
const webgpu = device({ kind: 'webgpu', probe: speed(4_000) });
const disguise = device({ kind: 'webgpu', pool: 'cpu', software: true, probe: speed(1e6) });

interface Case {
  readonly setting?: string;
  readonly devices?: readonly DetectedDevice[];
  readonly residents?: ChoiceInput['residents'];
  readonly neededBytes?: number;
  readonly measured?: readonly DeviceMeasurement[];
  readonly failed?: Readonly<Record<string, string>>;
}

function input({ setting = 'auto', devices = [cpu], failed = {}, ...rest }: Case): ChoiceInput {
  return {
    setting: parseDeviceSetting(setting) as DeviceSetting,
    devices,
    budgets: poolBudgets(devices, 8 * GIB),
    residents: [],
    neededBytes: GIB,
    measured: [],
    failed: new Map(Object.entries(failed)),
    ...rest,
  };
}

const plan = (what: Case) => chooseDevices(input(what));
const order = (what: Case): string[] =>
  plan(what).order.map(({ provider, index }) => deviceKey({ kind: provider, index }));

describe('auto', () => {
  it('takes the processor where there is nothing else', () => {
    expect(plan({})).toEqual({
      order: [expect.objectContaining({ provider: 'cpu', pool: 'cpu' })],
      passedOver: [],
      fallbackReason: undefined,
    });
  });

  it('takes what the probe found faster, the fastest first', () => {
    expect(order({ devices: [cpu, webgpu, gpu0] })).toEqual(['cuda:0', 'webgpu:0', 'cpu:0']);
  });

  it('leaves a device that is hardly faster than the processor, or not measured', () => {
    const slow = device({ kind: 'webgpu', probe: speed(500) });
    const unknown = device({ kind: 'cuda' });
    const { order: chosen, passedOver } = plan({ devices: [cpu, slow, unknown] });
    expect(chosen.map(({ provider }) => provider)).toEqual(['cpu']);
    expect(passedOver.map(({ reason }) => reason)).toEqual([
      '500 GFLOP/s in the probe, too few to gain anything',
      'not measured yet',
    ]);
  });

  it('never takes a software driver, however fast it says it is', () => {
    expect(order({ devices: [cpu, disguise] })).toEqual(['cpu:0']);
    expect(order({ devices: [cpu, disguise], measured: [{ kind: 'webgpu', index: 0, ms: 0.1 }] })).toEqual(['cpu:0']);
  });

  it('believes what was measured with the model rather than the probe', () => {
    const measured = [
      { kind: 'cpu', index: 0, ms: 10 },
      { kind: 'cuda', index: 0, ms: 40 },
      { kind: 'webgpu', index: 0, ms: 5 },
    ] as const;
    expect(order({ devices: [cpu, gpu0, webgpu], measured })).toEqual(['webgpu:0', 'cpu:0']);
    expect(order({ devices: [cpu, gpu0, webgpu], measured: measured.slice(0, 1) })).toEqual(['cpu:0']);
    expect(order({ devices: [cpu, gpu0, webgpu], measured: measured.slice(1) })).toEqual([
      'webgpu:0',
      'cuda:0',
      'cpu:0',
    ]);
  });

  it('takes the emptier of two alike, and none without room', () => {
    const devices = [cpu, gpu0, gpu1];
    const residents = [{ pool: gpu0.pool, bytes: 10 * GIB }];
    expect(order({ devices, residents })).toEqual(['cuda:1', 'cuda:0', 'cpu:0']);
    const { order: chosen, passedOver } = plan({ devices, neededBytes: 15 * GIB });
    expect(chosen.map(({ provider }) => provider)).toEqual(['cpu']);
    expect(passedOver[0]?.reason).toBe('14746 MiB are free of the 15360 MiB that it needs');
  });

  it('does not try again what failed on the model, and says so', () => {
    const { order: chosen, fallbackReason } = plan({ devices: [cpu, gpu0], failed: { 'cuda:0': 'cuda: no kernel' } });
    expect(chosen.map(({ provider }) => provider)).toEqual(['cpu']);
    expect(fallbackReason).toBe('cuda: no kernel');
  });

  it('leaves what the probe could not use', () => {
    const broken = device({ kind: 'cuda', probe: { ok: false, reason: 'Failed to load shared library' } });
    expect(plan({ devices: [cpu, broken] }).passedOver).toEqual([
      { kind: 'cuda', index: 0, reason: 'Failed to load shared library' },
    ]);
  });
});

describe('a kind that was asked for', () => {
  it('is tried before the processor, all of it or the one that is named', () => {
    const devices = [cpu, webgpu, gpu0, gpu1];
    expect(order({ setting: 'cuda', devices })).toEqual(['cuda:0', 'cuda:1', 'cpu:0']);
    expect(order({ setting: 'cuda:1', devices })).toEqual(['cuda:1', 'cpu:0']);
    expect(order({ setting: 'cpu', devices })).toEqual(['cpu:0']);
    expect(plan({ setting: 'cpu', devices }).fallbackReason).toBeUndefined();
  });

  it('is tried where nobody has seen it, measured it, or thought it any good', () => {
    expect(order({ setting: 'cuda' })).toEqual(['cuda:0', 'cpu:0']);
    expect(order({ setting: 'webgpu', devices: [cpu, disguise] })).toEqual(['webgpu:0', 'cpu:0']);
    const broken = device({ kind: 'cuda', probe: { ok: false, reason: 'no' } });
    expect(order({ setting: 'cuda', devices: [cpu, broken] })).toEqual(['cuda:0', 'cpu:0']);
  });

  it('is not tried again where it has failed, and the reason is told', () => {
    const { order: chosen, fallbackReason } = plan({ setting: 'cuda:0', failed: { 'cuda:0': 'no such library' } });
    expect(chosen.map(({ provider }) => provider)).toEqual(['cpu']);
    expect(fallbackReason).toBe('cuda:0: no such library');
  });
});

describe('any plan', () => {
  const kinds = DEVICE_KINDS.filter((kind) => kind !== 'cpu');
  const anyDevice = fc.record({
    kind: fc.constantFrom(...kinds),
    index: fc.nat(2),
    software: fc.boolean(),
    memoryBytes: fc.nat(64).map((size) => size * GIB),
    probe: fc.oneof(
      fc.constant(undefined),
      fc.constant({ ok: false, reason: 'no' } as const),
      fc.double({ min: 0.1, max: 1e6, noNaN: true }).map(speed),
    ),
  });
  const anyCase = fc.record({
    setting: fc.constantFrom('auto', ...DEVICE_KINDS, 'cuda:1'),
    devices: fc
      .uniqueArray(anyDevice, { selector: deviceKey, maxLength: 8 })
      .map((others) => [cpu, ...others.map((other) => device(other))]),
    neededBytes: fc.nat(64).map((size) => size * GIB),
    measured: fc.array(
      fc.record({ kind: fc.constantFrom(...DEVICE_KINDS), index: fc.nat(2), ms: fc.double({ min: -1, max: 100 }) }),
      { maxLength: 6 },
    ),
    residents: fc.array(
      fc.record({ pool: fc.constantFrom('cpu', 'gpu:cuda:0', 'gpu:cuda:1'), bytes: fc.nat(20).map((n) => n * GIB) }),
      { maxLength: 4 },
    ),
  });

  it('ends with the processor, names nothing twice, and tries no software unasked', () => {
    fc.assert(
      fc.property(anyCase, (what) => {
        const { order: chosen } = plan(what);
        const names = chosen.map(({ provider, index }) => deviceKey({ kind: provider, index }));
        expect(names.at(-1)).toBe('cpu:0');
        expect(new Set(names).size).toBe(names.length);
        const software = new Set(what.devices.filter((one) => one.software).map(deviceKey));
        if (what.setting === 'auto') expect(names.filter((name) => software.has(name))).toEqual([]);
        else expect(chosen.every(({ provider }) => what.setting.startsWith(provider) || provider === 'cpu')).toBe(true);
      }),
      runs(300),
    );
  });

  it('is the same for devices in another order', () => {
    fc.assert(
      fc.property(anyCase, (what) => {
        const turned = { ...what, devices: what.devices.toReversed() };
        expect(order(turned)).toEqual(order(what));
      }),
      runs(300),
    );
  });
});

describe('what is to be measured in the background', () => {
  it('is what could run the model, and has not been measured with it', () => {
    const broken = device({ kind: 'coreml', probe: { ok: false, reason: 'no' } });
    const measured = [{ kind: 'cpu', index: 0, ms: 10 }] as const;
    const devices = [cpu, gpu0, gpu1, broken, disguise];
    const failed = { 'cuda:1': 'no kernel' };
    expect(untriedDevices(input({ devices, measured, failed })).map(deviceKey)).toEqual(['cuda:0']);
    expect(untriedDevices(input({ devices, setting: 'cuda' }))).toEqual([]);
  });
});

describe('memory per device', () => {
  it('is a share of what a device has, at most what is free, and what was set for the processor', () => {
    const shared = device({ kind: 'webgpu', pool: gpu0.pool, memoryFreeBytes: 3 * GIB });
    const unknown = device({ kind: 'cuda', index: 2, memoryBytes: 0 });
    const budgets = poolBudgets([cpu, gpu0, gpu1, shared, unknown], 8 * GIB);
    expect(budgets.get('cpu')).toBe(8 * GIB);
    expect(budgets.get(gpu1.pool)).toBe(Math.floor(0.9 * 16 * GIB));
    expect(budgets.get(gpu0.pool)).toBe(3 * GIB);
    expect(budgets.get(unknown.pool)).toBe(Number.POSITIVE_INFINITY);
  });

  it('is held by the models of that device alone', () => {
    const budgets = new Map([
      ['cpu', 10],
      ['gpu:a', 5],
    ]);
    const residents = [
      { pool: 'cpu', bytes: 8 },
      { pool: 'gpu:a', bytes: 9 },
    ];
    expect(poolFreeBytes(budgets, residents, 'cpu')).toBe(2);
    expect(poolFreeBytes(budgets, residents, 'gpu:a')).toBe(0);
    expect(poolFreeBytes(budgets, residents, 'gpu:b')).toBe(0);
  });
});
