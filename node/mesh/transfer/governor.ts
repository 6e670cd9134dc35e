// Lets bulk work yield to inference: a bucket of bytes that is bottomless while the node has nothing else to do, and
// fills slowly while it has. Every lane of every transfer draws from it, in both directions, one after the other.
import { performance } from 'node:perf_hooks';
import { toAbortError } from '../../core/calls.ts';
import type { Clock, Timer } from '../../core/clock.ts';
import { MESH_LIMITS, type MeshLimits } from '../limits.ts';
import { type Collect, type HeapRoom, heapRoom, youngCollector } from './young-collector.ts';

/** What a lane asks before it moves bytes. */
export interface Pace {
  /** Waits until some of these bytes may move. @returns how many; @throws WeftError the signal's reason */
  take(bytes: number, signal: AbortSignal): Promise<number>;
  /** Waits until bytes may move, and takes all of these: those who come next wait the longer. @throws as {@link take} */
  takeAll(bytes: number, signal: AbortSignal): Promise<void>;
  /** These bytes have come in, or gone out. */
  moved(way: 'in' | 'out', bytes: number): void;
}

/** Holds nothing back. */
export const UNGOVERNED: Pace = {
  take: async (bytes) => bytes,
  takeAll: async () => undefined,
  moved: () => undefined,
};

export interface GovernorInit {
  /** True while requests are computed here. */
  readonly busy: () => boolean;
  /** Milliseconds that the event loop has worked, ever. @default what the runtime counts */
  readonly loopActiveMs?: () => number;
  /** Called now and then while bytes move. @default the runtime's collector of young objects */
  readonly collect?: Collect;
  /** Told when bytes begin to move, and when none have for a while. @default the runtime's heap */
  readonly room?: HeapRoom;
  /** @default MESH_LIMITS.governor */
  readonly limits?: MeshLimits['governor'];
}

/**
 * How fast bulk work may go.
 * @param sinceBusyMs since a request was last under way; @param otherUtilisation share of the event loop that isn't its own
 */
export function bulkBytesPerSecond(
  { sinceBusyMs, otherUtilisation }: { readonly sinceBusyMs: number; readonly otherUtilisation: number },
  limits: MeshLimits['governor'],
): number {
  const yields = sinceBusyMs < limits.lingerMs || otherUtilisation > limits.otherUtilisationMax;
  return yields ? limits.bytesPerSecond : Number.POSITIVE_INFINITY;
}

/**
 * Share of the event loop that others than bulk work take, 0 to 1. At full speed bulk work fills the loop by itself, and
 * that is no reason to hold it back: what its bytes may have cost is left out.
 */
export function otherUtilisation(
  sample: { readonly elapsedMs: number; readonly activeMs: number; readonly movedBytes: number },
  limits: MeshLimits['governor'],
): number {
  const { elapsedMs, activeMs, movedBytes } = sample;
  if (elapsedMs <= 0) return 0;
  const ownMs = (movedBytes / (1 << 20)) * limits.loopMsPerMib;
  return Math.max(0, Math.min(1, (activeMs - ownMs) / elapsedMs));
}

interface Waiting {
  readonly bytes: number;
  readonly isWhole: boolean;
  readonly grant: (bytes: number) => void;
}

export class Governor implements Pace {
  readonly #clock: Clock;
  readonly #busy: () => boolean;
  readonly #loopActiveMs: () => number;
  readonly #limits: MeshLimits['governor'];
  readonly #collect: Collect;
  readonly #room: HeapRoom;
  readonly #waiting: Waiting[] = [];
  /** May be below zero: what was taken beyond it is waited for. */
  #tokens: number;
  #filledMs: number;
  #busyMs = Number.NEGATIVE_INFINITY;
  #sample: { readonly atMs: number; readonly activeMs: number };
  #otherUtilisation = 0;
  #movedBytes = 0;
  /** Share of what may gather before it is collected. */
  #uncollected = 0;
  #timer: Timer | undefined;
  /** True while the heap has room, and whether a collection was due lately. */
  #isRoomy = false;
  #isMoving = false;

