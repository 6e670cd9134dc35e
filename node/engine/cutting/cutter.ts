// Measures where models can be cut, in a process of its own and while the node has nothing else to do, and keeps what comes
// out. Made by the engine, which is asked for tables of cuts.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstalledModel } from '../../../models/installed.ts';
import { refresh } from '../../../models/onnx/cost/part-time.ts';
import type { CutTable, ObservedPart } from '../../../protocol/cut-table.ts';
import { toWeftError, WeftError } from '../../../protocol/errors.ts';
import { RUNNER_METHODS } from '../../../protocol/methods.ts';
import type { NamedTensor } from '../../../protocol/tensor.ts';
import { type Clock, delay } from '../../core/clock.ts';
import type { CutsOptions } from '../../core/engine.ts';
import type { Log } from '../../core/log.ts';
import { unlessAborted } from '../../core/waiting.ts';
import type { ThreadPlan } from '../devices/threads.ts';
import type { RunnerRecords } from '../leftovers.ts';
import { RESIDENT_PER_FILE_BYTE, RUNNER_BASE_BYTES } from '../limits.ts';
import type { KeptSlot, MemoryKeeper } from '../memory-keeper.ts';
import { ModelState } from '../model-state.ts';
import { type RunnerLaunch, RunnerProcess } from '../runner-process.ts';
import type { VerifiedFiles } from '../verified.ts';
import { type CutStore, parseTable } from './cut-store.ts';
import { shapesOf } from './finalists.ts';
import {
  ATTEMPTS_MAX,
  COPIES,
  MEASURING_BYTES,
  PIECE_BYTES_MIN,
  QUIET_LOOK_MS,
  QUIET_MS,
  QUIET_WAIT_MS_MAX,
  URGENT_WAIT_MS_MAX,
} from './limits.ts';
import { completed } from './sample-inputs.ts';

export interface CutterComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly records: Pick<RunnerRecords, 'add' | 'remove'>;
  readonly memory: Pick<MemoryKeeper, 'makeRoom' | 'limitRunners' | 'reading' | 'freeBytes'>;
  readonly verified: Pick<VerifiedFiles, 'look' | 'has' | 'add'>;
  readonly threads: () => ThreadPlan;
  /** For how long nobody has wanted anything of the engine, in milliseconds. */
  readonly quietMs: () => number;
  readonly store: Pick<CutStore, 'find' | 'keep'>;
}

export interface CutterInit {
  readonly launch: RunnerLaunch;
  /** Processor and threads, as tables tell it. */
  readonly machine: string;
  /** Of Weft, which brings the runtime. */
  readonly version: string;
  /** For files as large as a model's weights, while it is measured. Made if need be; what is in it is deleted. */
  readonly scratchFolder: string;
}

/** What is measured. */
interface Asked {
  /** None = they are made up. */
  readonly sample: readonly NamedTensor[];
  readonly raw: readonly string[];
  readonly device: string;
  /** Whether a request waits for it. */
  readonly isUrgent: () => boolean;
}

export class Cutter {
  readonly #components: CutterComponents;
  readonly #init: CutterInit;
  readonly #underWay = new Map<string, Promise<CutTable>>();
  /** Of those under way: what a request waits for. */
  readonly #urgent = new Set<string>();
  readonly #slots = new Set<KeptSlot>();
  readonly #stopped = new AbortController();
  /** Settles with the last measurement that was asked for: there is one at a time. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(components: CutterComponents, init: CutterInit) {
    this.#components = components;
    this.#init = init;
  }

  /** What measurements hold of the memory. */
  slots(): Iterable<KeptSlot> {
    return this.#slots;
  }

