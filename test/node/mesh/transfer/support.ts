// Files, sources and sinks of the transfer's tests. Sources send at a speed of their own, by a clock that the test moves,
// and misbehave on demand; sinks verify, unless a test wants to see what would happen otherwise.
import { createHash } from 'node:crypto';
import { toAbortError } from '../../../../node/core/calls.ts';
import { type Clock, delay } from '../../../../node/core/clock.ts';
import { silentLog } from '../../../../node/core/log.ts';
import type {
  ChunkedFile,
  ChunkSink,
  ChunkSource,
  Download,
  DownloadOptions,
  DownloadProgress,
  Holding,
} from '../../../../node/core/transfer.ts';
import { MESH_LIMITS, type MeshLimits } from '../../../../node/mesh/limits.ts';
import { chunkCount, chunkRange } from '../../../../node/mesh/transfer/chunks.ts';
import { ChunkDownload } from '../../../../node/mesh/transfer/download.ts';
import { UNGOVERNED } from '../../../../node/mesh/transfer/governor.ts';
import { type ErrorCode, WeftError } from '../../../../protocol/errors.ts';
import type { ManualClock } from '../manual-clock.ts';

export const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

/** A file as its manifest describes it. */
export function chunked(bytes: Uint8Array, chunkBytes: number): ChunkedFile {
  const digests: string[] = [];
  for (let from = 0; from < bytes.byteLength; from += chunkBytes) {
    digests.push(sha256(bytes.subarray(from, from + chunkBytes)));
  }
  return {
    sha256: sha256(bytes),
    sizeBytes: bytes.byteLength,
    chunks: { sizeBytes: chunkBytes, sha256: digests },
  };
}

/** Keeps a file in memory, and counts what is written. */
export class MemorySink implements ChunkSink {
  readonly file: ChunkedFile;
  readonly bytes: Uint8Array;
  /** How often each chunk was written. */
  readonly writes: number[];
  /** Chunks that were not what they should be. */
  refused = 0;
  readonly #verifies: boolean;
  readonly #before: () => Promise<void>;

  /** @param init.verifies the guard; @param init.before awaited before each verdict */
  constructor(
    file: ChunkedFile,
    init: { readonly verifies?: boolean; readonly before?: () => Promise<void>; readonly have?: Iterable<number> } = {},
  ) {
    this.file = file;
    this.bytes = new Uint8Array(file.sizeBytes);
    this.writes = new Array(chunkCount(file)).fill(0);
    for (const index of init.have ?? []) this.writes[index] = 1;
    this.#verifies = init.verifies ?? true;
    this.#before = init.before ?? (async () => undefined);
  }

  has(index: number): boolean {
    return (this.writes[index] ?? 0) > 0;
  }

  async write(index: number, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
    await this.#before();
    if (this.#verifies && sha256(bytes) !== this.file.chunks.sha256?.[index]) {
      this.refused++;
      return false;
    }
    this.bytes.set(bytes.subarray(0, chunkRange(this.file, index).length), chunkRange(this.file, index).offset);
    this.writes[index] = (this.writes[index] ?? 0) + 1;
    return true;
  }
}

export interface FakeSourceInit {
  readonly name: string;
  readonly kind?: 'peer' | 'hub';
  /** What it sends, by the sha256 of the file that is asked for. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** @default 10 MB/s, over all its reads together */
  readonly bytesPerSecond?: number;
  /** @default 5 */
  readonly latencyMs?: number;
  /** @default 4 */
  readonly parallelMax?: number;
  /** @default all of each file that it has */
  readonly holding?: (file: ChunkedFile) => Holding;
  /** Changes what is sent of a chunk, fails, or never ends. @default as it is */
  readonly send?: (
    bytes: Uint8Array<ArrayBuffer>,
    asked: { readonly index: number; readonly count: number; readonly signal: AbortSignal },
  ) => Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>>;
  /** Tells of bytes as they come. @default true */
  readonly tells?: boolean;
}

/** A source whose bytes come one read after the other. */
export class FakeSource implements ChunkSource {
  readonly kind: 'peer' | 'hub';
  readonly name: string;
  readonly parallelMax: number;
  readonly #clock: Clock;
  readonly #init: FakeSourceInit;
  #line: Promise<unknown> = Promise.resolve();
  /** Chunks that it was asked for, in order. */
  readonly asked: number[] = [];
  reading = 0;
  cancelled = 0;

