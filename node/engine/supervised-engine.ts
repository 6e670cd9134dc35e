// The engine of this node: takes work in, checks it, and has it done by supervised runner processes. The composition
// root makes one; dispatch and the mesh's server call it, as an Engine.
import type { InstalledModel } from '../../models/installed.ts';
import type { Load, ModelOffer } from '../../protocol/capability.ts';
import { WeftError } from '../../protocol/errors.ts';
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
import { assert } from '../core/assert.ts';
import { toAbortError } from '../core/calls.ts';
import type { Clock } from '../core/clock.ts';
import type { LoadedModel, LocalEngine, WorkOptions } from '../core/engine.ts';
import type { Log } from '../core/log.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { Backlog, type Cost } from './backlog.ts';
import { encodeJob, rowsOf } from './jobs.ts';
import { RunnerRecords } from './leftovers.ts';
import {
  GENERATIONS_IN_FLIGHT_MAX,
  LIVENESS_INTERVAL_MS,
  LIVENESS_TIMEOUT_MS,
  QUEUE_LENGTH_MAX,
  QUEUE_MS_MAX,
} from './limits.ts';
import { ModelState } from './model-state.ts';
import { Pending } from './pending.ts';
import { RecentMedian } from './profile.ts';
import { planRoom, predictedBytes, type Resident, residentTotal } from './residency.ts';
import { RunnerSlot } from './runner-slot.ts';
import { checkEncode, checkGenerate, checkRun } from './validate.ts';
import { VerifiedFiles } from './verified.ts';

export interface SupervisedEngineComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly telemetry: Telemetry;
}

export interface SupervisedEngineInit {
  readonly node: NodeId;
  /** What this node executes; empty when it offers nothing. */
  readonly models: readonly InstalledModel[];
  /** Threads of each runner within one operator. */
  readonly threads: number;
  /** Resident memory that all runners may take together. */
  readonly memoryBytesMax: number;
  /** How long an idle model stays in memory; Infinity = for good. Asked whenever one becomes idle. */
  readonly keepAliveMs: () => number;
  /** Predicted milliseconds of queued work above which requests are refused. @default QUEUE_MS_MAX */
  readonly queueMsMax?: () => number;
  /** Generations of one language model at once. @default GENERATIONS_IN_FLIGHT_MAX */
  readonly generationsMax?: number;
  /** Path of runner/main.ts, or of what it was built into. */
  readonly runnerEntry: string;
  /** The Node binary that runners run on. */
  readonly nodePath: string;
  readonly execArgv?: readonly string[];
  /** Where the pids of runners are noted. One daemon at a time. */
  readonly pidFolder: string;
  readonly liveness?: { readonly intervalMs?: number; readonly timeoutMs?: number };
}

/** Small models share a runner; a language model has its own, which its KV caches fill. */
const slotKey = ({ ref, manifest }: InstalledModel): string =>
  manifest.task === 'text-generation' ? ref.digest : 'small';

/** A generation's share of the queue is predicted with at most this many tokens: few answers are longer. */
const PREDICTED_TOKENS_MAX = 256;

export class SupervisedEngine implements LocalEngine {
  readonly node: NodeId;
  readonly #components: SupervisedEngineComponents;
  readonly #init: SupervisedEngineInit;
  readonly #records: RunnerRecords;
  readonly #models = new Map<string, ModelState>();
  readonly #slots = new Map<string, RunnerSlot>();
  readonly #listeners = new Set<() => void>();
  readonly #latency = new RecentMedian();
  readonly #backlogs = new Map<RunnerSlot, Backlog>();
  #arrivals = 0;
  #state: 'new' | 'running' | 'stopped' = 'new';

  constructor(components: SupervisedEngineComponents, init: SupervisedEngineInit) {
    this.node = init.node;
    this.#components = components;
    this.#init = init;
    this.#records = new RunnerRecords({ folder: init.pidFolder, entry: init.runnerEntry });
    const verified = new VerifiedFiles();
    const keys = new Set(init.models.map(slotKey));
    const { queueMsMax = () => QUEUE_MS_MAX, generationsMax = GENERATIONS_IN_FLIGHT_MAX } = init;
    for (const key of keys) {
      const slot = this.#makeSlot(verified, keys.size > 1, generationsMax);
      this.#slots.set(key, slot);
      this.#backlogs.set(slot, new Backlog(components, { queueMsMax, requestsMax: QUEUE_LENGTH_MAX, generationsMax }));
    }
    for (const installed of init.models) {
      const model = new ModelState(installed);
      this.#models.set(model.digest, model);
      this.#slotOf(model).models.push(model);
    }
  }