  /**
   * A kept table, or a new one. Whoever asks while it is measured gets the same.
   * @throws WeftError `overloaded` where the node is never quiet; `out_of_memory`; what the measurement fails with
   */
  async table(model: InstalledModel, options: CutsOptions): Promise<CutTable> {
    const { signal, sample = [], raw = [], urgent = false, refresh: anew = false } = options;
    signal.throwIfAborted();
    const shapes = sample.length === 0 ? undefined : shapesOf(sample);
    const key = { digest: model.ref.digest, shapes, raw, device: this.#device(), version: this.#init.version };
    const kept = anew ? undefined : this.#components.store.find(key);
    if (kept !== undefined) return kept;
    const name = JSON.stringify([key.digest, shapes ?? null, raw.toSorted()]);
    const isUrgent = () => this.#urgent.has(name);
    const measured =
      this.#underWay.get(name) ??
      this.#begin(name, model, { sample: completed(sample), raw, device: key.device, isUrgent });
    if (urgent) this.#urgent.add(name);
    return unlessAborted(measured, signal);
  }

  /** Takes its turn behind what was asked for before. */
  #begin(name: string, model: InstalledModel, asked: Asked): Promise<CutTable> {
    const measured = this.#last
      .then(() => this.#measure(model, asked))
      .finally(() => {
        this.#underWay.delete(name);
        this.#urgent.delete(name);
      });
    this.#underWay.set(name, measured);
    this.#last = measured.catch(() => undefined);
    return measured;
  }

  /** Corrects a table by runs of its parts, and keeps it. */
  async observed(table: CutTable, parts: readonly ObservedPart[], usual: boolean): Promise<CutTable> {
    const corrected = refresh(table, parts);
    await this.#components.store.keep(corrected, usual);
    return corrected;
  }

  /** Ends what is being measured. */
  async stop(): Promise<void> {
    this.#stopped.abort(new WeftError({ code: 'stopping', message: 'The node is stopping.' }));
    await this.#last;
  }

  #device(): string {
    return `cpu, ${this.#init.machine}, ${this.#components.threads().threads} in a session`;
  }

  /**
   * Requests go before: what they interrupt begins anew when they are done. Not before those that wait for it: then it goes on
   * beside them, and what comes out isn't kept, as it tells of a busy machine.
   */
  async #measure(model: InstalledModel, asked: Asked): Promise<CutTable> {
    const { log, store } = this.#components;
    const { isUrgent } = asked;
    for (let attempt = 1; ; attempt++) {
      const isQuiet = await this.#quiet(isUrgent);
      const interrupted = new AbortController();
      const signal = AbortSignal.any([this.#stopped.signal, interrupted.signal]);
      const watch = isQuiet ? this.#watch(interrupted) : undefined;
      try {
        const table = await this.#inProcess(model, asked, signal);
        if (isQuiet) await store.keep(table, asked.sample.length === 0);
        log.info({ model: model.ref.id, segments: table.segments.length, wholeMs: table.wholeMs }, 'measured cuts');
        return table;
      } catch (thrown) {
        if (this.#stopped.signal.aborted) throw toWeftError(this.#stopped.signal.reason);
        if (!interrupted.signal.aborted) throw thrown;
        log.debug({ model: model.ref.id, attempt }, 'a measurement of cuts was interrupted');
        if (attempt >= ATTEMPTS_MAX && !isUrgent()) throw neverQuiet();
      } finally {
        watch?.cancel();
      }
    }
  }

  /** Waits for the node to have nothing to do. @returns false where it has, and the measurement can't wait */
  async #quiet(isUrgent: () => boolean): Promise<boolean> {
    const { clock, quietMs } = this.#components;
    const begun = clock.now();
    while (quietMs() < QUIET_MS) {
      const waitedMs = clock.now() - begun;
      if (isUrgent() && waitedMs > URGENT_WAIT_MS_MAX) return false;
      if (waitedMs > QUIET_WAIT_MS_MAX) throw neverQuiet();
      await delay(clock, QUIET_LOOK_MS, this.#stopped.signal);
    }
    return true;
  }

  /** Aborts when somebody wants something of the engine. */
  #watch(interrupted: AbortController): { cancel(): void } {
    const { clock, quietMs } = this.#components;
    const look = () =>
      clock.after(QUIET_LOOK_MS, () => {
        if (quietMs() < QUIET_LOOK_MS) interrupted.abort();
        else timer = look();
      });
    let timer = look();
    return { cancel: () => timer.cancel() };
  }

  async #inProcess(model: InstalledModel, { sample, raw, device }: Asked, signal: AbortSignal): Promise<CutTable> {
    const { verified, memory, threads } = this.#components;
    const state = new ModelState(model);
    let process: RunnerProcess | undefined;
    let capBytes = 0;
    const slot: KeptSlot = {
      models: [state],
      limitMemory: (bytes) => {
        capBytes = bytes;
        process?.limitMemory(bytes);
      },
      // It leaves by itself, and for whoever has work it is ended.
      unload: () => Promise.resolve(),
    };
    state.phase = 'loading';
    this.#slots.add(slot);
    let scratch: string | undefined;
    try {
      const weightBytesMax = await this.#reserve(state);
      const looks = await verified.look(model);
      scratch = await this.#scratch();
      signal.throwIfAborted();
      const running = this.#start(slot);
      process = running;
      running.limitMemory(capBytes);
      const answer = await running.client.call(
        RUNNER_METHODS.cuts,
        {
          model: model.ref,
          folder: model.folder,
          manifestJson: state.manifestJson,
          ...threads(),
          scratch,
          device,
          version: this.#init.version,
          verifyLarge: !verified.has(looks),
          weightBytesMax: BigInt(weightBytesMax),
          inputs: sample,
          raw: [...raw],
        },
        { signal, requestId: '' },
      ).response;
      verified.add(looks);
      return { ...parseTable(answer.tableJson), model: model.ref, device, version: this.#init.version };
    } finally {
      await process?.stop();
      if (scratch !== undefined) await rm(scratch, { recursive: true, force: true });
      state.phase = 'disk';
      state.freed();
      this.#slots.delete(slot);
      memory.limitRunners();
    }
  }

  async #scratch(): Promise<string> {
    const { scratchFolder } = this.#init;
    // There is one measurement at a time: what is there is of a daemon that was killed.
    await rm(scratchFolder, { recursive: true, force: true });
    await mkdir(scratchFolder, { recursive: true, mode: 0o700 });
    return mkdtemp(join(scratchFolder, 'cuts-'));
  }

