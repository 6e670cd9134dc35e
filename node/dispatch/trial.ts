// One attempt of one request on one node: its signal, and when what was seen of it. Made by Race.
import type { WeftError } from '../../protocol/errors.ts';
import type { Clock } from '../core/clock.ts';
import type { Placed } from './placer.ts';

export class Trial {
  readonly placed: Placed;
  /** Another node works on it already. */
  readonly isHedge: boolean;
  readonly controller = new AbortController();
  /** By the clock. */
  readonly startMs: number;
  /** When the executor's acknowledgement came; undefined = not yet, or there is none. */
  acknowledgedMs: number | undefined;
  /** When the first of its answer came. */
  firstMs: number | undefined;
  /** When the last was heard of it; its start before that. */
  heardMs: number;
  /** Nothing that comes of it counts any more. */
  over = false;
  /** Whoever asked has heard of it. */
  told = false;
  /** By the request's trace. */
  traceStartMs = 0;
  readonly #clock: Pick<Clock, 'now'>;
  #onStopped: (() => void) | undefined;

  constructor(placed: Placed, isHedge: boolean, clock: Pick<Clock, 'now'>) {
    this.placed = placed;
    this.isHedge = isHedge;
    this.#clock = clock;
    this.startMs = clock.now();
    this.heardMs = this.startMs;
  }

  readonly acknowledged = (): void => {
    this.acknowledgedMs ??= this.#clock.now();
    this.heardMs = this.#clock.now();
  };

  heard(): void {
    this.heardMs = this.#clock.now();
    this.firstMs ??= this.heardMs;
  }

  /** Tells the engine to stop; what it says from now on doesn't count. */
  end(reason: WeftError): void {
    this.over = true;
    this.controller.abort(reason);
  }

  stopped(): void {
    this.#onStopped?.();
  }

  /** Calls back when the engine lets go of it. */
  onStopped(listener: () => void): void {
    this.#onStopped = listener;
  }
}
