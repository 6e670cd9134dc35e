// The parts of graphs that this engine was asked for: each is there once, however many ask for it. Where the model isn't
// here, the part's files are brought first, once for all who wait. Held by the engine.

import type { InstalledModel } from '../../models/installed.ts';
import { modelRef, parseManifest } from '../../models/manifest.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { ModelRef, NodeId } from '../../protocol/ids.ts';
import type { RunRequest, RunResult } from '../../protocol/infer.ts';
import { RUNNER_METHODS } from '../../protocol/methods.ts';
import { checkPart, type GraphPart } from '../../protocol/part.ts';
import type { Clock } from '../core/clock.ts';
import type { WorkOptions } from '../core/engine.ts';
import type { PartFiles } from '../core/part-files.ts';
import { unlessAborted } from '../core/waiting.ts';
import { PARTS_MAX } from './limits.ts';
import { ModelState } from './model-state.ts';
import { digestOfPart, partModel } from './part-model.ts';
import type { Slots } from './slots.ts';

export interface PartsComponents {
  readonly slots: Pick<Slots, 'add' | 'remove'>;
  /** @default parts of models that are not here are refused */
  readonly files?: PartFiles | undefined;
  readonly clock: Pick<Clock, 'now' | 'after'>;
  /** Has a request done by what was loaded for it. */
  readonly run: (model: ModelState, request: RunRequest, options: WorkOptions) => Promise<RunResult>;
}

/** What is brought, and for whom. */
interface Bringing {
  readonly state: Promise<ModelState>;
  readonly abort: AbortController;
  waiting: number;
}

export class Parts {
  readonly #components: PartsComponents;
  readonly #partsMax: number;
  /** By the part's own digest, the one that was asked for last at the end. */
  readonly #states = new Map<string, ModelState>();
  readonly #bringing = new Map<string, Bringing>();

  /** @param init.partsMax @default PARTS_MAX */
  constructor(components: PartsComponents, init: { readonly partsMax?: number } = {}) {
    this.#components = components;
    this.#partsMax = init.partsMax ?? PARTS_MAX;
  }

  values(): IterableIterator<ModelState> {
    return this.#states.values();
  }

  /** @param digest the part's own */
  get(digest: string): ModelState | undefined {
    return this.#states.get(digest);
  }

  /** Those of one model. @param digest of the whole */
  ofModel(digest: string): ModelState[] {
    return [...this.#states.values()].filter(({ part }) => part?.model === digest);
  }

  /**
   * Runs a part. Where the model is here, that is taken in at once, like any other work.
   * @param whole the model, where it is here
   */
  run(request: RunRequest, graph: GraphPart, options: WorkOptions, whole?: InstalledModel): Promise<RunResult> {
    checkPart(graph);
    const { outputs } = request;
    // Parts are the same whatever order they name their outputs in; answers are in the order that was asked for.
    const wanted = { ...request, outputs: outputs.length > 0 ? outputs : graph.outputs };
    if (whole === undefined) return this.#runBrought(wanted, graph, options);
    return this.#runOn(this.of(whole, graph), wanted, options);
  }

  /** What its files take to come is a wait for a load, and part of its time. */
  async #runBrought(request: RunRequest, graph: GraphPart, options: WorkOptions): Promise<RunResult> {
    const { clock } = this.#components;
    const { signal, caller, budgetMs = RUNNER_METHODS.run.timeouts.totalMs } = options;
    const begunMs = clock.now();
    const late = new AbortController();
    const timer = clock.after(Math.max(1, budgetMs), () => late.abort(tooLate(budgetMs)));
    const until = AbortSignal.any([signal, late.signal]);
    const from = caller === undefined ? [] : [caller];
    const bringing = this.brought(request.model, graph, { signal: until, from });
    const state = await bringing.finally(() => timer.cancel());
    const broughtMs = clock.now() - begunMs;
    const left = { ...options, budgetMs: Math.max(1, budgetMs - broughtMs) };
    const { timing, ...result } = await this.#runOn(state, request, left);
    const { queueMs, loadMs } = timing;
    return { ...result, timing: { ...timing, queueMs: queueMs + broughtMs, loadMs: loadMs + broughtMs } };
  }

