// Keeps one runner process for the models that share it: started on demand, loaded, given work, watched, started again
// when it dies, ended when nothing is in it. The engine has one slot per large language model and one for small models.
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import { type MethodSpec, RUNNER_METHODS } from '../../protocol/methods.ts';
import { type Clock, delay } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { type Flight, Flights, type Lane } from './flights.ts';
import { type JobComponents, type Send, type SendOptions, sendBatch, sendGenerate, sendRun } from './jobs.ts';
import type { RunnerRecords } from './leftovers.ts';
import {
  CALLS_IN_FLIGHT_MAX,
  KEEP_ALIVE_MS_MAX,
  OVERRUN_GRACE_MS,
  RESTART_PAUSE_MS,
  RESTART_PAUSE_MS_MAX,
  RUNNER_STABLE_MS,
} from './limits.ts';
import type { ModelState } from './model-state.ts';
import { worthTelling } from './profile.ts';
import { type RunnerLaunch, RunnerProcess } from './runner-process.ts';
import type { VerifiedFiles } from './verified.ts';

export interface RunnerSlotComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly telemetry: Telemetry;
  readonly records: RunnerRecords;
  readonly verified: VerifiedFiles;
  readonly jobs: JobComponents;
  /**
   * Reserves memory for a model that is about to load, and ends others for it.
   * @throws WeftError `out_of_memory`
   */
  readonly makeRoom: (model: ModelState, newProcess: boolean) => Promise<void>;
  /** A model has been measured: others may have to go, or the model itself. @throws WeftError `out_of_memory` */
  readonly measured: (model: ModelState) => void;
  /** A model's state has changed. */
  readonly onChange: () => void;
}

export interface RunnerSlotInit {
  readonly launch: RunnerLaunch;
  readonly threads: number;
  /** Asked whenever a model becomes idle: it may change while the node runs. */
  readonly keepAliveMs: () => number;
  /** Generations that the runner is given at once. */
  readonly generationsMax: number;
}

export class RunnerSlot {
  readonly models: ModelState[] = [];
  readonly #components: RunnerSlotComponents;
  readonly #init: RunnerSlotInit;
  readonly #flights: Flights;
  readonly #stopped = new AbortController();
  #process: RunnerProcess | undefined;
  /** The last one that was lost: killed, but perhaps not gone yet. */
  #lost: RunnerProcess | undefined;
  /** Resolves once a process that was told to end is gone. */
  #ending: Promise<void> | undefined;
  /** Processes in a row that did not live long. */
  #shortLives = 0;
  #pumpQueued = false;

