// What a download knows of one source: which chunks it says it has, how fast they come, what it owes, and whether it is
// to be asked at all.
import type { WeftError } from '../../../protocol/errors.ts';
import type { ChunkSource, Holding, SourceProgress } from '../../core/transfer.ts';
import type { MeshLimits } from '../limits.ts';
import { stallAfterMs } from './choose.ts';
import type { Chunk } from './chunk-board.ts';
import { RateMeter } from './rate-meter.ts';

/** One chunk that is being read from one source. */
export interface Read {
  readonly chunk: Chunk;
  readonly from: SourceState;
  readonly abort: AbortController;
  readonly startedMs: number;
  receivedBytes: number;
  /** When its last byte came, or it began. */
  aliveMs: number;
}

/** Silence of a source that is still taken for its usual pace. */
const PAUSE_MS = 1_000;

export class SourceState {
  readonly #limits: MeshLimits['transfer'];
  readonly #arrived: RateMeter;
  readonly #verified: RateMeter;
  /** Replaced when the owner names a newer one of the same name. */
  source: ChunkSource;
  /** False once the owner doesn't name it any more: what it is reading is finished, nothing new begun. */
  isListed = true;
  /** By download; undefined while that is not known. */
  holdings: readonly Holding[] | undefined;
  /** Chunks that it had none of when they were asked for, since it last said what it has. */
  readonly denied = new Set<number>();
  isAskedForHoldings = false;
  askHoldingsAtMs = 0;
  readonly reads = new Set<Read>();
  /** Verified. */
  bytes = 0;
  /** Speed when the last byte came. */
  bytesPerSecond: number | undefined;
  latencyMs: number | undefined;
  failure: WeftError | undefined;
  isBlamed = false;
  /** In a row. */
  failures = 0;
  retryAtMs = 0;
  #aliveMs = 0;

  constructor(source: ChunkSource, init: { readonly limits: MeshLimits['transfer'] }) {
    this.source = source;
    this.#limits = init.limits;
    this.#arrived = new RateMeter(init.limits.rateWindowMs);
    this.#verified = new RateMeter(init.limits.rateWindowMs);
  }

  has({ id, download, index }: Chunk): boolean {
    const holding = this.holdings?.[download];
    if (holding === undefined || holding === 'none' || this.denied.has(id)) return false;
    return holding === 'all' || holding.has(index);
  }

  /** True while it may be asked for chunks. */
  isUsable(nowMs: number): boolean {
    return this.isListed && !this.isBlamed && this.holdings !== undefined && nowMs >= this.retryAtMs;
  }

  /** True while chunks of it may still be hoped for, though perhaps not now. */
  get isHopeful(): boolean {
    return this.isListed && !this.isBlamed && this.failures < this.#limits.failuresMax;
  }

  /** Bytes that it has been asked for and not sent. */
  get outstandingBytes(): number {
    let bytes = 0;
    for (const read of this.reads) bytes += Math.max(0, read.chunk.bytes - read.receivedBytes);
    return bytes;
  }

  /** Speed as it is now: that of its last byte, unless it has been silent for longer than a pause. */
  speed(nowMs: number): number | undefined {
    if (this.reads.size === 0 || nowMs - this.#aliveMs <= PAUSE_MS + (this.latencyMs ?? 0)) return this.bytesPerSecond;
    return this.#arrived.rate(nowMs) ?? this.bytesPerSecond;
  }

  began(read: Read): void {
    if (this.reads.size === 0) {
      this.#arrived.begin(read.startedMs);
      this.#aliveMs = read.startedMs;
    }
    this.reads.add(read);
  }

  /** It said what it has, so long after it was asked: a first idea of how far it is. */
  answered(ms: number): void {
    this.latencyMs ??= ms;
  }

  /** Bytes of a read have come. Zero of them are a sign of life, no more. */
  heard(nowMs: number, read: Read, bytes: number): void {
    read.aliveMs = nowMs;
    this.#aliveMs = nowMs;
    if (bytes <= 0) return;
    if (read.receivedBytes === 0) {
      const latencyMs = nowMs - read.startedMs;
      this.latencyMs = Math.min(this.latencyMs ?? latencyMs, latencyMs);
    }
    read.receivedBytes += bytes;
    this.#arrived.add(nowMs, bytes);
    this.bytesPerSecond = this.#arrived.rate(nowMs) ?? this.bytesPerSecond;
  }

  /** A chunk of it was what it should be. */
  delivered(nowMs: number, bytes: number): void {
    this.bytes += bytes;
    this.#verified.add(nowMs, bytes);
    this.failures = 0;
    this.failure = undefined;
  }

  /** It is left alone for a while, longer each time. All that fails in that while is one failure. */
  failed(nowMs: number, error: WeftError): void {
    this.failure = error;
    if (nowMs < this.retryAtMs) return;
    const { backoffMs, backoffMsMax } = this.#limits;
    this.retryAtMs = nowMs + Math.min(backoffMsMax, backoffMs * 2 ** this.failures);
    this.failures++;
    this.askHoldingsAtMs = Math.min(this.askHoldingsAtMs, this.retryAtMs);
  }

  /** It sent what is not the file: nothing more is asked of it. */
  blame(error: WeftError): void {
    this.failure = error;
    this.isBlamed = true;
  }

  /** Reads that get no bytes: all of them when the source is silent, else those that it passes over. */
  stalled(nowMs: number): readonly Read[] {
    const afterMs = stallAfterMs(this, this.#limits);
    if (this.reads.size > 0 && nowMs - this.#aliveMs > afterMs) return [...this.reads];
    return [...this.reads].filter(({ aliveMs }) => nowMs - aliveMs > 4 * afterMs);
  }

  progress(nowMs: number): SourceProgress {
    const { kind, name } = this.source;
    const bytesPerSecond = Math.round(this.#verified.rate(nowMs) ?? 0);
    const reason = this.failure === undefined ? {} : { reason: this.failure.message };
    return { kind, name, bytes: this.bytes, bytesPerSecond, state: this.#state(), ...reason };
  }

  #state(): SourceProgress['state'] {
    if (this.isBlamed) return 'blamed';
    if (this.reads.size > 0) return 'active';
    return this.failures > 0 ? 'failed' : 'idle';
  }
}