  // ── Engine ────────────────────────────────────────────────────────────────────────────────────

  async run(request: RunRequest, options: WorkOptions): Promise<RunResult> {
    const model = this.#find(request.model);
    checkRun(request, model.installed.manifest);
    const cost = model.profile.predictMs(1);
    const pending = this.#takeIn<RunResult>(model, options, RUNNER_METHODS.run.timeouts.totalMs, { work: cost });
    model.runs.push({ pending, request });
    this.#slotOf(model).pump();
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
    model.rows.add(rowsOf(job), pending.arrival, `${pooling}-${normalize}`);
    this.#slotOf(model).pump();
    return pending.result;
  }

  async generate(request: GenerateRequest, options: WorkOptions, onTokens: OnTokens): Promise<GenerateResult> {
    const model = this.#find(request.model);
    checkGenerate(request, model.installed.manifest);
    const { ids, promptLength, maxNewTokens } = request;
    const steps = Math.min(PREDICTED_TOKENS_MAX, maxNewTokens) + ids.length - promptLength;
    const cost = model.profile.predictMs(promptLength) + steps * model.profile.decodeMs;
    const budgetMsMax = RUNNER_METHODS.generate.timeouts.totalMs;
    const pending = this.#takeIn<GenerateResult>(model, options, budgetMsMax, { generation: cost });
    model.generations.push({ pending, request, onTokens });
    this.#slotOf(model).pump();
    return pending.result;
  }

  // ── What the node knows of itself ─────────────────────────────────────────────────────────────

