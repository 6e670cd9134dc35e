import { describe, expect, it } from 'vitest';
import { type DevicesSeen, deviceChecks, judgeDevices } from '../../../../node/app/doctor/devices.ts';
import { parseDeviceSetting } from '../../../../node/core/devices.ts';
import type { DetectedDevice } from '../../../../node/engine/devices/device.ts';
import { REPOSITORY } from './support.ts';

const GIB = 2 ** 30;
const works = { ok: true, gflops: 50_000.4, copyBytesPerS: 1e10 } as const;
const gpu: DetectedDevice = {
  kind: 'cuda',
  index: 0,
  name: 'NVIDIA H200',
  memoryBytes: 140 * GIB,
  memoryFreeBytes: undefined,
  pool: 'gpu:0',
  driver: 'NVIDIA 570.1',
  software: false,
  foundBy: [],
  probe: works,
};
const broken: DetectedDevice = { ...gpu, probe: { ok: false, reason: 'Failed to load shared library' } };
const disguise: DetectedDevice = { ...gpu, kind: 'webgpu', name: 'SwiftShader (software)', driver: '', software: true };

const judged = (seen: Partial<DevicesSeen>, setting = 'auto') =>
  judgeDevices(
    { devices: [], backends: ['cpu', 'cuda'], nvidia: false, ...seen },
    parseDeviceSetting(setting) ?? { kind: 'auto', index: undefined },
  );

describe('devices', () => {
  it('are told of with memory, driver and speed', () => {
    expect(judged({ devices: [gpu], nvidia: true })).toEqual([
      {
        name: 'cuda:0',
        status: 'ok',
        detail: 'NVIDIA H200, 140.0 GiB, NVIDIA 570.1: 50000 GFLOP/s in products of matrices',
      },
    ]);
  });

  it('that can not be used are no fault, unless they were asked for', () => {
    const lines = (setting?: string) => judged({ devices: [broken] }, setting).map(({ status }) => status);
    expect(lines()).toEqual(['skipped']);
    expect(lines('cuda')).toEqual(['warning']);
    expect(judged({ devices: [broken] })[0]?.detail).toContain('Failed to load shared library');
  });

  it('of software are called so', () => {
    expect(judged({ devices: [disguise] })[0]?.detail).toMatch(
      /^SwiftShader \(software\): .*in disguise, and not used$/,
    );
    expect(judged({ devices: [disguise] }, 'webgpu')[0]?.detail).not.toContain('not used');
  });

  it('that were asked for and are not there are a warning', () => {
    expect(judged({}, 'cuda:1')).toEqual([
      expect.objectContaining({ name: 'cuda:1', status: 'warning', detail: expect.stringContaining('cpu, cuda') }),
    ]);
  });

  it('of NVIDIA that the runtime can not use are pointed out', () => {
    expect(judged({ nvidia: true })[0]?.detail).toMatch(/NVIDIA device is there.*docs\/server\.md/);
  });

  it('may be none', () => {
    expect(judged({})).toEqual([expect.objectContaining({ name: 'devices', status: 'skipped' })]);
  });

  it('are looked for on this machine', { timeout: 60_000 }, async () => {
    const [check] = deviceChecks({
      nodePath: process.execPath,
      packageFolder: REPOSITORY,
      setting: { kind: 'auto', index: undefined },
    });
    const findings = await check?.run(new AbortController().signal);
    expect(findings?.length).toBeGreaterThan(0);
    expect(findings?.some(({ status }) => status === 'failed')).toBe(false);
  });
});
