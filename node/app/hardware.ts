// What this machine has, as it is advertised. Read once at the start.
import { arch, availableParallelism, cpus, platform, totalmem } from 'node:os';
import type { Hardware } from '../../protocol/capability.ts';

/** The processor and memory of this machine; devices beside the processor are the engine's to find. */
export function detectHardware(): Hardware {
  const cpuModel = cpus()[0]?.model.trim() || 'unknown processor';
  const memoryBytes = totalmem();
  return {
    platform: platform(),
    arch: arch(),
    cpuModel,
    cpuCount: availableParallelism(),
    memoryBytes,
    devices: [{ kind: 'cpu', name: cpuModel, memoryBytes }],
  };
}
