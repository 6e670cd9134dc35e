// Keeps what all runners take within what the node may: reserves before a load, learns from what is measured, unloads
// what is worth least, and gives every runner its hard cap. A model on another device than the processor takes memory of
// both: there for its weights, here for its process, its keys and its values. One per engine; decisions are residency.ts's.

import { WeftError } from '../../protocol/errors.ts';
import type { Clock } from '../core/clock.ts';
import type { ModelToPlace } from './devices/chooser.ts';
import { RAM } from './devices/device.ts';
import { type KvNeed, kvNeed, kvReservation } from './kv-memory.ts';
import type { RunnerReading } from './lifeline-reader.ts';
import { GROWTH_STEP_BYTES, LOAD_BYTES_PER_MS } from './limits.ts';
import { mebibytes } from './mebibytes.ts';
import type { ModelState } from './model-state.ts';
import {
  capsOf,
  growthMax,
  hostBytes,
  planRoom,
  predictedBytes,
  type Resident,
  residentTotal,
  spareReservation,
  withHeadroom,
  worthPerByte,
} from './residency.ts';

/** What the keeper needs of a runner slot. */
export interface KeptSlot {
  readonly models: readonly ModelState[];
  /** The runner ends itself above this many resident bytes. */
  limitMemory(bytes: number): void;
  /** Resolves once the model is out of memory. */
  unload(model: ModelState): Promise<void>;
}

export interface MemoryKeeperComponents {
  readonly clock: Pick<Clock, 'now'>;
  readonly slots: () => Iterable<KeptSlot>;
}

export interface MemoryKeeperInit {
  /** Bytes that models may take together on a device; `cpu` is the memory of the machine. */
  readonly budgetOf: (device: string) => number;
  /** Sequences of one text generator at once. */
  readonly sequencesMax: number;
}

/** What a model may use once it is loaded, as its runner is told. */
export interface LoadRoom {
  /** For keys and values; 0 = it has none. */
  readonly kvBytesMax: number;
  readonly sequencesMax: number;
  /** For a second form of its weights; 0 = it has none. */
  readonly spareBytes: number;
}

export class MemoryKeeper {
  readonly #components: MemoryKeeperComponents;
  readonly #init: MemoryKeeperInit;

  constructor(components: MemoryKeeperComponents, init: MemoryKeeperInit) {
    this.#components = components;
    this.#init = init;
  }

