// Memory per device. Pure. Devices that share memory share a pool: the processor's is what `--memory` says, another
// device's is its own.
import { type DetectedDevice, RAM } from './device.ts';
import { DEVICE_MEMORY_SHARE } from './limits.ts';

/** A loaded or loading model, and whose memory it takes. */
export interface PoolResident {
  readonly pool: string;
  readonly bytes: number;
}

/**
 * What models may take of each pool, in bytes. Of a device's own memory it is a share of the whole, and of what was free
 * when it was looked at: others compute there as well. A size that nobody knows doesn't bound anything.
 * @param memoryBytesMax of the processor's memory
 */
export function poolBudgets(devices: readonly DetectedDevice[], memoryBytesMax: number): ReadonlyMap<string, number> {
  const budgets = new Map([[RAM, memoryBytesMax]]);
  for (const { pool, memoryBytes, memoryFreeBytes } of devices) {
    if (pool === RAM) continue;
    const there = memoryBytes === 0 ? Number.POSITIVE_INFINITY : memoryBytes * DEVICE_MEMORY_SHARE;
    const budget = Math.floor(Math.min(there, memoryFreeBytes ?? there));
    budgets.set(pool, Math.min(budget, budgets.get(pool) ?? budget));
  }
  return budgets;
}

/** Bytes that are left of a pool; never less than 0. */
export function poolFreeBytes(
  budgets: ReadonlyMap<string, number>,
  residents: readonly PoolResident[],
  pool: string,
): number {
  const held = residents.reduce((sum, resident) => (resident.pool === pool ? sum + resident.bytes : sum), 0);
  return Math.max(0, (budgets.get(pool) ?? 0) - held);
}
