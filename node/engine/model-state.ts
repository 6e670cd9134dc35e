// One installed model, or a part of one, as the supervisor sees it: its state, what it takes, how fast it is, and who waits
// for it. Changed by the runner slot that it belongs to; read by the engine for offers, load and `weft ps`.
import type { InstalledModel } from '../../models/installed.ts';
import { canonicalJson, sizeOf } from '../../models/manifest.ts';
import type { ModelOffer } from '../../protocol/capability.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { Timer } from '../core/clock.ts';
import { BatchCurve } from './batch-curve.ts';
import { RowQueue } from './batching.ts';
import { type DeviceChoice, PROCESSOR_CHOICE } from './devices/choose.ts';
import { deviceKey, RAM } from './devices/device.ts';
import { GeneratorStats } from './generator-stats.ts';
import type { EncodeJob, GenerateJob, RunJob } from './jobs.ts';
import { PART_GRAPH_BYTES } from './limits.ts';
import type { PartOfModel } from './part-model.ts';
import type { PendingRequest } from './pending.ts';
import { ModelProfile } from './profile.ts';
import { DeathLedger } from './quarantine.ts';
import { Demand, TokenRate } from './rates.ts';
import { RunBatching } from './run-batching.ts';
import { RunQueue } from './run-queue.ts';
import { ArrivalRate } from './window.ts';

/** `unloading` shows as `disk` outside. */
export type ModelPhase = 'disk' | 'loading' | 'loaded' | 'unloading' | 'quarantined';

export class ModelState {
  readonly installed: InstalledModel;
  /** As the runner gets it. */
  readonly manifestJson: string;
  /** Set for a part of a graph. */
  readonly part: PartOfModel | undefined;
  readonly #fileBytes: number;
  /** Of a part: bytes of its weights, once its graph was looked at. */
  #weightBytes: number | undefined;
  readonly ledger = new DeathLedger();
  readonly profile = new ModelProfile();
  /** What the mesh was told last. */
  toldProfile = this.profile.snapshot();
  phase: ModelPhase = 'disk';
  /** Why it is quarantined. */
  reason: string | undefined;
  provider = '';
  /** Why the provider is not the one that was asked for. */
  fallbackReason: string | undefined;
  /** Where it is, or was tried last. */
  choice: DeviceChoice = PROCESSOR_CHOICE;
  /** Whose memory its weights take: `cpu`, or the pool of another device. */
  device = RAM;
  /** Reserved there, where that is not `cpu`. Nobody can measure it: it stays what was predicted. */
  deviceBytes = 0;
  /**
   * Reserved for it in the machine's memory, wherever it runs: predicted while it loads, then by what was measured; keys
   * and values included. 0 = not in memory.
   */
  residentBytes = 0;
  /** What was reserved when it was loaded: how far it may grow is decided by it. */
  promisedBytes = 0;
  /** What its process was seen to take for it, keys and values that came later left out; 0 = not loaded. */
  occupiedBytes = 0;
  /** What it was seen to take, by device: on another one than the processor most of it is not in the machine's memory. */
  readonly #seen = new Map<string, { measuredBytes: number; loadPeakBytes: number }>();
  /** Reserved for keys and values; part of `residentBytes`. */
  kvBytesMax = 0;
  /** For a second form of its weights: reserved while it loads, then what that has taken; part of `residentBytes`. */
  spareBytes = 0;
  /** A load of it went wrong beside such a form: it isn't tried again. */
  spareFailed = false;
  /** What its runner said of the last load: the most that the process took before such a form; 0 = nothing. */
  toldPeakBytes = 0;
  sequencesMax = 0;
  kvBytesPerToken = 0;
  /** Of text generators: how they decode, and why not better. */
  decoder: 'rewritten' | 'plain' = 'plain';
  decoderReason: string | undefined;
  /** Providers on which a load found that the rewritten graph says what the original says. */
  readonly decoderChecked = new Set<string>();
  readonly stats = new GeneratorStats();
  readonly tokens = new TokenRate();
  /** How much it is asked for. */
  readonly popularity = new Demand();
  /** The settings keep it in memory; somebody has asked for it to be kept. */
  pinnedBySettings = false;
  pinnedByRequest = false;
  lastUsedMs = 0;
  lastLoadMs = 0;
  /** Those who wait for it to be in memory, and have no request. */
  readonly awaitingLoad: { resolve(): void; reject(error: WeftError): void }[] = [];
  /** What was told of its loading last. */
  readonly loading: { phase: string | undefined; fraction: number | undefined } = {
    phase: undefined,
    fraction: undefined,
  };
  /** Its unloading, while that goes on. */
  unloading: Promise<void> | undefined;
  /** Unloads it after the keep-alive. */
  idleTimer: Timer | undefined;
  idleAtMs: number | undefined;
  /** Those who wait for it to be out of memory. */
  readonly leaving: (() => void)[] = [];
  /** Arrival of the last request that it answers before it leaves; later ones wait until it is loaded again. */
  lastServed = Number.POSITIVE_INFINITY;
  /** Answers since it was loaded: the first one is not warm. */
  answers = 0;

