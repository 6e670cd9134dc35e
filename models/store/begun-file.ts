// One file that is coming: its data, of full size from the start and with holes, and its journal. PartialFiles opens it
// once, however many ask for it.
import { type FileHandle, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { WeftError } from '../../protocol/errors.ts';
import { SYNC_BYTES } from '../limits.ts';
import { bitmapOf, chunkCount, chunkLength } from './chunks.ts';
import { corrupt, diskError, onDisk } from './disk-error.ts';
import type { DiskQueue } from './disk-queue.ts';
import { syncFolder } from './durable.ts';
import { type Journal, type JournalHead, syncedLine } from './journal.ts';
import { type BegunPaths, type Resumed, resume } from './resume.ts';
import type { ChunkDigests, FileHolding, FileToFetch } from './stored-file.ts';

export interface BegunFileComponents {
  readonly queue: DiskQueue;
  /** Makes the verified data, which is on the disk for good, a file of the store: it is gone from its path afterwards. */
  readonly place: (path: string, sha256: string, chunks: ChunkDigests) => Promise<void>;
  /** Names beside its own by which parts of models read it while it comes. @default none */
  readonly names?: (sha256: string) => readonly string[];
}

let lastNumber = 0;

export class BegunFile {
  readonly #components: BegunFileComponents;
  readonly #paths: BegunPaths;
  /** Names it in the thread. */
  readonly #number = ++lastNumber;
  readonly #data: FileHandle;
  readonly #journal: FileHandle;
  readonly #chunks: Map<number, string>;
  readonly #writing = new Map<number, Promise<boolean>>();
  #head: JournalHead;
  #heldBytes = 0;
  /** Lines of chunks in the journal, in the order in which they were written. */
  #lines: number;
  #unsyncedBytes = 0;
  #syncing: Promise<void> | undefined;
  #finishing: Promise<ChunkDigests> | undefined;
  #state: 'open' | 'finished' | 'closed' | 'dropped' = 'open';

  private constructor(components: BegunFileComponents, init: Resumed & { readonly paths: BegunPaths }) {
    this.#components = components;
    this.#paths = init.paths;
    this.#data = init.data;
    this.#journal = init.journal;
    this.#head = init.head;
    this.#chunks = init.chunks;
    this.#lines = init.chunks.size;
    this.#count();
  }

  /**
   * Goes on with what is there, or begins anew where that can't be gone on with: no plain file, another size, a second
   * name that isn't known (writing would change another file), no journal.
   * @throws WeftError as the disk refuses
   */
  static open(components: BegunFileComponents, paths: BegunPaths, file: FileToFetch): Promise<BegunFile> {
    const names = components.names?.(file.sha256) ?? [];
    return onDisk(
      async () => new BegunFile(components, { paths, ...(await resume(components.queue, paths, file, names)) }),
    );
  }

  get head(): JournalHead {
    return this.#head;
  }

  /** What of it lies on the disk. */
  get journal(): Journal {
    return { ...this.#head, chunks: this.#chunks, unsure: new Set() };
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  get state(): 'open' | 'finished' | 'closed' | 'dropped' {
    return this.#state;
  }

  has(index: number): boolean {
    return this.#state === 'finished' || this.#chunks.has(index);
  }

  /** @returns undefined while nobody has said what its chunks must be: what has come is not verified then */
  holding(): FileHolding | undefined {
    const { sizeBytes, chunkBytes, digests } = this.#head;
    if (digests === undefined) return undefined;
    return { sizeBytes, chunkBytes, chunks: bitmapOf(digests.length, (index) => this.has(index)) };
  }

  /**
   * Takes in what the chunks must be, where that wasn't known: what has come and is something else counts no more.
   * @throws WeftError `model_corrupt` when it is known, and something else
   */
  expect(chunks: ChunkDigests): void {
    const { chunkBytes, digests } = this.#head;
    const same =
      chunks.sizeBytes === chunkBytes && (digests ?? chunks.sha256).every((sha, i) => sha === chunks.sha256[i]);
    if (!same) throw corrupt('A file is being fetched whose chunks were said to be others.');
    if (digests !== undefined) return;
    this.#head = { ...this.#head, digests: chunks.sha256 };
    for (const [index, sha256] of this.#chunks) {
      if (sha256 !== chunks.sha256[index]) this.#chunks.delete(index);
    }
    this.#count();
  }

  /** As {@link PartialFile.write}. */
  async write(index: number, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
    if (this.#length(index) !== bytes.byteLength) return false;
    return this.#once(index, (job) => this.#components.queue.run({ kind: 'write', ...job, bytes }));
  }

  /**
   * Takes a chunk from another file of the same layout, if it is a good one.
   * @param from its file descriptor
   */
  async copy(index: number, from: number): Promise<boolean> {
    const length = this.#length(index);
    if (length === undefined) return false;
    return this.#once(index, (job) => this.#components.queue.run({ kind: 'copy', ...job, from, length }));
  }

  /** These chunks turned out not to be what they were: they have to come again. */
  lose(indexes: readonly number[]): void {
    if (this.#state !== 'open') return;
    for (const index of indexes) this.#chunks.delete(index);
    this.#count();
  }

  /** As {@link PartialFile.finish}; once for all who call it. */
  async finish(): Promise<ChunkDigests> {
    this.#finishing ??= this.#finish();
    try {
      return await this.#finishing;
    } catch (error) {
      // Not for good: a chunk was missing, or the disk full.
      if (this.#state === 'open') this.#finishing = undefined;
      throw error;
    }
  }

  /** Lets go of the files. What has come is on the disk for good, as far as the disk takes it. */
  async close(): Promise<void> {
    await this.#quiet();
    if (this.#state !== 'open') return;
    if (this.#chunks.size === 0) return this.drop();
    this.#state = 'closed';
    // Whatever can't be waited for is hashed when the file is opened again.
    await this.#sync().catch(() => undefined);
    await this.#release();
  }

  /** Deletes what has come. */
  async drop(): Promise<void> {
    await this.#quiet();
    if (this.#state !== 'open') return;
    this.#state = 'dropped';
    await this.#release();
    await rm(this.#paths.data, { force: true });
    await rm(this.#paths.journal, { force: true });
  }

  /** Exact number of bytes that a chunk has; undefined when the file has no such chunk. */
  #length(index: number): number | undefined {
    const { sizeBytes, chunkBytes } = this.#head;
    if (!Number.isSafeInteger(index) || index < 0 || index >= chunkCount(sizeBytes, chunkBytes)) return undefined;
    return chunkLength(sizeBytes, chunkBytes, index);
  }

  /** Every chunk is written once: two sources may send the same one, and the first that is right counts. */
  async #once(
    index: number,
    run: (job: WriteTarget) => Promise<{ readonly written: boolean; readonly sha256: string }>,
  ): Promise<boolean> {
    for (let other = this.#writing.get(index); other !== undefined; other = this.#writing.get(index)) {
      await other.catch(() => undefined);
    }
    if (this.has(index)) return true;
    if (this.#state === 'closed') throw new WeftError({ code: 'stopping', message: 'The file has been closed.' });
    if (this.#state === 'dropped') throw corrupt('What had come of a file was dropped.');
    const writing = this.#write(index, run);
    this.#writing.set(index, writing);
    try {
      return await writing;
    } finally {
      this.#writing.delete(index);
    }
  }

  async #write(
    index: number,
    run: (job: WriteTarget) => Promise<{ readonly written: boolean; readonly sha256: string }>,
  ): Promise<boolean> {
    const { chunkBytes, digests } = this.#head;
    const { written, sha256 } = await run({
      file: this.#number,
      data: this.#data.fd,
      journal: this.#journal.fd,
      index,
      chunkBytes,
      expected: digests?.[index],
    });
    if (!written) return false;
    this.#lines++;
    // Its digest may have become known meanwhile.
    const expected = this.#head.digests?.[index];
    if (expected !== undefined && expected !== sha256) return false;
    this.#chunks.set(index, sha256);
    const bytes = chunkLength(this.#head.sizeBytes, chunkBytes, index);
    this.#heldBytes += bytes;
    this.#unsyncedBytes += bytes;
    // No more than that is ever ahead of the disk.
    while (this.#unsyncedBytes >= SYNC_BYTES && this.#syncing !== undefined) await this.#syncing;
    if (this.#unsyncedBytes >= SYNC_BYTES) this.#startSync();
    return true;
  }

  #startSync(): void {
    this.#syncing = this.#sync().finally(() => {
      this.#syncing = undefined;
    });
    // Who waits for it is told; and without it the chunks are only hashed once more.
    this.#syncing.catch(() => undefined);
  }

  /** Waits for the disk, and says so in the journal. */
  async #sync(): Promise<void> {
    const lines = this.#lines;
    this.#unsyncedBytes = 0;
    try {
      await this.#data.datasync();
      await this.#components.queue.run({ kind: 'note', journal: this.#journal.fd, line: syncedLine(lines) });
      await this.#journal.datasync();
    } catch (cause) {
      throw diskError(cause);
    }
  }

  async #finish(): Promise<ChunkDigests> {
    await this.#quiet(false);
    const { sha256, sizeBytes, chunkBytes } = this.#head;
    const count = chunkCount(sizeBytes, chunkBytes);
    if (this.#chunks.size < count)
      throw corrupt(`Of a file ${count - this.#chunks.size} of ${count} chunks are missing.`);
    const job = { kind: 'whole', file: this.#number, data: this.#data.fd, sizeBytes, chunkBytes } as const;
    const [whole] = await Promise.all([this.#components.queue.run<'whole'>(job), onDisk(() => this.#data.sync())]);
    if (whole.sha256 !== sha256) {
      await this.#dropWrong();
      throw corrupt('A file came whole, and is not what its digest says.');
    }
    const chunks = { sizeBytes: chunkBytes, sha256: whole.chunks };
    await onDisk(() => this.#components.place(this.#paths.data, sha256, chunks));
    this.#state = 'finished';
    this.#heldBytes = sizeBytes;
    await this.#release();
    await onDisk(() => rm(this.#paths.journal, { force: true }));
    await onDisk(() => syncFolder(dirname(this.#paths.journal)));
    return chunks;
  }

  async #dropWrong(): Promise<void> {
    this.#state = 'dropped';
    this.#chunks.clear();
    this.#heldBytes = 0;
    await this.#release();
    await onDisk(() => rm(this.#paths.data, { force: true }));
    await onDisk(() => rm(this.#paths.journal, { force: true }));
  }

  /** Until nothing is being done to the file. */
  async #quiet(finishing = true): Promise<void> {
    if (finishing) await this.#finishing?.catch(() => undefined);
    while (this.#writing.size > 0) await Promise.allSettled(this.#writing.values());
    await this.#syncing?.catch(() => undefined);
  }

  async #release(): Promise<void> {
    // The thread may be hashing ahead; a file that it reads stays open until it says so.
    await this.#components.queue.forget(this.#number);
    await this.#journal.close();
    await this.#data.close();
  }

  #count(): void {
    const { sizeBytes, chunkBytes } = this.#head;
    this.#heldBytes = 0;
    for (const index of this.#chunks.keys()) this.#heldBytes += chunkLength(sizeBytes, chunkBytes, index);
  }
}

/** Where a job of the thread writes. */
interface WriteTarget {
  readonly file: number;
  readonly data: number;
  readonly journal: number;
  readonly index: number;
  readonly chunkBytes: number;
  readonly expected: string | undefined;
}
