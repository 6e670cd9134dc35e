// One installed model as the supervisor sees it: its state, what it takes, how fast it is, and who waits for it.
// Changed by the runner slot that it belongs to; read by the engine for offers, load and `weft ps`.
import type { InstalledModel } from '../../models/installed.ts';
import { canonicalJson } from '../../models/manifest.ts';
import type { ModelOffer } from '../../protocol/capability.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { Timer } from '../core/clock.ts';
import { RowQueue } from './batching.ts';
import type { EncodeJob, GenerateJob, RunJob } from './jobs.ts';
import type { PendingRequest } from './pending.ts';
import { ModelProfile } from './profile.ts';
import { DeathLedger } from './quarantine.ts';

/** `unloading` shows as `disk` outside. */
export type ModelPhase = 'disk' | 'loading' | 'loaded' | 'unloading' | 'quarantined';

export class ModelState {
  readonly installed: InstalledModel;
  /** As the runner gets it. */
  readonly manifestJson: string;
  /** Bytes of all files. */
  readonly sizeBytes: number;
  readonly ledger = new DeathLedger();
  readonly profile = new ModelProfile();
  /** What the mesh was told last. */
  toldProfile = this.profile.snapshot();
  phase: ModelPhase = 'disk';
  /** Why it is quarantined. */
  reason: string | undefined;
  provider = '';
  /** Predicted while it loads, measured once it is loaded, 0 otherwise. */
  residentBytes = 0;
  /** What its last load was measured to take; 0 = never loaded. */
  measuredBytes = 0;
  lastUsedMs = 0;
  lastLoadMs = 0;
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
  /** Calls that the runner has not finished, a cancelled one included. */
  calls = 0;
  readonly runs: RunJob[] = [];
  readonly rows = new RowQueue<EncodeJob>();
  readonly generations: GenerateJob[] = [];

  constructor(installed: InstalledModel) {
    this.installed = installed;
    this.manifestJson = canonicalJson(installed.manifest);
    this.sizeBytes = installed.manifest.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  get digest(): string {
    return this.installed.ref.digest;
  }

  get id(): string {
    return this.installed.ref.id;
  }

  get idle(): boolean {
    return this.pending.size === 0 && this.calls === 0;
  }

  /** It has been asked to leave, and nobody uses it whom it has to answer first. */
  get mayLeave(): boolean {
    const [oldest] = this.pending;
    return (
      this.leaving.length > 0 && this.calls === 0 && (oldest?.arrival ?? Number.POSITIVE_INFINITY) > this.lastServed
    );
  }

  /** Who waits for it to be out of memory is told: it is, or the node ends. */
  left(): void {
    this.lastServed = Number.POSITIVE_INFINITY;
    for (const gone of this.leaving.splice(0)) gone();
  }

  /** Ends every request of the model. */
  rejectAll(error: WeftError): void {
    for (const pending of [...this.pending]) pending.reject(error);
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
      dimensions: manifest.encoding?.dimensions ?? 0,
      sizeBytes: this.sizeBytes,
      profile: this.profile.snapshot(),
      aliases,
    };
  }
}