  constructor(components: { readonly clock: Clock }, init: GovernorInit) {
    this.#clock = components.clock;
    this.#busy = init.busy;
    this.#loopActiveMs = init.loopActiveMs ?? (() => performance.eventLoopUtilization().active);
    this.#limits = init.limits ?? MESH_LIMITS.governor;
    this.#collect = init.collect ?? youngCollector();
    this.#room = init.room ?? heapRoom;
    this.#tokens = this.#limits.grantBytes;
    this.#filledMs = this.#clock.now();
    this.#sample = { atMs: this.#filledMs, activeMs: this.#loopActiveMs() };
  }

  take(bytes: number, signal: AbortSignal): Promise<number> {
    return this.#take(bytes, false, signal);
  }

  async takeAll(bytes: number, signal: AbortSignal): Promise<void> {
    await this.#take(bytes, true, signal);
  }

  moved(way: 'in' | 'out', bytes: number): void {
    this.#movedBytes += bytes;
    this.#uncollected += bytes / (way === 'in' ? this.#limits.collectInBytes : this.#limits.collectOutBytes);
    if (this.#uncollected < 1) return;
    this.#uncollected = 0;
    this.#collect();
    this.#isMoving = true;
    this.#keepRoom();
  }

  #keepRoom(): void {
    if (this.#isRoomy) return;
    this.#isRoomy = true;
    this.#isMoving = false;
    this.#room(true);
    const look = (): void => {
      if (this.#isMoving) {
        this.#isMoving = false;
        this.#clock.after(this.#limits.roomMs, look);
        return;
      }
      this.#isRoomy = false;
      this.#room(false);
    };
    this.#clock.after(this.#limits.roomMs, look);
  }

  #take(bytes: number, isWhole: boolean, signal: AbortSignal): Promise<number> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(toAbortError(signal));
        return;
      }
      const waiting: Waiting = {
        bytes,
        isWhole,
        grant: (granted) => {
          signal.removeEventListener('abort', leave);
          resolve(granted);
        },
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(toAbortError(signal));
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.push(waiting);
      this.#pour();
    });
  }

  /** Grants what may move now, and comes back for the rest. */
  #pour(hasWaited = this.#timer !== undefined): void {
    const rate = this.#rate();
    this.#fill(rate, hasWaited);
    while (this.#tokens > 0) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      const isFree = next.isWhole || rate === Number.POSITIVE_INFINITY;
      const granted = isFree ? next.bytes : Math.min(next.bytes, this.#limits.grantBytes);
      if (rate !== Number.POSITIVE_INFINITY) this.#tokens -= granted;
      next.grant(granted);
    }
    if (this.#waiting.length === 0 || this.#timer !== undefined) return;
    const waitMs = Math.min(this.#limits.pollMs, Math.max(1, (-this.#tokens * 1_000) / rate));
    this.#timer = this.#clock.after(waitMs, () => {
      this.#timer = undefined;
      this.#pour(true);
    });
    this.#timer.hold?.();
  }

  #fill(rate: number, hasWaited: boolean): void {
    const nowMs = this.#clock.now();
    const { grantBytes, catchUpMs } = this.#limits;
    // What isn't used is lost, but for one grant: a burst is what this is to prevent. What somebody waited for while a
    // busy event loop kept its timers waiting is made up for.
    const most = hasWaited ? Math.max(grantBytes, (catchUpMs * rate) / 1_000) : grantBytes;
    this.#tokens =
      rate === Number.POSITIVE_INFINITY
        ? grantBytes
        : Math.min(most, this.#tokens + ((nowMs - this.#filledMs) * rate) / 1_000);
    this.#filledMs = nowMs;
  }

  #rate(): number {
    const nowMs = this.#clock.now();
    if (this.#busy()) this.#busyMs = nowMs;
    const elapsedMs = nowMs - this.#sample.atMs;
    if (elapsedMs >= this.#limits.sampleMs) {
      const activeMs = this.#loopActiveMs();
      const sample = { elapsedMs, activeMs: activeMs - this.#sample.activeMs, movedBytes: this.#movedBytes };
      this.#otherUtilisation = otherUtilisation(sample, this.#limits);
      this.#sample = { atMs: nowMs, activeMs };
      this.#movedBytes = 0;
    }
    const sinceBusyMs = nowMs - this.#busyMs;
    return bulkBytesPerSecond({ sinceBusyMs, otherUtilisation: this.#otherUtilisation }, this.#limits);
  }
}
