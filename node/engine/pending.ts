// A request from the moment it is taken in until it is answered: its promise, its deadline, its cancellation. Made by
// the engine for every call, whatever its kind.
import { WeftError } from '../../protocol/errors.ts';
import type { RequestId } from '../../protocol/ids.ts';
import { toAbortError } from '../core/calls.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Priority, WorkOptions } from '../core/engine.ts';

/** A request of whatever kind. */
export interface PendingRequest {
  readonly requestId: RequestId;
  /** Order among all requests of this engine. */
  readonly arrival: number;
  readonly arrivedAtMs: number;
  /** When it had its first call to the runner. */
  begunAtMs: number | undefined;
  /** It waited for its model to be loaded. */
  waitedForLoad: boolean;
  /** The caller's own. */
  readonly signal: AbortSignal;
  readonly priority: Priority;
  /** Nobody waits for it. */
  readonly background: boolean;
  readonly settled: boolean;
  /** What is left of its time. */
  readonly remainingMs: number;
  reject(error: WeftError): void;
  /** Calls back once the request is settled. */
  onSettled(callback: () => void): void;
}

/** One request with its promise. Settles once; what comes later is ignored. */
export class Pending<Result> implements PendingRequest {
  readonly requestId: RequestId;
  readonly arrival: number;
  readonly arrivedAtMs: number;
  readonly result: Promise<Result>;
  readonly signal: AbortSignal;
  readonly priority: Priority;
  readonly background: boolean;
  begunAtMs: number | undefined;
  waitedForLoad = false;

  readonly #clock: Clock;
  readonly #deadlineMs: number;
  readonly #onCallerAbort: () => void;
  readonly #timer: Timer;
  readonly #resolve: (result: Result) => void;
  readonly #reject: (error: WeftError) => void;
  readonly #onSettled: (() => void)[];
  #settled = false;

  constructor(
    components: {
      readonly clock: Clock;
      /** Called once, when it settles. */
      readonly onSettled: () => void;
    },
    init: { readonly options: WorkOptions; readonly arrival: number; readonly budgetMsMax: number },
  ) {
    const { clock, onSettled } = components;
    const { options, arrival, budgetMsMax } = init;
    this.#clock = clock;
    this.#onSettled = [onSettled];
    this.requestId = options.requestId;
    this.arrival = arrival;
    this.arrivedAtMs = clock.now();
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    this.result = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    const budgetMs = Math.max(1, Math.min(options.budgetMs ?? budgetMsMax, budgetMsMax));
    this.#deadlineMs = this.arrivedAtMs + budgetMs;
    this.#timer = clock.after(budgetMs, () =>
      this.reject(
        new WeftError({ code: 'deadline_exceeded', message: `No answer within ${Math.round(budgetMs)} ms.` }),
      ),
    );
    this.signal = options.signal;
    this.priority = options.priority ?? 'interactive';
    this.background = options.background === true;
    this.#onCallerAbort = () => this.reject(toAbortError(options.signal));
    options.signal.addEventListener('abort', this.#onCallerAbort, { once: true });
  }

  get settled(): boolean {
    return this.#settled;
  }

  get remainingMs(): number {
    return Math.max(1, this.#deadlineMs - this.#clock.now());
  }

  resolve(result: Result): void {
    if (this.#settle()) this.#resolve(result);
  }

  reject(error: WeftError): void {
    if (this.#settle()) this.#reject(error);
  }

  onSettled(callback: () => void): void {
    this.#onSettled.push(callback);
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#timer.cancel();
    this.signal.removeEventListener('abort', this.#onCallerAbort);
    for (const callback of this.#onSettled) callback();
    return true;
  }
}
