// One placement of a request: an attempt on one node, and a second one on another (a hedge) where the first shows nothing for
// too long. The first sign of an answer decides; from then on nothing that another attempt says counts. Called by Delivery.
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import type { Clock } from '../core/clock.ts';
import type { Lifetime, Mortal } from './lifetime.ts';
import { SILENT_FACTOR } from './limits.ts';
import type { Placed } from './placer.ts';
import { Trial } from './trial.ts';
import type { Beginner } from './work.ts';

/** Who lets the race be run, and learns from it. */
export interface Referee<R> {
  /** Begins the work on the trial's engine. */
  begin(trial: Trial, beginner: Beginner): Promise<R>;
  /** Something of its answer is here: what other trials say doesn't count any more. */
  claimed(trial: Trial): void;
  /** Another one was first; it was told to stop. */
  lost(trial: Trial): void;
  /** The request ended under it. */
  left(trial: Trial): void;
  /** @returns false where no other node would do better */
  failed(trial: Trial, failure: WeftError): boolean;
  /** A second node; undefined = none that is worth it. */
  hedge(first: Trial): Placed | undefined;
  /** Whether a hedge may be sent now: it is then paid for. */
  mayHedge(): boolean;
}

export interface RaceInit<R> {
  readonly lifetime: Lifetime;
  readonly referee: Referee<R>;
  /** How long a peer may show nothing at least. */
  readonly silentMsMin: number;
}

export interface Won<R> {
  readonly trial: Trial;
  readonly result: R;
}

/** Why a loser is ended: its executor sees a caller who has left. */
const OUTRUN = new WeftError({ code: 'cancelled', message: 'Another node was faster.' });

export class Race<R> implements Mortal {
  readonly #clock: Clock;
  readonly #lifetime: Lifetime;
  readonly #referee: Referee<R>;
  readonly #silentMsMin: number;
  readonly #outcome = Promise.withResolvers<Won<R> | undefined>();
  readonly #running: Trial[] = [];
  #winner: Trial | undefined;
  #over = false;
  /** By the clock; infinite = never. */
  #hedgeAtMs = Number.POSITIVE_INFINITY;
  readonly #onAlarm = (): void => this.#look();

  constructor(components: { readonly clock: Clock }, init: RaceInit<R>) {
    this.#clock = components.clock;
    this.#lifetime = init.lifetime;
    this.#referee = init.referee;
    this.#silentMsMin = init.silentMsMin;
  }

  /**
   * @param hedgeAfterMs without any sign of an answer; infinite = never
   * @returns undefined where every node that was tried failed, and another may be
   * @throws WeftError what the request is itself at fault of, or what it was ended by
   */
  async run(placed: Placed, hedgeAfterMs: number): Promise<Won<R> | undefined> {
    this.#lifetime.watch(this);
    if (!this.#over) {
      this.#hedgeAtMs = this.#clock.now() + hedgeAfterMs;
      this.#start(placed, false);
      this.#setAlarm();
    }
    try {
      return await this.#outcome.promise;
    } finally {
      this.#lifetime.watch(undefined);
    }
  }

  end(reason: WeftError): void {
    if (this.#over) return;
    this.#over = true;
    for (const trial of this.#running.splice(0)) {
      trial.end(reason);
      this.#referee.left(trial);
    }
    this.#outcome.reject(reason);
  }

  #start(placed: Placed, isHedge: boolean): void {
    const trial = new Trial(placed, isHedge, this.#clock);
    this.#running.push(trial);
    const beginner: Beginner = {
      claim: () => this.#claim(trial),
      abandon: (reason) => this.#fail(trial, reason),
    };
    this.#begin(trial, beginner).then(
      (result) => {
        trial.stopped();
        if (!this.#claim(trial)) return;
        trial.over = true;
        this.#over = true;
        this.#outcome.resolve({ trial, result });
      },
      (error: unknown) => {
        trial.stopped();
        this.#fail(trial, toWeftError(error));
      },
    );
  }

  async #begin(trial: Trial, beginner: Beginner): Promise<R> {
    return this.#referee.begin(trial, beginner);
  }

  #claim(trial: Trial): boolean {
    if (trial.over) return false;
    trial.heard();
    if (this.#winner !== undefined) return this.#winner === trial;
    this.#winner = trial;
    this.#hedgeAtMs = Number.POSITIVE_INFINITY;
    this.#referee.claimed(trial);
    if (this.#running.length === 1) return true;
    for (const other of this.#running.splice(0)) {
      if (other === trial) continue;
      other.end(OUTRUN);
      this.#referee.lost(other);
    }
    this.#running.push(trial);
    return true;
  }

  #fail(trial: Trial, failure: WeftError): void {
    if (trial.over) return;
    // Whatever of it still runs has nobody to run for.
    trial.end(failure);
    this.#running.splice(this.#running.indexOf(trial), 1);
    const elsewhere = this.#referee.failed(trial, failure);
    // A hedge that finds fault with the request stands against a node that still works on it.
    if (elsewhere || (trial.isHedge && this.#running.length > 0)) {
      if (this.#running.length > 0) return;
      this.#over = true;
      this.#outcome.resolve(undefined);
      return;
    }
    this.end(failure);
  }

  #setAlarm(): void {
    let nextMs = this.#hedgeAtMs;
    for (const trial of this.#running) nextMs = Math.min(nextMs, this.#silentAtMs(trial));
    this.#lifetime.alarm(Math.max(0, nextMs - this.#clock.now()), this.#onAlarm);
  }

  #look(): void {
    if (this.#over) return;
    // A timer may end a little before its time.
    const nowMs = this.#clock.now() + 0.5;
    for (const trial of [...this.#running]) {
      if (this.#silentAtMs(trial) > nowMs) continue;
      const { node } = trial.placed.plan;
      this.#fail(
        trial,
        new WeftError({ code: 'peer_timeout', message: `${node} took the work and shows nothing of it.` }),
      );
    }
    if (this.#over) return;
    if (this.#hedgeAtMs <= nowMs) this.#hedge(nowMs);
    if (!this.#over) this.#setAlarm();
  }

  #hedge(nowMs: number): void {
    this.#hedgeAtMs = Number.POSITIVE_INFINITY;
    const [first] = this.#running;
    const second = first === undefined ? undefined : this.#referee.hedge(first);
    if (first === undefined || second === undefined) return;
    // A node that would itself take longer than this one has taken is asked when that has changed.
    const dueMs = first.startMs + second.firstByteMs;
    if (dueMs > nowMs) this.#hedgeAtMs = dueMs;
    else if (this.#referee.mayHedge()) this.#start(second, true);
  }

  /** When a peer that has shown nothing counts as gone; what hangs here is found out by this node's own engine. */
  #silentAtMs({ placed: { plan }, heardMs }: Trial): number {
    if (plan.kind === 'local') return Number.POSITIVE_INFINITY;
    return heardMs + Math.max(this.#silentMsMin, plan.price.totalMs * SILENT_FACTOR);
  }
}
