// What is kept of devices between two starts, as a document. Read with distrust: it may be torn, old, or edited.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { DEVICE_KINDS, DEVICES_MAX } from '../../core/devices.ts';
import type { DetectedDevice } from './device.ts';
import { FAILURES_MAX, NAME_CHARS_MAX, REASON_CHARS_MAX } from './limits.ts';

export interface Kept {
  readonly devices: readonly DetectedDevice[];
  readonly physicalCores: number | undefined;
  readonly failures: readonly { readonly digest: string; readonly device: string; readonly reason: string }[];
}

const name = z.string().max(NAME_CHARS_MAX * 2);
const bytes = z.number().nonnegative().finite();

const Probe = z.discriminatedUnion('ok', [
  z.object({
    ok: z.literal(true),
    gflops: z.number().positive().finite(),
    copyBytesPerS: z.number().positive().finite(),
  }),
  z.object({ ok: z.literal(false), reason: z.string().max(REASON_CHARS_MAX) }),
]);

const Device = z.object({
  kind: z.enum(DEVICE_KINDS),
  index: z.number().int().min(0).max(DEVICES_MAX),
  name,
  memoryBytes: bytes,
  pool: name,
  driver: name,
  software: z.boolean(),
  foundBy: z.array(name).max(8),
  probe: Probe.optional(),
});

const Document = z.object({
  schema: z.literal(1),
  mark: z.string(),
  devices: z.array(Device).max(DEVICES_MAX * 4),
  physicalCores: z.number().int().positive().optional(),
  failures: z
    .array(z.object({ digest: z.string().max(128), device: name, reason: z.string().max(REASON_CHARS_MAX) }))
    .max(FAILURES_MAX * DEVICES_MAX),
});

/** The document, unless it is damaged or about other hardware, drivers or versions than those of this mark. */
export function readKept(document: Uint8Array | undefined, mark: string): Kept | undefined {
  if (document === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(document));
  } catch {
    return undefined;
  }
  const result = Document.safeParse(value);
  if (!result.success || result.data.mark !== digestOf(mark)) return undefined;
  const { devices, physicalCores, failures } = result.data;
  return {
    // What is free now is not what was free then.
    devices: devices.map((device) => ({ ...device, memoryFreeBytes: undefined, probe: device.probe })),
    physicalCores,
    failures,
  };
}

/** As {@link readKept} reads it. */
export function writeKept({ devices, physicalCores, failures }: Kept, mark: string): Uint8Array {
  const document = { schema: 1, mark: digestOf(mark), devices, physicalCores, failures };
  return new TextEncoder().encode(JSON.stringify(document));
}

const digestOf = (mark: string): string => createHash('sha256').update(mark).digest('hex');
