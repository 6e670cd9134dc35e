// One download while it runs: asks sources what they have, begins the reads that choose.ts decides on, blames and gives
// up sources, and ends when every chunk is written or nobody is left to hope for. Bytes go from a source to the worker
// that verifies and writes them without being copied.
import { pipe } from 'it-pipe';
import { toWeftError, WeftError } from '../../../protocol/errors.ts';
import { toAbortError } from '../../core/calls.ts';
import type { Clock, Timer } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import type { Download, DownloadOptions, DownloadProgress } from '../../core/transfer.ts';
import { unlessAborted } from '../../core/waiting.ts';
import type { MeshLimits } from '../limits.ts';
import { laneCount, nextRead, type Snapshot } from './choose.ts';
import { type Chunk, ChunkBoard } from './chunk-board.ts';
import { checkDownloads, corrupt } from './chunks.ts';
import type { Pace } from './governor.ts';
import { RateMeter } from './rate-meter.ts';
import { type Read, SourceState } from './source-state.ts';

export interface ChunkDownloadComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly governor: Pick<Pace, 'takeAll' | 'moved'>;
}

export interface ChunkDownloadInit {
  readonly downloads: readonly Download[];
  readonly options: DownloadOptions;
  readonly limits: MeshLimits['transfer'];
}

