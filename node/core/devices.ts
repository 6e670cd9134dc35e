// What a person may say about devices, and what a node tells of its own. Settings, engine and composition root share it.
import type { Device } from '../../protocol/capability.ts';

/** The runtime's providers that Weft knows how to use. */
export type DeviceKind = Device['kind'];

export const DEVICE_KINDS = ['cpu', 'webgpu', 'cuda', 'coreml', 'dml'] as const satisfies readonly DeviceKind[];

/** What models are to run on. The processor is always the last resort. */
export interface DeviceSetting {
  /** `auto`: per model, what measures best. */
  readonly kind: 'auto' | DeviceKind;
  /** Which one of that kind, from 0; undefined = any of them. */
  readonly index: number | undefined;
}

/** Most devices of one kind in a machine. */
export const DEVICES_MAX = 16;

/** `auto`, a kind, or a kind and an index such as `cuda:1`; undefined where it is none of these. */
export function parseDeviceSetting(text: string): DeviceSetting | undefined {
  const [, name, digits] = /^([a-z]+)(?::(\d{1,2}))?$/.exec(text.trim().toLowerCase()) ?? [];
  if (name === 'auto') return digits === undefined ? { kind: 'auto', index: undefined } : undefined;
  const kind = DEVICE_KINDS.find((candidate) => candidate === name);
  if (kind === undefined) return undefined;
  if (digits === undefined) return { kind, index: undefined };
  const index = Number(digits);
  return index < DEVICES_MAX ? { kind, index } : undefined;
}

/** As {@link parseDeviceSetting} reads it. */
export function formatDeviceSetting({ kind, index }: DeviceSetting): string {
  return index === undefined ? kind : `${kind}:${index}`;
}
