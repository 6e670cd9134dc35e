// Gives a runner its work: picks what goes next, waits for a batch to fill where that pays, and keeps the calls that are
// under way. One per runner slot, which says when there is something to look at.
import { WeftError } from '../../protocol/errors.ts';
import type { MethodSpec } from '../../protocol/methods.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { ClassTurns } from './class-turns.ts';
import { type Flight, Flights, type Lane } from './flights.ts';
import { type JobComponents, type Send, type SendOptions, sendBatch, sendGenerate } from './jobs.ts';
import { BATCH_AHEAD_MS_MAX, CALLS_IN_FLIGHT_MAX, INTERACTIVE_PLACES_SHARE, OVERRUN_GRACE_MS } from './limits.ts';
import type { ModelState } from './model-state.ts';
import { nextWork, priorityOf } from './next-work.ts';
import { sendRuns } from './run-jobs.ts';
import type { RunnerProcess } from './runner-process.ts';
import { DeviceForecast } from './window.ts';

export interface SendingComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly jobs: JobComponents;
  readonly process: () => RunnerProcess | undefined;
  /** Models that are loaded and have requests. Asked whenever there may be something to send. */
  readonly models: () => Iterable<ModelState>;
  /** A call of the model has ended. */
  readonly onEnded: (model: ModelState) => void;
}

export interface SendingInit {
  /** Generations that the runner is given at once. */
  readonly generationsMax: number;
}

/** What the runner has of batch work: interactive work that comes now doesn't go before that. */
export interface BatchUnderWay {
  /** Predicted length of its runs; 0 where one can't be predicted. */
  readonly workMs: number;
  readonly generations: number;
}

/** Generations of batch work that a runner is given at once, unless it is batch work's turn. */
export function batchGenerationsMax(generationsMax: number): number {
  return generationsMax - Math.floor(generationsMax * INTERACTIVE_PLACES_SHARE);
}

export class Sending {
  readonly #components: SendingComponents;
  readonly #init: SendingInit;
  readonly #flights: Flights;
  /** Until when its work is expected to take. */
  readonly #forecast = new DeviceForecast();
  /** Ends the window of a batch that waits for more. */
  #window: Timer | undefined;
  /** What was sent last went before older work. */
  #lastJumped = false;
  readonly #turns = { short: new ClassTurns(), generation: new ClassTurns() };
  #pumpQueued = false;
  #isStopped = false;

  constructor(components: SendingComponents, init: SendingInit) {
    this.#components = components;
    this.#init = init;
    this.#flights = new Flights({ clock: components.clock, onOverdue: (flight) => this.#onOverdue(flight) });
  }

  /** Calls that the runner has not finished. */
  flights(): readonly Flight[] {
    return this.#flights.list();
  }

  get batchUnderWay(): BatchUnderWay {
    return { workMs: this.#forecast.batchMs, generations: this.#flights.in('generation', 'batch') };
  }

  /** There is work to look at. It begins in this turn of the loop, so that requests made together share batches. */
  pump(): void {
    if (this.#pumpQueued) return;
    this.#pumpQueued = true;
    queueMicrotask(() => {
      this.#pumpQueued = false;
      this.#window?.cancel();
      while (this.#next());
    });
  }

  /** Sends nothing from then on. */
  stop(): void {
    this.#isStopped = true;
    this.#window?.cancel();
    this.#flights.stop();
  }

  /** Makes a call to the runner. @throws WeftError `runner_lost` where there is none */
  call<Request, Item, Response>(
    model: ModelState,
    lane: Lane,
    method: MethodSpec<Request, Item, Response>,
    request: Request,
    options: SendOptions,
    onItem?: (item: Item) => void,
  ): Promise<Response> {
    const process = this.#components.process();
    if (process === undefined) {
      return Promise.reject(new WeftError({ code: 'runner_lost', message: 'The runner is not there.' }));
    }
    const { clock } = this.#components;
    const { signal, requestIds, priority = 'interactive', background = false, predictedMs } = options;
    const isBatch = priority === 'batch';
    const budgetMs = Math.min(options.budgetMs, method.timeouts.totalMs);
    const overdueAtMs = clock.now() + budgetMs + OVERRUN_GRACE_MS;
    const flight: Flight = { model, lane, requestIds, isBatch, background, process, overdueAtMs };
    this.#flights.add(flight);
    const run = { predictedMs, isBatch };
    // Generations take turns with everything else, token by token.
    if (lane !== 'generation') this.#forecast.sent(clock.now(), run);
    const init = { signal, requestId: requestIds[0] ?? '', budgetMs, priority, onItem };
    const call = process.client.call(method, request, init);
    void call.settled.then(() => {
      this.#flights.remove(flight);
      this.#forecast.ended(clock.now(), run);
      this.#components.onEnded(model);
      this.pump();
    });
    return call.response;
  }

  /** Sends what goes next and has a place, if its time has come. @returns whether there may be more to send */
  #next(): boolean {
    if (this.#isStopped) return false;
    const { clock, jobs, models } = this.#components;
    const nowMs = clock.now();
    const { generationsMax } = this.#init;
    const [short, generations] = [this.#flights.in('short'), this.#flights.in('generation')];
    const { work, batchWaits, jumped, wakeAtMs } = nextWork(models(), {
      nowMs,
      short: {
        free: short < CALLS_IN_FLIGHT_MAX,
        freeForBatch: short === 0 || this.#forecast.busyMs < BATCH_AHEAD_MS_MAX,
        isBatchTurn: this.#turns.short.isBatchTurn,
      },
      generation: {
        free: generations < generationsMax,
        freeForBatch: generations < batchGenerationsMax(generationsMax),
        isBatchTurn: this.#turns.generation.isBatchTurn,
      },
      forecast: this.#forecast,
      lastJumped: this.#lastJumped,
    });
    if (work === undefined) {
      if (wakeAtMs !== undefined) this.#window = clock.after(Math.ceil(wakeAtMs - nowMs), () => this.pump());
      return false;
    }
    this.#lastJumped = jumped;
    const { kind, model } = work;
    this.#turns[kind === 'generation' ? 'generation' : 'short'].took(priorityOf(work), batchWaits);
    if (kind === 'batch') {
      model.rows.remove(work.formed.rows);
      sendBatch(jobs, model, work.formed.rows, this.#sender(model, 'short'));
    } else if (kind === 'run') {
      model.runs.remove(work.formed.jobs);
      sendRuns(jobs, model, work.formed, this.#sender(model, 'short'));
    } else {
      model.generations.splice(model.generations.indexOf(work.job), 1);
      sendGenerate(jobs, model, work.job, this.#sender(model, 'generation'));
    }
    return true;
  }

  #sender(model: ModelState, lane: Lane): Send {
    return (method, request, options, onItem) => this.call(model, lane, method, request, options, onItem);
  }

  /** A run can't be interrupted. Cancelled work ends within one; what goes on long after its deadline never ends. */
  #onOverdue({ process, requestIds }: Flight): void {
    const how = 'went on after the deadline of its work';
    this.#components.log.warn({ pid: process.pid, requestIds }, 'a runner is busy past a deadline');
    process.kill(new WeftError({ code: 'runner_timeout', message: `The runner ${how}.`, facts: { how } }));
  }
}
