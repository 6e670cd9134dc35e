// Which models leave so that another fits, and how much each may take. Pure: the engine's memory keeper says what is
// there and does what comes out.
import {
  CAP_MARGIN,
  CAP_SLACK_BYTES,
  HEADROOM_BYTES,
  HEADROOM_SHARE,
  HOST_PER_FILE_BYTE,
  RESIDENT_PER_FILE_BYTE,
  RUNNER_BASE_BYTES,
  SPARE_PER_FILE_BYTE,
  SPARE_SHARE,
} from './limits.ts';

/** A model in memory, on its way there, or on its way out. */
export interface Resident {
  readonly digest: string;
  /** Reserved for it: KV rows included. */
  readonly bytes: number;
  /** When it was last asked for, in the clock's milliseconds. */
  readonly lastUsedMs: number;
  /**
   * `leaving`: its memory will be free, and isn't yet. `idle`: nobody uses it now. `held`: it is used, is being loaded,
   * or is pinned.
   */
  readonly state: 'leaving' | 'idle' | 'held';
  /** What it is worth to keep a byte of it: see {@link worthPerByte}. */
  readonly worth: number;
}

/** What must be out of memory first, in this order, or why it is of no use. */
export type RoomPlan =
  | { readonly fits: true; readonly unload: readonly string[] }
  | { readonly fits: false; readonly heldBytes: number };

/** What a load will take, as long as none has been measured. KV rows come on top. */
export function predictedBytes(fileBytes: number, newProcess: boolean): number {
  return withHeadroom((newProcess ? RUNNER_BASE_BYTES : 0) + Math.ceil(fileBytes * RESIDENT_PER_FILE_BYTE));
}

/** What a load on another device than the processor will take of the machine's memory. */
export function hostBytes(fileBytes: number, newProcess: boolean): number {
  return withHeadroom((newProcess ? RUNNER_BASE_BYTES : 0) + Math.ceil(fileBytes * HOST_PER_FILE_BYTE));
}

/** What is reserved for a model that was seen to take `bytes`: work takes a little more than the load. */
export function withHeadroom(bytes: number): number {
  return Math.ceil(bytes * (1 + HEADROOM_SHARE)) + HEADROOM_BYTES;
}

/**
 * What is reserved for a second form of a model's weights: all that it takes, or 0 where too little is free for it.
 * @param freeBytes of the budget, all that the model needs taken off
 */
export function spareReservation(fileBytes: number, freeBytes: number): number {
  const bytes = Math.ceil(fileBytes * SPARE_PER_FILE_BYTE);
  return bytes <= freeBytes * SPARE_SHARE ? bytes : 0;
}

/** Bytes of all of them. */
export function residentTotal(residents: readonly Pick<Resident, 'bytes'>[]): number {
  return residents.reduce((sum, { bytes }) => sum + bytes, 0);
}

/**
 * Milliseconds of loading that keeping one byte saves, in the time over which demand decays: requests × what each would
 * wait if the model were gone, over what its absence would free (greedy-dual size frequency, Cherkasova 1998).
 * @param demand decaying number of requests
 */
export function worthPerByte(model: {
  readonly demand: number;
  readonly loadMs: number;
  readonly bytes: number;
}): number {
  return (model.demand * model.loadMs) / Math.max(1, model.bytes);
}

/**
 * Makes room for `neededBytes` within `budgetBytes`: what is leaving anyway is awaited, then idle models leave, those of
 * the least worth first, of equal worth the one that was used least recently, and no more than needed. What is held
 * stays; `heldBytes` is what can't leave now.
 */
export function planRoom(residents: readonly Resident[], neededBytes: number, budgetBytes: number): RoomPlan {
  let used = residentTotal(residents);
  const unload: string[] = [];
  const rank = ({ state }: Resident): number => (state === 'leaving' ? 0 : 1);
  const movable = residents
    .filter(({ state }) => state !== 'held')
    .sort((a, b) => rank(a) - rank(b) || a.worth - b.worth || a.lastUsedMs - b.lastUsedMs);
  for (const { digest, bytes } of movable) {
    if (used + neededBytes <= budgetBytes) break;
    used -= bytes;
    unload.push(digest);
  }
  return used + neededBytes <= budgetBytes ? { fits: true, unload } : { fits: false, heldBytes: used };
}

/** A runner, as its cap is decided. */
export interface CappedRunner {
  /** Of all its models. */
  readonly reservedBytes: number;
  /** What it is granted beyond that at most: {@link growthMax}, or Infinity while it loads what was never measured. */
  readonly growthBytesMax: number;
}

/** How far a runner may grow beyond what was reserved for it when its models were loaded. */
export function growthMax(reservedBytes: number): number {
  return Math.ceil(reservedBytes * (CAP_MARGIN - 1)) + CAP_SLACK_BYTES;
}

/**
 * The hard cap of each runner: its reservation, and an equal share of what nobody has reserved, as far as it may grow. A
 * load that was never measured may take all that is left, because its prediction is only a guess; the others stay where
 * they are meanwhile. All caps together are never above the budget unless the reservations are.
 */
export function capsOf(runners: readonly CappedRunner[], budgetBytes: number): number[] {
  const reserved = runners.reduce((sum, { reservedBytes }) => sum + reservedBytes, 0);
  const free = Math.max(0, budgetBytes - reserved);
  const guessing = runners.filter(({ growthBytesMax }) => growthBytesMax === Number.POSITIVE_INFINITY).length;
  return runners.map(({ reservedBytes, growthBytesMax }) => {
    const isGuess = growthBytesMax === Number.POSITIVE_INFINITY;
    if (guessing > 0 && !isGuess) return reservedBytes;
    const share = Math.floor(free / (guessing > 0 ? guessing : runners.length));
    return reservedBytes + Math.min(growthBytesMax, share);
  });
}