  /** What no graph has isn't kept: made-up parts push out no others. */
  #runOn(state: ModelState, request: RunRequest, options: WorkOptions): Promise<RunResult> {
    return this.#components.run(state, request, options).finally(() => {
      if (state.isUnweighed && isUnused(state)) this.remove(state);
    });
  }

  /** A part of a model that is here. @throws WeftError `overloaded` where too many parts are in use */
  of(whole: InstalledModel, graph: GraphPart): ModelState {
    return this.#known(digestOfPart(whole.ref, graph), false) ?? this.#add(whole, graph, false);
  }

  /**
   * A part of a model that isn't here, once its files are. Asked for again before each of its loads.
   * @throws WeftError `model_not_found` where nobody brings them, what bringing them fails with, `cancelled`
   */
  async brought(
    model: ModelRef,
    graph: GraphPart,
    { signal, from }: { readonly signal: AbortSignal; readonly from: readonly NodeId[] },
  ): Promise<ModelState> {
    const digest = digestOfPart(model, graph);
    const known = this.#known(digest, true);
    if (known !== undefined && known.phase !== 'disk') return known;
    const { files } = this.#components;
    if (files === undefined) throw notHere(model);
    const bringing = this.#bringing.get(digest) ?? this.#bring(files, model, graph, from);
    bringing.waiting++;
    try {
      return await unlessAborted(bringing.state, signal);
    } finally {
      bringing.waiting--;
      // Nobody waits for it any more.
      if (bringing.waiting === 0) bringing.abort.abort();
    }
  }

  /** Forgets a part that is out of memory. */
  remove(state: ModelState): void {
    if (this.#states.get(state.digest) !== state) return;
    this.#states.delete(state.digest);
    this.#components.slots.remove(state);
  }

  /** Ends what is being brought. */
  stop(error: WeftError): void {
    for (const { abort } of this.#bringing.values()) abort.abort(error);
  }

  /** One that was made of other files is made anew as soon as nobody uses it. */
  #known(digest: string, prepared: boolean): ModelState | undefined {
    const known = this.#states.get(digest);
    if (known === undefined) return undefined;
    if (known.part?.prepared !== prepared && isUnused(known)) {
      this.remove(known);
      return undefined;
    }
    this.#states.delete(digest);
    this.#states.set(digest, known);
    return known;
  }

  #add(whole: InstalledModel, graph: GraphPart, prepared: boolean): ModelState {
    const { installed, part } = partModel(whole, graph, prepared);
    this.#makePlace();
    const state = new ModelState(installed, part);
    this.#states.set(state.digest, state);
    this.#components.slots.add(state);
    return state;
  }

  #makePlace(): void {
    if (this.#states.size < this.#partsMax) return;
    const states = [...this.#states.values()];
    const oldest = states.find(isUnused) ?? states.find(({ phase }) => phase === 'quarantined');
    if (oldest === undefined) {
      throw new WeftError({
        code: 'overloaded',
        message: `${this.#partsMax} parts of models are in use on this node.`,
      });
    }
    this.remove(oldest);
  }

  #bring(files: PartFiles, model: ModelRef, graph: GraphPart, from: readonly NodeId[]): Bringing {
    const digest = digestOfPart(model, graph);
    const abort = new AbortController();
    const prepare = async (): Promise<ModelState> => {
      const { signal } = abort;
      const preparing = files.prepare(model, graph, { signal, from });
      const { folder, manifestJson, weightBytes } = await unlessAborted(preparing, signal);
      const manifest = parseManifest(manifestJson);
      const ref = modelRef(manifest);
      if (ref.digest !== model.digest) {
        throw new WeftError({ code: 'model_corrupt', message: `The files that came are not those of ${model.id}.` });
      }
      const known = this.#known(digest, true);
      if (known !== undefined && (!isUnused(known) || known.installed.folder === folder)) return known;
      if (known !== undefined) this.remove(known);
      const added = this.#add({ ref, manifest, folder, aliases: [] }, graph, true);
      if (weightBytes !== undefined) added.weighed(weightBytes);
      return added;
    };
    const state = prepare().finally(() => {
      if (this.#bringing.get(digest) === bringing) this.#bringing.delete(digest);
    });
    // Whoever still waits is told.
    state.catch(() => undefined);
    const bringing: Bringing = { state, abort, waiting: 0 };
    abort.signal.addEventListener('abort', () => {
      if (this.#bringing.get(digest) === bringing) this.#bringing.delete(digest);
    });
    this.#bringing.set(digest, bringing);
    return bringing;
  }
}

/** Nothing but this map knows of it. */
const isUnused = ({ phase, wanted, calls }: ModelState): boolean => phase === 'disk' && !wanted && calls === 0;

const tooLate = (budgetMs: number): WeftError =>
  new WeftError({ code: 'deadline_exceeded', message: `No answer within ${Math.round(budgetMs)} ms.` });

const notHere = ({ id }: ModelRef): WeftError =>
  new WeftError({
    code: 'model_not_found',
    message: `This node has no part of ${id.slice(0, 200)}.`,
    facts: { model: id.slice(0, 200) },
  });
