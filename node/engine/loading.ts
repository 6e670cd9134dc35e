// Loads a model into a slot's runner: on the first device that takes it, with room reserved there and in memory, in as
// many threads as the other runners leave. Tells how far it is. Called by the runner slot for every load.
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import { type MethodSpec, RUNNER_METHODS } from '../../protocol/methods.ts';
import { partToMessage } from '../../protocol/part-message.ts';
import { LOAD_PHASES, type LoadingProgress, type LoadPhase } from '../core/engine.ts';
import { loadWhereItWorks } from './devices/attempts.ts';
import { type DeviceChoice, type DevicePlan, PROCESSOR_CHOICE } from './devices/choose.ts';
import type { DeviceChooser } from './devices/chooser.ts';
import type { ThreadPlan } from './devices/threads.ts';
import { LOAD_PROGRESS_STEP } from './limits.ts';
import type { MemoryKeeper } from './memory-keeper.ts';
import type { ModelState } from './model-state.ts';
import type { RunnerProcess } from './runner-process.ts';
import type { VerifiedFiles } from './verified.ts';

/** The runner into which models are loaded. */
export interface LoadingRunner {
  readonly process: RunnerProcess | undefined;
  /** The running process, or a new one. */
  start(): Promise<RunnerProcess>;
  /** A call that only the end of the node interrupts. */
  call<Request, Item, Response>(
    model: ModelState,
    method: MethodSpec<Request, Item, Response>,
    request: Request,
    onItem: (item: Item) => void,
  ): Promise<Response>;
}

export interface LoaderComponents {
  readonly runner: LoadingRunner;
  readonly verified: Pick<VerifiedFiles, 'look' | 'has' | 'add'>;
  readonly memory: Pick<MemoryKeeper, 'makeRoom' | 'limitRunners' | 'toPlace'>;
  readonly devices: DeviceChooser;
  /** What the sessions of a load get, as things are now. */
  readonly threads: () => ThreadPlan;
  readonly onLoading: (progress: LoadingProgress) => void;
}

export interface LoaderInit {
  /** The same request with the same seed gives the same text, whoever else is served. */
  readonly exact: boolean;
}

type LoadResponse = ReturnType<typeof RUNNER_METHODS.load.response.decode>;

interface Loaded extends Pick<LoadResponse, 'provider' | 'fallbackReason'> {
  readonly response: LoadResponse;
  readonly sequencesMax: number;
}

export class Loader {
  readonly #components: LoaderComponents;
  readonly #init: LoaderInit;

  constructor(components: LoaderComponents, init: LoaderInit) {
    this.#components = components;
    this.#init = init;
  }

  /**
   * Of a part, how much of the weights is its own: a device is chosen and memory reserved by it. Only the graph says it, which
   * no daemon reads; asked for once.
   * @throws WeftError `tensor_invalid`, `bad_request` for a part that the graph doesn't have; `model_corrupt`;
   *   `out_of_memory`
   */
  async weigh(model: ModelState): Promise<void> {
    const { part, installed } = model;
    if (part === undefined || !model.isUnweighed) return;
    const { runner, memory } = this.#components;
    const isNew = runner.process === undefined;
    this.#progress(model, 'room');
    await memory.makeRoom(model, isNew);
    if (isNew) this.#progress(model, 'start');
    await runner.start();
    memory.limitRunners();
    const request = { folder: installed.folder, graph: installed.manifest.graph, part: partToMessage(part.graph) };
    const { weightBytes } = await runner.call(model, RUNNER_METHODS.weigh, request, () => undefined);
    model.weighed(Number(weightBytes));
  }

  /** Where the model is to be tried. May wait for devices that are just being looked for. */
  choose(model: ModelState): Promise<DevicePlan> {
    const { devices, memory } = this.#components;
    return devices.choose(memory.toPlace(model));
  }

