import { describe, expect, it } from 'vitest';
import { parseCoreCount } from '../../../../node/engine/devices/cores.ts';
import type { DetectedDevice } from '../../../../node/engine/devices/device.ts';
import { type MachineFacts, readGraphics } from '../../../../node/engine/devices/look.ts';
import { mergeDevices } from '../../../../node/engine/devices/merge.ts';

const GIB = 2 ** 30;
const server: MachineFacts = {
  platform: 'linux',
  cpu: { name: 'EPYC', memoryBytes: 256 * GIB },
  physicalCores: 32,
  runtime: { version: '1.30.0', backends: ['cpu', 'webgpu', 'cuda', 'tensorrt'] },
  nvidia: [],
  graphics: [],
  vulkanDrivers: [],
  renderNodes: 0,
};
const gpu = (index: number) => ({
  index,
  uuid: `GPU-${index}`,
  bus: `00000000:0${index + 1}:00.0`,
  name: 'NVIDIA H200',
  memoryBytes: 140 * GIB,
  memoryFreeBytes: 139 * GIB,
  driver: '570.1',
});
const card = { name: 'Radeon RX 7900', vendor: 'AMD', bus: '03:00.0', memoryBytes: 24 * GIB, driver: '' };
const keys = (devices: readonly DetectedDevice[]): string[] => devices.map(({ kind, index }) => `${kind}:${index}`);
const merged = (facts: Partial<MachineFacts>): readonly DetectedDevice[] => mergeDevices({ ...server, ...facts });

describe('the devices of a machine', () => {
  it('are the processor where there is nothing else', () => {
    expect(merged({})).toEqual([
      expect.objectContaining({ kind: 'cpu', index: 0, name: 'EPYC', memoryBytes: 256 * GIB, pool: 'cpu' }),
    ]);
    expect(keys(merged({ runtime: undefined, nvidia: [gpu(0)] }))).toEqual(['cpu:0']);
  });

  it('are every NVIDIA device, each with its own memory', () => {
    const devices = merged({ nvidia: [gpu(0), gpu(1)] });
    expect(keys(devices)).toEqual(['cpu:0', 'cuda:0', 'cuda:1']);
    expect(devices[2]).toMatchObject({
      name: 'NVIDIA H200',
      driver: 'NVIDIA 570.1',
      memoryBytes: 140 * GIB,
      memoryFreeBytes: 139 * GIB,
      pool: 'gpu:GPU-1',
      foundBy: ['runtime', 'nvidia-smi'],
    });
  });

  it('count hardware once where two sources name it, and share its memory between two providers', () => {
    const nvidia = { ...card, name: 'GH100 [H200]', vendor: 'NVIDIA Corporation', bus: '01:00.0' };
    const facts = { nvidia: [gpu(0)], graphics: [nvidia], vulkanDrivers: ['libGLX_nvidia.so.0'] };
    const devices = merged(facts);
    expect(keys(devices)).toEqual(['cpu:0', 'cuda:0', 'webgpu:0']);
    expect(devices[2]?.pool).toBe(devices[1]?.pool);
  });

  it('are the graphics card behind Vulkan, unless there is nothing to render with', () => {
    const facts = { graphics: [card], vulkanDrivers: ['libvulkan_radeon.so', 'libvulkan_lvp.so'] };
    expect(merged({ ...facts, renderNodes: 1 })[1]).toMatchObject({
      kind: 'webgpu',
      name: 'AMD Radeon RX 7900',
      pool: 'gpu:03:00.0',
      software: false,
    });
    // A server's screen chip: what Vulkan has then is the processor.
    expect(merged(facts)[1]).toMatchObject({ kind: 'webgpu', name: 'llvmpipe (software)', software: true });
  });

  it.each(['./libvk_swiftshader.so', 'libvulkan_lvp.so', '/usr/lib/libvulkan_lvp.so'])(
    'know %s for the processor in disguise',
    (library) => {
      const [, device] = merged({ vulkanDrivers: [library] });
      expect(device).toMatchObject({ kind: 'webgpu', software: true, pool: 'cpu' });
    },
  );

  it('know what Windows draws with where there is no driver', () => {
    const basic = { ...card, name: 'Microsoft Basic Render Driver', vendor: '', memoryBytes: 0 };
    const windows = { platform: 'win32', runtime: { version: '1.30.0', backends: ['cpu', 'dml', 'webgpu'] } };
    expect(merged({ ...windows, graphics: [basic] }).map(({ software }) => software)).toEqual([false, true]);
    expect(keys(merged({ ...windows, graphics: [basic, card] }))).toEqual(['cpu:0', 'dml:0', 'webgpu:0']);
  });

  it("are Apple's with the memory of the processor", () => {
    const mac = { platform: 'darwin', runtime: { version: '1.30.0', backends: ['cpu', 'coreml', 'webgpu'] } };
    const devices = merged({ ...mac, graphics: [{ ...card, name: 'Apple M4', vendor: 'Apple', memoryBytes: 0 }] });
    expect(keys(devices)).toEqual(['cpu:0', 'coreml:0', 'webgpu:0']);
    expect(devices.every(({ pool }) => pool === 'cpu')).toBe(true);
  });

  it('are not those of another system', () => {
    expect(keys(merged({ runtime: { version: '', backends: ['cpu', 'dml', 'coreml'] }, graphics: [card] }))).toEqual([
      'cpu:0',
    ]);
  });
});

describe("systeminformation's answer", () => {
  it('gives names and memory', () => {
    const controllers = [
      { vendor: 'AMD', model: 'Radeon', busAddress: '03:00.0', vram: 1024, vramDynamic: false, driverVersion: '1.2' },
      { vendor: 'Intel', model: 'UHD', vram: 512, vramDynamic: true },
    ];
    expect(readGraphics({ controllers, physicalCores: 8 })).toEqual({
      controllers: [
        { name: 'Radeon', vendor: 'AMD', bus: '03:00.0', memoryBytes: 2 ** 30, driver: '1.2' },
        { name: 'UHD', vendor: 'Intel', bus: '', memoryBytes: 0, driver: '' },
      ],
      physicalCores: 8,
    });
  });

  it.each([undefined, null, 3, {}, { controllers: 3 }, { controllers: [null, 3, {}, { model: '' }] }])(
    'may be %j',
    (value) => {
      expect(readGraphics(value)).toEqual({ controllers: [], physicalCores: undefined });
    },
  );
});

describe('the count of cores', () => {
  it('takes two threads of one core for one', () => {
    const thread = (processor: number, core: number) =>
      `processor\t: ${processor}\nphysical id\t: 0\ncore id\t\t: ${core}\nflags\t\t: fpu`;
    expect(parseCoreCount([thread(0, 0), thread(1, 1), thread(2, 0), thread(3, 1)].join('\n\n'))).toBe(2);
  });

  it('is left open where the system names no cores', () => {
    expect(parseCoreCount('processor\t: 0\nBogoMIPS\t: 50.00\n')).toBeUndefined();
  });
});