/** A chunk's bytes, unverified, and where they came from. */
interface Fetched {
  readonly read: Read;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export class ChunkDownload {
  readonly #components: ChunkDownloadComponents;
  readonly #downloads: readonly Download[];
  readonly #options: DownloadOptions;
  readonly #limits: MeshLimits['transfer'];
  readonly #board: ChunkBoard;
  readonly #verified: RateMeter;
  /** By kind and name. */
  readonly #states = new Map<string, SourceState>();
  /** Being read or written, oldest first. */
  readonly #open = new Set<Read>();
  readonly #writes = new Set<Promise<unknown>>();
  readonly #over = Promise.withResolvers<void>();
  /** Ends what still waits for a source when the download is over. */
  readonly #ended = new AbortController();
  #timer: Timer | undefined;
  #sourcesAtMs = 0;
  #hopelessSinceMs: number | undefined;
  #lastFailure: WeftError | undefined;

  /** @throws WeftError `model_corrupt` when the files are cut in a way that no honest manifest has */
  constructor(components: ChunkDownloadComponents, init: ChunkDownloadInit) {
    checkDownloads(init.downloads, init.limits);
    this.#components = components;
    this.#downloads = init.downloads;
    this.#options = init.options;
    this.#limits = init.limits;
    this.#board = new ChunkBoard(init.downloads);
    this.#verified = new RateMeter(init.limits.rateWindowMs);
  }

  /** As {@link Transfer.download}; once. */
  async run(): Promise<DownloadProgress> {
    const { signal, onProgress } = this.#options;
    if (signal.aborted) throw toAbortError(signal);
    const onAbort = (): void => this.#end(toAbortError(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      if (!this.#board.isDone) {
        this.#tick();
        await this.#over.promise;
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#timer?.cancel();
      // Whoever closes the sinks next must find them at rest.
      await Promise.allSettled(this.#writes);
      onProgress?.(this.#progress());
    }
    return this.#progress();
  }

  get #isOver(): boolean {
    return this.#ended.signal.aborted;
  }

  #end(error?: unknown): void {
    if (this.#isOver) return;
    this.#ended.abort(error ?? new WeftError({ code: 'cancelled', message: 'The download is over.' }));
    for (const read of [...this.#open]) this.#giveUp(read);
    if (error === undefined) this.#over.resolve();
    else this.#over.reject(error);
  }

  #tick(): void {
    try {
      const nowMs = this.#components.clock.now();
      if (nowMs >= this.#sourcesAtMs) this.#lookForSources(nowMs);
      for (const state of this.#states.values()) {
        this.#dropStalled(state, nowMs);
        this.#askHoldings(state, nowMs);
      }
      this.#step();
      this.#judgeHope(nowMs);
      if (this.#isOver) return;
      this.#options.onProgress?.(this.#progress());
      this.#timer = this.#components.clock.after(this.#limits.tickMs, () => this.#tick());
      this.#timer.hold?.();
    } catch (error) {
      // What the owner's own callbacks throw is the owner's to hear.
      this.#end(error);
    }
  }

  #lookForSources(nowMs: number): void {
    this.#sourcesAtMs = nowMs + this.#limits.sourcesMs;
    const named = new Map(this.#options.sources().map((source) => [`${source.kind} ${source.name}`, source]));
    let hasChanged = false;
    for (const [key, source] of named) {
      const state = this.#states.get(key);
      if (state === undefined) this.#states.set(key, new SourceState(source, { limits: this.#limits }));
      else state.source = source;
    }
    for (const [key, state] of this.#states) {
      hasChanged ||= state.isListed !== named.has(key);
      state.isListed = named.has(key);
    }
    if (hasChanged) this.#reorder();
  }

  #askHoldings(state: SourceState, nowMs: number): void {
    const { isAskedForHoldings, isBlamed, isListed, askHoldingsAtMs, retryAtMs, holdings, denied } = state;
    if (isAskedForHoldings || isBlamed || !isListed || nowMs < Math.max(askHoldingsAtMs, retryAtMs)) return;
    if (denied.size === 0 && holdings?.every((holding) => holding === 'all')) return;
    state.isAskedForHoldings = true;
    state.askHoldingsAtMs = nowMs + this.#limits.holdingsMs;
    void this.#holdingsOf(state).finally(() => {
      state.isAskedForHoldings = false;
      this.#step();
    });
  }

  /** Never rejects. */
  async #holdingsOf(state: SourceState): Promise<void> {
    const { clock } = this.#components;
    const late = new AbortController();
    const timer = clock.after(this.#limits.holdingsTimeoutMs, () =>
      late.abort(new WeftError({ code: 'peer_timeout', message: 'The source did not say what it has.' })),
    );
    const signal = AbortSignal.any([late.signal, this.#ended.signal]);
    const askedMs = clock.now();
    try {
      const files = this.#downloads.map(({ file }) => file);
      state.holdings = await unlessAborted(state.source.holdings(files, signal), signal);
      state.answered(clock.now() - askedMs);
      state.denied.clear();
      this.#reorder();
    } catch (error) {
      if (!this.#isOver) this.#sourceFailed(state, toWeftError(error));
    } finally {
      timer.cancel();
    }
  }

  #reorder(): void {
    this.#board.reorder([...this.#states.values()].filter(({ isListed, isBlamed }) => isListed && !isBlamed));
  }

  #dropStalled(state: SourceState, nowMs: number): void {
    const stalled = state.stalled(nowMs);
    if (stalled.length === 0) return;
    for (const read of stalled) this.#giveUp(read);
    this.#sourceFailed(state, new WeftError({ code: 'peer_timeout', message: 'The source stopped sending.' }));
  }

  /** Begins what may begin now; the end of the download where nothing is left. */
  #step(): void {
    if (this.#isOver) return;
    if (this.#board.isDone) {
      this.#end();
      return;
    }
    const nowMs = this.#components.clock.now();
    const usable = [...this.#states.values()].filter((state) => state.isUsable(nowMs));
    for (;;) {
      const choice = nextRead(this.#snapshot(usable, nowMs));
      const from = choice && usable[choice.source];
      if (from === undefined) return;
      this.#begin(this.#board.chunk(choice?.chunk ?? 0), from, nowMs);
    }
  }

  #snapshot(usable: readonly SourceState[], nowMs: number): Snapshot {
    const chunkBytes = Math.max(1, this.#board.totalBytes / this.#board.chunks.length);
    const reads = [...this.#open].filter((read) => read.from.reads.has(read));
    return {
      queue: this.#board.queue,
      bytesOf: (id) => this.#board.chunk(id).bytes,
      sources: usable.map((state) => ({
        has: (id) => state.has(this.#board.chunk(id)),
        outstanding: state.reads.size,
        outstandingBytes: state.outstandingBytes,
        lanes: laneCount(state, {
          chunkBytes,
          lanesMin: this.#limits.lanesMin,
          lanesMax: state.source.parallelMax,
        }),
        bytesPerSecond: state.speed(nowMs),
        latencyMs: state.latencyMs,
      })),
      reads: reads.map(({ chunk, from, startedMs }) => {
        const source = usable.indexOf(from);
        return {
          chunk: chunk.id,
          bytes: chunk.bytes,
          source: source === -1 ? undefined : source,
          ageMs: nowMs - startedMs,
        };
      }),
      inFlightBytes: [...this.#open].reduce((sum, { chunk }) => sum + chunk.bytes, 0),
      inFlightBytesMax: this.#limits.inFlightBytesMax,
    };
  }

  #begin(chunk: Chunk, from: SourceState, nowMs: number): void {
    const read: Read = {
      chunk,
      from,
      abort: new AbortController(),
      startedMs: nowMs,
      receivedBytes: 0,
      aliveMs: nowMs,
    };
    this.#board.take(chunk);
    this.#open.add(read);
    from.began(read);
    void this.#carry(read);
  }

  /** Carries one chunk from its source to the disk. Never rejects. */
  async #carry(read: Read): Promise<void> {
    try {
      await pipe(
        [read],
        (reads) => this.#fetched(reads),
        (fetched) => this.#stored(fetched),
      );
    } catch (error) {
      this.#readFailed(read, toWeftError(error));
    }
    this.#release(read);
    this.#step();
  }

  async *#fetched(reads: Iterable<Read>): AsyncGenerator<Fetched> {
    const { clock, governor } = this.#components;
    for (const read of reads) {
      const { from, chunk, abort } = read;
      const { signal } = abort;
      const download = this.#downloads[chunk.download] as Download;
      const onBytes = (bytes: number): void => {
        if (!this.#open.has(read)) return;
        from.heard(clock.now(), read, bytes);
        governor.moved('in', bytes);
      };
      // A peer's pieces are paced one by one where they are asked for.
      if (from.source.kind === 'hub') {
        await governor.takeAll(chunk.bytes, signal);
        onBytes(0);
      }
      const bytes = await from.source.read(download.file, chunk.index, { signal, onBytes });
      if (signal.aborted) throw toAbortError(signal);
      if (bytes.byteLength !== chunk.bytes) throw corrupt('The source sent a chunk of another size.');
      onBytes(Math.max(0, chunk.bytes - read.receivedBytes));
      from.reads.delete(read);
      this.#step();
      yield { read, bytes };
    }
  }

  async #stored(fetched: AsyncIterable<Fetched>): Promise<void> {
    for await (const { read, bytes } of fetched) {
      const { chunk, from } = read;
      // Two sources may have sent it: the second one's bytes are wanted only when the first one's are bad.
      while (chunk.writing !== undefined) await chunk.writing;
      if (chunk.isDone || this.#isOver) return;
      if (!(await this.#written(chunk, bytes))) throw corrupt('The source sent what is not the file.');
      const nowMs = this.#components.clock.now();
      this.#board.done(chunk);
      this.#verified.add(nowMs, chunk.bytes);
      from.delivered(nowMs, chunk.bytes);
      for (const other of [...this.#open]) if (other.chunk === chunk && other !== read) this.#giveUp(other);
    }
  }

  /** @returns the sink's verdict. What writing fails with ends the download: no other source would do better. */
  async #written(chunk: Chunk, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
    const { sink } = this.#downloads[chunk.download] as Download;
    const { promise, resolve } = Promise.withResolvers<void>();
    chunk.writing = promise;
    this.#writes.add(promise);
    try {
      return await sink.write(chunk.index, bytes);
    } catch (error) {
      this.#end(error);
      throw error;
    } finally {
      chunk.writing = undefined;
      this.#writes.delete(promise);
      resolve();
    }
  }

  #readFailed(read: Read, error: WeftError): void {
    // One that was given up has been counted, and says no more than that.
    if (this.#isOver || !this.#open.has(read)) return;
    const { from, chunk } = read;
    if (error.code === 'model_corrupt') {
      this.#blame(from, error);
      return;
    }
    if (error.code === 'not_found') {
      from.denied.add(chunk.id);
      from.askHoldingsAtMs = 0;
    }
    this.#sourceFailed(from, error);
  }

  #blame(state: SourceState, error: WeftError): void {
    const { kind, name } = state.source;
    this.#components.log.warn({ kind, source: name, reason: error.message }, 'a source sent what is not the file');
    this.#lastFailure = error;
    state.blame(error);
    for (const read of [...state.reads]) this.#giveUp(read);
    this.#reorder();
  }

  #sourceFailed(state: SourceState, error: WeftError): void {
    const { kind, name } = state.source;
    this.#components.log.debug({ kind, source: name, code: error.code, reason: error.message }, 'a source failed');
    this.#lastFailure = error;
    state.failed(this.#components.clock.now(), error);
  }

  /** Its bytes are not wanted any more, whether they come or not. */
  #giveUp(read: Read): void {
    this.#release(read);
    read.abort.abort(new WeftError({ code: 'cancelled', message: 'The chunk comes from elsewhere.' }));
  }

  #release(read: Read): void {
    if (!this.#open.delete(read)) return;
    read.from.reads.delete(read);
    for (const { chunk } of this.#open) if (chunk === read.chunk) return;
    this.#board.giveBack(read.chunk);
  }

  /** Ends a download that waits for nobody. */
  #judgeHope(nowMs: number): void {
    const mayGoOn = [...this.#states.values()].some(
      (state) =>
        state.isHopeful &&
        (state.holdings === undefined ||
          state.reads.size > 0 ||
          this.#board.queue.some((id) => state.has(this.#board.chunk(id)))),
    );
    if (this.#isOver || this.#writes.size > 0 || mayGoOn) {
      this.#hopelessSinceMs = undefined;
      return;
    }
    this.#hopelessSinceMs ??= nowMs;
    if (nowMs - this.#hopelessSinceMs < this.#limits.graceMs) return;
    this.#end(
      this.#lastFailure ?? new WeftError({ code: 'peer_unreachable', message: 'Nobody has the missing part of it.' }),
    );
  }

  #progress(): DownloadProgress {
    const nowMs = this.#components.clock.now();
    return {
      totalBytes: this.#board.totalBytes,
      doneBytes: this.#board.doneBytes,
      bytesPerSecond: Math.round(this.#verified.rate(nowMs) ?? 0),
      sources: [...this.#states.values()].map((state) => state.progress(nowMs)),
    };
  }
}
