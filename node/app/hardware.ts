// What this machine has, as it is advertised: read once at the start, but for devices, which are found while it runs.
import { arch, availableParallelism, cpus, platform, totalmem } from 'node:os';
import type { Device, Hardware } from '../../protocol/capability.ts';

/**
 * The processor and memory of this machine, and its devices as they are known whenever they are read.
 * @param found the engine's devices, the processor included; none = nobody has looked
 */
export function detectHardware(found: () => readonly Device[] = () => []): Hardware {
  const cpuModel = cpus()[0]?.model.trim() || 'unknown processor';
  const memoryBytes = totalmem();
  const processor: Device = { kind: 'cpu', name: cpuModel, memoryBytes };
  return {
    platform: platform(),
    arch: arch(),
    cpuModel,
    cpuCount: availableParallelism(),
    memoryBytes,
    get devices() {
      const others = found().filter(({ kind }) => kind !== 'cpu');
      // What the wire has, and no more: the engine knows more of each.
      return [
        processor,
        ...others.map((device) => ({ kind: device.kind, name: device.name, memoryBytes: device.memoryBytes })),
      ];
    },
  };
}
