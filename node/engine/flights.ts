// The calls that a runner has not finished: how many of which kind, by whose requests, and for how long. Held by the
// runner slot, which decides by it what to send next and whom a death is blamed on.
import type { Clock, Timer } from '../core/clock.ts';
import { OVERRUN_CHECK_MS } from './limits.ts';
import type { ModelState } from './model-state.ts';
import type { RunnerProcess } from './runner-process.ts';

/** Loads go by themselves; short work and generations have places of their own. */
export type Lane = 'load' | 'short' | 'generation';

/** One call. */
export interface Flight {
  readonly model: ModelState;
  readonly lane: Lane;
  readonly requestIds: readonly string[];
  /** Batch work. */
  readonly isBatch: boolean;
  /** It doesn't keep its model busy: nobody waits for it. */
  readonly background: boolean;
  readonly process: RunnerProcess;
  /** From then on the runner is taken to hang. */
  readonly overdueAtMs: number;
}

export class Flights {
  readonly #clock: Clock;
  readonly #onOverdue: (flight: Flight) => void;
  readonly #flights = new Set<Flight>();
  #timer: Timer | undefined;

  constructor(components: {
    readonly clock: Clock;
    /** A call goes on long after its deadline. */
    readonly onOverdue: (flight: Flight) => void;
  }) {
    this.#clock = components.clock;
    this.#onOverdue = components.onOverdue;
  }

  add(flight: Flight): void {
    this.#flights.add(flight);
    if (!flight.background) flight.model.calls++;
    if (this.#timer === undefined) this.#watch();
  }

  remove(flight: Flight): void {
    if (this.#flights.delete(flight) && !flight.background) flight.model.calls--;
  }

  /** Calls in a lane, or of its batch work alone. */
  in(lane: Lane, which: 'all' | 'batch' = 'all'): number {
    let count = 0;
    for (const flight of this.#flights) if (flight.lane === lane && (which === 'all' || flight.isBatch)) count++;
    return count;
  }

  list(): readonly Flight[] {
    return [...this.#flights];
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** One timer for all calls, while there are any. */
  #watch(): void {
    this.#timer = this.#clock.after(OVERRUN_CHECK_MS, () => {
      this.#timer = undefined;
      const now = this.#clock.now();
      const overdue = this.list().find(({ overdueAtMs }) => overdueAtMs <= now);
      if (overdue !== undefined) this.#onOverdue(overdue);
      if (this.#flights.size > 0 && this.#timer === undefined) this.#watch();
    });
  }
}
