// What one check of the doctor is, and the words it answers with. Every layer's file makes some.
import { toWeftError } from '../../../protocol/errors.ts';
import type { DoctorCheck } from '../../core/control.ts';
import { QUOTE_CHARS_MAX } from './limits.ts';

/** Layers in the order in which they stand on each other. */
export const LAYERS = [
  'settings',
  'runtime',
  'driver',
  'limits',
  'disk',
  'key',
  'models',
  'ports',
  'membership',
  'mdns',
  'peer',
  'clock',
] as const;
export type Layer = (typeof LAYERS)[number];

/** One line of the report; the layer is its check's. */
export type Finding = Omit<DoctorCheck, 'layer'>;

export interface Check {
  readonly layer: Layer;
  /** Stands in the report where the check itself fails or takes too long. */
  readonly name: string;
  readonly deadlineMs: number;
  /** What to do when it takes too long. */
  readonly overdueRemedy: string;
  readonly run: (signal: AbortSignal) => Promise<readonly Finding[]>;
}

export const ok = (name: string, detail: string): Finding => ({ name, status: 'ok', detail });

export const skipped = (name: string, detail: string): Finding => ({ name, status: 'skipped', detail });

export const warning = (name: string, detail: string, remedy: string): Finding => ({
  name,
  status: 'warning',
  detail,
  remedy,
});

export const failed = (name: string, detail: string, remedy: string): Finding => ({
  name,
  status: 'failed',
  detail,
  remedy,
});

/** Somebody else's words on one line: what a program printed, or an error said. */
export function quoted(text: string): string {
  const line = text
    .replace(/\p{C}+/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return line.length > QUOTE_CHARS_MAX ? `${line.slice(0, QUOTE_CHARS_MAX)}…` : line;
}

/** Bytes as people read them. */
export function readableBytes(bytes: number): string {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.floor(bytes / 2 ** 20)} MiB`;
}

/** What an error says, as a finding. */
export function failedBy(name: string, error: unknown): Finding {
  const { message, remedy } = toWeftError(error);
  return failed(name, quoted(message), remedy);
}
