// On which devices a model is tried, in which order, and why not on the others. Pure: the book says what is known, the
// runner's slot does what comes out.

import type { DeviceKind, DeviceSetting } from '../../core/devices.ts';
import { mebibytes } from '../mebibytes.ts';
import { type DetectedDevice, deviceKey, RAM } from './device.ts';
import { PROBE_MARGIN } from './limits.ts';
import { type PoolResident, poolFreeBytes } from './memory.ts';

/** One place to load a model. */
export interface DeviceChoice {
  readonly provider: DeviceKind;
  /** Which of the provider's devices. */
  readonly index: number;
  /** Whose memory it takes there. */
  readonly pool: string;
  /** For logs and `weft show`. */
  readonly reason: string;
}

/** A device that was not chosen. */
export interface PassedOver {
  readonly kind: DeviceKind;
  readonly index: number;
  readonly reason: string;
}

export interface DevicePlan {
  /** At least one; the processor is the last. */
  readonly order: readonly DeviceChoice[];
  readonly passedOver: readonly PassedOver[];
  /** Why it is not what the setting asks for; undefined where it is, or where it asks for nothing. */
  readonly fallbackReason: string | undefined;
}

/** What a model was seen to take on a device. */
export interface DeviceMeasurement {
  readonly kind: DeviceKind;
  /** Undefined: every one of that kind. */
  readonly index: number | undefined;
  /** Milliseconds of its usual request: comparable between the devices of one model. */
  readonly ms: number;
}

/** Everything that the choice depends on. */
export interface ChoiceInput {
  readonly setting: DeviceSetting;
  readonly devices: readonly DetectedDevice[];
  /** Bytes that models may take, by pool. */
  readonly budgets: ReadonlyMap<string, number>;
  /** Other models. */
  readonly residents: readonly PoolResident[];
  /** What the model will take, predicted or measured. */
  readonly neededBytes: number;
  readonly measured: readonly DeviceMeasurement[];
  /** Devices that failed on this model, with the reason. */
  readonly failed: ReadonlyMap<string, string>;
}

/** The processor, and nothing but it. */
export const PROCESSOR_CHOICE: DeviceChoice = { provider: 'cpu', index: 0, pool: RAM, reason: 'the processor' };

/**
 * With `auto`, devices on which the model was measured come first, the fastest before the others; without any
 * measurement, devices that the probe found PROBE_MARGIN times as fast as the processor. A device that was asked for is
 * tried even where nothing is known of it. Whatever comes first, the processor comes last.
 */
export function chooseDevices(input: ChoiceInput): DevicePlan {
  const { setting, failed } = input;
  const passedOver: PassedOver[] = [];
  const able = candidates(input).filter((device) => {
    const reason = obstacle(device, input);
    if (reason !== undefined) passedOver.push({ kind: device.kind, index: device.index, reason });
    return reason === undefined;
  });
  const order = setting.kind === 'auto' ? byMeasure(able, input, passedOver) : byRoom(able, input);
  const first = order[0];
  const wanted = setting.kind !== 'auto' && setting.kind !== 'cpu';
  const fallbackReason =
    first !== undefined
      ? undefined
      : wanted
        ? `${nameOf(setting)}: ${passedOver[0]?.reason ?? 'there is no such device'}`
        : firstFailure(failed);
  return { order: [...order, PROCESSOR_CHOICE], passedOver, fallbackReason };
}

/** Devices on which a model could be measured, and hasn't been: for whoever measures in the background. */
export function untriedDevices(input: ChoiceInput): readonly DetectedDevice[] {
  if (input.setting.kind !== 'auto') return [];
  return input.devices.filter(
    (device) =>
      !device.software &&
      (device.kind === 'cpu' || device.probe?.ok === true) &&
      obstacle(device, input) === undefined &&
      measuredMs(device, input) === undefined,
  );
}

/** Those that the setting allows; what it names exactly is there even where nobody has seen it. */
function candidates({ setting, devices }: ChoiceInput): readonly DetectedDevice[] {
  const { kind, index } = setting;
  if (kind === 'cpu') return [];
  if (kind === 'auto') return devices.filter(({ software }) => !software);
  const found = devices.filter((device) => device.kind === kind && (index === undefined || device.index === index));
  if (found.length > 0 || !devices.some((device) => device.kind === 'cpu')) return found;
  return [unseen(kind, index ?? 0)];
}

/** Something that was asked for and not found: it costs one attempt, and the runtime says what is wrong. */
const unseen = (kind: DeviceKind, index: number): DetectedDevice => ({
  kind,
  index,
  name: kind,
  memoryBytes: 0,
  memoryFreeBytes: undefined,
  pool: `gpu:${kind}:${index}`,
  driver: '',
  software: false,
  foundBy: [],
  probe: undefined,
});

