// What the engine asks about devices. DeviceBook answers it in a node; tests and benches may do with the processor.
import type { DeviceChoice, DeviceMeasurement, DevicePlan } from './choose.ts';
import { PROCESSOR_CHOICE } from './choose.ts';
import { type DetectedDevice, RAM } from './device.ts';
import type { PoolResident } from './memory.ts';

/** A model that is about to load. */
export interface ModelToPlace {
  /** Of its manifest. */
  readonly digest: string;
  /** What it will take, predicted or measured. */
  readonly neededBytes: number;
  /** What others hold, loading ones included, by pool. */
  readonly residents: readonly PoolResident[];
}

export interface DeviceChooser {
  /** Where to load a model. Waits for devices that are just being looked for, a few seconds at most; never rejects. */
  choose(model: ModelToPlace): Promise<DevicePlan>;
  /** The provider failed on the model, or took its runner with it: it isn't chosen for this model again. */
  failed(digest: string, choice: Pick<DeviceChoice, 'provider' | 'index'>, reason: string): void;
  /** Devices on which the model could be measured and hasn't been, for the profiler. */
  untried(model: ModelToPlace): readonly DetectedDevice[];
  /** Bytes that models may take, by pool; `cpu` is always there. */
  budgets(): ReadonlyMap<string, number>;
  /** Every device that is known by now; the processor is the first. */
  list(): readonly DetectedDevice[];
}

/** What a model was measured to take on each device; the profiler's to tell. */
export type MeasurementsOf = (digest: string) => readonly DeviceMeasurement[];

/** Everything runs on the processor. */
export function processorOnly(memoryBytesMax = Number.POSITIVE_INFINITY): DeviceChooser {
  const plan: DevicePlan = { order: [PROCESSOR_CHOICE], passedOver: [], fallbackReason: undefined };
  const budgets = new Map([[RAM, memoryBytesMax]]);
  return {
    choose: async () => plan,
    failed() {
      /* there is nothing else to choose */
    },
    untried: () => [],
    budgets: () => budgets,
    list: () => [],
  };
}
