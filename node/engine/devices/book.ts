// What this node knows of its devices: looked for in the background, measured, kept, and chosen among. The composition
// root makes one and starts it once the node answers; the engine asks it where a model is to be loaded.
import type { Clock, Timer } from '../../core/clock.ts';
import type { DeviceSetting } from '../../core/devices.ts';
import { keepNewest } from '../../core/keep-newest.ts';
import type { Log } from '../../core/log.ts';
import type { Store } from '../../core/store.ts';
import { type ChoiceInput, chooseDevices, type DeviceChoice, type DevicePlan, untriedDevices } from './choose.ts';
import type { DeviceChooser, MeasurementsOf, ModelToPlace } from './chooser.ts';
import { type DetectedDevice, deviceKey, type Probe, shortReason } from './device.ts';
import { type Kept, readKept, writeKept } from './kept.ts';
import { CHOOSE_WAIT_MS, FAILURES_MAX, LOOK_DELAY_MS } from './limits.ts';
import type { MachineFacts, Surroundings } from './look.ts';
import { poolBudgets } from './memory.ts';
import { mergeDevices } from './merge.ts';

/** Where knowledge of devices comes from; sources.ts has the real ones. */
export interface DeviceSources {
  readonly lookAround: () => Promise<Surroundings>;
  readonly look: (around: Surroundings, signal: AbortSignal) => Promise<MachineFacts>;
  readonly probe: (device: DetectedDevice, signal: AbortSignal) => Promise<Probe>;
  /** Bytes that are free now, by pool, where a tool tells. */
  readonly freeBytes: (signal: AbortSignal) => Promise<ReadonlyMap<string, number>>;
}

export interface DeviceBookComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: Store;
  readonly sources: DeviceSources;
  readonly measured: MeasurementsOf;
}

export interface DeviceBookInit {
  readonly setting: DeviceSetting;
  /** What models may take of the processor's memory. */
  readonly memoryBytesMax: number;
  /** The processor, known without looking. */
  readonly processor: DetectedDevice;
}

/** Name of the document that it keeps. */
const DOCUMENT = 'devices';

export class DeviceBook implements DeviceChooser {
  readonly #components: DeviceBookComponents;
  readonly #init: DeviceBookInit;
  readonly #stopped = new AbortController();
  readonly #listeners = new Set<() => void>();
  /** Reasons by device, by model. */
  readonly #failures = new Map<string, Map<string, string>>();
  #devices: readonly DetectedDevice[];
  #physicalCores: number | undefined;
  #mark = '';
  #delay: { readonly timer: Timer; readonly end: () => void } | undefined;
  #isHurried = false;
  /** Settles once all devices have been found and measured. */
  #known: Promise<void> = Promise.resolve();
  #isLooking = false;
  #lastWrite: Promise<void> = Promise.resolve();

  constructor(components: DeviceBookComponents, init: DeviceBookInit) {
    this.#components = components;
    this.#init = init;
    this.#devices = [init.processor];
  }

