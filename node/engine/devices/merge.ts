// Makes devices of what the sources say. Pure: several sources name the same hardware, some name none of it.
import { DEVICES_MAX } from '../../core/devices.ts';
import { type DetectedDevice, isSoftwareName, RAM } from './device.ts';
import type { GraphicsController, MachineFacts } from './look.ts';
import type { NvidiaGpu } from './nvidia-smi.ts';

/** Hardware that computes, whichever provider runs on it. */
interface Adapter {
  readonly name: string;
  readonly memoryBytes: number;
  readonly memoryFreeBytes: number | undefined;
  readonly pool: string;
  readonly driver: string;
  readonly foundBy: string;
}

/** The processor as a device: always there, always the first of the list. */
export function processor(cpu: MachineFacts['cpu']): DetectedDevice {
  return {
    kind: 'cpu',
    index: 0,
    name: cpu.name,
    memoryBytes: cpu.memoryBytes,
    memoryFreeBytes: undefined,
    pool: RAM,
    driver: '',
    software: false,
    foundBy: ['system'],
    probe: undefined,
  };
}

/** Every device that the runtime has a provider for, and the machine the hardware. */
export function mergeDevices(facts: MachineFacts): readonly DetectedDevice[] {
  const lists = new Set(facts.runtime?.backends ?? []);
  const nvidia = facts.nvidia.slice(0, DEVICES_MAX).map(nvidiaAdapter);
  const adapters = [...nvidia, ...facts.graphics.flatMap((controller) => graphicsAdapter(controller, facts.nvidia))];
  const device = (kind: DetectedDevice['kind'], index: number, adapter: Adapter): DetectedDevice => {
    const { foundBy, ...rest } = adapter;
    return { kind, index, ...rest, software: false, foundBy: ['runtime', foundBy], probe: undefined };
  };
  const devices = [processor(facts.cpu)];
  if (lists.has('cuda')) devices.push(...nvidia.map((adapter, index) => device('cuda', index, adapter)));
  if (lists.has('dml') && facts.platform === 'win32') {
    devices.push(...adapters.slice(0, DEVICES_MAX).map((adapter, index) => device('dml', index, adapter)));
  }
  if (lists.has('coreml') && facts.platform === 'darwin') {
    devices.push({ ...device('coreml', 0, adapters[0] ?? onProcessor(facts)), pool: RAM });
  }
  if (lists.has('webgpu')) devices.push(...webgpu(facts, adapters, device));
  return devices;
}

/** The provider takes one adapter, the fastest by its own lights; there is no choice of another one. */
function webgpu(
  facts: MachineFacts,
  adapters: readonly Adapter[],
  device: (kind: 'webgpu', index: number, adapter: Adapter) => DetectedDevice,
): readonly DetectedDevice[] {
  const best = adapters.toSorted((a, b) => b.memoryBytes - a.memoryBytes)[0];
  if (facts.platform !== 'linux') {
    if (best !== undefined) return [device('webgpu', 0, best)];
    const software = facts.graphics.find(({ name }) => isSoftwareName(name));
    return software === undefined ? [] : [softwareDevice(facts, software.name)];
  }
  const hardware = facts.vulkanDrivers.filter((library) => !isSoftwareName(library));
  const software = facts.vulkanDrivers.find(isSoftwareName);
  // Drivers for every maker's hardware come with most desktops, and a server's screen chip computes nothing: a driver
  // counts where there is a device to render with.
  if (hardware.length > 0 && (facts.nvidia.length > 0 || facts.renderNodes > 0)) {
    const unnamed = { ...onProcessor(facts), name: 'graphics device', foundBy: 'vulkan' };
    return [device('webgpu', 0, best ?? unnamed)];
  }
  return software === undefined ? [] : [softwareDevice(facts, software)];
}

function softwareDevice(facts: MachineFacts, name: string): DetectedDevice {
  const known = /swiftshader/i.test(name) ? 'SwiftShader' : /lvp|llvmpipe|lavapipe/i.test(name) ? 'llvmpipe' : name;
  return {
    ...processor(facts.cpu),
    kind: 'webgpu',
    name: `${known} (software)`,
    software: true,
    foundBy: ['runtime', 'vulkan'],
  };
}

const onProcessor = ({ cpu }: MachineFacts): Adapter => ({
  name: cpu.name,
  memoryBytes: cpu.memoryBytes,
  memoryFreeBytes: undefined,
  pool: RAM,
  driver: '',
  foundBy: 'system',
});

function nvidiaAdapter(gpu: NvidiaGpu): Adapter {
  return {
    name: gpu.name,
    memoryBytes: gpu.memoryBytes ?? 0,
    memoryFreeBytes: gpu.memoryFreeBytes,
    pool: `gpu:${gpu.uuid}`,
    driver: gpu.driver === '' ? '' : `NVIDIA ${gpu.driver}`,
    foundBy: 'nvidia-smi',
  };
}

/** A controller that no better source has named. @returns none for software, and for what has been named */
function graphicsAdapter(controller: GraphicsController, nvidia: readonly NvidiaGpu[]): readonly Adapter[] {
  const { name, vendor, bus, memoryBytes, driver } = controller;
  const isNamed = nvidia.some((gpu) => (bus !== '' && gpu.bus.endsWith(bus)) || gpu.name === name);
  if (isNamed || isSoftwareName(name)) return [];
  const own = memoryBytes >= OWN_MEMORY_BYTES_MIN;
  const called = vendor === '' || name.toLowerCase().includes(vendor.toLowerCase()) ? name : `${vendor} ${name}`;
  return [
    {
      name: called,
      memoryBytes,
      memoryFreeBytes: undefined,
      pool: own ? `gpu:${bus || name}` : RAM,
      driver,
      foundBy: 'systeminformation',
    },
  ];
}

/** With less, what a controller calls its own is a window into the processor's memory. */
const OWN_MEMORY_BYTES_MIN = 1 << 30;
