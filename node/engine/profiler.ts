// Measures models in the background: once per model, device and version, only those that are in memory anyway, and only
// while the node has nothing else to do. What it measures is kept, and is what the engine's offers begin with. Started by
// the composition root beside the engine.
import type { InstalledModel } from '../../models/installed.ts';
import { toWeftError } from '../../protocol/errors.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { LoadedModel } from '../core/engine.ts';
import type { Log } from '../core/log.ts';
import type { MeasurableEngine, MeasuredProfile } from '../core/profile.ts';
import { PROFILE_LOOK_MS, PROFILE_MS_MAX } from './limits.ts';
import { Measurement } from './measurement.ts';
import { type Candidate, nextToMeasure, stepsOf } from './measuring.ts';
import type { ProfileStore } from './profile-store.ts';

export interface ProfilerComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly engine: MeasurableEngine;
  readonly store: Pick<ProfileStore, 'find' | 'latest' | 'keep'>;
}

export interface ProfilerInit {
  /** What the engine offers. */
  readonly models: readonly InstalledModel[];
  /** Of Weft, which brings the runtime. */
  readonly version: string;
  /** Processor and threads: a profile is worth nothing on another machine. */
  readonly machine: string;
  /** False: what was measured before is used, and nothing measured anew. */
  readonly measures: boolean;
}

/** A model on one device, on its way to a profile. */
interface Attempt {
  readonly measurement: Measurement;
  readonly device: string;
  attempts: number;
  spentMs: number;
  ended: boolean;
  /** There is nothing that could be measured. */
  readonly isEmpty: boolean;
}

interface Loaded extends Candidate {
  readonly installed: InstalledModel;
  readonly status: LoadedModel;
}

/** Loads that differ by less are not worth another write. */
const LOAD_DIFFERS = 1.25;

export class Profiler {
  readonly #components: ProfilerComponents;
  readonly #init: ProfilerInit;
  /** Offered models, by digest. */
  readonly #models = new Map<string, InstalledModel>();
  /** By digest; of the device that the model was on last. */
  readonly #attempts = new Map<string, Attempt>();
  /** What the engine prices by, by digest. */
  readonly #claims = new Map<string, MeasuredProfile>();
  readonly #stopped = new AbortController();
  #timer: Timer | undefined;
  #looking: Promise<void> | undefined;

  constructor(components: ProfilerComponents, init: ProfilerInit) {
    this.#components = components;
    this.#init = init;
    for (const model of init.models) this.#models.set(model.ref.digest, model);
  }

