// Looks for devices once, without keeping or measuring anything: for the doctor, benches and tests. A running node has a
// DeviceBook.
import type { DetectedDevice } from './device.ts';
import { type LookInit, look, lookAround, type MachineFacts } from './look.ts';
import { mergeDevices } from './merge.ts';
import { type NvidiaSmi, nvidiaSmi } from './nvidia-smi.ts';

export interface DetectComponents {
  /** @default the tool on this machine */
  readonly smi?: NvidiaSmi;
}

/** Every device that models could run on, the processor first. Takes a second or so. */
export async function detectDevices(
  { smi = nvidiaSmi }: DetectComponents,
  init: LookInit,
  signal: AbortSignal,
): Promise<{ readonly devices: readonly DetectedDevice[]; readonly facts: MachineFacts }> {
  const facts = await look(init, smi, await lookAround(init), signal);
  return { devices: mergeDevices(facts), facts };
}
