// The models of this machine: which folders hold one, which files of them are here or coming, and which manifests and
// tokenizers of other nodes' models are kept so that this node can coordinate them. Files are known by their digest: a
// file that several models have is stored once. Scanned at start by the composition root; the rest by what is done here.
import { link } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { WeftError } from '../protocol/errors.ts';
import type { InstalledModel } from './installed.ts';
import { MANIFEST_BYTES_MAX, PARTIAL_KEPT_MS } from './limits.ts';
import { type Manifest, modelRef, parseManifest, sizeOf } from './manifest.ts';
import { Blobs } from './store/blobs.ts';
import { CachedMetadata, type ModelMetadata } from './store/cached-metadata.ts';
import { ChunkReader } from './store/chunk-reader.ts';
import { chunksFit, withoutChunks } from './store/chunks.ts';
import { cleanUp } from './store/clean-up.ts';
import { findDamage } from './store/damage.ts';
import { corrupt, onDisk } from './store/disk-error.ts';
import { DiskQueue } from './store/disk-queue.ts';
import { checkRoom, freeBytes, usedBytes } from './store/disk-use.ts';
import { below, exists, type Link } from './store/durable.ts';
import { type FilePlaces, placesOf } from './store/file-places.ts';
import { InstalledModels, type ModelProblem } from './store/installed-models.ts';
import { mergeSignatures, writeOrigin, writeSignatures } from './store/model-notes.ts';
import { PartFile } from './store/part-file.ts';
import { PartFolders, type PartModel } from './store/part-folders.ts';
import { PartialFiles } from './store/partial-files.ts';
import { beginRepair, putInPlace } from './store/repair.ts';
import type { CleanUp, CleanUpInit, DamagedFile, StorageUse } from './store/reports.ts';
import { type ComingFile, Reservations } from './store/reservations.ts';
import type { ModelOrigin, StagedModel } from './store/staged-model.ts';
import { Staging } from './store/staging.ts';
import type { FileHolding, FileToFetch, PartialFile, PartialReport } from './store/stored-file.ts';
import { wholeFile } from './store/whole-file.ts';

export { type ModelMetadata, metadataFiles } from './store/cached-metadata.ts';
export type { ModelProblem } from './store/installed-models.ts';
export type { PartFile } from './store/part-file.ts';
export type { PartModel } from './store/part-folders.ts';
export type { CleanUp, CleanUpInit, DamagedFile, StorageUse } from './store/reports.ts';
export type { ModelOrigin, StagedModel } from './store/staged-model.ts';
export type { ChunkDigests, FileHolding, FileToFetch, PartialFile, PartialReport } from './store/stored-file.ts';

export interface ModelStoreComponents {
  /** The part of node/core's Log that is used; models may not import it. */
  readonly log: { warn(fields: Readonly<Record<string, unknown>>, message: string): void };
}

export interface ModelStoreInit {
  /**
   * Folders in the hub's layout: OWNER/NAME/weft-manifest.json. An earlier one wins. Those that don't exist are skipped.
   * What is fetched goes below the first one.
   */
  readonly roots: readonly string[];
  /** The one of them that came with Weft: {@link ModelStore.remove} leaves its models alone. */
  readonly bundledRoot?: string;
  /** For the manifests and tokenizers of models that are elsewhere. Made when first needed. */
  readonly cacheFolder: string;
  /** Bytes that models may take below the first root; undefined = what the disk holds. */
  readonly quotaBytes?: () => number | undefined;
  /**
   * For a second process at the same folder, which only looks: what a stop has left behind is left alone, and nothing is
   * fetched or deleted. @default false
   */
  readonly readOnly?: boolean;
  /** Wall clock, for the age of files. @default Date.now */
  readonly now?: () => number;
  /** Gives a file a second name. @default that of node:fs */
  readonly link?: Link;
  /** The program of the store's thread, as text of a script. @default its own */
  readonly threadProgram?: string;
  /** The thread ends when it had nothing to do for this long. @default DISK_IDLE_MS */
  readonly threadIdleMs?: number;
}

/** A file on this disk. */
export interface StoredFile {
  readonly path: string;
  readonly sizeBytes: number;
}

