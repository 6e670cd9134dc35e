// The real sources of what DeviceBook knows: this machine's files, tools and child processes.
import type { DeviceSources } from './book.ts';
import { type LookInit, look, lookAround } from './look.ts';
import { nvidiaSmi, queryGpus } from './nvidia-smi.ts';
import { probeDevice } from './probe.ts';

export interface DeviceSourcesInit extends LookInit {
  /** Of the processor, while it is measured. */
  readonly threads: number;
}

export function deviceSources(init: DeviceSourcesInit): DeviceSources {
  return {
    lookAround: () => lookAround(init),
    look: (around, signal) => look(init, nvidiaSmi, around, signal),
    probe: (device, signal) => probeDevice(init, device, init.threads, signal),
    freeBytes: async (signal) => {
      const gpus = await queryGpus(nvidiaSmi, signal);
      return new Map(
        gpus.flatMap(({ uuid, memoryFreeBytes }) =>
          memoryFreeBytes === undefined ? [] : [[`gpu:${uuid}`, memoryFreeBytes] as const],
        ),
      );
    },
  };
}