  constructor(clock: Clock, init: FakeSourceInit) {
    this.#clock = clock;
    this.#init = init;
    this.kind = init.kind ?? 'peer';
    this.name = init.name;
    this.parallelMax = init.parallelMax ?? 4;
  }

  async holdings(files: readonly ChunkedFile[]): Promise<readonly Holding[]> {
    const holding = this.#init.holding ?? ((): Holding => 'all');
    return files.map((file) => (this.#init.files.has(file.sha256) ? holding(file) : 'none'));
  }

  async read(
    file: ChunkedFile,
    index: number,
    { signal, onBytes }: { readonly signal: AbortSignal; readonly onBytes?: (bytes: number) => void },
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { send = (bytes) => bytes, latencyMs = 5, tells = true } = this.#init;
    this.asked.push(index);
    this.reading++;
    try {
      await delay(this.#clock, latencyMs, signal);
      const { offset, length } = chunkRange(file, index);
      const whole = this.#init.files.get(file.sha256)?.slice(offset, offset + length);
      if (whole === undefined) throw failure('not_found');
      const bytes = await send(whole, { index, count: this.asked.length, signal });
      const sent = this.#line.then(() => this.#trickle(bytes.byteLength, signal, tells ? onBytes : undefined));
      this.#line = sent.catch(() => undefined);
      await sent;
      return bytes;
    } catch (error) {
      if (signal.aborted) this.cancelled++;
      throw signal.aborted ? toAbortError(signal) : error;
    } finally {
      this.reading--;
    }
  }

  async #trickle(bytes: number, signal: AbortSignal, onBytes: ((bytes: number) => void) | undefined): Promise<void> {
    const parts = 4;
    for (let part = 0; part < parts; part++) {
      await delay(this.#clock, (bytes * 1_000) / parts / (this.#init.bytesPerSecond ?? 10e6), signal);
      onBytes?.(Math.floor(bytes / parts));
    }
  }
}

export const failure = (code: ErrorCode): WeftError => new WeftError({ code, message: `It failed with ${code}.` });

/** Never answers, and gives up when it is told to. */
export const silence = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(toAbortError(signal))));

export const LIMITS = MESH_LIMITS.transfer;

/** A download under way by a clock of its own. */
export class TestDownload {
  readonly clock: ManualClock;
  readonly outcome: Promise<DownloadProgress>;
  readonly abort = new AbortController();
  readonly progress: DownloadProgress[] = [];
  #settled: { readonly value?: DownloadProgress; readonly error?: unknown } | undefined;

  constructor(
    clock: ManualClock,
    downloads: readonly Download[],
    init: {
      readonly sources: DownloadOptions['sources'];
      readonly limits?: Partial<MeshLimits['transfer']>;
      readonly takeAll?: typeof UNGOVERNED.takeAll;
    },
  ) {
    this.clock = clock;
    const components = {
      clock,
      log: silentLog,
      governor: { ...UNGOVERNED, takeAll: init.takeAll ?? UNGOVERNED.takeAll },
    };
    this.outcome = new ChunkDownload(components, {
      downloads,
      limits: { ...LIMITS, ...init.limits },
      options: {
        signal: this.abort.signal,
        sources: init.sources,
        onProgress: (progress) => this.progress.push(progress),
      },
    }).run();
    this.outcome.then(
      (value) => {
        this.#settled = { value };
      },
      (error: unknown) => {
        this.#settled = { error };
      },
    );
  }

  get isOver(): boolean {
    return this.#settled !== undefined;
  }

  /** Lets time pass until it is over. @throws Error when it isn't after so long */
  async over(withinMs = 600_000): Promise<DownloadProgress> {
    for (let passedMs = 0; this.#settled === undefined; passedMs += 50) {
      if (passedMs > withinMs) throw new Error(`It was not over within ${withinMs} ms.`);
      await this.clock.advance(50);
    }
    return this.outcome;
  }

  /** What it failed with, as soon as it has. */
  async failure(withinMs?: number): Promise<unknown> {
    await this.over(withinMs).catch(() => undefined);
    return this.#settled?.error;
  }
}
