// Makes of measured profiles what the choice of a device compares. Pure.
import { DEVICE_KINDS, type DeviceKind } from '../../core/devices.ts';
import type { MeasuredProfile } from '../../core/profile.ts';
import type { DeviceMeasurement } from './choose.ts';

/** A request that is usual enough to compare devices by. */
const PROMPT_TOKENS = 128;
const ANSWER_TOKENS = 64;

/**
 * One alone compares nothing, and must not keep a device from being tried on which the model has never been.
 * @param find the model's profile on a provider, where there is one. Devices of one kind share a measurement.
 * @returns none, or those of two kinds at least
 */
export function measurementsOf(find: (kind: DeviceKind) => MeasuredProfile | undefined): readonly DeviceMeasurement[] {
  const found = DEVICE_KINDS.flatMap((kind) => {
    const profile = find(kind);
    const ms = profile === undefined ? undefined : usualMs(profile);
    return ms === undefined ? [] : [{ kind, index: undefined, ms }];
  });
  return found.length > 1 ? found : [];
}

/** Milliseconds of a usual request, by the means of what was measured; undefined where nothing was. */
export function usualMs({ work, decode }: Pick<MeasuredProfile, 'work' | 'decode'>): number | undefined {
  const perToken = mean(work.filter(({ tokens }) => tokens > 0).map(({ ms, tokens }) => ms / tokens));
  const perStep = mean(decode.map(({ ms }) => ms));
  if (perToken === undefined && perStep === undefined) return undefined;
  return (perToken ?? 0) * PROMPT_TOKENS + (perStep ?? 0) * ANSWER_TOKENS;
}

function mean(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
}