/** Why a device is out for this model; undefined where it isn't. */
function obstacle(device: DetectedDevice, input: ChoiceInput): string | undefined {
  const { budgets, residents, neededBytes, failed, setting } = input;
  if (device.kind === 'cpu') return undefined;
  const failure = failed.get(deviceKey(device));
  if (failure !== undefined) return failure;
  // What measuring said is final for `auto`; whoever asked for the device gets the attempt.
  if (setting.kind === 'auto' && device.probe?.ok === false) return device.probe.reason;
  if (!budgets.has(device.pool)) return undefined;
  const free = poolFreeBytes(budgets, residents, device.pool);
  // The processor's memory makes room by unloading, which is its owner's to do; so does a device's with models in it.
  const held = residents.some(({ pool }) => pool === device.pool);
  if (device.pool === RAM || neededBytes <= free || held) return undefined;
  return `${mebibytes(free)} are free of the ${mebibytes(neededBytes)} that it needs`;
}

/** What is better than the processor, the best first. */
function byMeasure(
  able: readonly DetectedDevice[],
  input: ChoiceInput,
  passedOver: PassedOver[],
): readonly DeviceChoice[] {
  const processor = able.find(({ kind }) => kind === 'cpu');
  const others = able.filter(({ kind }) => kind !== 'cpu');
  const leave = ({ kind, index }: DetectedDevice, reason: string): readonly DeviceChoice[] => {
    passedOver.push({ kind, index, reason });
    return [];
  };
  const msOf = (device: DetectedDevice): number => measuredMs(device, input) ?? Number.POSITIVE_INFINITY;
  if (able.some((device) => msOf(device) < Number.POSITIVE_INFINITY)) {
    const most = processor === undefined ? Number.POSITIVE_INFINITY : msOf(processor);
    return others
      .toSorted((a, b) => byNumber(msOf(a), msOf(b)) || byKey(a, b))
      .flatMap((device) => {
        const ms = msOf(device);
        if (ms === Number.POSITIVE_INFINITY) return leave(device, 'not measured with this model yet');
        const told = `measured: ${ms.toFixed(1)} ms a request`;
        return ms < most ? [choice(device, told)] : leave(device, `${told}, and the processor is as fast`);
      });
  }
  const rate = ({ probe }: DetectedDevice): number => (probe?.ok === true ? probe.gflops : 0);
  const least = processor === undefined ? 0 : rate(processor) * PROBE_MARGIN;
  return others
    .toSorted((a, b) => rate(b) - rate(a) || byNumber(roomOf(b, input), roomOf(a, input)) || byKey(a, b))
    .flatMap((device) => {
      if (device.probe === undefined) return leave(device, 'not measured yet');
      const told = `${Math.round(rate(device))} GFLOP/s in the probe`;
      return rate(device) > least ? [choice(device, told)] : leave(device, `${told}, too few to gain anything`);
    });
}

/** All do what was asked for: the emptiest one comes first. */
function byRoom(able: readonly DetectedDevice[], input: ChoiceInput): readonly DeviceChoice[] {
  return able
    .toSorted((a, b) => byNumber(roomOf(b, input), roomOf(a, input)) || byKey(a, b))
    .map((device) => choice(device, 'asked for'));
}

const roomOf = ({ pool }: DetectedDevice, { budgets, residents }: ChoiceInput): number =>
  poolFreeBytes(budgets, residents, pool);

/** A difference of infinities is no number. */
const byNumber = (a: number, b: number): number => (a === b ? 0 : a < b ? -1 : 1);

const byKey = (a: DetectedDevice, b: DetectedDevice): number => a.index - b.index || (a.kind < b.kind ? -1 : 1);

const choice = ({ kind, index, pool }: DetectedDevice, reason: string): DeviceChoice => ({
  provider: kind,
  index,
  pool,
  reason,
});

function measuredMs(device: DetectedDevice, { measured }: ChoiceInput): number | undefined {
  const ofKind = measured.filter(({ kind }) => kind === device.kind);
  const found = ofKind.find(({ index }) => index === device.index) ?? ofKind.find(({ index }) => index === undefined);
  return found !== undefined && Number.isFinite(found.ms) && found.ms > 0 ? found.ms : undefined;
}

const nameOf = ({ kind, index }: DeviceSetting): string => (index === undefined ? kind : `${kind}:${index}`);

function firstFailure(failed: ReadonlyMap<string, string>): string | undefined {
  for (const reason of failed.values()) return reason;
  return undefined;
}
