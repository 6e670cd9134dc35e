// The engine of this node: takes work in, checks it, and has it done by supervised runner processes. The composition
// root makes one; dispatch and the mesh's server call it, as an Engine.

import type { InstalledModel } from '../../models/installed.ts';
import type { Load, ModelOffer } from '../../protocol/capability.ts';
import type { CutTable, ObservedPart } from '../../protocol/cut-table.ts';
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import type { ModelRef, NodeId } from '../../protocol/ids.ts';
import type {
  EncodeRequest,
  EncodeResult,
  GenerateRequest,
  GenerateResult,
  OnTokens,
  RunRequest,
  RunResult,
} from '../../protocol/infer.ts';
import { RUNNER_METHODS } from '../../protocol/methods.ts';
import type { GraphPart } from '../../protocol/part.ts';
import { toAbortError } from '../core/calls.ts';
import type { Clock } from '../core/clock.ts';
import type {
  CutsOptions,
  GenerationStatus,
  LoadedModel,
  LoadingProgress,
  LoadOf,
  LocalEngine,
  WorkOptions,
} from '../core/engine.ts';
import type { Log } from '../core/log.ts';
import type { PartFiles } from '../core/part-files.ts';
import type { MeasurableEngine, MeasuredProfile, ProfileReport } from '../core/profile.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { unlessAborted } from '../core/waiting.ts';
import { Backlog, type Cost } from './backlog.ts';
import { Cutter, type CutterComponents, type CutterInit } from './cutting/cutter.ts';
import { type DeviceChooser, processorOnly } from './devices/chooser.ts';
import { RAM } from './devices/device.ts';
import { planThreads, type RunnerThreads, type ThreadPlan } from './devices/threads.ts';
import { Intake } from './intake.ts';
import { encodeJob, rowsOf } from './jobs.ts';
import { RunnerRecords } from './leftovers.ts';
import {
  GENERATIONS_IN_FLIGHT_MAX,
  LIVENESS_INTERVAL_MS,
  LIVENESS_TIMEOUT_MS,
  QUEUE_LENGTH_MAX,
  QUEUE_MS_MAX,
} from './limits.ts';
import { MemoryKeeper } from './memory-keeper.ts';
import { ModelState } from './model-state.ts';
import { digestOfPart, loadedPart } from './part-model.ts';
import { Parts } from './parts.ts';
import type { Pending } from './pending.ts';
import type { RunnerLaunch } from './runner-process.ts';
import { RunnerSlot, type RunnerSlotInit } from './runner-slot.ts';
import { batchGenerationsMax } from './sending.ts';
import { Slots } from './slots.ts';
import { checkEncode, checkGenerate, checkRun } from './validate.ts';
import { VerifiedFiles } from './verified.ts';

export interface SupervisedEngineComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly telemetry: Telemetry;
  /** @default everything runs on the processor */
  readonly devices?: DeviceChooser;
  /** Brings the files of parts whose models are not here. @default such parts are refused */
  readonly partFiles?: PartFiles;
  /** Keeps what was measured of cuts. @default nothing is: where a model can be cut is not known */
  readonly cutStore?: CutterComponents['store'];
}

export interface SupervisedEngineInit {
  readonly node: NodeId;
  /** What this node executes; empty when it offers nothing. */
  readonly models: readonly InstalledModel[];
  /** Threads of all runners together within one operator. Asked for every load: cores may be counted while a node runs. */
  readonly threads: number | (() => number);
  /** Resident memory that all runners may take together. */
  readonly memoryBytesMax: number;
  /** How long an idle model stays in memory; Infinity = for good. Asked whenever one becomes idle. */
  readonly keepAliveMs: () => number;
  /** Predicted milliseconds of queued work above which requests are refused. @default QUEUE_MS_MAX */
  readonly queueMsMax?: () => number;
  /** Generations of one language model at once. @default GENERATIONS_IN_FLIGHT_MAX */
  readonly generationsMax?: number;
  /** The same request with the same seed gives the same text, whoever else is served; slower. @default false */
  readonly exact?: boolean;
  /** Path of runner/main.ts, or of what it was built into. */
  readonly runnerEntry: string;
  /** The Node binary that runners run on. */
  readonly nodePath: string;
  readonly execArgv?: readonly string[];
  /** Where the pids of runners are noted. One daemon at a time. */
  readonly pidFolder: string;
  readonly liveness?: { readonly intervalMs?: number; readonly timeoutMs?: number };
  /** @default by what the work was predicted to take */
  readonly hangMs?: RunnerSlotInit['hangMs'];
  /** Needed with a `cutStore`. */
  readonly cuts?: Omit<CutterInit, 'launch'>;
}