  offers(): readonly ModelOffer[] {
    return [...this.#models.values()].map((model) => model.offer());
  }

  load(): Load {
    let queuedMs = 0;
    let requestsInFlight = 0;
    for (const backlog of this.#backlogs.values()) {
      queuedMs = Math.max(queuedMs, backlog.queuedMs);
      requestsInFlight += backlog.requests;
    }
    const memoryFreeBytes = Math.max(0, this.#init.memoryBytesMax - residentTotal(this.#residents()));
    return { requestsInFlight, queuedMs, latencyMs: this.#latency.median, memoryFreeBytes };
  }

  loaded(): readonly LoadedModel[] {
    const now = this.#components.clock.now();
    return [...this.#models.values()].flatMap((model) => {
      const { phase } = model;
      if (phase === 'disk' || phase === 'unloading') return [];
      return {
        id: model.id,
        state: phase,
        provider: model.provider,
        runnerPid: phase === 'quarantined' ? undefined : this.#slotOf(model).pid,
        residentBytes: model.residentBytes,
        requestsInFlight: model.pending.size,
        idleUntilMs: model.idleAtMs === undefined ? undefined : Math.max(0, model.idleAtMs - now),
        reason: model.reason,
      };
    });
  }

  async unload(digest: string): Promise<boolean> {
    const model = this.#models.get(digest);
    return model === undefined ? false : this.#slotOf(model).leave(model);
  }

  async withdraw(digest: string): Promise<void> {
    const model = this.#models.get(digest);
    if (model === undefined) return;
    this.#models.delete(digest);
    model.rejectAll(notOffered(model.id));
    const slot = this.#slotOf(model);
    await slot.leave(model);
    slot.models.splice(slot.models.indexOf(model), 1);
    for (const listener of this.#listeners) listener();
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
    telemetry.gauge('weft_models_loaded', () => this.loaded().filter(({ state }) => state === 'loaded').length);
    this.#state = 'running';
  }

  async stop(): Promise<void> {
    this.#state = 'stopped';
    for (const model of this.#models.values()) model.rejectAll(stopping());
    await Promise.all([...this.#slots.values()].map((slot) => slot.stop()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  // ── Taking work in ────────────────────────────────────────────────────────────────────────────

  #find(ref: ModelRef): ModelState {
    const model = this.#models.get(ref.digest);
    if (model !== undefined) return model;
    throw notOffered(ref.id.slice(0, 200));
  }

  #takeIn<Result>(model: ModelState, options: WorkOptions, budgetMsMax: number, cost: Cost): Pending<Result> {
    if (this.#state !== 'running') throw stopping();
    if (options.signal.aborted) throw toAbortError(options.signal);
    if (model.phase === 'quarantined') throw model.quarantineError();
    const slot = this.#slotOf(model);
    const backlog = this.#backlogs.get(slot);
    assert(backlog !== undefined, 'every slot has its backlog');
    const takeOut = backlog.add(cost);
    const { clock } = this.#components;
    const onSettled = (): void => {
      takeOut();
      model.pending.delete(pending);
      if (!pending.waitedForLoad) this.#latency.add(clock.now() - pending.arrivedAtMs);
      slot.released(model);
    };
    const init = { options, arrival: this.#arrivals++, budgetMsMax };
    const pending: Pending<Result> = new Pending<Result>({ clock, onSettled }, init);
    model.pending.add(pending);
    slot.used(model);
    return pending;
  }

  // ── Memory ────────────────────────────────────────────────────────────────────────────────────

  /** Those that are withdrawn included, until they are gone. */
  #residents(): Resident[] {
    return [...this.#slots.values()]
      .flatMap(({ models }) => models)
      .filter(({ phase }) => phase === 'loading' || phase === 'loaded')
      .map((model) => ({
        digest: model.digest,
        bytes: model.residentBytes,
        lastUsedMs: model.lastUsedMs,
        idle: model.phase === 'loaded' && model.idle,
      }));
  }

  /** Reserves memory for a load, before anything is waited for: two loads at a time don't count on the same room. */
  async #makeRoom(model: ModelState, newProcess: boolean): Promise<void> {
    const { memoryBytesMax } = this.#init;
    const needed = model.measuredBytes > 0 ? model.measuredBytes : predictedBytes(model.sizeBytes, newProcess);
    const others = this.#residents().filter(({ digest }) => digest !== model.digest);
    const plan = planRoom(others, needed, memoryBytesMax);
    if (!plan.fits) throw outOfMemory(model, needed, plan.heldBytes, memoryBytesMax);
    model.residentBytes = needed;
    await this.#unload(plan.unload);
  }

  /** What was predicted may have been too little: then idle models leave, or in the end this one. */
  #measured(model: ModelState): void {
    const { memoryBytesMax } = this.#init;
    const others = this.#residents().filter(({ digest }) => digest !== model.digest);
    const plan = planRoom(others, model.residentBytes, memoryBytesMax);
    if (plan.fits) {
      void this.#unload(plan.unload);
      return;
    }
    model.rejectAll(outOfMemory(model, model.residentBytes, plan.heldBytes, memoryBytesMax));
    void this.#slotOf(model).unload(model);
  }

  async #unload(digests: readonly string[]): Promise<void> {
    const models = digests.flatMap((digest) => this.#models.get(digest) ?? []);
    await Promise.all(models.map((model) => this.#slotOf(model).unload(model)));
  }

  // ── Parts ─────────────────────────────────────────────────────────────────────────────────────

  #slotOf(model: ModelState): RunnerSlot {
    const slot = this.#slots.get(slotKey(model.installed));
    assert(slot !== undefined, 'every model has a slot');
    return slot;
  }

  #makeSlot(verified: VerifiedFiles, shareCores: boolean, generationsMax: number): RunnerSlot {
    const { clock, log, telemetry } = this.#components;
    const { nodePath, execArgv = [], runnerEntry, threads, keepAliveMs } = this.#init;
    const liveness = { intervalMs: LIVENESS_INTERVAL_MS, timeoutMs: LIVENESS_TIMEOUT_MS, ...this.#init.liveness };
    const args = shareCores ? ['--share-cores'] : [];
    return new RunnerSlot(
      {
        clock,
        log,
        telemetry,
        records: this.#records,
        verified,
        jobs: { now: () => clock.now(), node: this.node },
        makeRoom: (model, newProcess) => this.#makeRoom(model, newProcess),
        measured: (model) => this.#measured(model),
        onChange: () => {
          for (const listener of this.#listeners) listener();
        },
      },
      { launch: { nodePath, execArgv, entry: runnerEntry, args, liveness }, threads, keepAliveMs, generationsMax },
    );
  }
}

const notOffered = (id: string): WeftError =>
  new WeftError({ code: 'model_not_found', message: `This node does not offer ${id}.`, facts: { model: id } });

const stopping = (): WeftError => new WeftError({ code: 'stopping', message: 'The node is stopping.' });

const mib = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;

function outOfMemory(model: ModelState, neededBytes: number, heldBytes: number, maxBytes: number): WeftError {
  const held = heldBytes > 0 ? `, of which ${mib(heldBytes)} are in use` : '';
  return new WeftError({
    code: 'out_of_memory',
    message: `${model.id} needs ${mib(neededBytes)}; models may take ${mib(maxBytes)}${held}.`,
    facts: { model: model.id, neededBytes: String(neededBytes), limitBytes: String(maxBytes) },
  });
}