  /**
   * @param plan what {@link choose} has answered just now; none = it is asked again
   * @returns resident bytes of the process once it has the model
   */
  async load(model: ModelState, plan?: DevicePlan): Promise<number> {
    const { devices, memory } = this.#components;
    const chooser: Pick<DeviceChooser, 'choose' | 'failed'> = {
      choose: (wanted) => (plan === undefined ? devices.choose(wanted) : Promise.resolve(plan)),
      failed: (digest, choice, reason) => devices.failed(digest, choice, reason),
    };
    const { loaded, pool, fallbackReason } = await loadWhereItWorks(chooser, memory.toPlace(model), (choice) =>
      this.#tryOn(model, choice),
    );
    const { response, sequencesMax } = loaded;
    // The runner may have fallen back: then nothing of it is on the device.
    if (response.provider !== model.choice.provider) model.onProcessor();
    else model.device = pool;
    model.provider = response.provider;
    model.fallbackReason = fallbackReason;
    model.sequencesMax = sequencesMax;
    model.decoder = response.decoder === 'rewritten' ? 'rewritten' : 'plain';
    model.decoderReason = response.decoderReason || undefined;
    if (model.decoder === 'rewritten') model.decoderChecked.add(response.provider);
    model.kvBytesPerToken = Number(response.kvBytesPerToken);
    return Number(response.residentBytes);
  }

  /** A runner that took more than it was given says nothing against the device: it gets more, once. */
  async #tryOn(model: ModelState, choice: DeviceChoice): Promise<Loaded> {
    try {
      return await this.#loadOn(model, choice);
    } catch (thrown) {
      const { facts } = toWeftError(thrown);
      if (choice.provider === PROCESSOR_CHOICE.provider || facts.residentBytes === undefined) throw thrown;
      return this.#loadOn(model, choice);
    }
  }

  async #loadOn(model: ModelState, choice: DeviceChoice): Promise<Loaded> {
    const { runner, memory, verified, threads } = this.#components;
    model.choice = choice;
    model.device = choice.pool;
    const isNew = runner.process === undefined;
    this.#progress(model, 'room');
    const { kvBytesMax, sequencesMax, spareBytes } = await memory.makeRoom(model, isNew, this.#maySpare(model));
    const looks = await verified.look(model.installed);
    const verifyLarge = !verified.has(looks);
    if (isNew) this.#progress(model, 'start');
    const process = await runner.start();
    memory.limitRunners();
    const request = {
      model: model.installed.ref,
      folder: model.installed.folder,
      manifestJson: model.manifestJson,
      ...threads(),
      provider: choice.provider,
      verifyLarge,
      kvBytesMax: BigInt(kvBytesMax),
      sequencesMax,
      device: String(choice.index),
      exact: this.#init.exact,
      decoderChecked: model.decoderChecked.has(choice.provider),
      spareBytes: BigInt(spareBytes),
      ...(model.part === undefined ? {} : { part: partToMessage(model.part.graph) }),
    };
    this.#progress(model, verifyLarge ? 'verify' : 'load');
    const onItem = (item: { readonly phase: string; readonly fraction: number }): void => {
      const phase = LOAD_PHASES.find((known) => known === item.phase);
      const fraction = item.fraction >= 0 && item.fraction <= 1 ? item.fraction : undefined;
      if (phase !== undefined) this.#progress(model, phase, fraction);
    };
    const response = await runner.call(model, RUNNER_METHODS.load, request, onItem).catch((error: unknown) => {
      model.spareFailed ||= spareBytes > 0;
      throw error;
    });
    // The runner may have been taken over: it doesn't decide how much of its memory counts as dispensable.
    model.spareBytes = Math.min(spareBytes, Number(response.spareBytes));
    model.toldPeakBytes = spareBytes > 0 ? Number(response.peakBytes) : 0;
    verified.add(looks);
    if (runner.process !== process) {
      throw new WeftError({ code: 'runner_lost', message: 'The runner ended when it had loaded the model.' });
    }
    return { provider: response.provider, fallbackReason: response.fallbackReason, response, sequencesMax };
  }

  /** Whether a second form of its weights, for long prompts, is of use: what that changes in the last digits must not matter. */
  #maySpare({ choice, installed, spareFailed }: ModelState): boolean {
    const generates = installed.manifest.task === 'text-generation';
    return generates && choice.provider === PROCESSOR_CHOICE.provider && !this.#init.exact && !spareFailed;
  }

  /** Told when a phase begins, and in steps within it. */
  #progress({ id, loading }: ModelState, phase: LoadPhase, fraction?: number): void {
    const isNews =
      loading.phase !== phase ||
      (fraction !== undefined && (fraction >= 1 || fraction - (loading.fraction ?? -1) >= LOAD_PROGRESS_STEP));
    if (!isNews) return;
    loading.phase = phase;
    loading.fraction = fraction;
    this.#components.onLoading({ id, phase, fraction });
  }
}
