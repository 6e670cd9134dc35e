// How long a request may take: until its caller leaves or its time is over. One listener and one timer for a request,
// however many nodes it is tried on; an engine that doesn't hear its signal can't hold it. Called by the dispatcher.
import { WeftError } from '../../protocol/errors.ts';
import { toAbortError } from '../core/calls.ts';
import type { Clock, Timer } from '../core/clock.ts';

/** Who is told when the request ends from outside. */
export interface Mortal {
  end(reason: WeftError): void;
}

export interface LifetimeInit {
  /** The caller's. */
  readonly signal: AbortSignal;
  readonly budgetMs: number;
}

export class Lifetime {
  /** By the clock. */
  readonly untilMs: number;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #budgetMs: number;
  readonly #leave = (): void => this.#end(toAbortError(this.#signal));
  #timer: Timer | undefined;
  #mortal: Mortal | undefined;
  #ended: WeftError | undefined;

  constructor(components: { readonly clock: Clock }, { signal, budgetMs }: LifetimeInit) {
    this.#clock = components.clock;
    this.#signal = signal;
    this.#budgetMs = budgetMs;
    this.untilMs = components.clock.now() + budgetMs;
    signal.addEventListener('abort', this.#leave, { once: true });
    if (signal.aborted) this.#leave();
  }

  /** Why it has ended; undefined while it lasts. */
  get ended(): WeftError | undefined {
    return this.#ended;
  }

  /** At least one millisecond. */
  leftMs(): number {
    return Math.max(1, this.untilMs - this.#clock.now());
  }

  /** Whom to tell from now on; undefined = nobody. */
  watch(mortal: Mortal | undefined): void {
    this.#mortal = mortal;
    if (this.#ended !== undefined) mortal?.end(this.#ended);
  }

  /**
   * Watches the time from now on, and calls back after so long unless it is closed by then. Replaces an alarm that was set
   * before; infinite = only watches.
   */
  alarm(afterMs: number, callback: () => void): void {
    this.#timer?.cancel();
    const leftMs = this.untilMs - this.#clock.now();
    this.#timer =
      leftMs <= afterMs
        ? this.#clock.after(Math.max(0, leftMs), this.#expire)
        : this.#clock.after(afterMs, () => {
            this.#timer = this.#clock.after(this.untilMs - this.#clock.now(), this.#expire);
            callback();
          });
  }

  close(): void {
    this.#mortal = undefined;
    this.#timer?.cancel();
    this.#signal.removeEventListener('abort', this.#leave);
  }

  readonly #expire = (): void =>
    this.#end(
      new WeftError({ code: 'deadline_exceeded', message: `No answer within ${Math.round(this.#budgetMs)} ms.` }),
    );

  #end(reason: WeftError): void {
    this.#ended ??= reason;
    this.#mortal?.end(this.#ended);
  }
}
