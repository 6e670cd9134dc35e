// The files that were begun, in .partial/: SHA256.data and SHA256.journal. One that is open is shared by all who ask.
import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { STORE_FILES_MAX } from '../limits.ts';
import { BegunFile, type BegunFileComponents } from './begun-file.ts';
import { bitmapOf, checkFileToFetch, chunkCount, chunkLength, isSha256 } from './chunks.ts';
import { corrupt } from './disk-error.ts';
import { ensureFolder, missing } from './durable.ts';
import type { Journal } from './journal.ts';
import { readJournalFile } from './resume.ts';
import type { ChunkDigests, FileHolding, FileToFetch, PartialFile, PartialReport } from './stored-file.ts';

const DATA = '.data';
const JOURNAL = '.journal';

interface OpenFile {
  readonly file: Promise<BegunFile>;
  leases: number;
}

/** A begun file that takes chunks from other files, too. */
export interface RepairableFile extends PartialFile {
  /**
   * Takes a chunk from another file of the same layout, if it is the right one.
   * @param from its file descriptor
   */
  copy(index: number, from: number): Promise<boolean>;
  /** Chunks that turned out not to be what they were count as missing from now on. */
  lose(indexes: readonly number[]): void;
}

/** A begun file on the disk, for what deletes old ones. */
export interface BegunOnDisk {
  readonly sha256: string;
  /** Blocks that it takes. */
  readonly bytes: number;
  /** When it was last written. */
  readonly changedMs: number;
}

export class PartialFiles {
  readonly #components: BegunFileComponents;
  readonly #folder: string;
  readonly #open = new Map<string, OpenFile>();
  /** Those of them that are ready. */
  readonly #files = new Map<string, BegunFile>();
  /** Files that are being closed: a new lease waits for that. */
  readonly #closing = new Map<string, Promise<void>>();
  /** What lies there and isn't open. */
  #resting = new Map<string, Journal>();

  constructor(components: BegunFileComponents, folder: string) {
    this.#components = components;
    this.#folder = folder;
  }

