// When a batch is closed: at once, or a little later because more rows may come. Pure decisions over numbers, with the two
// small learners that give them: how fast requests come, and until when the device is taken. Asked by the runner slot.
import {
  ARRIVALS_MIN,
  CALL_OVERHEAD_MS,
  WINDOW_LEAD_MS,
  WINDOW_LEAD_SHARE,
  WINDOW_MS_MAX,
  WINDOW_MS_MIN,
} from './limits.ts';

/** A batch that could be closed now. */
export interface Formed {
  /** Requests in it. */
  readonly requests: number;
  /** It can't take one more, and wastes nothing: later could only be worse. */
  readonly full: boolean;
  readonly oldestArrivedAtMs: number;
  /** What is left to the one of its requests whose deadline is next. */
  readonly remainingMs: number;
  /** Predicted: this batch, the same with one request more, one request alone. Undefined while nothing is measured. */
  readonly cost: { readonly nowMs: number; readonly oneMoreMs: number; readonly aloneMs: number } | undefined;
}

/** What else the decision stands on. */
export interface Surroundings {
  readonly nowMs: number;
  /** When the runs that the runner has are predicted to be over; `idle`: it has none; undefined: nobody can say. */
  readonly deviceFreeAtMs: number | 'idle' | undefined;
  /** Predicted length of the runs that it has. */
  readonly deviceBusyMs: number;
  /** Expected time between two requests, infinite while they are too few to say; and when the last one came. */
  readonly gapMs: number;
  readonly lastArrivalMs: number;
  /** Other work waits for the device. */
  readonly contended: boolean;
}

/**
 * When to close the batch: now (a time that is not after `nowMs`), or then, unless something changes before.
 *
 * While the device is busy, waiting costs nothing until its run is nearly over, and every request that comes meanwhile is
 * one more to choose from. When it is idle, all who wait pay for a window, so there is none unless the next request is
 * expected so soon that all of them together, it included, are answered earlier with it than without (see
 * {@link waitingPays}). No window goes past a deadline.
 */
export function closesAtMs(formed: Formed, around: Surroundings): number {
  const { nowMs, deviceFreeAtMs } = around;
  const { cost } = formed;
  if (formed.full || cost === undefined || deviceFreeAtMs === undefined) return nowMs;
  // Twice the prediction: it is a median, and the call itself takes time.
  const latestMs = nowMs + formed.remainingMs - 2 * (cost.nowMs + CALL_OVERHEAD_MS);
  if (deviceFreeAtMs !== 'idle') {
    const leadMs = Math.max(WINDOW_LEAD_MS, WINDOW_LEAD_SHARE * around.deviceBusyMs);
    return Math.min(latestMs, deviceFreeAtMs - leadMs);
  }
  if (around.contended || !waitingPays(formed.requests, cost, around.gapMs)) return nowMs;
  // Whoever has not come after twice the time that was expected is not waited for any longer.
  const nextMs = around.lastArrivalMs + Math.max(WINDOW_MS_MIN, 2 * around.gapMs);
  return Math.min(latestMs, nextMs, formed.oldestArrivedAtMs + WINDOW_MS_MAX);
}

/**
 * Whether n requests that wait on an idle device, and the next one, which is expected after `gapMs`, are answered earlier
 * on average when the n wait for it. Without: n·c(n) for them, and c(n) − gap + c(1) for the next, which finds the device
 * busy. With: n·gap + (n + 1)·c(n + 1). So it pays when gap < (c(n) − c(n+1)) + c(1) / (n + 1): where one row more costs
 * nearly nothing (a large accelerator), or the call itself costs more than the run.
 */
export function waitingPays(requests: number, cost: NonNullable<Formed['cost']>, gapMs: number): boolean {
  const call = CALL_OVERHEAD_MS;
  return gapMs < cost.nowMs - cost.oneMoreMs + (cost.aloneMs + call) / (requests + 1);
}

/** Learns how fast requests come: an average that forgets. */
export class ArrivalRate {
  #seen = 0;
  #count = 0;
  #lastMs = 0;
  #gapMs = 0;