  /** Begins to look. Costs nothing before this, and next to nothing where devices are known from an earlier start. */
  start(): void {
    if (this.#isLooking || this.#stopped.signal.aborted || this.#init.setting.kind === 'cpu') return;
    this.#isLooking = true;
    this.#known = this.#learn()
      .catch((error: unknown) => {
        if (!this.#stopped.signal.aborted) this.#components.log.warn({ error }, 'devices could not be looked for');
      })
      .finally(() => {
        this.#isLooking = false;
      });
  }

  /** Ends what is being looked at. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#hurry();
    await this.#known;
    await this.#lastWrite;
  }

  /** Resolves once nothing is being looked for any more. */
  settled(): Promise<void> {
    this.#hurry();
    return this.#known;
  }

  list(): readonly DetectedDevice[] {
    return this.#devices;
  }

  /** Cores of the processor; undefined where nobody told yet, or the system doesn't. */
  get physicalCores(): number | undefined {
    return this.#physicalCores;
  }

  budgets(): ReadonlyMap<string, number> {
    return poolBudgets(this.#devices, this.#init.memoryBytesMax);
  }

  async choose(model: ModelToPlace): Promise<DevicePlan> {
    if (this.#isLooking) {
      this.#hurry();
      const { promise: waited, resolve } = Promise.withResolvers<void>();
      const timer = this.#components.clock.after(CHOOSE_WAIT_MS, resolve);
      await Promise.race([this.#known, waited]);
      timer.cancel();
    }
    return chooseDevices(this.#input(model));
  }

  failed(digest: string, { provider, index }: Pick<DeviceChoice, 'provider' | 'index'>, reason: string): void {
    if (provider === 'cpu') return;
    const ofModel = this.#failures.get(digest) ?? new Map<string, string>();
    // The model that failed last is the last of the map, and the first to be kept.
    this.#failures.delete(digest);
    this.#failures.set(digest, ofModel.set(deviceKey({ kind: provider, index }), shortReason(reason)));
    keepNewest(this.#failures, FAILURES_MAX);
    this.#keep();
  }

  untried(model: ModelToPlace): readonly DetectedDevice[] {
    return untriedDevices(this.#input(model));
  }

  /** Calls back whenever more is known of the devices. Returns what ends the subscription. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #input({ digest, neededBytes, residents }: ModelToPlace): ChoiceInput {
    return {
      setting: this.#init.setting,
      devices: this.#devices,
      budgets: this.budgets(),
      residents,
      neededBytes,
      measured: this.#components.measured(digest),
      failed: this.#failures.get(digest) ?? new Map(),
    };
  }

  /** Somebody waits for it: there is no reason to be polite any more. */
  #hurry(): void {
    this.#isHurried = true;
    this.#delay?.timer.cancel();
    this.#delay?.end();
  }

  async #learn(): Promise<void> {
    const { sources, log, store } = this.#components;
    const { signal } = this.#stopped;
    const around = await sources.lookAround();
    this.#mark = around.mark;
    this.#physicalCores = around.physicalCores;
    const kept = readKept(await store.read(DOCUMENT).catch(() => undefined), around.mark);
    if (kept !== undefined) {
      this.#recall(kept);
      await this.#refresh(signal);
      if (await this.#measure(signal)) this.#keep();
      return;
    }
    // Drivers in software are of use to those alone who ask for them.
    if (!around.mayHaveDevices && this.#init.setting.kind !== 'webgpu') return;
    await this.#politely();
    signal.throwIfAborted();
    const facts = await sources.look(around, signal);
    signal.throwIfAborted();
    this.#physicalCores = facts.physicalCores;
    this.#adopt(mergeDevices(facts));
    await this.#measure(signal);
    this.#keep();
    log.info({ devices: this.#devices.map(summary) }, 'found what models can run on');
  }

  /**
   * What hasn't been, and the processor besides, with which the others are compared; nothing where a person has decided.
   * @returns whether there was anything
   */
  async #measure(signal: AbortSignal): Promise<boolean> {
    if (this.#init.setting.kind !== 'auto') return false;
    const hardware = this.#devices.filter(({ software }) => !software);
    const missing = hardware.filter(({ probe }) => probe === undefined);
    if (missing.length === 0 || hardware.every(({ kind }) => kind === 'cpu')) return false;
    for (const device of missing) {
      const probe = await this.#components.sources.probe(device, signal);
      signal.throwIfAborted();
      const key = deviceKey(device);
      this.#adopt(this.#devices.map((other) => (deviceKey(other) === key ? { ...other, probe } : other)));
    }
    return true;
  }

  #recall({ devices, physicalCores, failures }: Kept): void {
    for (const { digest, device, reason } of failures) {
      this.#failures.set(digest, (this.#failures.get(digest) ?? new Map<string, string>()).set(device, reason));
    }
    this.#physicalCores = physicalCores ?? this.#physicalCores;
    this.#adopt([this.#withProbe(devices), ...devices.filter(({ kind }) => kind !== 'cpu')]);
  }

  #withProbe(devices: readonly DetectedDevice[]): DetectedDevice {
    return { ...this.#init.processor, probe: devices.find(({ kind }) => kind === 'cpu')?.probe };
  }

  /** What is free changes from start to start. */
  async #refresh(signal: AbortSignal): Promise<void> {
    if (!this.#devices.some(({ foundBy }) => foundBy.includes('nvidia-smi'))) return;
    const free = await this.#components.sources.freeBytes(signal);
    this.#adopt(this.#devices.map((device) => ({ ...device, memoryFreeBytes: free.get(device.pool) })));
  }

  #adopt(devices: readonly DetectedDevice[]): void {
    this.#devices = devices;
    for (const listener of [...this.#listeners]) listener();
  }

  /** Waits a moment: whoever starts a node wants its first answer first. */
  async #politely(): Promise<void> {
    if (this.#isHurried) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#delay = { timer: this.#components.clock.after(LOOK_DELAY_MS, resolve), end: resolve };
    await promise;
    this.#delay = undefined;
  }

  #keep(): void {
    // Nothing was looked at: there is nothing that a later start could know it by.
    if (this.#mark === '') return;
    const failures = [...this.#failures].flatMap(([digest, reasons]) =>
      [...reasons].map(([device, reason]) => ({ digest, device, reason })),
    );
    const kept = { devices: this.#devices, physicalCores: this.#physicalCores, failures };
    const { store, log } = this.#components;
    this.#lastWrite = this.#lastWrite
      .then(() => store.write(DOCUMENT, writeKept(kept, this.#mark)))
      .catch((error: unknown) => log.warn({ error }, 'what is known of the devices could not be kept'));
  }
}

function summary({ kind, index, name, probe }: DetectedDevice): Readonly<Record<string, unknown>> {
  if (probe === undefined) return { kind, index, name };
  return probe.ok
    ? { kind, index, name, gflops: Math.round(probe.gflops) }
    : { kind, index, name, reason: probe.reason };
}
