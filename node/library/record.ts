// What one pull, import or repair is doing, as it is told: at every change of phase, and a few times a second between.
import type { WeftError } from '../../protocol/errors.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Events } from '../core/events.ts';
import type { TransferStatus } from '../core/library.ts';
import type { DownloadProgress } from '../core/transfer.ts';
import { PROGRESS_INTERVAL_MS, SPEED_WEIGHT } from './limits.ts';

export interface TransferRecordComponents {
  readonly clock: Clock;
  readonly events: Pick<Events, 'publish'>;
}

export class TransferRecord {
  readonly #components: TransferRecordComponents;
  #status: TransferStatus;
  #speed: number | undefined;
  #toldAt: number | undefined;
  #timer: Timer | undefined;

  constructor(components: TransferRecordComponents, init: Pick<TransferStatus, 'id' | 'kind' | 'model'>) {
    this.#components = components;
    this.#status = {
      ...init,
      phase: 'resolving',
      chosen: [],
      totalBytes: 0,
      doneBytes: 0,
      hereBytes: 0,
      bytesPerSecond: 0,
      etaSeconds: undefined,
      sources: [],
      error: undefined,
    };
  }

  get status(): TransferStatus {
    return this.#status;
  }

  /** Takes over what changed. A new phase is told at once, the rest soon. */
  update(change: Partial<Omit<TransferStatus, 'id' | 'kind' | 'etaSeconds'>>): void {
    const before = this.#status.phase;
    this.#status = { ...this.#status, ...change };
    if (this.#status.phase === 'fetching') this.#status = { ...this.#status, etaSeconds: this.#eta() };
    if (this.#status.phase === before) {
      this.#tellSoon();
      return;
    }
    // Speeds are those of one phase.
    this.#speed = undefined;
    if (change.bytesPerSecond === undefined) this.#status = { ...this.#status, bytesPerSecond: 0 };
    if (this.#status.phase !== 'fetching') this.#status = { ...this.#status, etaSeconds: undefined };
    this.#tell();
  }

  /**
   * How far a download is.
   * @param baseBytes of the whole, those that are no part of this download and here
   */
  progress({ doneBytes, bytesPerSecond, sources }: DownloadProgress, baseBytes: number): void {
    this.#speed =
      this.#speed === undefined ? bytesPerSecond : this.#speed + SPEED_WEIGHT * (bytesPerSecond - this.#speed);
    this.update({ doneBytes: baseBytes + doneBytes, bytesPerSecond, sources });
  }

  /** The end, well or not. */
  end(phase: 'done' | 'failed' | 'cancelled', error?: WeftError): void {
    const told = error && { code: error.code, message: error.message, remedy: error.remedy };
    this.update({ phase, error: phase === 'failed' ? told : undefined });
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #eta(): number | undefined {
    const { totalBytes, doneBytes } = this.#status;
    if (this.#speed === undefined || this.#speed <= 0 || totalBytes === 0) return undefined;
    return Math.max(0, totalBytes - doneBytes) / this.#speed;
  }

  #tellSoon(): void {
    if (this.#timer !== undefined) return;
    const { clock } = this.#components;
    const sinceMs = this.#toldAt === undefined ? PROGRESS_INTERVAL_MS : clock.now() - this.#toldAt;
    if (sinceMs >= PROGRESS_INTERVAL_MS) this.#tell();
    else this.#timer = clock.after(PROGRESS_INTERVAL_MS - sinceMs, () => this.#tell());
  }

  #tell(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#toldAt = this.#components.clock.now();
    this.#components.events.publish('transfer', this.#status);
  }
}