  /** @param count of all requests that have come so far */
  saw(nowMs: number, count: number): void {
    const fresh = count - this.#seen;
    if (fresh <= 0) return;
    // Those that come in one turn of the loop share the time since the one before.
    const gapMs = Math.max(0, nowMs - this.#lastMs) / fresh;
    if (this.#count > 0) this.#gapMs = this.#count === 1 ? gapMs : this.#gapMs + GAP_WEIGHT * (gapMs - this.#gapMs);
    this.#seen = count;
    this.#count += fresh;
    this.#lastMs = nowMs;
  }

  /** Expected milliseconds between two requests; infinite while they are too few to say. */
  get gapMs(): number {
    return this.#count < ARRIVALS_MIN ? Number.POSITIVE_INFINITY : this.#gapMs;
  }

  /** When the last one came. */
  get lastMs(): number {
    return this.#lastMs;
  }
}

/** Of the newest gap: about the last ten requests count. */
const GAP_WEIGHT = 0.2;

/** One run that the runner has. */
export interface ForecastRun {
  /** Undefined while nothing is measured. */
  readonly predictedMs: number | undefined;
  /** Of batch work. @default false */
  readonly isBatch?: boolean;
}

/** Until when the device is taken: runs are done one after the other, in the order in which they were sent. */
export class DeviceForecast {
  readonly #runs: ForecastRun[] = [];
  #begunAtMs = 0;

  /** A run has been sent. */
  sent(nowMs: number, run: ForecastRun): void {
    if (this.#runs.length === 0) this.#begunAtMs = nowMs;
    this.#runs.push(run);
  }

  /** A run is over: answered, failed, or passed over. */
  ended(nowMs: number, run: ForecastRun): void {
    const index = this.#runs.indexOf(run);
    if (index < 0) return;
    this.#runs.splice(index, 1);
    if (index === 0) this.#begunAtMs = nowMs;
  }

  freeAtMs(): number | 'idle' | undefined {
    if (this.#runs.length === 0) return 'idle';
    if (this.#runs.some(({ predictedMs }) => predictedMs === undefined)) return undefined;
    return this.#begunAtMs + this.busyMs;
  }

  /** Predicted length of all runs that it has; 0 where one can't be predicted. */
  get busyMs(): number {
    return this.#runs.reduce((sum, { predictedMs = 0 }) => sum + predictedMs, 0);
  }

  /** As {@link busyMs}, of batch work alone: what interactive work that comes now can't go before. */
  get batchMs(): number {
    return this.#runs.reduce((sum, { predictedMs = 0, isBatch }) => (isBatch === true ? sum + predictedMs : sum), 0);
  }
}

/** Work that could be sent next: its oldest request, and the one whose deadline is next. */
export interface Head {
  readonly arrival: number;
  /** It misses its deadline if something else goes first, and makes it if nothing does. */
  readonly urgent: boolean;
  /** 0: of the class whose turn it is; 1: of the other class; 2: nobody waits for it. */
  readonly rank: Rank;
}

export type Rank = 0 | 1 | 2;

/**
 * Which goes first: the lowest rank, and in it the oldest, but what is urgent before that, unless the last one was let
 * through like that: so whatever has deadlines, every second turn of a class is its oldest one's, and nothing that somebody
 * waits for waits for ever.
 * @returns an index; undefined when there is none
 */
export function nextOf(heads: readonly Head[], lastJumped: boolean): number | undefined {
  let next: number | undefined;
  for (const [index, head] of heads.entries()) {
    const best = next === undefined ? undefined : heads[next];
    if (best === undefined || precedes(head, best, lastJumped)) next = index;
  }
  return next;
}

function precedes(a: Head, b: Head, lastJumped: boolean): boolean {
  if (a.rank !== b.rank) return a.rank < b.rank;
  if (!lastJumped && a.urgent !== b.urgent) return a.urgent;
  return a.arrival < b.arrival;
}

/** Whether a request would miss its deadline behind one run more, and makes it without. */
export function isUrgent(remainingMs: number, deviceFreeInMs: number, ownMs: number, otherMs: number): boolean {
  const own = deviceFreeInMs + ownMs;
  // What is lost already must not hold up those that are not.
  return remainingMs >= own && remainingMs < own + otherMs + ownMs;
}