/** A generation's share of the queue is predicted with at most this many tokens: few answers are longer. */
const PREDICTED_TOKENS_MAX = 256;

export class SupervisedEngine implements LocalEngine, MeasurableEngine {
  readonly node: NodeId;
  readonly #components: SupervisedEngineComponents;
  readonly #init: SupervisedEngineInit;
  readonly #records: RunnerRecords;
  readonly #models = new Map<string, ModelState>();
  readonly #parts: Parts;
  readonly #slots: Slots;
  readonly #devices: DeviceChooser;
  readonly #memory: MemoryKeeper;
  readonly #listeners = new Set<() => void>();
  readonly #loadListeners = new Set<(progress: LoadingProgress) => void>();
  readonly #intake: Intake;
  readonly #cutter: Cutter | undefined;
  #state: 'new' | 'running' | 'stopped' = 'new';

  constructor(components: SupervisedEngineComponents, init: SupervisedEngineInit) {
    this.node = init.node;
    this.#components = components;
    this.#init = init;
    this.#records = new RunnerRecords({ folder: init.pidFolder, entry: init.runnerEntry });
    const verified = new VerifiedFiles();
    const { queueMsMax = () => QUEUE_MS_MAX, generationsMax = GENERATIONS_IN_FLIGHT_MAX, memoryBytesMax } = init;
    this.#devices = components.devices ?? processorOnly(memoryBytesMax);
    this.#memory = new MemoryKeeper(
      { clock: components.clock, slots: () => [...this.#slots.slots(), ...(this.#cutter?.slots() ?? [])] },
      {
        budgetOf: (pool) =>
          pool === RAM ? memoryBytesMax : (this.#devices.budgets().get(pool) ?? Number.POSITIVE_INFINITY),
        sequencesMax: generationsMax,
      },
    );
    this.#slots = new Slots({
      makeSlot: () => this.#makeSlot(verified, generationsMax),
      makeBacklog: (slot) =>
        new Backlog(
          { clock: components.clock, batchUnderWay: () => slot.batchUnderWay },
          {
            queueMsMax,
            requestsMax: QUEUE_LENGTH_MAX,
            generationsMax,
            batchGenerationsMax: batchGenerationsMax(generationsMax),
          },
        ),
    });
    this.#parts = new Parts({
      clock: components.clock,
      slots: this.#slots,
      files: components.partFiles,
      run: (model, request, options) => this.#run(model, request, options),
    });
    this.#intake = new Intake({
      clock: components.clock,
      slots: this.#slots,
      models: () => this.#all(),
      onSettled: (model) => {
        this.#slots.of(model).released(model);
        // A device may have failed on it, which only its runner knows.
        if (model.provider !== 'cpu') this.#refreshStats(model);
      },
    });
    this.#cutter = this.#makeCutter(verified);
    for (const installed of init.models) this.#add(installed);
  }

  // ── Engine ────────────────────────────────────────────────────────────────────────────────────

  async run(request: RunRequest, options: WorkOptions): Promise<RunResult> {
    const { part } = request;
    if (part === undefined) return this.#run(this.#find(request.model), request, options);
    if (this.#state !== 'running') throw stopping();
    const whole = this.#models.get(request.model.digest)?.installed;
    return this.#parts.run(request, part, options, whole);
  }

  async #run(model: ModelState, { inputs, outputs }: RunRequest, options: WorkOptions): Promise<RunResult> {
    // To its runner a part is a model.
    const request = { model: model.installed.ref, inputs, outputs };
    checkRun(request, model.installed.manifest);
    const cost = model.profile.predictMs(1);
    const pending = this.#takeIn<RunResult>(model, options, RUNNER_METHODS.run.timeouts.totalMs, { work: cost });
    model.runs.push({ pending, request });
    this.#slots.of(model).pump();
    return pending.result;
  }

  async encode(request: EncodeRequest, options: WorkOptions): Promise<EncodeResult> {
    const model = this.#find(request.model);
    const { manifest } = model.installed;
    checkEncode(request, manifest);
    const { pooling, normalize, ids } = request;
    const cost = model.profile.predictMs(ids.length);
    const pending = this.#takeIn<EncodeResult>(model, options, RUNNER_METHODS.encode.timeouts.totalMs, { work: cost });
    const job = encodeJob(pending, request, manifest.encoding?.dimensions ?? 0);
    // A measurement must not slow a batch that somebody waits for, nor batch work one of interactive work.
    const kind = `${pooling}-${normalize}-${pending.background}-${pending.priority}`;
    model.rows.add(rowsOf(job), pending.arrival, kind);
    this.#slots.of(model).pump();
    return pending.result;
  }

  async generate(request: GenerateRequest, options: WorkOptions, onTokens: OnTokens): Promise<GenerateResult> {
    const model = this.#find(request.model);
    checkGenerate(request, model.installed.manifest);
    const { ids, promptLength, maxNewTokens, expectedTokens = PREDICTED_TOKENS_MAX } = request;
    const steps = Math.min(PREDICTED_TOKENS_MAX, maxNewTokens, expectedTokens) + ids.length - promptLength;
    const cost = model.profile.predictMs(promptLength) + steps * model.profile.decodeMs;
    const budgetMsMax = RUNNER_METHODS.generate.timeouts.totalMs;
    const pending = this.#takeIn<GenerateResult>(model, options, budgetMsMax, { generation: cost });
    const { clock } = this.#components;
    const onCounted: OnTokens = (firstIndex, ids, logprobs) => {
      model.tokens.add(ids.length, clock.now());
      this.#refreshStats(model);
      onTokens(firstIndex, ids, logprobs);
    };
    model.generations.push({ pending, request, onTokens: onCounted });
    this.#slots.of(model).pump();
    return pending.result;
  }

  // ── What the node knows of itself ─────────────────────────────────────────────────────────────

  offers(): readonly ModelOffer[] {
    return [...this.#models.values()].map((model) => model.offer());
  }

  partOffer(model: ModelRef, part: GraphPart): ModelOffer | undefined {
    return this.#parts.get(digestOfPart(model, part))?.offer();
  }

  /**
   * A node tells others one number of its queue: that of interactive work, which has somebody waiting for it. Behind batch
   * work it waits only for what the runner has in hand; batch work that trusts the number is declined here where it asked
   * within which time, and is in no hurry where it didn't.
   */
  load({ digest, priority = 'interactive' }: LoadOf = {}): Load {
    const model = digest === undefined ? undefined : (this.#models.get(digest) ?? this.#parts.get(digest));
    let queuedMs = 0;
    let requestsInFlight = 0;
    for (const backlog of this.#slots.backlogs()) {
      requestsInFlight += backlog.requests;
      if (model !== undefined && this.#slots.backlogOf(model) !== backlog) continue;
      queuedMs = Math.max(queuedMs, backlog.queuedMs(priority));
    }
    const memoryFreeBytes = this.#memory.freeBytes();
    return { requestsInFlight, queuedMs, latencyMs: this.#intake.latencyMs, memoryFreeBytes };
  }

  loaded(): readonly LoadedModel[] {
    const now = this.#components.clock.now();
    return [...this.#all()].flatMap((model) => {
      const { phase, part } = model;
      const { manifest } = model.installed;
      if (phase === 'disk' || phase === 'unloading') return [];
      return {
        id: model.id,
        digest: model.digest,
        ...(part === undefined ? {} : { part: loadedPart(part) }),
        state: phase,
        provider: model.provider,
        fallbackReason: model.fallbackReason,
        runnerPid: phase === 'quarantined' ? undefined : this.#slots.of(model).pid,
        residentBytes: model.residentBytes,
        requestsInFlight: model.demand,
        idleUntilMs: model.idleAtMs === undefined ? undefined : Math.max(0, model.idleAtMs - now),
        pinned: model.pinned,
        reason: model.reason,
        generation: this.#generationOf(model),
        batching: phase === 'loaded' && manifest.generation === undefined ? model.batching.state : undefined,
      };
    });
  }

  async ensureLoaded(digest: string, { signal, pin = false }: { signal: AbortSignal; pin?: boolean }): Promise<void> {
    const model = this.#models.get(digest);
    if (model === undefined) throw notOffered(digest);
    if (this.#state !== 'running') throw stopping();
    signal.throwIfAborted();
    if (model.phase === 'quarantined') throw model.quarantineError();
    model.popularity.add(this.#components.clock.now());
    await unlessAborted(this.#slots.of(model).ensureLoaded(model), signal);
    if (!pin) return;
    model.pinnedByRequest = true;
    this.#slots.of(model).used(model);
    for (const listener of this.#listeners) listener();
  }

  keepLoaded(digests: readonly string[]): void {
    const kept = new Set(digests);
    for (const model of this.#models.values()) {
      if (model.pinnedBySettings === kept.has(model.digest)) continue;
      model.pinnedBySettings = kept.has(model.digest);
      const slot = this.#slots.of(model);
      if (!model.pinned) slot.released(model);
      else if (model.phase === 'loaded') slot.used(model);
      else if (this.#state === 'running' && model.phase !== 'quarantined') {
        slot.ensureLoaded(model).catch((error: unknown) => {
          const { code } = toWeftError(error);
          this.#components.log.warn({ model: model.id, code }, 'a model that is to stay in memory was not loaded');
        });
      }
    }
  }

  onLoading(listener: (progress: LoadingProgress) => void): () => void {
    this.#loadListeners.add(listener);
    return () => this.#loadListeners.delete(listener);
  }

  async unload(digest: string): Promise<boolean> {
    const model = this.#models.get(digest) ?? this.#parts.get(digest);
    if (model !== undefined) model.pinnedByRequest = false;
    const leaving = [...(model === undefined ? [] : [model]), ...this.#parts.ofModel(digest)];
    const left = await Promise.all(leaving.map((each) => this.#slots.of(each).leave(each)));
    return left.includes(true);
  }

  /** Offers a model that was installed since; one that is offered stays as it is. */
  offer(installed: InstalledModel): void {
    if (this.#state === 'stopped' || this.#models.has(installed.ref.digest)) return;
    this.#add(installed);
    for (const listener of this.#listeners) listener();
  }

  #add(installed: InstalledModel): void {
    const model = new ModelState(installed);
    this.#models.set(model.digest, model);
    this.#slots.add(model);
  }

  async withdraw(digest: string): Promise<void> {
    const model = this.#models.get(digest);
    if (model === undefined) return;
    this.#models.delete(digest);
    const parts = this.#parts.ofModel(digest).filter(({ part }) => part?.prepared === false);
    await Promise.all(
      [model, ...parts].map((each) => {
        each.rejectAll(notOffered(model.id));
        return this.#slots.of(each).leave(each);
      }),
    );
    this.#slots.remove(model);
    for (const part of parts) this.#parts.remove(part);
    for (const listener of this.#listeners) listener();
  }

  quietMs(): number {
    return this.#intake.quietMs();
  }

  async cutsObserved(table: CutTable, parts: readonly ObservedPart[]): Promise<CutTable> {
    return this.#cutter === undefined ? table : this.#cutter.observed(table, parts, false);
  }

  async cuts(ref: ModelRef, options: CutsOptions): Promise<CutTable> {
    if (this.#state !== 'running') throw stopping();
    const { installed } = this.#find(ref);
    if (this.#cutter !== undefined) return this.#cutter.table(installed, options);
    throw new WeftError({ code: 'unsupported', message: 'This node does not measure where models can be cut.' });
  }

  claim(digest: string, claim: MeasuredProfile): void {
    const model = this.#models.get(digest);
    if (model === undefined) return;
    model.profile.claim(claim);
    // It was loaded to be measured: what was compared then needn't be compared again.
    if (claim.decoder === 'rewritten') model.decoderChecked.add(claim.device);
    this.#slots.of(model).tell(model);
  }

  profile(digest: string): ProfileReport | undefined {
    return this.#models.get(digest)?.profile.report();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // ── Life ──────────────────────────────────────────────────────────────────────────────────────

  /** Ends runners that an earlier daemon left, and takes work from then on. Runners start with the first request. */
  async start(): Promise<void> {
    if (this.#state !== 'new') return;
    const { clock, log, telemetry } = this.#components;
    await this.#records.endLeftovers({ clock, log });
    const isModel = ({ state, part }: LoadedModel): boolean => state === 'loaded' && part === undefined;
    telemetry.gauge('weft_models_loaded', () => this.loaded().filter(isModel).length);
    this.#state = 'running';
  }

  async stop(): Promise<void> {
    this.#state = 'stopped';
    this.#parts.stop(stopping());
    for (const model of this.#all()) model.rejectAll(stopping());
    await Promise.all([this.#cutter?.stop(), ...this.#slots.slots().map((slot) => slot.stop())]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  // ── Taking work in ────────────────────────────────────────────────────────────────────────────

  /** Models and parts. */
  *#all(): Generator<ModelState> {
    yield* this.#models.values();
    yield* this.#parts.values();
  }

  #find(ref: ModelRef): ModelState {
    const model = this.#models.get(ref.digest);
    if (model !== undefined) return model;
    throw notOffered(ref.id.slice(0, 200));
  }

  #takeIn<Result>(model: ModelState, options: WorkOptions, budgetMsMax: number, cost: Cost): Pending<Result> {
    if (this.#state !== 'running') throw stopping();
    if (options.signal.aborted) throw toAbortError(options.signal);
    if (model.phase === 'quarantined') throw model.quarantineError();
    return this.#intake.take(model, options, budgetMsMax, cost);
  }

  // ── Text generators ───────────────────────────────────────────────────────────────────────────

  /** Undefined for models of other tasks, and while it isn't loaded. */
  #generationOf(model: ModelState): GenerationStatus | undefined {
    if (model.phase !== 'loaded' || model.installed.manifest.task !== 'text-generation') return undefined;
    this.#refreshStats(model);
    const { decoder, decoderReason, sequencesMax, kvBytesMax, kvBytesPerToken } = model;
    const tokensPerS = model.tokens.at(this.#components.clock.now());
    return { ...model.stats.last, decoder, decoderReason, sequencesMax, kvBytesMax, kvBytesPerToken, tokensPerS };
  }

  /** Asked for while it works or is looked at: nobody waits for the answer. */
  #refreshStats(model: ModelState): void {
    if (model.phase !== 'loaded') return;
    model.stats.refresh(this.#components.clock, () => this.#slots.of(model).askStats(model));
  }

  // ── Parts ─────────────────────────────────────────────────────────────────────────────────────

  #launch(): RunnerLaunch {
    const { nodePath, execArgv = [], runnerEntry } = this.#init;
    const liveness = { intervalMs: LIVENESS_INTERVAL_MS, timeoutMs: LIVENESS_TIMEOUT_MS, ...this.#init.liveness };
    return { nodePath, execArgv, entry: runnerEntry, args: [], liveness };
  }

  #threadsBeside(others: readonly RunnerThreads[]): ThreadPlan {
    const { threads } = this.#init;
    return planThreads(typeof threads === 'number' ? threads : threads(), others);
  }

  #makeCutter(verified: VerifiedFiles): Cutter | undefined {
    const { clock, log, cutStore: store } = this.#components;
    const { cuts } = this.#init;
    if (store === undefined || cuts === undefined) return undefined;
    const records = this.#records;
    // Nothing else computes meanwhile, and what is loaded sleeps.
    const threads = (): ThreadPlan => this.#threadsBeside([]);
    const quietMs = (): number => this.quietMs();
    return new Cutter(
      { clock, log, store, records, memory: this.#memory, verified, threads, quietMs },
      { ...cuts, launch: this.#launch() },
    );
  }

  #makeSlot(verified: VerifiedFiles, generationsMax: number): RunnerSlot {
    const { clock, log, telemetry } = this.#components;
    const { keepAliveMs, hangMs } = this.#init;
    const slot: RunnerSlot = new RunnerSlot(
      {
        clock,
        log,
        telemetry,
        records: this.#records,
        verified,
        jobs: { now: () => clock.now(), node: this.node },
        memory: this.#memory,
        devices: this.#devices,
        threads: () => this.#threadsBeside(this.#slots.othersThan(slot)),
        home: (model, onDevice) => this.#slots.home(model, onDevice),
        onChange: () => {
          for (const listener of this.#listeners) listener();
        },
        onLoading: (progress) => {
          for (const listener of this.#loadListeners) listener(progress);
        },
      },
      {
        launch: this.#launch(),
        keepAliveMs,
        generationsMax,
        exact: this.#init.exact ?? false,
        ...(hangMs === undefined ? {} : { hangMs }),
      },
    );
    return slot;
  }
}

const notOffered = (id: string): WeftError =>
  new WeftError({ code: 'model_not_found', message: `This node does not offer ${id}.`, facts: { model: id } });

const stopping = (): WeftError => new WeftError({ code: 'stopping', message: 'The node is stopping.' });
