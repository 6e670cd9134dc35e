import { describe, expect, it } from 'vitest';
import { detectHardware } from '../../../node/app/hardware.ts';
import type { Device } from '../../../protocol/capability.ts';

describe('the hardware of a node', () => {
  it('is a processor where nothing else is known', () => {
    const { devices, cpuModel, memoryBytes } = detectHardware();
    expect(devices).toEqual([{ kind: 'cpu', name: cpuModel, memoryBytes }]);
  });

  it('has the devices that are found while it runs, and of each what peers are told', () => {
    const found: Device[] = [];
    const hardware = detectHardware(() => found);
    expect(hardware.devices).toHaveLength(1);
    const gpu = { kind: 'cuda', name: 'NVIDIA H200', memoryBytes: 140 * 2 ** 30, pool: 'gpu:0' } as const;
    found.push({ kind: 'cpu', name: 'the same again', memoryBytes: 1 }, gpu);
    expect(hardware.devices).toEqual([
      expect.objectContaining({ kind: 'cpu', memoryBytes: hardware.memoryBytes }),
      { kind: 'cuda', name: 'NVIDIA H200', memoryBytes: 140 * 2 ** 30 },
    ]);
    expect({ ...hardware }.devices).toHaveLength(2);
    expect(JSON.parse(JSON.stringify(hardware)).devices).toHaveLength(2);
  });
});
