// The course of bringing one part of a model: who signed it, what of the graph must be read, what the part needs, and from
// whom. Everything that comes is verified by the manifest's digests before it is written, and stays whatever happens.
import { canonicalJson, type Manifest } from '../../models/manifest.ts';
import type { SignersVerdict } from '../../models/signing/judge.ts';
import type { PartFile, PartModel } from '../../models/store.ts';
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import type { ModelRef, NodeId } from '../../protocol/ids.ts';
import type { GraphPart } from '../../protocol/part.ts';
import type { PreparedPart } from '../core/part-files.ts';
import type { PartNeeds, Prep } from '../core/prep.ts';
import type { DownloadProgress } from '../core/transfer.ts';
import type { Claims } from './claims.ts';
import type { LibraryComponents } from './components.ts';
import { failure } from './fetch.ts';
import { LIBRARY_GUARDS } from './guards.ts';
import type { JobContext } from './jobs.ts';
import { FILES_AT_ONCE_MAX, PART_ROUNDS_MAX } from './limits.ts';
import { peerManifest, peerSignatures } from './peer-manifest.ts';
import { type FoundSignatures, readFound } from './signatures.ts';
import { holdersFor, Sources } from './sources.ts';
import { Tally } from './tally.ts';
import type { Variant } from './variants.ts';
import type { WantedModels } from './wanted.ts';

export type PartComponents = LibraryComponents & {
  /** Reads graphs, in a process that is not busy with whole models for long. */
  readonly graphs: Pick<Prep, 'partFiles'>;
  readonly claims: Claims;
  readonly wanted: WantedModels;
};

export interface PartInit {
  readonly model: ModelRef;
  readonly part: GraphPart;
  /** Nodes that are asked first. */
  readonly from: readonly NodeId[];
}

/** Chunks of files, by their path in the manifest: all that a part needs. */
export type PartNeed = ReadonlyMap<string, ReadonlySet<number>>;

/** @throws WeftError as PartFiles.prepare */
export async function preparePart(
  components: PartComponents,
  init: PartInit,
  context: JobContext,
): Promise<{ readonly prepared: PreparedPart; readonly need: PartNeed }> {
  await using preparation = new Preparation(components, init, context);
  return await preparation.run();
}

/** Who signed a model, and whether that is enough for the owner of this node. */
export function judged(
  components: Pick<LibraryComponents, 'clock' | 'mesh' | 'membership' | 'settings' | 'sign' | 'guards'>,
  manifest: Manifest,
  digest: string,
  texts: readonly string[],
): { readonly found: FoundSignatures; readonly refusal: SignersVerdict['refusal'] } {
  const found = readFound(components, manifest, digest, texts);
  const judge = components.guards?.signers ?? LIBRARY_GUARDS.signers;
  return { found, refusal: judge(components, manifest.id, found, false).refusal };
}

/** A file that is open, and the chunks that are to come of it. */
interface OpenPart {
  readonly file: PartFile;
  lacking: ReadonlySet<number>;
}

/** Chunks of an open file that aren't here. */
interface Lacking {
  readonly open: OpenPart;
  readonly wanted: ReadonlySet<number>;
}

class Preparation {
  readonly #components: PartComponents;
  readonly #init: PartInit;
  readonly #context: JobContext;
  readonly #sources: Sources;
  readonly #tally = new Tally();
  /** By path. */
  readonly #files = new Map<string, OpenPart>();
  readonly #ends: (() => void)[] = [];
  /** Of all chunks that were found to be needed. */
  #totalBytes = 0;
  #doneBytes = 0;

  constructor(components: PartComponents, init: PartInit, context: JobContext) {
    this.#components = components;
    this.#init = init;
    this.#context = context;
    this.#sources = new Sources(components, init.model, init.from);
  }