  /** Of a device's budget, what nothing has reserved. */
  freeBytes(device = RAM): number {
    return Math.max(0, this.#init.budgetOf(device) - residentTotal(this.#residents(device)));
  }

  /** The model as devices are chosen for it. */
  toPlace(model: ModelState): ModelToPlace {
    const others = this.#allModels().filter((other) => other !== model && holds(other));
    const residents = others.flatMap((other) => [
      { pool: RAM, bytes: other.residentBytes },
      ...(other.device === RAM ? [] : [{ pool: other.device, bytes: other.deviceBytes }]),
    ]);
    return { digest: model.digest, neededBytes: predictedBytes(model.sizeBytes, false), residents };
  }

  /**
   * Reserves memory for a load, before anything is waited for: two loads at a time don't count on the same room. Others
   * leave for its weights and one sequence, and are out of memory when this resolves; more room for sequences, and for a
   * second form of its weights, is what is free by then.
   * @param spare it may have such a form
   * @throws WeftError `out_of_memory` with the numbers
   */
  async makeRoom(model: ModelState, newProcess: boolean, spare = false): Promise<LoadRoom> {
    const { budgetOf, sequencesMax } = this.#init;
    model.deviceBytes = model.spareBytes = model.toldPeakBytes = 0;
    if (model.device !== RAM) await this.#reserve(model, model.device, predictedBytes(model.sizeBytes, false));
    const weights = weightBytes(model, newProcess);
    const need = this.#need(model);
    await this.#reserve(model, RAM, weights + (need?.bytesMin ?? 0), need);
    const free = budgetOf(RAM) - residentTotal(this.#residents(RAM, model)) - weights;
    model.kvBytesMax = need === undefined ? 0 : kvReservation(need, free);
    if (spare) model.spareBytes = spareReservation(model.sizeBytes, free - model.kvBytesMax);
    model.residentBytes = weights + model.kvBytesMax + model.spareBytes;
    model.promisedBytes = model.residentBytes;
    this.limitRunners();
    const { kvBytesMax, spareBytes } = model;
    return { kvBytesMax, sequencesMax: need === undefined ? 0 : sequencesMax, spareBytes };
  }

  /** Reserves as soon as it would fit, and resolves when what had to leave for it is gone. */
  async #reserve(model: ModelState, pool: string, needed: number, need?: KvNeed): Promise<void> {
    const budget = this.#init.budgetOf(pool);
    for (;;) {
      const plan = planRoom(this.#residents(pool, model), needed, budget);
      if (!plan.fits) throw outOfMemory(model, { needed, need, held: plan.heldBytes, budget, pool });
      if (pool === RAM) model.residentBytes = needed;
      else model.deviceBytes = needed;
      if (plan.unload.length === 0) return;
      // What it freed may be less than was thought: looked at again.
      await this.#unload(plan.unload);
    }
  }

  /**
   * A model was loaded, and its process takes so much now. What was predicted may have been too little: then idle models
   * leave, or in the end this one, and those who wait for it are told.
   */
  loaded(slot: KeptSlot, model: ModelState, processBytes: number): void {
    const budget = this.#init.budgetOf(RAM);
    // The process is shared: what the others don't account for is this model's, the process itself included.
    const others = slot.models.reduce((sum, other) => (other === model ? sum : sum + other.occupiedBytes), 0);
    model.occupiedBytes = Math.max(1, processBytes - others);
    // What it can do without isn't reserved for its next load.
    model.measuredBytes = Math.max(1, model.measuredBytes, model.occupiedBytes - model.spareBytes);
    model.loadPeakBytes = Math.max(model.loadPeakBytes, model.toldPeakBytes - others);
    const weights = withHeadroom(model.measuredBytes) + model.spareBytes;
    const rest = this.#residents(RAM, model);
    const floor = weights + (this.#need(model)?.bytesMin ?? 0);
    const plan = planRoom(rest, floor, budget);
    if (!plan.fits) {
      const held = plan.heldBytes;
      model.rejectAll(outOfMemory(model, { needed: floor, need: this.#need(model), held, budget, pool: RAM }));
      void slot.unload(model);
      return;
    }
    // The runner has been told how much it may use: that stays, and idle models leave for it.
    model.residentBytes = weights + model.kvBytesMax;
    model.promisedBytes = model.residentBytes;
    const whole = planRoom(rest, model.residentBytes, budget);
    void this.#unload((whole.fits ? whole : plan).unload);
    this.limitRunners();
  }

  /** A model has left a process that stays: what that still takes beyond its other models goes by one of them. */
  left(slot: KeptSlot, processBytes: number): void {
    const stay = slot.models.filter(({ phase }) => phase === 'loaded' || phase === 'loading');
    const first = stay.toSorted((a, b) => a.lastUsedMs - b.lastUsedMs)[0];
    const residue = processBytes - stay.reduce((sum, { occupiedBytes }) => sum + occupiedBytes, 0);
    if (first !== undefined && residue > 0) {
      first.occupiedBytes += residue;
      first.residentBytes += residue;
      first.promisedBytes += residue;
    }
    this.limitRunners();
  }

  /**
   * A runner says what it takes. One that has outgrown its reservation gets more, as far as it may grow and idle models can
   * leave for it; else it is ended by its cap.
   */
  reading(slot: KeptSlot, { residentBytes: processBytes, peakBytes }: RunnerReading): void {
    const held = slot.models.filter(holds);
    const reserved = held.reduce((sum, { residentBytes }) => sum + residentBytes, 0);
    const model =
      held.find(({ phase }) => phase === 'loading') ?? held.toSorted((a, b) => b.lastUsedMs - a.lastUsedMs)[0];
    if (model === undefined) return;
    if (model.phase === 'loading') {
      const others = held.reduce((sum, other) => (other === model ? sum : sum + other.occupiedBytes), 0);
      // Part of it may be the second form: what was there before that, the runner says when it is done.
      model.loadPeakBytes = Math.max(model.loadPeakBytes, peakBytes - others - model.spareBytes);
    }
    if (processBytes > reserved) this.#grow(slot, model, processBytes - reserved);
    this.limitRunners();
  }

  #grow(slot: KeptSlot, model: ModelState, excessBytes: number): void {
    const budget = this.#init.budgetOf(RAM);
    const bytes = Math.min(excessBytes + GROWTH_STEP_BYTES, growthLeft(slot));
    if (bytes <= 0) return;
    const plan = planRoom(this.#residents(RAM, model), model.residentBytes + bytes, budget);
    const free = Math.max(0, budget - residentTotal(this.#residents(RAM)));
    const granted = plan.fits ? bytes : Math.min(bytes, free);
    model.residentBytes += granted;
    if (model.phase === 'loaded') {
      model.occupiedBytes += Math.min(granted, excessBytes);
      model.measuredBytes += Math.min(granted, excessBytes);
    }
    if (plan.fits) void this.#unload(plan.unload);
  }

  /** Gives every runner the cap that follows from all reservations. */
  limitRunners(): void {
    const slots = [...this.#components.slots()].filter(({ models }) => models.some(holds));
    const runners = slots.map((slot) => ({
      reservedBytes: slot.models.filter(holds).reduce((sum, { residentBytes }) => sum + residentBytes, 0),
      growthBytesMax: growthLeft(slot),
    }));
    const caps = capsOf(runners, this.#init.budgetOf(RAM));
    for (const [index, slot] of slots.entries()) slot.limitMemory(caps[index] ?? 0);
  }

  #need(model: ModelState): KvNeed | undefined {
    return kvNeed(model.installed.manifest, this.#init.sequencesMax);
  }

  #allModels(): ModelState[] {
    return [...this.#components.slots()].flatMap(({ models }) => models);
  }

  /** Those that are withdrawn included, until they are gone. */
  #residents(pool: string, without?: ModelState): Resident[] {
    const now = this.#components.clock.now();
    return this.#allModels()
      .filter((model) => model !== without && (pool === RAM || model.device === pool) && holds(model))
      .map((model) => ({ model, bytes: pool === RAM ? model.residentBytes : model.deviceBytes }))
      .map(({ model, bytes }) => ({
        digest: model.digest,
        bytes,
        lastUsedMs: model.lastUsedMs,
        state: stateOf(model),
        worth: worthPerByte({
          demand: model.popularity.at(now),
          loadMs: model.lastLoadMs > 0 ? model.lastLoadMs : model.sizeBytes / LOAD_BYTES_PER_MS,
          bytes,
        }),
      }));
  }

  async #unload(digests: readonly string[]): Promise<void> {
    const leaving = new Set(digests);
    const unloads: Promise<void>[] = [];
    for (const slot of this.#components.slots()) {
      for (const model of slot.models) if (leaving.has(model.digest)) unloads.push(slot.unload(model));
    }
    await Promise.all(unloads);
  }
}

const holds = ({ phase }: ModelState): boolean => phase === 'loading' || phase === 'loaded' || phase === 'unloading';

function stateOf(model: ModelState): Resident['state'] {
  if (model.phase === 'unloading') return 'leaving';
  return model.phase === 'loaded' && model.idle && !model.pinned ? 'idle' : 'held';
}

/** What is reserved for everything but keys and values. */
function weightBytes(model: ModelState, newProcess: boolean): number {
  const measured = Math.max(model.measuredBytes, model.loadPeakBytes);
  const predicted = (model.device === RAM ? predictedBytes : hostBytes)(model.sizeBytes, newProcess);
  // A part's process was seen while only its graph was looked at: that says little of its load.
  if (model.part !== undefined && model.measuredBytes === 0) return Math.max(predicted, withHeadroom(measured));
  return measured > 0 ? withHeadroom(measured) : predicted;
}

/** How much more may be reserved for a runner: what it was promised and a margin, or all there is while a load is a guess. */
function growthLeft(slot: KeptSlot): number {
  const held = slot.models.filter(holds);
  if (held.some(({ phase, measuredBytes }) => phase === 'loading' && measuredBytes === 0))
    return Number.POSITIVE_INFINITY;
  const promised = held.reduce((sum, { promisedBytes }) => sum + promisedBytes, 0);
  const reserved = held.reduce((sum, { residentBytes }) => sum + residentBytes, 0);
  return Math.max(0, promised + growthMax(promised) - reserved);
}

interface Shortage {
  readonly needed: number;
  readonly need: KvNeed | undefined;
  readonly held: number;
  readonly budget: number;
  readonly pool: string;
}

function outOfMemory(model: ModelState, { needed, need, held, budget, pool }: Shortage): WeftError {
  const inUse = held > 0 ? `, of which ${mebibytes(held)} are in use` : '';
  const kv = need === undefined ? '' : ` (${mebibytes(need.bytesMin)} of it for one conversation)`;
  return new WeftError({
    code: 'out_of_memory',
    message: `${model.id} needs ${mebibytes(needed)}${kv}; models may take ${mebibytes(budget)}${pool === RAM ? '' : ' of the device'}${inUse}.`,
    facts: { model: model.id, neededBytes: String(needed), limitBytes: String(budget), heldBytes: String(held) },
  });
}