  /**
   * For the whole graph and one copy of it in parts; where that much is not to be had, for as much of it at a time as fits.
   * @returns bytes of weights that may be in memory at a time; 0 = all
   */
  async #reserve(state: ModelState): Promise<number> {
    const { memory } = this.#components;
    const perByte = COPIES * RESIDENT_PER_FILE_BYTE;
    state.measuredBytes = RUNNER_BASE_BYTES + MEASURING_BYTES + Math.ceil(state.sizeBytes * perByte);
    try {
      await memory.makeRoom(state, true);
      return 0;
    } catch (thrown) {
      const bytes = Math.floor((memory.freeBytes() * FREE_SHARE - RUNNER_BASE_BYTES) / perByte);
      if (toWeftError(thrown).code !== 'out_of_memory' || bytes < PIECE_BYTES_MIN) throw thrown;
      state.measuredBytes = RUNNER_BASE_BYTES + bytes * perByte;
      await memory.makeRoom(state, true);
      return bytes;
    }
  }

  #start(slot: KeptSlot): RunnerProcess {
    const { clock, log, records, memory } = this.#components;
    const process: RunnerProcess = new RunnerProcess(
      {
        clock,
        log,
        onLost: (error) => log.warn({ pid: process.pid, code: error.code }, 'a measurement of cuts was lost'),
        onReading: (reading) => memory.reading(slot, reading),
        onGone: () => {
          if (process.pid !== undefined) records.remove(process.pid);
        },
      },
      this.#init.launch,
    );
    if (process.pid !== undefined) records.add(process.pid);
    return process;
  }
}

/** Headroom comes on top of what is asked for. */
const FREE_SHARE = 0.8;

const neverQuiet = (): WeftError =>
  new WeftError({
    code: 'overloaded',
    message: 'The node is never quiet for long enough to measure where the model can be cut.',
    remedy: 'Try again when the node has less to do.',
  });