  async run(): Promise<{ readonly prepared: PreparedPart; readonly need: PartNeed }> {
    const { store, wanted, mesh } = this.#components;
    const { model } = this.#init;
    const { manifest, signatures, folder } = await this.#begin();
    const manifestJson = canonicalJson(manifest);
    wanted.add({ ref: model, manifest, manifestJson, signatures });
    const kept = store.keep(manifest.files.map(({ sha256 }) => sha256));
    this.#ends.push(() => kept.release());
    mesh.announce();
    this.#context.record.update({ phase: 'fetching' });
    const need = await this.#read(manifest);
    await this.#bring(need, manifest);
    if (!(await store.hasPart(model.digest, need))) {
      throw new WeftError({ code: 'model_not_found', message: `Files of ${model.id} were deleted while they came.` });
    }
    return { prepared: { folder, manifestJson }, need };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const path of [...this.#files.keys()]) await this.#close(path);
    for (const end of this.#ends) end();
    this.#components.mesh.announce();
  }

  /** Nothing is fetched of what would be refused. */
  async #begin(): Promise<PartModel> {
    const { store } = this.#components;
    const { id, digest } = this.#init.model;
    const { signal } = this.#context;
    const here = store.partModel(digest);
    const known = here?.manifest ?? store.metadata(digest)?.manifest;
    const manifest = known ?? (await peerManifest(this.#components, this.#variant(), signal)).manifest;
    if (manifest.id !== id) {
      throw new WeftError({ code: 'model_corrupt', message: `The model that was asked for is not ${id}.` });
    }
    const early = judged(this.#components, manifest, digest, here?.signatures ?? []);
    if (early.refusal === undefined) return store.beginParts(manifest, early.found.texts);
    const texts = await peerSignatures(this.#components, this.#variant(), signal);
    signal.throwIfAborted();
    const { found, refusal } = judged(this.#components, manifest, digest, [...early.found.texts, ...texts]);
    if (refusal !== undefined) throw refusal;
    return store.beginParts(manifest, found.texts);
  }

  /** The model as peers have it that are connected now. @throws WeftError `model_not_found` when there is none */
  #variant(): Variant {
    const { model, from } = this.#init;
    this.#checkAllowed();
    const holders = holdersFor(model, this.#components.mesh, from);
    if (holders.length === 0) {
      throw new WeftError({ code: 'model_not_found', message: `No connected node has ${model.id}.` });
    }
    return { ref: model, sizeBytes: 0, holders, wholeCount: 0 };
  }

  /** @throws WeftError `model_not_found` where this node fetches nothing by itself */
  #checkAllowed(): void {
    if (this.#components.settings().bring) return;
    throw new WeftError({
      code: 'model_not_found',
      message: `${this.#init.model.id} isn't here, and this node fetches nothing by itself.`,
      remedy: 'Set `bring` to `auto` there, or pull the model.',
    });
  }

  /** Brings the structure of the graph. @returns all chunks that the part needs, those of the structure included */
  async #read(manifest: Manifest): Promise<PartNeed> {
    const { wanted, graphs } = this.#components;
    const { model, part } = this.#init;
    const { signal } = this.#context;
    const file = await this.#open(manifest.graph, manifest);
    await file.check(undefined, { signal });
    const last = file.file.chunks.sha256.length - 1;
    /** It begins with the first chunk, and what follows the weights is in the last one. */
    let missing: readonly number[] = [0, last];
    const structure = new Set<number>();
    const request = {
      from: file.path,
      graph: manifest.graph,
      files: manifest.files.map(({ path, sizeBytes, chunks }) => ({ path, sizeBytes, chunkBytes: chunks.sizeBytes })),
      part,
    };
    for (let round = 0; round < PART_ROUNDS_MAX; round++) {
      const chunks = missing.filter((index) => index >= 0 && index <= last && !structure.has(index));
      if (round > 0 && chunks.length === 0) break;
      for (const index of chunks) structure.add(index);
      await this.#fetch([[manifest.graph, new Set(chunks)]]);
      let needs: PartNeeds;
      try {
        needs = await graphs.partFiles({ ...request, present: file.bitmap() }, { signal });
      } catch (thrown) {
        // Hostile, or no graph: nobody shall fetch it from here.
        if (toWeftError(thrown).code === 'model_corrupt') wanted.remove(model.digest);
        throw thrown;
      }
      if ('missing' in needs) {
        missing = needs.missing;
        continue;
      }
      this.#context.record.update({ chosen: [`A part of it, with ${text(needs.weightBytes)} of weights.`] });
      const files = new Map(needs.files.map(({ path, chunks }) => [path, indexesOf(chunks)]));
      files.set(manifest.graph, new Set([...structure, ...(files.get(manifest.graph) ?? [])]));
      return files;
    }
    throw new WeftError({ code: 'model_corrupt', message: `The structure of ${model.id} has no end.` });
  }

  /** Brings the weights, a bounded number of files together. */
  async #bring(need: PartNeed, manifest: Manifest): Promise<void> {
    const { store } = this.#components;
    const { digest } = this.#init.model;
    const needed = [...need].filter(([, chunks]) => chunks.size > 0);
    for (const [path, chunks] of need) if (chunks.size === 0) await store.hollowPartFile(digest, path);
    for (let at = 0; at < needed.length; at += FILES_AT_ONCE_MAX) {
      const these = needed.slice(at, at + FILES_AT_ONCE_MAX);
      for (const [path, chunks] of these) {
        const file = await this.#open(path, manifest);
        await file.check(chunks, { signal: this.#context.signal });
      }
      await this.#fetch(these);
      for (const [path] of these) await this.#close(path);
    }
  }

  /** Brings chunks of open files that aren't here. @throws WeftError `disk_full` before anything is fetched */
  async #fetch(wants: readonly (readonly [string, ReadonlySet<number>])[]): Promise<void> {
    const { store } = this.#components;
    const { record } = this.#context;
    const lacking = wants.flatMap(([path, chunks]): Lacking[] => {
      const open = this.#files.get(path);
      const wanted = new Set([...chunks].filter((index) => open?.file.has(index) === false));
      return open === undefined || wanted.size === 0 ? [] : [{ open, wanted }];
    });
    if (lacking.length === 0) return;
    this.#checkAllowed();
    const checked = await store.reserve(
      lacking.map(({ open: { file }, wanted }) => ({ ...file.file, missingBytes: () => missingOf(file, wanted) })),
    );
    // The file's own promise says so from now on.
    for (const { open, wanted } of lacking) open.lacking = wanted;
    checked.release();
    this.#totalBytes += lacking.reduce((sum, { open, wanted }) => sum + open.file.bytesOf(wanted), 0);
    record.update({ totalBytes: this.#totalBytes });
    const missing = (): number => lacking.reduce((sum, { open, wanted }) => sum + missingOf(open.file, wanted), 0);
    // What counts is what lies there, whatever a download says of itself.
    for (let left = missing(), before = left + 1; left > 0; left = missing()) {
      if (left >= before) throw new WeftError({ code: 'internal', message: 'A download ended, and brought nothing.' });
      before = left;
      await this.#download(lacking, missing);
    }
    this.#doneBytes = this.#totalBytes;
    record.update({ doneBytes: this.#doneBytes });
  }

  async #download(lacking: readonly Lacking[], missing: () => number): Promise<void> {
    const { transfer } = this.#components;
    const { signal, record } = this.#context;
    const onProgress = (progress: DownloadProgress): void => {
      this.#tally.take(progress);
      record.progress({ ...progress, sources: this.#tally.list() }, this.#doneBytes);
    };
    const downloads = lacking.map(({ open: { file }, wanted }) => ({ file: file.file, sink: file, wanted }));
    try {
      onProgress(await transfer.download(downloads, { signal, sources: this.#sources.list, onProgress }));
    } catch (thrown) {
      if (signal.aborted) throw signal.reason;
      if (missing() > 0) throw failure(this.#components, toWeftError(thrown), this.#tally.list());
    } finally {
      this.#tally.next();
    }
  }

  /** Room is promised for what of it is to come, not for the whole file. */
  async #open(path: string, manifest: Manifest): Promise<PartFile> {
    const { store } = this.#components;
    const before = this.#files.get(path);
    if (before !== undefined) return before.file;
    const file = manifest.files.find((candidate) => candidate.path === path);
    if (file === undefined) {
      throw new WeftError({ code: 'model_corrupt', message: `"${path}" is not among the files of the manifest.` });
    }
    const missingBytes = (): number => {
      const open = this.#files.get(path);
      return open === undefined ? 0 : missingOf(open.file, open.lacking);
    };
    const promised = await store.reserve([{ ...file, missingBytes }]);
    this.#ends.push(() => promised.release());
    const opened = await store.partFile(this.#init.model.digest, path);
    this.#files.set(path, { file: opened, lacking: new Set() });
    return opened;
  }

  async #close(path: string): Promise<void> {
    const open = this.#files.get(path);
    this.#files.delete(path);
    await open?.file.close();
  }
}

const missingOf = (file: PartFile, wanted: ReadonlySet<number>): number =>
  file.bytesOf([...wanted].filter((index) => !file.has(index)));

/** Indexes of the bits that are set. */
function indexesOf(bits: Uint8Array): ReadonlySet<number> {
  const indexes = new Set<number>();
  for (const [at, byte] of bits.entries()) {
    for (let bit = 0; bit < 8; bit++) if (((byte >> bit) & 1) === 1) indexes.add(8 * at + bit);
  }
  return indexes;
}

const text = (bytes: number): string =>
  bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