  /** Prices what has been measured before, and looks for what hasn't from then on. */
  start(): void {
    for (const model of this.#models.values()) this.#priceByKept(model);
    if (this.#init.measures) this.#awaitLook();
  }

  /** Measures a model that is offered from now on, too. */
  add(model: InstalledModel): void {
    this.#models.set(model.ref.digest, model);
    this.#priceByKept(model);
  }

  #priceByKept({ ref: { digest } }: InstalledModel): void {
    const { machine, version } = this.#init;
    const kept = this.#components.store.latest({ digest, machine, version });
    if (kept !== undefined) this.#claim(digest, kept);
  }

  /** Ends the measurement under way. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#timer?.cancel();
    await this.#looking;
  }

  #awaitLook(): void {
    if (this.#stopped.signal.aborted) return;
    this.#timer = this.#components.clock.after(PROFILE_LOOK_MS, () => {
      this.#looking = this.#look()
        .catch((error: unknown) => this.#components.log.warn({ error }, 'a model could not be measured'))
        .finally(() => this.#awaitLook());
    });
  }

  async #look(): Promise<void> {
    const { engine } = this.#components;
    const models = engine.loaded().flatMap((status) => this.#candidate(status));
    for (const model of models) await this.#useKept(model);
    const next = nextToMeasure(models, engine.quietMs());
    if (next !== undefined) await this.#measure(next);
  }

  #candidate(status: LoadedModel): Loaded[] {
    const installed = this.#models.get(status.digest);
    if (installed === undefined || status.state !== 'loaded') return [];
    const { digest } = installed.ref;
    const last = this.#attempts.get(digest);
    const { attempts = 0, ended = false } = last?.device === status.provider ? last : {};
    const known = ended || this.#kept(digest, status.provider) !== undefined;
    return [{ digest, installed, status, loaded: true, known, attempts }];
  }

  #kept(digest: string, device: string): MeasuredProfile | undefined {
    const { machine, version } = this.#init;
    return this.#components.store.find({ digest, device, machine, version });
  }

  /** A model may have been loaded on another device than last time, and its loads go on being measured. */
  async #useKept({ digest, installed, status }: Loaded): Promise<void> {
    const kept = this.#kept(digest, status.provider);
    if (kept === undefined) return;
    if (this.#claims.get(digest)?.device !== kept.device) this.#claim(digest, kept);
    const loadMs = this.#components.engine.profile(digest)?.observed.loadMs ?? 0;
    if (loadMs === 0 || Math.max(loadMs, kept.loadMs) <= Math.min(loadMs, kept.loadMs) * LOAD_DIFFERS) return;
    await this.#keep(installed, { ...kept, loadMs });
  }

  #attemptOf(installed: InstalledModel, { provider: device, generation }: LoadedModel): Attempt {
    const { digest } = installed.ref;
    const known = this.#attempts.get(digest);
    if (known?.device === device) return known;
    const { clock, engine } = this.#components;
    const steps = stepsOf(installed, generation?.sequencesMax ?? 1);
    const measurement = new Measurement({ clock, engine }, { model: installed, steps });
    const attempt: Attempt = {
      measurement,
      device,
      attempts: 0,
      spentMs: 0,
      ended: false,
      isEmpty: steps.length === 0,
    };
    this.#attempts.set(digest, attempt);
    return attempt;
  }

  /** Goes on with a model's measurement until it is done, interrupted, or out of time. */
  async #measure({ installed, status }: Loaded): Promise<void> {
    const { clock, log } = this.#components;
    const { id } = installed.ref;
    const attempt = this.#attemptOf(installed, status);
    const begunMs = clock.now();
    const overtime = new AbortController();
    const timer = clock.after(Math.max(1, PROFILE_MS_MAX - attempt.spentMs), () => overtime.abort());
    try {
      await attempt.measurement.run(AbortSignal.any([this.#stopped.signal, overtime.signal]));
      attempt.ended = true;
    } catch (thrown) {
      const { code, message } = toWeftError(thrown);
      // Interrupted by a request, or at the end of the node: there is another time.
      attempt.ended = !this.#stopped.signal.aborted && (code !== 'cancelled' || overtime.signal.aborted);
      log.debug({ model: id, code, cause: message }, 'a measurement has ended early');
    } finally {
      timer.cancel();
      attempt.attempts++;
      attempt.spentMs += clock.now() - begunMs;
    }
    if (!attempt.ended || attempt.isEmpty) return;
    // A failure is kept as an empty profile: what brought a runner down once is not tried again at every start.
    const profile = this.#profile(installed, status, attempt);
    await this.#keep(installed, profile);
    log.info({ model: id, device: profile.device, spentMs: Math.round(attempt.spentMs) }, 'measured a model');
  }

  #profile({ ref }: InstalledModel, { provider, generation }: LoadedModel, { measurement }: Attempt): MeasuredProfile {
    const { clock, engine } = this.#components;
    const { machine, version } = this.#init;
    return {
      device: provider,
      machine,
      version,
      measuredAtMs: clock.wallNow(),
      ...measurement.measured,
      loadMs: engine.profile(ref.digest)?.observed.loadMs ?? 0,
      ...(generation === undefined ? {} : { decoder: generation.decoder }),
      ...(generation?.decoderReason === undefined ? {} : { decoderReason: generation.decoderReason }),
    };
  }

  async #keep({ ref }: InstalledModel, profile: MeasuredProfile): Promise<void> {
    this.#claim(ref.digest, profile);
    await this.#components.store.keep(ref, profile);
  }

  #claim(digest: string, profile: MeasuredProfile): void {
    this.#claims.set(digest, profile);
    this.#components.engine.claim(digest, profile);
  }
}
