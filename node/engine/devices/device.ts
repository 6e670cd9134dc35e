// What is known of one device, and the words for it. Plain data: detection makes it, the choice and status read it.
import type { DeviceKind } from '../../core/devices.ts';
import { NAME_CHARS_MAX, REASON_CHARS_MAX } from './limits.ts';

/** One of the runtime's providers on one piece of hardware. */
export interface DetectedDevice {
  readonly kind: DeviceKind;
  /** Which one of its kind, as the runtime counts. */
  readonly index: number;
  readonly name: string;
  /** In bytes; 0 where the system doesn't say. */
  readonly memoryBytes: number;
  /** What was free when it was looked at; undefined where the system doesn't say. */
  readonly memoryFreeBytes: number | undefined;
  /** Devices with the same pool share its memory: `cpu` is that of the processor, and of whatever has none of its own. */
  readonly pool: string;
  /** Driver and version; '' where the system doesn't say. */
  readonly driver: string;
  /** The processor in disguise: of use for tests alone, and never chosen unless it is asked for. */
  readonly software: boolean;
  /** What told of it: `system`, `runtime`, `nvidia-smi`, `systeminformation`, `vulkan`. */
  readonly foundBy: readonly string[];
  /** What measuring gave; undefined where nothing was measured yet. */
  readonly probe: Probe | undefined;
}

/** What a device does in a second, or why it does nothing. */
export type Probe =
  | {
      readonly ok: true;
      /** 10⁹ operations a second in products of float32 matrices. */
      readonly gflops: number;
      /** Bytes a second in and out of the device together. */
      readonly copyBytesPerS: number;
    }
  | { readonly ok: false; readonly reason: string };

/** The pool of the processor's memory. */
export const RAM = 'cpu';

/** Names one device: `cuda:1`. */
export const deviceKey = ({ kind, index }: { readonly kind: DeviceKind; readonly index: number }): string =>
  `${kind}:${index}`;

/** Somebody else's name for a thing, on one line and short. */
export function cleanName(text: unknown, otherwise = ''): string {
  if (typeof text !== 'string') return otherwise;
  const line = text
    .replace(/\p{C}+/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return [...line].slice(0, NAME_CHARS_MAX).join('').trim() || otherwise;
}

const SOFTWARE =
  /swiftshader|llvmpipe|lavapipe|softpipe|libvulkan_lvp|\bwarp\b|microsoft basic render|software rasterizer/i;

/** Drivers that draw on the processor, by the names that they go by. */
export const isSoftwareName = (name: string): boolean => SOFTWARE.test(name);

/** What the runtime says, without its source files and this machine's paths: the last sentence says what was wrong. */
export function shortReason(text: string): string {
  const line = text
    .replace(/\p{C}+/gu, ' ')
    .replaceAll(/(?:[A-Za-z]:)?[\\/][^\s"'<>:]*[\\/][^\s"'<>:]*/g, '…')
    .replace(/\s+/g, ' ')
    .trim();
  const told = /was false\. (.+)$/.exec(line)?.[1] ?? line;
  return told.slice(0, REASON_CHARS_MAX);
}
