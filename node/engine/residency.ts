// Which models leave so that another fits. Pure: the supervisor says what is there and does what comes out.
import { RESIDENT_PER_FILE_BYTE, RUNNER_BASE_BYTES } from './limits.ts';

/** A model in memory, or on its way there. */
export interface Resident {
  readonly digest: string;
  /** Measured, or predicted while it loads. */
  readonly bytes: number;
  /** When it was last asked for, in the clock's milliseconds. */
  readonly lastUsedMs: number;
  /** Nobody uses it now. */
  readonly idle: boolean;
}

/** What to unload, in this order, or why it is of no use. */
export type RoomPlan =
  | { readonly fits: true; readonly unload: readonly string[] }
  | { readonly fits: false; readonly heldBytes: number };

/** What a load will take, as long as none has been measured. */
export function predictedBytes(fileBytes: number, newProcess: boolean): number {
  return (newProcess ? RUNNER_BASE_BYTES : 0) + Math.ceil(fileBytes * RESIDENT_PER_FILE_BYTE);
}

/** Bytes of all of them. */
export function residentTotal(residents: readonly Resident[]): number {
  return residents.reduce((sum, { bytes }) => sum + bytes, 0);
}

/**
 * Makes room for `neededBytes` within `budgetBytes`: idle models leave, those that were used least recently first, and
 * no more than needed. What is at work stays; `heldBytes` is what can't leave now.
 */
export function planRoom(residents: readonly Resident[], neededBytes: number, budgetBytes: number): RoomPlan {
  let used = residentTotal(residents);
  const unload: string[] = [];
  const idle = residents.filter((resident) => resident.idle).sort((a, b) => a.lastUsedMs - b.lastUsedMs);
  for (const { digest, bytes } of idle) {
    if (used + neededBytes <= budgetBytes) break;
    used -= bytes;
    unload.push(digest);
  }
  return used + neededBytes <= budgetBytes ? { fits: true, unload } : { fits: false, heldBytes: used };
}
