// Keeps one runner process for the models that share it: started on demand, loaded, given work, watched, started again
// when it dies, ended when nothing is in it. The engine has one slot per large language model, one per model on another
// device than the processor, and one for all other small models.
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import { RUNNER_METHODS } from '../../protocol/methods.ts';
import type { Clock } from '../core/clock.ts';
import type { LoadingProgress } from '../core/engine.ts';
import type { Log } from '../core/log.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { blame } from './blame.ts';
import type { DevicePlan } from './devices/choose.ts';
import type { DeviceChooser } from './devices/chooser.ts';
import type { RunnerThreads, ThreadPlan } from './devices/threads.ts';
import type { Flight } from './flights.ts';
import type { GeneratorReading } from './generator-stats.ts';
import { hangMs } from './hang.ts';
import type { JobComponents, SendOptions } from './jobs.ts';
import { KeepAlive } from './keep-alive.ts';
import type { RunnerRecords } from './leftovers.ts';
import type { RunnerReading } from './lifeline-reader.ts';
import { Loader } from './loading.ts';
import type { KeptSlot, MemoryKeeper } from './memory-keeper.ts';
import type { ModelState } from './model-state.ts';
import { worthTelling } from './profile.ts';
import type { RunnerLaunch, RunnerProcess } from './runner-process.ts';
import { type BatchUnderWay, Sending } from './sending.ts';
import { SlotProcess } from './slot-process.ts';
import type { VerifiedFiles } from './verified.ts';

export interface RunnerSlotComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly telemetry: Telemetry;
  readonly records: RunnerRecords;
  readonly verified: VerifiedFiles;
  readonly jobs: JobComponents;
  readonly memory: Pick<MemoryKeeper, 'makeRoom' | 'loaded' | 'left' | 'reading' | 'limitRunners' | 'toPlace'>;
  readonly devices: DeviceChooser;
  /** What the sessions of a load into this slot get. */
  readonly threads: () => ThreadPlan;
  /**
   * Where a model that is about to load belongs: one on another device has a slot of its own, because a driver that
   * crashes takes its process along.
   */
  readonly home: (model: ModelState, onDevice: boolean) => RunnerSlot;
  /** A model's state has changed. */
  readonly onChange: () => void;
  /** A load goes forward. */
  readonly onLoading: (progress: LoadingProgress) => void;
}

export interface RunnerSlotInit {
  readonly launch: RunnerLaunch;
  /** Asked whenever a model becomes idle: it may change while the node runs. */
  readonly keepAliveMs: () => number;
  /** Generations that the runner is given at once. */
  readonly generationsMax: number;
  /** The same request with the same seed gives the same text, whoever else is served. */
  readonly exact: boolean;
  /** How long the runner's thread may stand still while it has this work. @default {@link hangMs} */
  readonly hangMs?: (flight: Pick<Flight, 'lane' | 'model'>) => number;
}

export class RunnerSlot implements KeptSlot {
  readonly models: ModelState[] = [];
  readonly #components: RunnerSlotComponents;
  readonly #init: RunnerSlotInit;
  readonly #stopped = new AbortController();
  readonly #process: SlotProcess;
  readonly #sending: Sending;
  readonly #loader: Loader;
  readonly #keepAlive: KeepAlive;
  /** Threads of the sessions that were loaded last. */
  #threads = 0;