  /** Reads the journals anew. What isn't whole (data without a journal, or the reverse) is deleted when `tidy`. */
  async scan(tidy: boolean): Promise<void> {
    const resting = new Map<string, Journal>();
    const names = new Set((await readdir(this.#folder).catch(missing))?.slice(0, STORE_FILES_MAX));
    for (const name of names) {
      const sha256 = name.slice(0, 64);
      if (this.#open.has(sha256)) continue;
      const whole = names.has(sha256 + DATA) && names.has(sha256 + JOURNAL) && isSha256(sha256);
      const journal = whole && name === sha256 + JOURNAL ? await readJournalFile(join(this.#folder, name)) : undefined;
      if (journal?.sha256 === sha256) resting.set(sha256, journal);
      else if (tidy && !(whole && name === sha256 + DATA))
        await rm(join(this.#folder, name), { recursive: true, force: true });
    }
    this.#resting = resting;
  }

  /** A lease of this file. @throws WeftError `model_corrupt` for a file that can't be, or as the disk refuses */
  async lease(file: FileToFetch): Promise<RepairableFile> {
    checkFileToFetch(file);
    const { sha256 } = file;
    for (let closing = this.#closing.get(sha256); closing !== undefined; closing = this.#closing.get(sha256)) {
      await closing;
    }
    const opened = this.#open.get(sha256) ?? this.#begin(file);
    opened.leases++;
    let begun: BegunFile;
    try {
      begun = await opened.file;
      if (begun.head.sizeBytes !== file.sizeBytes)
        throw corrupt('A file is being fetched whose size was said to be another.');
      if (file.chunks !== undefined) begun.expect(file.chunks);
    } catch (error) {
      await this.#leave(sha256, opened, 'close');
      throw error;
    }
    return new Lease(begun, {
      leave: (how) => this.#leave(sha256, opened, how),
      ended: () => this.#forget(sha256, opened),
    });
  }

  /** Where the data of a file lies that isn't whole. */
  path(sha256: string): string {
    return join(this.#folder, sha256 + DATA);
  }

  /** Files that aren't whole, open or not. */
  list(): readonly PartialReport[] {
    const resting = [...this.#resting.values()].map((journal) => ({
      sha256: journal.sha256,
      sizeBytes: journal.sizeBytes,
      heldBytes: heldOf(journal),
    }));
    const open = [...this.#files.values()].map(({ head, heldBytes }) => ({
      sha256: head.sha256,
      sizeBytes: head.sizeBytes,
      heldBytes,
    }));
    return [...resting, ...open];
  }

  isOpen(sha256: string): boolean {
    return this.#open.has(sha256) || this.#closing.has(sha256);
  }

  /** Verified chunks that have come. */
  holding(sha256: string): FileHolding | undefined {
    const begun = this.#files.get(sha256);
    if (begun !== undefined) return begun.holding();
    const journal = this.#resting.get(sha256);
    if (journal?.digests === undefined) return undefined;
    const { sizeBytes, chunkBytes } = journal;
    const chunks = bitmapOf(chunkCount(sizeBytes, chunkBytes), (index) => this.has(sha256, index));
    return { sizeBytes, chunkBytes, chunks };
  }

  /** True for a chunk that {@link holding} names. */
  has(sha256: string, index: number): boolean {
    const begun = this.#files.get(sha256);
    if (begun !== undefined) return begun.head.digests !== undefined && begun.has(index);
    const journal = this.#resting.get(sha256);
    if (journal === undefined || journal.unsure.has(index)) return false;
    const said = journal.chunks.get(index);
    return said !== undefined && said === journal.digests?.[index];
  }

  /** Where verified chunks of it can be read, and what they must be. */
  readable(
    sha256: string,
  ): { readonly paths: readonly string[]; readonly sizeBytes: number; readonly chunks: ChunkDigests } | undefined {
    const head = this.#files.get(sha256)?.head ?? this.#resting.get(sha256);
    if (head?.digests === undefined) return undefined;
    const chunks = { sizeBytes: head.chunkBytes, sha256: head.digests };
    return { paths: [join(this.#folder, sha256 + DATA)], sizeBytes: head.sizeBytes, chunks };
  }

  /** Those that nobody has open, oldest first. */
  async resting(): Promise<readonly BegunOnDisk[]> {
    const found: BegunOnDisk[] = [];
    for (const sha256 of this.#resting.keys()) {
      const stat = await lstat(join(this.#folder, sha256 + DATA)).catch(missing);
      // Windows doesn't say how many blocks a file takes.
      if (stat !== undefined) found.push({ sha256, bytes: (stat.blocks ?? 0) * 512, changedMs: stat.mtimeMs });
    }
    return found.sort((a, b) => a.changedMs - b.changedMs);
  }

  /** Deletes one that nobody has open. */
  async delete(sha256: string): Promise<void> {
    if (this.isOpen(sha256)) return;
    this.#resting.delete(sha256);
    await rm(join(this.#folder, sha256 + DATA), { force: true });
    await rm(join(this.#folder, sha256 + JOURNAL), { force: true });
  }

  /** Files that are open. */
  open(): readonly { readonly sha256: string; readonly sizeBytes: number }[] {
    return [...this.#files.values()].map(({ head: { sha256, sizeBytes } }) => ({ sha256, sizeBytes }));
  }

  /** Bytes that have come of a file that isn't whole. */
  heldBytes(sha256: string): number {
    const begun = this.#files.get(sha256);
    const journal = this.#resting.get(sha256);
    return begun?.heldBytes ?? (journal === undefined ? 0 : heldOf(journal));
  }

  /** Closes every file, whoever has a lease; what has come is kept. */
  async close(): Promise<void> {
    const opened = [...this.#open];
    this.#open.clear();
    await Promise.all(opened.map(([sha256, { file }]) => this.#shut(sha256, file, 'close')));
    await Promise.all(this.#closing.values());
  }

  #begin(file: FileToFetch): OpenFile {
    const { sha256 } = file;
    const paths = { data: join(this.#folder, sha256 + DATA), journal: join(this.#folder, sha256 + JOURNAL) };
    const begun = ensureFolder(this.#folder).then(() => BegunFile.open(this.#components, paths, file));
    const opened: OpenFile = {
      leases: 0,
      file: begun.then((ready) => {
        this.#resting.delete(sha256);
        this.#files.set(sha256, ready);
        return ready;
      }),
    };
    this.#open.set(sha256, opened);
    return opened;
  }

  async #leave(sha256: string, opened: OpenFile, how: 'close' | 'drop'): Promise<void> {
    opened.leases--;
    if (opened.leases > 0 || this.#open.get(sha256) !== opened) return;
    this.#open.delete(sha256);
    await this.#shut(sha256, opened.file, how);
  }

  /** It is whole, or dropped. */
  #forget(sha256: string, opened: OpenFile): void {
    if (this.#open.get(sha256) !== opened) return;
    this.#open.delete(sha256);
    this.#files.delete(sha256);
  }

  async #shut(sha256: string, file: Promise<BegunFile>, how: 'close' | 'drop'): Promise<void> {
    const closing = (async () => {
      const begun = await file.catch(() => undefined);
      await begun?.[how]();
      this.#files.delete(sha256);
      if (begun?.state === 'closed') this.#resting.set(sha256, begun.journal);
    })();
    this.#closing.set(sha256, closing);
    try {
      await closing;
    } finally {
      this.#closing.delete(sha256);
    }
  }
}

const heldOf = ({ chunks, sizeBytes, chunkBytes }: Journal): number =>
  [...chunks.keys()].reduce((sum, index) => sum + chunkLength(sizeBytes, chunkBytes, index), 0);

/** One caller's share of a begun file. */
class Lease implements RepairableFile {
  readonly #begun: BegunFile;
  readonly #leave: (how: 'close' | 'drop') => Promise<void>;
  readonly #ended: () => void;
  #left = false;

  constructor(
    begun: BegunFile,
    told: { readonly leave: (how: 'close' | 'drop') => Promise<void>; readonly ended: () => void },
  ) {
    this.#begun = begun;
    this.#leave = told.leave;
    this.#ended = told.ended;
  }

  get file(): PartialFile['file'] {
    const { sha256, sizeBytes, chunkBytes, digests } = this.#begun.head;
    return { sha256, sizeBytes, chunks: { sizeBytes: chunkBytes, sha256: digests } };
  }

  get heldBytes(): number {
    return this.#begun.heldBytes;
  }

  has(index: number): boolean {
    return this.#begun.has(index);
  }

  write(index: number, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
    return this.#begun.write(index, bytes);
  }

  copy(index: number, from: number): Promise<boolean> {
    return this.#begun.copy(index, from);
  }

  lose(indexes: readonly number[]): void {
    this.#begun.lose(indexes);
  }

  async finish(): Promise<{ readonly sha256: string; readonly chunks: ChunkDigests }> {
    try {
      return { sha256: this.#begun.head.sha256, chunks: await this.#begun.finish() };
    } finally {
      if (this.#begun.state !== 'open') {
        this.#left = true;
        this.#ended();
      }
    }
  }

  close(): Promise<void> {
    return this.#end('close');
  }

  discard(): Promise<void> {
    return this.#end('drop');
  }

  async #end(how: 'close' | 'drop'): Promise<void> {
    if (this.#left) return;
    this.#left = true;
    await this.#leave(how);
  }
}