  /** Every request that is not settled, waiting or in the runner. */
  readonly pending = new Set<PendingRequest>();
  /** Those of them that nobody waits for. */
  readonly background = new Set<PendingRequest>();
  /** Calls that the runner has not finished, a cancelled one included. */
  calls = 0;
  readonly runs = new RunQueue<RunJob>();
  readonly rows = new RowQueue<EncodeJob>();
  /** How fast requests come, those for whole runs and those of texts together. */
  readonly arrivals = new ArrivalRate();
  /** What batches of texts take. */
  readonly curve = new BatchCurve();
  /** Whether and how requests on any tensors share runs. */
  readonly batching: RunBatching;
  readonly generations: GenerateJob[] = [];

  constructor(installed: InstalledModel, part?: PartOfModel) {
    this.installed = installed;
    this.part = part;
    this.#fileBytes = sizeOf(installed.manifest);
    this.manifestJson = canonicalJson(installed.manifest);
    this.batching = new RunBatching(installed.manifest);
  }

  /** Bytes of all files; of a part, of its weights, or until that is known of what it takes to look at its graph. */
  get sizeBytes(): number {
    if (this.part === undefined) return this.#fileBytes;
    return this.#weightBytes ?? PART_GRAPH_BYTES;
  }

  /** Nobody knows what it will take: it is a part whose graph was not looked at. */
  get isUnweighed(): boolean {
    return this.part !== undefined && this.#weightBytes === undefined;
  }

  /** @param weightBytes what its runner says, which may have been taken over: a part has no more than the whole */
  weighed(weightBytes: number): void {
    this.#weightBytes = Math.min(weightBytes, this.part?.modelBytes ?? weightBytes);
  }

  get digest(): string {
    return this.installed.ref.digest;
  }

  get id(): string {
    return this.installed.ref.id;
  }

  /** The most that it needs, as it was seen in any of its loads on this device; 0 = never loaded there. */
  get measuredBytes(): number {
    return this.#seenHere().measuredBytes;
  }

  set measuredBytes(bytes: number) {
    this.#seenHere().measuredBytes = bytes;
  }

  /** The most that it was seen to take while it was being loaded there. */
  get loadPeakBytes(): number {
    return this.#seenHere().loadPeakBytes;
  }

  set loadPeakBytes(bytes: number) {
    this.#seenHere().loadPeakBytes = bytes;
  }

  #seenHere(): { measuredBytes: number; loadPeakBytes: number } {
    const key = deviceKey({ kind: this.choice.provider, index: this.choice.index });
    const seen = this.#seen.get(key) ?? { measuredBytes: 0, loadPeakBytes: 0 };
    this.#seen.set(key, seen);
    return seen;
  }

  /** It runs on the processor now, whatever it was loaded on. */
  onProcessor(): void {
    this.choice = PROCESSOR_CHOICE;
    this.device = RAM;
    this.deviceBytes = 0;
  }

  /** Requests that somebody waits for. */
  get demand(): number {
    return this.pending.size - this.background.size;
  }

  get idle(): boolean {
    return this.demand === 0 && this.calls === 0;
  }

  /** Nothing but its owner takes it out of memory. */
  get pinned(): boolean {
    return this.pinnedBySettings || this.pinnedByRequest;
  }

  /** It is needed in memory, or will be at once. */
  get wanted(): boolean {
    return this.pending.size > 0 || this.awaitingLoad.length > 0;
  }

  /** It has been asked to leave, and nobody uses it whom it has to answer first. */
  get mayLeave(): boolean {
    const [oldest] = this.pending;
    return (
      this.leaving.length > 0 && this.calls === 0 && (oldest?.arrival ?? Number.POSITIVE_INFINITY) > this.lastServed
    );
  }

  /** It is out of memory. */
  freed(): void {
    this.residentBytes = this.deviceBytes = this.promisedBytes = this.occupiedBytes = this.kvBytesMax = 0;
    this.spareBytes = this.toldPeakBytes = 0;
    this.stats.reset();
  }

  /** Who waits for it to be out of memory is told: it is, or the node ends. */
  left(): void {
    this.lastServed = Number.POSITIVE_INFINITY;
    for (const gone of this.leaving.splice(0)) gone();
  }

  /** Ends every request of the model. */
  rejectAll(error: WeftError): void {
    for (const waiting of this.awaitingLoad.splice(0)) waiting.reject(error);
    for (const pending of [...this.pending]) pending.reject(error);
  }

  /** Ends what nobody waits for: it must keep neither a request nor an unload waiting, nor load the model again. */
  rejectBackground(): void {
    for (const pending of [...this.background]) {
      pending.reject(new WeftError({ code: 'cancelled', message: 'A measurement gave way to other work.' }));
    }
  }

  quarantineError(): WeftError {
    return new WeftError({
      code: 'model_quarantined',
      message: `${this.id} is quarantined: ${this.reason ?? 'its runner died repeatedly'}`,
      facts: { model: this.id },
    });
  }

  offer(): ModelOffer {
    const { ref, manifest, aliases } = this.installed;
    return {
      model: ref,
      task: manifest.task,
      state: this.phase === 'unloading' ? 'disk' : this.phase,
      contextLength: manifest.contextLength,
      dimensions: manifest.task === 'feature-extraction' ? (manifest.encoding?.dimensions ?? 0) : 0,
      sizeBytes: this.sizeBytes,
      profile: this.profile.snapshot(),
      aliases,
      precision: manifest.precision,
    };
  }
}