  constructor(components: RunnerSlotComponents, init: RunnerSlotInit) {
    this.#components = components;
    this.#init = init;
    const { clock, log, records, jobs, verified, memory, devices, onLoading } = components;
    this.#process = new SlotProcess(
      {
        clock,
        log,
        records,
        onLost: (process, error) => this.#onLost(process, error),
        onReading: (process, reading) => this.#onReading(process, reading),
      },
      init.launch,
    );
    const process = (): RunnerProcess | undefined => this.#process.current;
    this.#sending = new Sending(
      {
        clock,
        log,
        jobs,
        process,
        models: () => this.#loadedModels(),
        onEnded: (model) => this.released(model),
      },
      init,
    );
    this.#keepAlive = new KeepAlive({ clock, unload: (model) => void this.unload(model) }, init);
    this.#loader = new Loader(
      {
        runner: {
          get process() {
            return process();
          },
          start: () => this.#process.start(this.#stopped.signal),
          call: (model, method, request, onItem) =>
            this.#sending.call(model, 'load', method, request, this.#untilStopped(), onItem),
        },
        verified,
        memory,
        devices,
        threads: () => {
          const plan = components.threads();
          this.#threads = plan.threads;
          return plan;
        },
        onLoading,
      },
      init,
    );
  }

  get pid(): number | undefined {
    return this.#process.current?.pid;
  }

  /** How it uses the processor; undefined while nothing runs. */
  get threads(): RunnerThreads | undefined {
    if (this.#process.current === undefined) return undefined;
    return { threads: this.#threads, busy: this.#sending.flights().length > 0 };
  }

  get batchUnderWay(): BatchUnderWay {
    return this.#sending.batchUnderWay;
  }

  /** There is work to look at. */
  pump(): void {
    this.#sending.pump();
  }

  limitMemory(bytes: number): void {
    this.#process.current?.limitMemory(bytes);
  }

  /**
   * Loads the model, or waits for the load that is under way.
   * @throws WeftError what loading fails with
   */
  ensureLoaded(model: ModelState): Promise<void> {
    if (model.phase === 'loaded') return Promise.resolve();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    model.awaitingLoad.push({ resolve, reject });
    if (model.phase === 'disk') void this.#load(model);
    return promise;
  }

  /** What the model holds and is on, from its runner. Not counted as work: it keeps no model from leaving. */
  async askStats(model: ModelState): Promise<GeneratorReading> {
    const process = this.#process.current;
    if (process === undefined) throw new WeftError({ code: 'runner_lost', message: 'The runner is not there.' });
    const call = process.client.call(
      RUNNER_METHODS.stats,
      { model: model.installed.ref },
      { signal: this.#stopped.signal, requestId: '' },
    );
    const answer = await call.response;
    if (this.#process.current === process) this.#onPlace(model, answer);
    return {
      sequences: answer.sequences,
      waiting: answer.waiting,
      kvBytes: Number(answer.kvBytes),
      prefixBytes: Number(answer.prefixBytes),
      promptTokens: Number(answer.promptTokens),
      cachedTokens: Number(answer.cachedTokens),
      draftedTokens: Number(answer.draftedTokens),
      acceptedTokens: Number(answer.acceptedTokens),
    };
  }

  /** A device that fails in the middle leaves the model on the processor: it isn't chosen for it again. */
  #onPlace(model: ModelState, { provider, fallbackReason }: { provider: string; fallbackReason: string }): void {
    if (model.phase !== 'loaded' || provider === '' || provider === model.provider) return;
    const { devices, memory, log, onChange } = this.#components;
    log.warn({ model: model.id, from: model.provider, to: provider, reason: fallbackReason }, 'a device has failed');
    devices.failed(model.digest, model.choice, fallbackReason);
    model.provider = provider;
    model.fallbackReason = fallbackReason || undefined;
    model.onProcessor();
    memory.limitRunners();
    onChange();
  }

  /** A request of the model was taken in: it is needed again. */
  used(model: ModelState): void {
    this.#keepAlive.used(model);
  }

  /** A request or a call of the model has ended: if it was the last, the keep-alive begins. */
  released(model: ModelState): void {
    this.tell(model);
    if (model.phase !== 'loaded' || this.#stopped.signal.aborted) return;
    if (model.mayLeave) void this.unload(model);
    else this.#keepAlive.released(model);
  }

  /**
   * Resolves once the model is out of memory, for which the requests that it has are waited for, and no others: a model
   * that is always asked for would never leave. @returns false when it wasn't there
   */
  leave(model: ModelState): Promise<boolean> {
    const stopped = this.#stopped.signal.aborted;
    if (stopped || model.phase === 'disk' || model.phase === 'quarantined') return Promise.resolve(false);
    const { promise, resolve } = Promise.withResolvers<void>();
    model.rejectBackground();
    if (model.leaving.length === 0) model.lastServed = [...model.pending].at(-1)?.arrival ?? -1;
    model.leaving.push(resolve);
    this.released(model);
    return promise.then(() => true);
  }

  /**
   * Takes a loaded model out of memory: with its process when it is the last one there. Shared by all who ask. Never
   * rejects.
   */
  unload(model: ModelState): Promise<void> {
    if (model.phase === 'loaded') {
      model.unloading = this.#unload(model).finally(() => {
        model.unloading = undefined;
      });
    }
    return model.unloading ?? Promise.resolve();
  }

  async #unload(model: ModelState): Promise<void> {
    model.rejectBackground();
    this.used(model);
    this.#enter(model, 'unloading');
    const process = this.#process.current;
    const alone = this.models.every(({ phase }) => phase !== 'loaded' && phase !== 'loading');
    let stays: number | undefined;
    try {
      if (alone) await this.#process.end();
      else {
        const request = { model: model.installed.ref };
        const answer = await this.#sending.call(model, 'load', RUNNER_METHODS.unload, request, this.#untilStopped());
        stays = Number(answer.residentBytes);
      }
    } catch (error) {
      // A runner that can't unload keeps memory that is counted as free: it goes as a whole.
      const cause = toWeftError(error);
      this.#components.log.warn({ model: model.id, code: cause.code }, 'unloading failed');
      if (this.#process.current === process) process?.kill(cause);
    }
    this.#enter(model, 'disk');
    if (stays === undefined) this.#components.memory.limitRunners();
    else this.#components.memory.left(this, stays);
    // What was being loaded beside it may have gone elsewhere.
    const ended = stays === undefined ? undefined : this.#endIfEmpty();
    if (model.awaitingLoad.length > 0 && !this.#stopped.signal.aborted) void this.#load(model);
    this.pump();
    await ended;
  }

  /** Ends the process. Requests are the engine's to reject. */
  async stop(): Promise<void> {
    this.#stopped.abort(new WeftError({ code: 'stopping', message: 'The node is stopping.' }));
    for (const model of this.models) {
      model.idleTimer?.cancel();
      model.left();
    }
    this.#sending.stop();
    await this.#process.stop();
  }

  // ── Work ──────────────────────────────────────────────────────────────────────────────────────

  /** Those with requests; of the others, those that are asked for begin to be loaded. */
  #loadedModels(): ModelState[] {
    const loaded: ModelState[] = [];
    for (const model of this.models) {
      if (model.pending.size === 0) continue;
      if (model.phase === 'loaded') {
        while (model.generations[0]?.pending.settled === true) model.generations.shift();
        loaded.push(model);
        continue;
      }
      for (const pending of model.pending) pending.waitedForLoad ||= pending.begunAtMs === undefined;
      if (model.phase === 'disk') void this.#load(model);
    }
    return loaded;
  }

  #untilStopped(): SendOptions {
    return { signal: this.#stopped.signal, requestIds: [], budgetMs: Number.POSITIVE_INFINITY };
  }

  // ── Loading ───────────────────────────────────────────────────────────────────────────────────

  /** Loads the model for all who wait for it, here or where it belongs. Never rejects: it is they who are told. */
  async #load(model: ModelState): Promise<void> {
    this.#enter(model, 'loading');
    const { clock } = this.#components;
    const begunMs = clock.now();
    if (model.isUnweighed) {
      const failure = await this.#startedAgain(model, () => this.#loader.weigh(model)).then(
        () => undefined,
        (error: unknown) => toWeftError(error),
      );
      if (failure !== undefined) {
        await this.#notLoaded(model, failure);
        return;
      }
    }
    const weighedInMs = clock.now() - begunMs;
    const plan = await this.#loader.choose(model);
    const onDevice = plan.order[0]?.provider !== 'cpu';
    const home = this.#stopped.signal.aborted ? this : this.#components.home(model, onDevice);
    await Promise.all([home.#loadHere(model, plan, weighedInMs), home === this ? undefined : this.#endIfEmpty()]);
  }

  /** @param weighedInMs that was part of the wait for this load, and is of no other */
  async #loadHere(model: ModelState, plan: DevicePlan, weighedInMs: number): Promise<void> {
    const begun = this.#components.clock.now();
    try {
      const processBytes = await this.#startedAgain(
        model,
        () => this.#loader.load(model, plan),
        () => this.#loader.load(model),
      );
      const loadMs = this.#components.clock.now() - begun;
      model.lastLoadMs = weighedInMs + loadMs;
      model.profile.loaded(loadMs);
      model.answers = 0;
      model.ledger.loaded();
      this.#enter(model, 'loaded');
      this.#components.log.info(
        {
          model: model.id,
          pid: this.pid,
          device: `${model.choice.provider}:${model.choice.index}`,
          reason: model.fallbackReason ?? model.choice.reason,
          loadMs: Math.round(model.lastLoadMs),
          residentBytes: model.residentBytes,
        },
        'loaded a model',
      );
      this.#components.memory.loaded(this, model, processBytes);
      for (const waiting of model.awaitingLoad.splice(0)) waiting.resolve();
      this.released(model);
      this.pump();
    } catch (thrown) {
      await this.#notLoaded(model, toWeftError(thrown));
    }
  }

  /** A runner that died by this, once, may have been killed from outside: it is started again at once. */
  async #startedAgain<T>(model: ModelState, work: () => Promise<T>, again: () => Promise<T> = work): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const { code } = toWeftError(error);
      if (model.reason !== undefined || (code !== 'runner_lost' && code !== 'runner_timeout')) throw error;
      return again();
    }
  }

  async #notLoaded(model: ModelState, error: WeftError): Promise<void> {
    this.#components.log.warn({ model: model.id, code: error.code, cause: error.message }, 'a model was not loaded');
    if (model.phase === 'loading') {
      this.#enter(model, model.reason === undefined ? 'disk' : 'quarantined');
      this.#components.memory.limitRunners();
    }
    model.rejectAll(model.reason === undefined ? error : model.quarantineError());
    await this.#endIfEmpty();
    this.pump();
  }

  /**
   * The model's profile may have changed. Others place work here by what they were told: a speed that differs is news like
   * a model that has loaded.
   */
  tell(model: ModelState): void {
    const profile = model.profile.snapshot();
    if (!worthTelling(model.toldProfile, profile)) return;
    model.toldProfile = profile;
    this.#components.onChange();
  }

  #enter(model: ModelState, phase: ModelState['phase']): void {
    model.phase = phase;
    model.loading.phase = model.loading.fraction = undefined;
    if (phase === 'disk' || phase === 'quarantined') {
      model.freed();
      model.left();
    }
    this.#components.onChange();
  }

  // ── The process ───────────────────────────────────────────────────────────────────────────────

  #onReading(process: RunnerProcess, reading: RunnerReading): void {
    this.#components.memory.reading(this, reading);
    if (reading.stalledMs === 0) return;
    const flights = this.#sending.flights().filter((flight) => flight.process === process);
    const allowedMs = Math.max(...flights.map(this.#init.hangMs ?? hangMs));
    if (flights.length === 0 || reading.stalledMs < allowedMs) return;
    const how = `stood still for ${Math.round(reading.stalledMs / 1_000)} s`;
    const requestIds = flights.flatMap((flight) => flight.requestIds);
    this.#components.log.warn({ pid: process.pid, requestIds, stalledMs: reading.stalledMs }, 'a runner hangs');
    process.kill(new WeftError({ code: 'runner_timeout', message: `The runner ${how}.`, facts: { how } }));
  }

  /** The process died, or was killed because it was silent. Called before its calls fail. */
  #onLost(process: RunnerProcess, error: WeftError): void {
    const { log, telemetry } = this.#components;
    telemetry.count('weft_runner_restarts_total');
    blame(this.models, this.#sending.flights(), error, this.#components.devices);
    const lost = this.models.filter(({ phase }) => phase === 'loaded');
    log.warn({ pid: process.pid, code: error.code, models: lost.map(({ id }) => id) }, 'a runner was lost');
    for (const model of lost) {
      model.rejectBackground();
      this.used(model);
      if (model.reason !== undefined) {
        this.#enter(model, 'quarantined');
        model.rejectAll(model.quarantineError());
      } else {
        const wanted = model.leaving.length === 0 || model.wanted;
        this.#enter(model, 'disk');
        if (wanted) void this.#load(model);
      }
    }
  }

  async #endIfEmpty(): Promise<void> {
    if (this.models.every(({ phase }) => phase === 'disk' || phase === 'quarantined')) await this.#process.end();
  }
}
