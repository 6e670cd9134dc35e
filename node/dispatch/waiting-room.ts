// Where requests wait that are best bound to a node later: those that would end them soonest are all busy. First come, first
// served, by model; each answer from anywhere may mean a free node. Called by Delivery.
import type { WeftError } from '../../protocol/errors.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Lifetime } from './lifetime.ts';
import { BATCH_TURN_EVERY, LOOK_AGAIN_MS, WAITING_LINES_MAX } from './limits.ts';
import type { Placed } from './placer.ts';

export interface Guest {
  readonly digest: string;
  readonly isBatch: boolean;
  readonly lifetime: Lifetime;
  /**
   * Where it would go now.
   * @param aheadMs what waits here before it takes a busy node so long
   * @throws WeftError where it can't go anywhere
   */
  look(aheadMs: number): Placed;
}

interface Waiter {
  readonly guest: Guest;
  readonly order: number;
  readonly resolve: (placed: Placed) => void;
  readonly reject: (error: unknown) => void;
}

/** Requests of one model and class, the oldest first. */
interface Line {
  readonly isBatch: boolean;
  readonly waiters: Waiter[];
  /** Between two that are sent. */
  intervalMs: number;
  sentMs: number;
}

/** Weight of the newest interval. */
const WEIGHT = 1 / 32;

const waitMs = ({ bindInMs = 0 }: Placed): number => bindInMs;

export class WaitingRoom {
  readonly #clock: Clock;
  readonly #lines = new Map<string, Line>();
  #orders = 0;
  #size = 0;
  #sinceBatch = 0;
  #timer: Timer | undefined;
  /** By the clock. */
  #timerMs = 0;
  /** When a look at all was in vain. */
  #lookedMs = Number.NEGATIVE_INFINITY;

  constructor(components: { readonly clock: Clock }) {
    this.#clock = components.clock;
  }

  /** Requests that wait. */
  get size(): number {
    return this.#size;
  }

  /**
   * Where it goes: at once, or when a node is about to be free.
   * @throws WeftError as its look, or what its lifetime was ended by
   */
  enter(guest: Guest): Placed | Promise<Placed> {
    const key = `${guest.isBatch ? 'batch' : ''} ${guest.digest}`;
    let line = this.#lines.get(key);
    const placed = guest.look(line === undefined ? 0 : line.intervalMs * line.waiters.length);
    if (waitMs(placed) === 0 || (line === undefined && this.#lines.size >= WAITING_LINES_MAX)) return placed;
    const { price, others } = placed.plan;
    line ??= {
      isBatch: guest.isBatch,
      waiters: [],
      intervalMs: price.computeMs / (1 + others.length),
      sentMs: this.#clock.now(),
    };
    this.#lines.set(key, line);
    const { promise, resolve, reject } = Promise.withResolvers<Placed>();
    const waiter: Waiter = { guest, order: this.#orders++, resolve, reject };
    line.waiters.push(waiter);
    this.#size++;
    const { lifetime } = guest;
    lifetime.watch({ end: (reason: WeftError) => this.#leave(key, waiter) && reject(reason) });
    lifetime.alarm(Number.POSITIVE_INFINITY, () => undefined);
    this.#setTimer(waitMs(placed));
    return promise;
  }

  /**
   * Something may have changed: sends whoever can be sent now, one at a time. The one that was sent has to look again, when
   * the node that it was sent to has it.
   */
  look(): void {
    if (this.#size === 0) return;
    // Answers come in by the thousand, and nobody here is in such a hurry.
    const againMs = this.#lookedMs + LOOK_AGAIN_MS.min - this.#clock.now();
    if (againMs > 0) {
      this.#setTimer(againMs);
      return;
    }
    let soonestMs = Number.POSITIVE_INFINITY;
    for (const [key, line] of this.#inOrder()) {
      const waitMs = this.#send(key, line);
      if (waitMs === 0) return;
      soonestMs = Math.min(soonestMs, waitMs);
    }
    this.#lookedMs = this.#clock.now();
    this.#setTimer(soonestMs);
  }

  /** Interactive work first, the oldest first; now and then batch work has its turn. */
  #inOrder(): readonly [string, Line][] {
    if (this.#lines.size === 1) return [...this.#lines];
    const batchFirst = this.#sinceBatch >= BATCH_TURN_EVERY - 1;
    const rank = ({ isBatch }: Line): number => (isBatch === batchFirst ? 0 : 1);
    const order = ({ waiters }: Line): number => waiters[0]?.order ?? 0;
    return [...this.#lines].sort(([, a], [, b]) => rank(a) - rank(b) || order(a) - order(b));
  }

  /**
   * The first of the line; or where that had better wait on, the last, which would have to wait for so long that a node may do
   * which is no good for the first. @returns milliseconds until it is worth another look; 0 = one was sent
   */
  #send(key: string, line: Line): number {
    const { waiters } = line;
    const first = this.#lookOf(key, line, 0);
    if (first === undefined) return 0;
    if (waitMs(first) === 0) return this.#sent(key, line, 0, first);
    const index = waiters.length - 1;
    if (index === 0) return waitMs(first);
    const last = this.#lookOf(key, line, index);
    if (last === undefined) return 0;
    return waitMs(last) === 0 ? this.#sent(key, line, index, last) : waitMs(first);
  }

  /** Undefined: it has failed, and is gone. */
  #lookOf(key: string, line: Line, index: number): Placed | undefined {
    const waiter = line.waiters[index] as Waiter;
    try {
      return waiter.guest.look(line.intervalMs * index);
    } catch (error) {
      this.#leave(key, waiter);
      waiter.guest.lifetime.watch(undefined);
      waiter.reject(error);
      this.#setTimer(0);
      return undefined;
    }
  }

  #sent(key: string, line: Line, index: number, placed: Placed): 0 {
    const waiter = line.waiters[index] as Waiter;
    const nowMs = this.#clock.now();
    line.intervalMs += WEIGHT * (nowMs - line.sentMs - line.intervalMs);
    line.sentMs = nowMs;
    this.#sinceBatch = line.isBatch ? 0 : this.#sinceBatch + 1;
    this.#leave(key, waiter);
    waiter.guest.lifetime.watch(undefined);
    waiter.resolve(placed);
    return 0;
  }

  #leave(key: string, waiter: Waiter): boolean {
    const line = this.#lines.get(key);
    const index = line?.waiters.indexOf(waiter) ?? -1;
    if (line === undefined || index < 0) return false;
    line.waiters.splice(index, 1);
    if (line.waiters.length === 0) this.#lines.delete(key);
    this.#size--;
    return true;
  }

  #setTimer(afterMs: number): void {
    const { min, max } = LOOK_AGAIN_MS;
    const waitMs = Math.max(min, Math.min(max, afterMs));
    const atMs = this.#clock.now() + waitMs;
    if (this.#timer !== undefined && this.#timerMs <= atMs) return;
    this.#timer?.cancel();
    this.#timerMs = atMs;
    this.#timer = this.#clock.after(waitMs, () => {
      this.#timer = undefined;
      this.look();
    });
  }
}