export class ModelStore {
  readonly #init: ModelStoreInit;
  readonly #root: string;
  readonly #queue: DiskQueue;
  readonly #installed: InstalledModels;
  readonly #cached: CachedMetadata;
  readonly #blobs: Blobs;
  readonly #partials: PartialFiles;
  readonly #parts: PartFolders;
  readonly #staging: Staging;
  readonly #reader: ChunkReader;
  readonly #reservations = new Reservations((file) => this.#missingBytes(file));
  /** Files that a pull needs, by how many pulls. */
  readonly #kept = new Map<string, number>();
  /** Chunks that were found bad when they were to be read out, by file. */
  readonly #bad = new Map<string, Set<number>>();

  constructor(components: ModelStoreComponents, init: ModelStoreInit) {
    this.#init = init;
    const root = resolve(init.roots[0] ?? `${init.cacheFolder}-files`);
    const [folder, staging] = [join(root, '.blobs'), join(root, '.staged')];
    const second = init.link ?? link;
    this.#root = root;
    this.#queue = new DiskQueue({
      ...(init.threadProgram !== undefined && { program: init.threadProgram }),
      ...(init.threadIdleMs !== undefined && { idleMs: init.threadIdleMs }),
      onEnd: () => this.#reader.clear(),
    });
    this.#installed = new InstalledModels(components, { roots: init.roots, bundledRoot: init.bundledRoot });
    this.#cached = new CachedMetadata(components, { folder: init.cacheFolder });
    this.#blobs = new Blobs({ queue: this.#queue }, { folder, staging, link: second });
    this.#parts = new PartFolders({ folder: join(root, '.parts'), link: second, now: init.now ?? Date.now });
    this.#partials = new PartialFiles(
      {
        queue: this.#queue,
        names: (sha256) => this.#parts.names(sha256),
        place: async (path, sha256, chunks) => {
          await this.#blobs.place(path, sha256, chunks);
          await putInPlace(this.#blobs.path(sha256), this.#ownFiles(sha256), second);
          this.#bad.delete(sha256);
        },
      },
      join(root, '.partial'),
    );
    this.#staging = new Staging(
      { blobs: this.#blobs, installed: this.#installed },
      { root, folder: staging, link: second },
    );
    this.#reader = new ChunkReader({
      queue: this.#queue,
      onBad: (sha256, index) => {
        this.#bad.set(sha256, (this.#bad.get(sha256) ?? new Set()).add(index));
        components.log.warn({ file: sha256, chunk: index }, 'a chunk of a model is damaged; weft verify repairs it');
      },
    });
  }

  /** Scans the roots and the cache anew. A broken model is skipped, logged, and listed by {@link problems}. */
  async open(): Promise<void> {
    const tidy = this.#init.readOnly !== true;
    const left = await this.#installed.scan(tidy);
    await this.#cached.scan(tidy);
    await this.#blobs.scan();
    await this.#partials.scan(tidy);
    await this.#parts.scan(tidy, (digest) => this.#installed.byDigest(digest) !== undefined);
    if (!tidy) return;
    for (const sha256 of left) if (!this.#isNeeded(sha256)) await this.#blobs.delete(sha256);
    await cleanUp(this.#leftovers(), { dryRun: false, keepLaterThan: Number.NEGATIVE_INFINITY });
  }

  /** Ends the store's thread. Files that are coming are closed, and kept. */
  async close(): Promise<void> {
    this.#queue.endLong();
    await this.#partials.close();
    await this.#queue.close();
  }

  /** Whole models, in the order of the roots and of their names. */
  list(): readonly InstalledModel[] {
    return this.#installed.list();
  }

  /** Folders that could not be taken, and why. */
  problems(): readonly ModelProblem[] {
    return this.#installed.problems();
  }

  /** @param digest `sha256:…` */
  byDigest(digest: string): InstalledModel | undefined {
    return this.#installed.byDigest(digest);
  }

  /**
   * By hub id, short name, or the unique last part of an id. Behind a colon may stand which of several: its precision, or
   * its graph.
   * @example store.find('smollm2:q4')
   */
  find(name: string): InstalledModel | undefined {
    return this.#installed.find(name);
  }

  /** True for a model that came with Weft. */
  isBundled(model: InstalledModel): boolean {
    return this.#installed.isBundled(model);
  }

  /**
   * Deletes a model's folder, and those of its files that no other model has. It is gone at once, or not at all: what a
   * stop in the middle leaves is deleted by the next {@link open}. Whoever uses the files must have let go of them.
   * @param digest `sha256:…`
   * @returns bytes of the files that its manifest lists
   * @throws WeftError `model_not_found`, or `forbidden` for one that came with Weft or lies where this user can't write
   */
  async remove(digest: string): Promise<number> {
    this.#checkOwn();
    const { model, deleteFolder } = await this.#installed.takeOut(digest);
    await this.#parts.remove(digest);
    // Before the folder: whoever finds that one left behind knows from its manifest what else was to go.
    for (const { sha256 } of model.manifest.files) {
      if (!this.#isNeeded(sha256)) await this.#blobs.delete(sha256);
    }
    await deleteFolder();
    return sizeOf(model.manifest);
  }

  /** A file that a manifest lists, by its sha256 in hex. Never anything else on this disk. */
  fileByDigest(sha256: string): StoredFile | undefined {
    const found = this.#installed.files(sha256)[0] ?? this.#cached.file(sha256);
    return found && { path: found.path, sizeBytes: found.file.sizeBytes };
  }

  /** Manifest and metadata files of a model, installed or cached. */
  metadata(digest: string): ModelMetadata | undefined {
    const installed = this.#installed.byDigest(digest);
    if (installed !== undefined) return { manifest: installed.manifest, folder: installed.folder };
    return this.#cached.get(digest);
  }

  /**
   * Keeps what another node sent of a model, so that this one can coordinate it. The folder appears whole or not at all.
   * @param files path → bytes of every one of {@link metadataFiles}, and nothing else
   * @throws WeftError `model_corrupt` when a file is missing, too many, or not what the manifest says
   */
  async cacheMetadata(manifestJson: string, files: ReadonlyMap<string, Uint8Array>): Promise<ModelMetadata> {
    if (manifestJson.length > MANIFEST_BYTES_MAX) throw corrupt('The manifest is too large.');
    const manifest = parseManifest(manifestJson);
    const { digest } = modelRef(manifest);
    return this.metadata(digest) ?? this.#cached.keep(digest, manifest, files);
  }

  /** True when the whole file is here: by itself, or in an installed model. */
  has(sha256: string): boolean {
    return this.#blobs.sizeOf(sha256) !== undefined || this.#installed.files(sha256).length > 0;
  }

  /**
   * A lease of a file that is to come, with what has come of it. One that is here already is given as finished.
   * @throws WeftError `model_corrupt` when digest, size or chunks can't be those of a file; `disk_full`, `forbidden`
   */
  async partial(file: FileToFetch): Promise<PartialFile> {
    this.#checkOwn();
    const places = this.has(file.sha256) ? this.#places(file.sha256) : undefined;
    if (places === undefined) return this.#partials.lease(file);
    if (places.sizeBytes !== file.sizeBytes) throw corrupt('A file is not as large as it was said to be.');
    return wholeFile(places, () => this.#chunksOf(places));
  }

  /** A model of which parts are here, or were; undefined for others. */
  partModel(digest: string): PartModel | undefined {
    return this.#parts.get(digest);
  }

  /**
   * Makes a folder for parts of a model that isn't here whole; it is no installed model. One that is there stays, and more
   * signatures are added to its own.
   * @throws WeftError `model_corrupt` for files that no folder can hold; `disk_full`, `forbidden`
   */
  async beginParts(manifest: Manifest, signatures: readonly string[]): Promise<PartModel> {
    this.#checkOwn();
    const { digest } = modelRef(manifest);
    await onDisk(() => this.#parts.begin(manifest, signatures));
    const begun = this.#parts.get(digest);
    if (begun === undefined) throw corrupt('What had come of a model was deleted.');
    return begun;
  }

  /**
   * A lease of one file of such a model, which lies in its folder from now on, with holes where nothing has come.
   * @param path as in the manifest
   * @throws WeftError `model_corrupt`, `disk_full`, `forbidden`
   */
  async partFile(digest: string, path: string): Promise<PartFile> {
    const file = this.#partsOf(digest).manifest.files.find((candidate) => candidate.path === path);
    if (file === undefined || !chunksFit(file.sizeBytes, file.chunks))
      throw corrupt('The chunks of a file do not fit.');
    const lease = await this.partial(file);
    try {
      const places = this.has(file.sha256) ? this.#places(file.sha256) : undefined;
      const from = places?.paths[0] ?? this.#partials.path(file.sha256);
      await onDisk(() => this.#parts.lay(digest, path, from, places !== undefined));
      const good = await onDisk(() => this.#parts.good(digest, path));
      return new PartFile({ queue: this.#queue, lease, good }, { file, path: this.#parts.path(digest, path) });
    } catch (error) {
      await lease.close();
      throw error;
    }
  }

  /** A file of such a model of which nothing is needed: it lies in the folder, and all of it is a hole. */
  async hollowPartFile(digest: string, path: string): Promise<void> {
    const file = this.#partsOf(digest).manifest.files.find((candidate) => candidate.path === path);
    if (file !== undefined) await onDisk(() => this.#parts.hollow(digest, path, file.sizeBytes));
  }

  /**
   * Notes that a part of such a model is asked for now.
   * @param chunks of files by their path, as far as the part needs them
   * @returns whether all of them lie there and were found good since the start
   */
  async hasPart(digest: string, chunks: ReadonlyMap<string, ReadonlySet<number>>): Promise<boolean> {
    if (this.#parts.get(digest) === undefined) return false;
    await onDisk(() => this.#parts.touch(digest));
    for (const [path, indexes] of chunks) {
      const good = await onDisk(() => this.#parts.good(digest, path));
      if (
        ![...indexes].every((index) => good.has(index)) ||
        (indexes.size === 0 && !(await exists(this.#parts.path(digest, path))))
      )
        return false;
    }
    return true;
  }

  /** Files that were begun and are not whole. */
  partials(): readonly PartialReport[] {
    return this.#partials.list();
  }

  /** Which chunks of a file {@link read} can give; undefined when there are none. */
  holding(sha256: string): FileHolding | undefined {
    const places = this.#places(sha256);
    const holding: FileHolding | undefined =
      places === undefined
        ? this.#partials.holding(sha256)
        : { sizeBytes: places.sizeBytes, chunkBytes: places.chunkBytes, chunks: 'all' };
    const bad = this.#bad.get(sha256);
    return holding && bad ? withoutChunks(holding, bad) : holding;
  }

  /**
   * A piece of a file, from chunks that are verified each time. It may be shorter than asked for.
   * @returns undefined when it isn't here, or damaged; the bytes must not be changed
   */
  async read(
    sha256: string,
    offset: number,
    length: number,
  ): Promise<{ bytes: Uint8Array; sizeBytes: number } | undefined> {
    if (![offset, length].every((value) => Number.isSafeInteger(value) && value >= 0)) return undefined;
    const places = this.#places(sha256);
    const chunks = places && (await this.#chunksOf(places));
    const file =
      places === undefined || chunks === undefined
        ? this.#partials.readable(sha256)
        : { sizeBytes: places.sizeBytes, chunks, paths: places.paths };
    if (file === undefined) return undefined;
    const has = places === undefined ? (index: number) => this.#partials.has(sha256, index) : () => true;
    const bytes = await this.#reader.read({ sha256, ...file }, offset, length, has);
    return bytes && { bytes, sizeBytes: file.sizeBytes };
  }

  /**
   * Takes a file that lies elsewhere on this disk, verified: a second name of it where the disk can do that, else a copy.
   * @param path may lead through links: its real file is taken
   * @param options.copy a copy of its own: for files that a person may change
   * @throws WeftError `model_corrupt` when it isn't what it should be; `disk_full`, `forbidden`
   */
  async adopt(
    path: string,
    file: { readonly sha256: string; readonly sizeBytes: number },
    options: { readonly copy?: boolean } = {},
  ): Promise<void> {
    if (!this.has(file.sha256)) await this.#blobs.adopt(path, file, options.copy === true);
  }

  /** Takes a small file. */
  put(bytes: Uint8Array): Promise<{ sha256: string; sizeBytes: number }> {
    return this.#blobs.put(bytes);
  }

  /**
   * Lays files of the store out as a model, which can then be looked at and installed.
   * @throws WeftError `model_corrupt` when one isn't here, or its path leaves the model's folder
   */
  stage(files: readonly { readonly path: string; readonly sha256: string }[]): Promise<StagedModel> {
    return this.#staging.stage(files);
  }

  /** Keeps whole and begun files from {@link remove} and {@link cleanUp}: for a pull, from its start to its end. */
  keep(sha256s: Iterable<string>): { release(): void } {
    const kept = [...sha256s];
    for (const sha256 of kept) this.#kept.set(sha256, (this.#kept.get(sha256) ?? 0) + 1);
    return {
      release: () => {
        for (const sha256 of kept.splice(0)) {
          const count = (this.#kept.get(sha256) ?? 0) - 1;
          if (count > 0) this.#kept.set(sha256, count);
          else this.#kept.delete(sha256);
        }
      },
    };
  }

  /** What was signed of an installed model's manifest, unverified. */
  signatures(digest: string): readonly string[] {
    return this.#installed.notes(digest)?.signatures ?? [];
  }

  /** Adds signatures to those of an installed model. Where its folder can't be written, for this run only. */
  async addSignatures(digest: string, texts: readonly string[]): Promise<void> {
    const model = this.#installed.byDigest(digest);
    const notes = this.#installed.notes(digest);
    if (model === undefined || notes === undefined) return;
    const signatures = mergeSignatures(notes.signatures, texts);
    if (signatures.length === notes.signatures.length) return;
    this.#installed.setNotes(digest, { ...notes, signatures });
    if (this.isBundled(model)) return;
    await onDisk(() => writeSignatures(model.folder, signatures)).catch((error: WeftError) => {
      if (error.code !== 'forbidden') throw error;
    });
  }

  /** Deletes whole files that no model has and nothing keeps: those of a model that was refused. */
  async forget(sha256s: Iterable<string>): Promise<void> {
    for (const sha256 of sha256s) if (!this.#isNeeded(sha256)) await this.#blobs.delete(sha256);
  }

  /** Where an installed model comes from, from now on. @throws WeftError `disk_full`, `forbidden` */
  async setOrigin(digest: string, origin: ModelOrigin): Promise<void> {
    const model = this.#installed.byDigest(digest);
    const notes = this.#installed.notes(digest);
    if (model === undefined || notes === undefined || this.isBundled(model)) return;
    await onDisk(() => writeOrigin(model.folder, origin));
    this.#installed.setNotes(digest, { ...notes, origin });
  }

  /** Where an installed model came from; undefined for one that a person has put there. */
  origin(digest: string): ModelOrigin | undefined {
    return this.#installed.notes(digest)?.origin;
  }

  /**
   * Checks that this many bytes more can be stored, beside what is still to come of the files that are open.
   * @throws WeftError `disk_full` with the numbers
   */
  async room(bytes: number): Promise<void> {
    this.#checkOwn();
    const use = await this.storage();
    checkRoom(use, bytes, this.#reservations.bytes(this.#partials.open()));
  }

  /**
   * Promises room for what is missing of these files, beside what was promised to others and what is open.
   * @returns what gives the promise back: to be called once they are here, or nobody brings them any more
   * @throws WeftError `disk_full` with the numbers
   */
  async reserve(files: readonly ComingFile[]): Promise<{ release(): void }> {
    this.#checkOwn();
    const use = await this.storage();
    // Nothing is waited for between the look and the promise.
    const wanted = this.#reservations.missing(files);
    if (wanted > 0) checkRoom(use, wanted, this.#reservations.bytes(this.#partials.open(), files));
    return this.#reservations.add(files);
  }

  /** What models take below the first root, begun files included. */
  async storage(): Promise<StorageUse> {
    return onDisk(async () => ({
      usedBytes: await usedBytes(this.#root),
      quotaBytes: this.#init.quotaBytes?.(),
      freeBytes: await freeBytes(this.#root),
    }));
  }

  /**
   * Hashes an installed model against its manifest, in the store's thread.
   * @returns files that aren't right
   * @throws WeftError `model_not_found`, `cancelled`
   */
  async damage(
    digest: string,
    options: { readonly signal: AbortSignal; readonly onBytes?: (bytes: number) => void },
  ): Promise<readonly DamagedFile[]> {
    return onDisk(() => findDamage(this.#queue, this.#model(digest), options));
  }

  /**
   * A file of an installed model, to be brought anew: what is good of it is there already, be it from another copy. The
   * model has the new file once that is finished; the old one is never changed.
   * @param bad chunks that {@link damage} found
   * @throws WeftError `model_not_found`; `forbidden` for a model that came with Weft
   */
  async repairing(digest: string, path: string, bad: readonly number[]): Promise<PartialFile> {
    this.#checkOwn();
    const model = this.#model(digest);
    const file = model.manifest.files.find((candidate) => candidate.path === path);
    if (file === undefined) throw corrupt(`"${path}" is not among the files of the manifest.`);
    if (this.isBundled(model)) {
      const remedy = 'Install Weft again.';
      throw new WeftError({ code: 'forbidden', message: `${model.ref.id} came with Weft.`, remedy });
    }
    const others = this.#installed.files(file.sha256).filter(({ model: other }) => other !== model);
    return beginRepair(this.#partials, file, [
      { path: below(model.folder, path), bad: new Set(bad) },
      ...[this.#blobs.path(file.sha256), ...others.map((other) => other.path)].map((from) => ({
        path: from,
        bad: new Set<number>(),
      })),
    ]);
  }

  /** Deletes what nothing needs: files of no model, files that nobody goes on with, what a stop has left. */
  async cleanUp({ dryRun, partial, olderThanMs = PARTIAL_KEPT_MS }: CleanUpInit): Promise<CleanUp> {
    if (!dryRun) this.#checkOwn();
    const now = (this.#init.now ?? Date.now)();
    const keepLaterThan = partial ? Number.POSITIVE_INFINITY : now - olderThanMs;
    return onDisk(() => cleanUp(this.#leftovers(), { dryRun, keepLaterThan }));
  }

  #leftovers() {
    return {
      partials: this.#partials,
      parts: this.#parts,
      blobs: this.#blobs,
      staging: this.#staging,
      isNeeded: (sha256: string) => this.#isInUse(sha256),
      isKept: (sha256: string) => this.#kept.has(sha256),
    };
  }

  /** @throws WeftError `forbidden` where another process keeps the folder */
  #checkOwn(): void {
    if (this.#init.readOnly !== true) return;
    throw new WeftError({
      code: 'forbidden',
      message: 'The models folder is kept by another node, or can not be written.',
      remedy: 'Give this node a folder of its own (--models), or ask the other one.',
    });
  }

  #missingBytes({ sha256, sizeBytes }: ComingFile): number {
    return this.has(sha256) ? 0 : Math.max(0, sizeBytes - this.#partials.heldBytes(sha256));
  }

  /** By a model, by parts of one, or by what is going on. */
  #isNeeded(sha256: string): boolean {
    return this.#isInUse(sha256) || this.#parts.uses(sha256);
  }

  /** By a model, or by what is going on. */
  #isInUse(sha256: string): boolean {
    return this.#installed.files(sha256).length > 0 || this.#kept.has(sha256) || this.#staging.uses(sha256);
  }

  /** @throws WeftError `model_not_found` */
  #partsOf(digest: string): PartModel {
    const found = this.#parts.get(digest);
    if (found !== undefined) return found;
    throw new WeftError({ code: 'model_not_found', message: 'No part of this model is here.' });
  }

  #model(digest: string): InstalledModel {
    const model = this.#installed.byDigest(digest);
    if (model !== undefined) return model;
    throw new WeftError({ code: 'model_not_found', message: 'No such model is installed.' });
  }

  /** Files of this digest in models that may be changed. */
  #ownFiles(sha256: string) {
    return this.#installed.files(sha256).filter(({ model }) => !this.isBundled(model));
  }

  #places(sha256: string): FilePlaces | undefined {
    return placesOf(sha256, this.#blobs, this.#installed, this.#cached);
  }

  /** Digests of the chunks of a whole file; hashed where no manifest says them. */
  async #chunksOf({ sha256, chunks }: FilePlaces) {
    return chunks ?? this.#blobs.chunksOf(sha256) ?? this.#blobs.hash(sha256);
  }
}