  constructor(components: RunnerSlotComponents, init: RunnerSlotInit) {
    this.#components = components;
    this.#init = init;
    this.#flights = new Flights({ clock: components.clock, onOverdue: (flight) => this.#onOverdue(flight) });
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** There is work to look at. It begins in this turn of the loop, so that requests made together share batches. */
  pump(): void {
    if (this.#pumpQueued) return;
    this.#pumpQueued = true;
    queueMicrotask(() => {
      this.#pumpQueued = false;
      while (this.#next());
    });
  }

  /** A request of the model was taken in: it is needed again. */
  used(model: ModelState): void {
    model.lastUsedMs = this.#components.clock.now();
    model.idleAtMs = undefined;
  }

  /** A request or a call of the model has ended: if it was the last, the keep-alive begins. */
  released(model: ModelState): void {
    this.#tell(model);
    if (model.phase !== 'loaded' || this.#stopped.signal.aborted) return;
    if (model.mayLeave) {
      void this.unload(model);
      return;
    }
    if (!model.idle) return;
    this.used(model);
    const keepAliveMs = this.#init.keepAliveMs();
    if (keepAliveMs > KEEP_ALIVE_MS_MAX) return;
    model.idleAtMs = model.lastUsedMs + keepAliveMs;
    if (model.idleTimer === undefined) this.#awaitIdle(model, keepAliveMs);
  }

  /** One timer per keep-alive, not per request: it looks again when the model was used meanwhile. */
  #awaitIdle(model: ModelState, ms: number): void {
    const { clock } = this.#components;
    model.idleTimer = clock.after(ms, () => {
      model.idleTimer = undefined;
      if (model.idleAtMs === undefined || model.phase !== 'loaded') return;
      const leftMs = model.idleAtMs - clock.now();
      if (leftMs > 0) this.#awaitIdle(model, Math.ceil(leftMs));
      else void this.unload(model);
    });
  }

  /**
   * Resolves once the model is out of memory, for which the requests that it has are waited for, and no others: a model
   * that is always asked for would never leave. @returns false when it wasn't there
   */
  leave(model: ModelState): Promise<boolean> {
    const stopped = this.#stopped.signal.aborted;
    if (stopped || model.phase === 'disk' || model.phase === 'quarantined') return Promise.resolve(false);
    const { promise, resolve } = Promise.withResolvers<void>();
    if (model.leaving.length === 0) model.lastServed = [...model.pending].at(-1)?.arrival ?? -1;
    model.leaving.push(resolve);
    this.released(model);
    return promise.then(() => true);
  }

  /** Takes a loaded model out of memory: with its process when it is the last one there. Never rejects. */
  async unload(model: ModelState): Promise<void> {
    if (model.phase !== 'loaded') return;
    this.used(model);
    this.#enter(model, 'unloading');
    const process = this.#process;
    const alone = this.models.every(({ phase }) => phase !== 'loaded' && phase !== 'loading');
    try {
      if (alone) await this.#end();
      else await this.#call(model, 'load', RUNNER_METHODS.unload, { model: model.installed.ref }, this.#untilStopped());
    } catch (error) {
      // A runner that can't unload keeps memory that is counted as free: it goes as a whole.
      const cause = toWeftError(error);
      this.#components.log.warn({ model: model.id, code: cause.code }, 'unloading failed');
      if (this.#process === process) process?.kill(cause);
    }
    model.residentBytes = 0;
    this.#enter(model, 'disk');
    this.pump();
  }

  /** Ends the process. Requests are the engine's to reject. */
  async stop(): Promise<void> {
    this.#stopped.abort(new WeftError({ code: 'stopping', message: 'The node is stopping.' }));
    for (const model of this.models) {
      model.idleTimer?.cancel();
      model.left();
    }
    this.#flights.stop();
    await Promise.all([this.#end(), this.#lost?.stop()]);
  }

  // ── Work ──────────────────────────────────────────────────────────────────────────────────────

  /** Sends the oldest work for which there is a place. @returns whether there may be more to send */
  #next(): boolean {
    if (this.#stopped.signal.aborted) return false;
    const shortFree = this.#flights.in('short') < CALLS_IN_FLIGHT_MAX;
    const generationFree = this.#flights.in('generation') < this.#init.generationsMax;
    let oldest = Number.POSITIVE_INFINITY;
    let found: ModelState | undefined;
    let kind: 'run' | 'batch' | 'generation' = 'run';
    for (const model of this.models) {
      if (model.pending.size === 0) continue;
      if (model.phase !== 'loaded') {
        for (const pending of model.pending) pending.waitedForLoad ||= pending.begunAtMs === undefined;
        if (model.phase === 'disk') void this.#load(model);
        continue;
      }
      const due = (arrival: number | undefined): number | undefined =>
        arrival !== undefined && arrival <= model.lastServed ? arrival : undefined;
      const run = shortFree ? due(firstWanted(model.runs)?.pending.arrival) : undefined;
      if (run !== undefined && run < oldest) [oldest, found, kind] = [run, model, 'run'];
      const batch = shortFree ? due(model.rows.oldest(isWanted)) : undefined;
      if (batch !== undefined && batch < oldest) [oldest, found, kind] = [batch, model, 'batch'];
      const generation = generationFree ? due(firstWanted(model.generations)?.pending.arrival) : undefined;
      if (generation !== undefined && generation < oldest) [oldest, found, kind] = [generation, model, 'generation'];
    }
    if (found === undefined) return false;
    const { jobs } = this.#components;
    const send = this.#sender(found, kind === 'generation' ? 'generation' : 'short');
    if (kind === 'batch') {
      sendBatch(jobs, found, found.rows.take(isWanted), send);
    } else if (kind === 'run') {
      const job = found.runs.shift();
      if (job !== undefined) sendRun(jobs, found, job, send);
    } else {
      const job = found.generations.shift();
      if (job !== undefined) sendGenerate(jobs, found, job, send);
    }
    return true;
  }

  #sender(model: ModelState, lane: Lane): Send {
    return (method, request, options, onItem) => this.#call(model, lane, method, request, options, onItem);
  }

  #call<Request, Item, Response>(
    model: ModelState,
    lane: Lane,
    method: MethodSpec<Request, Item, Response>,
    request: Request,
    options: SendOptions,
    onItem?: (item: Item) => void,
  ): Promise<Response> {
    const process = this.#process;
    if (process === undefined) {
      return Promise.reject(new WeftError({ code: 'runner_lost', message: 'The runner is not there.' }));
    }
    const { signal, requestIds } = options;
    const budgetMs = Math.min(options.budgetMs, method.timeouts.totalMs);
    const overdueAtMs = this.#components.clock.now() + budgetMs + OVERRUN_GRACE_MS;
    const flight: Flight = { model, lane, requestIds, process, overdueAtMs };
    this.#flights.add(flight);
    const call = process.client.call(method, request, { signal, requestId: requestIds[0] ?? '', budgetMs, onItem });
    void call.settled.then(() => {
      this.#flights.remove(flight);
      this.released(model);
      this.pump();
    });
    return call.response;
  }

  /** A run can't be interrupted. Cancelled work ends within one; what goes on long after its deadline never ends. */
  #onOverdue({ process, requestIds }: Flight): void {
    const how = 'went on after the deadline of its work';
    this.#components.log.warn({ pid: process.pid, requestIds }, 'a runner is busy past a deadline');
    process.kill(new WeftError({ code: 'runner_timeout', message: `The runner ${how}.`, facts: { how } }));
  }

  #untilStopped(): SendOptions {
    return { signal: this.#stopped.signal, requestIds: [], budgetMs: Number.POSITIVE_INFINITY };
  }

  // ── Loading ───────────────────────────────────────────────────────────────────────────────────

  /** Loads the model for all who wait for it. Never rejects: it is they who are told. */
  async #load(model: ModelState): Promise<void> {
    this.#enter(model, 'loading');
    const begun = this.#components.clock.now();
    try {
      await this.#loadOnce(model).catch((error: unknown) => {
        // A runner that died by this, once, may have been killed from outside: it is started again at once.
        const { code } = toWeftError(error);
        if (model.reason !== undefined || (code !== 'runner_lost' && code !== 'runner_timeout')) throw error;
        return this.#loadOnce(model);
      });
      model.lastLoadMs = this.#components.clock.now() - begun;
      model.profile.loaded(model.lastLoadMs);
      model.answers = 0;
      model.ledger.loaded();
      this.#enter(model, 'loaded');
      this.#components.log.info(
        { model: model.id, pid: this.pid, loadMs: Math.round(model.lastLoadMs), residentBytes: model.residentBytes },
        'loaded a model',
      );
      this.#components.measured(model);
      this.released(model);
    } catch (thrown) {
      const error = toWeftError(thrown);
      this.#components.log.warn({ model: model.id, code: error.code, cause: error.message }, 'a model was not loaded');
      if (model.phase === 'loading') {
        model.residentBytes = 0;
        this.#enter(model, model.reason === undefined ? 'disk' : 'quarantined');
      }
      model.rejectAll(model.reason === undefined ? error : model.quarantineError());
      await this.#endIfEmpty();
    }
    this.pump();
  }

  async #loadOnce(model: ModelState): Promise<void> {
    const { makeRoom, verified } = this.#components;
    await makeRoom(model, this.#process === undefined);
    const looks = await verified.look(model.installed);
    const process = await this.#start();
    const request = {
      model: model.installed.ref,
      folder: model.installed.folder,
      manifestJson: model.manifestJson,
      threads: this.#init.threads,
      provider: 'cpu',
      verifyLarge: !verified.has(looks),
    };
    const response = await this.#call(model, 'load', RUNNER_METHODS.load, request, this.#untilStopped());
    verified.add(looks);
    if (this.#process !== process) {
      throw new WeftError({ code: 'runner_lost', message: 'The runner ended when it had loaded the model.' });
    }
    // The process is shared: what the others don't account for is this model's, the process itself included.
    const others = this.models.reduce((sum, other) => (other === model ? sum : sum + other.residentBytes), 0);
    model.residentBytes = Math.max(1, Number(response.residentBytes) - others);
    model.measuredBytes = model.residentBytes;
    model.provider = response.provider;
  }

  /** Others place work here by the profile that they know: a speed that has changed is news like a model that has loaded. */
  #tell(model: ModelState): void {
    const profile = model.profile.snapshot();
    if (!worthTelling(model.toldProfile, profile)) return;
    model.toldProfile = profile;
    this.#components.onChange();
  }

  #enter(model: ModelState, phase: ModelState['phase']): void {
    model.phase = phase;
    if (phase === 'disk' || phase === 'quarantined') model.left();
    this.#components.onChange();
  }

  // ── The process ───────────────────────────────────────────────────────────────────────────────

  /** The running process, or a new one. */
  async #start(): Promise<RunnerProcess> {
    const { clock, log, records } = this.#components;
    const { signal } = this.#stopped;
    while (this.#ending !== undefined) await this.#ending;
    if (this.#process === undefined && this.#shortLives > 1) {
      await delay(clock, Math.min(RESTART_PAUSE_MS_MAX, RESTART_PAUSE_MS * 2 ** (this.#shortLives - 2)), signal);
    }
    signal.throwIfAborted();
    if (this.#process !== undefined) return this.#process;
    const process: RunnerProcess = new RunnerProcess(
      {
        clock,
        log,
        onLost: (error) => this.#onLost(process, error),
        onGone: () => {
          if (process.pid !== undefined) records.remove(process.pid);
        },
      },
      this.#init.launch,
    );
    this.#process = process;
    if (process.pid !== undefined) records.add(process.pid);
    return process;
  }

  /** The process died, or was killed because it was silent. Called before its calls fail. */
  #onLost(process: RunnerProcess, error: WeftError): void {
    if (this.#process !== process) return;
    this.#process = undefined;
    this.#lost = process;
    const { clock, log, telemetry } = this.#components;
    this.#shortLives = clock.now() - process.startedAtMs < RUNNER_STABLE_MS ? this.#shortLives + 1 : 0;
    telemetry.count('weft_runner_restarts_total');
    this.#blame(error.facts.how ?? error.message);
    const lost = this.models.filter(({ phase }) => phase === 'loaded');
    log.warn({ pid: process.pid, code: error.code, models: lost.map(({ id }) => id) }, 'a runner was lost');
    for (const model of lost) {
      this.used(model);
      model.residentBytes = 0;
      if (model.reason !== undefined) {
        this.#enter(model, 'quarantined');
        model.rejectAll(model.quarantineError());
      } else {
        const wanted = model.leaving.length === 0 || model.pending.size > 0;
        this.#enter(model, 'disk');
        if (wanted) void this.#load(model);
      }
    }
  }

  /** A load stands still whatever else the runner has, so when there is one, it is what the runner died by. */
  #blame(how: string): void {
    const flights = this.#flights.list().filter(({ model }) => model.phase !== 'unloading');
    for (const { model } of flights.filter(({ lane }) => lane === 'load'))
      model.reason ??= model.ledger.diedAtLoad(how);
    if (flights.some(({ lane }) => lane === 'load')) return;
    for (const model of this.models) {
      // Several batches of one request are one death of it.
      const ids = new Set(flights.flatMap((flight) => (flight.model === model ? flight.requestIds : [])));
      model.reason ??= model.ledger.diedWorking(ids, how);
    }
  }

  async #endIfEmpty(): Promise<void> {
    if (this.models.every(({ phase }) => phase === 'disk' || phase === 'quarantined')) await this.#end();
  }

  async #end(): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (process !== undefined) {
      const ending = process.stop().finally(() => {
        if (this.#ending === ending) this.#ending = undefined;
      });
      this.#ending = ending;
    }
    await this.#ending;
  }
}

/** The first job that is still wanted; those before it are dropped. */
function firstWanted<Job extends { readonly pending: { readonly settled: boolean } }>(jobs: Job[]): Job | undefined {
  while (jobs[0]?.pending.settled === true) jobs.shift();
  return jobs[0];
}

const isWanted = (job: { readonly pending: { readonly settled: boolean } }): boolean => !job.pending.settled;
