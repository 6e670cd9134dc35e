// The models of this machine: which folders hold one, and which manifests and tokenizers of other nodes' models are
// kept so that this node can coordinate them. Scanned once at start by the composition root.
import type { Stats } from 'node:fs';
import { lstat, mkdir, mkdtemp, open, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { toWeftError, WeftError } from '../protocol/errors.ts';
import { SMALL_FILE_BYTES_MAX } from '../protocol/limits.ts';
import { aliasesOf, resolveModelId } from './catalog.ts';
import type { InstalledModel } from './installed.ts';
import { CACHED_MODELS_MAX, FOLDERS_PER_LEVEL_MAX, MANIFEST_BYTES_MAX } from './limits.ts';
import { canonicalJson, MANIFEST_FILE, type Manifest, type ManifestFile, modelRef, parseManifest } from './manifest.ts';
import { checkBytes, checkFilePresent, verifyFile } from './verify.ts';

export interface ModelStoreComponents {
  /** The part of node/core's Log that is used; models may not import it. */
  readonly log: { warn(fields: Readonly<Record<string, unknown>>, message: string): void };
}

export interface ModelStoreInit {
  /** Folders in the hub's layout: OWNER/NAME/weft-manifest.json. An earlier one wins. Those that don't exist are skipped. */
  readonly roots: readonly string[];
  /** The one of them that came with Weft: {@link ModelStore.remove} leaves its models alone. */
  readonly bundledRoot?: string;
  /** For the manifests and tokenizers of models that are elsewhere. Made when first needed. */
  readonly cacheFolder: string;
}

/** A folder that looks like a model and isn't a whole one. */
export interface ModelProblem {
  /** `owner/name`, as the folder is called. */
  readonly id: string;
  readonly error: WeftError;
}

/** A manifest and where the files beside it lie; the weights may be elsewhere. */
export interface ModelMetadata {
  readonly manifest: Manifest;
  readonly folder: string;
}

/** A file on this disk. */
export interface StoredFile {
  readonly path: string;
  readonly sizeBytes: number;
}

/** What turns text into token ids and back. Three names, so that a manifest can't make a node fetch without end. */
const METADATA_FILES: ReadonlySet<string> = new Set(['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja']);

/** Files of a model that a node needs to coordinate it, as far as the manifest lists them. */
export function metadataFiles(manifest: Manifest): readonly ManifestFile[] {
  return manifest.files.filter((file) => METADATA_FILES.has(file.path) && file.sizeBytes <= SMALL_FILE_BYTES_MAX);
}

export class ModelStore {
  readonly #components: ModelStoreComponents;
  readonly #init: ModelStoreInit;
  /** By digest, in the order found. */
  readonly #installed = new Map<string, InstalledModel>();
  /** By digest, oldest first. */
  readonly #cached = new Map<string, ModelMetadata>();
  readonly #files = new Map<string, StoredFile>();
  /** Copies being made, by digest: a second call for the same model waits for the first. */
  readonly #caching = new Map<string, Promise<ModelMetadata>>();
  #problems: ModelProblem[] = [];

  constructor(components: ModelStoreComponents, init: ModelStoreInit) {
    this.#components = components;
    this.#init = init;
  }

  /** Scans the roots and the cache anew. A broken model is skipped, logged, and listed by {@link problems}. */
  async open(): Promise<void> {
    this.#installed.clear();
    this.#cached.clear();
    this.#files.clear();
    this.#problems = [];
    for (const root of this.#init.roots) await this.#scanRoot(resolve(root));
    await this.#scanCache();
  }

  /** Whole models, in the order of the roots and of their names. */
  list(): readonly InstalledModel[] {
    return [...this.#installed.values()];
  }

  /** Folders that could not be taken, and why. */
  problems(): readonly ModelProblem[] {
    return this.#problems;
  }

  /** @param digest `sha256:…` */
  byDigest(digest: string): InstalledModel | undefined {
    return this.#installed.get(digest);
  }

  /** By hub id, short name, or the unique last part of an id. */
  find(idOrAlias: string): InstalledModel | undefined {
    const models = this.list();
    const id = resolveModelId(
      idOrAlias,
      models.map((model) => model.ref.id),
    );
    return models.find((model) => model.ref.id === id);
  }

  /** True for a model that came with Weft. */
  isBundled({ folder }: InstalledModel): boolean {
    const { bundledRoot } = this.#init;
    return bundledRoot !== undefined && folder.startsWith(resolve(bundledRoot) + sep);
  }

  /**
   * Deletes a model's folder. It is gone at once, or not at all: what a stop in the middle leaves is deleted by the next
   * {@link open}. Whoever uses the files must have let go of them.
   * @param digest `sha256:…`
   * @returns bytes of the files that its manifest lists
   * @throws WeftError `model_not_found`, or `forbidden` for one that came with Weft or lies where this user can't write
   */
  async remove(digest: string): Promise<number> {
    const model = this.#installed.get(digest);
    if (model === undefined) throw new WeftError({ code: 'model_not_found', message: 'No such model is installed.' });
    if (this.isBundled(model)) {
      throw new WeftError({
        code: 'forbidden',
        message: `${model.ref.id} came with Weft, and stays.`,
        remedy: 'Leave it out of what this node offers instead (WEFT_OFFER).',
      });
    }
    const { folder, manifest } = model;
    const owner = dirname(folder);
    const doomed = join(dirname(owner), `${REMOVED}${basename(owner)}-${basename(folder)}`);
    try {
      await rm(doomed, { recursive: true, force: true });
      await rename(folder, doomed);
    } catch (cause) {
      const message = `The folder of ${model.ref.id} can't be deleted.`;
      throw new WeftError({ code: 'forbidden', message, remedy: DELETABLE }, { cause });
    }
    this.#installed.delete(digest);
    this.#reindex();
    await rm(doomed, { recursive: true, force: true });
    // Only where it is empty.
    await rmdir(owner).catch(() => undefined);
    return manifest.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  /** A file that a manifest lists, by its sha256 in hex. Never anything else on this disk. */
  fileByDigest(sha256: string): StoredFile | undefined {
    return this.#files.get(sha256);
  }

  /** Manifest and metadata files of a model, installed or cached. */
  metadata(digest: string): ModelMetadata | undefined {
    const installed = this.#installed.get(digest);
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
    const known = this.metadata(digest);
    if (known !== undefined) return known;
    const wanted = metadataFiles(manifest);
    for (const file of wanted) {
      const bytes = files.get(file.path);
      if (bytes === undefined) throw corrupt(`"${file.path}" did not come.`);
      checkBytes(file, bytes);
    }
    if (files.size !== wanted.length) throw corrupt('Files came that the model has no use for here.');

    const copy = this.#caching.get(digest) ?? this.#cache(digest, manifest, files);
    this.#caching.set(digest, copy);
    try {
      return await copy;
    } finally {
      this.#caching.delete(digest);
    }
  }

  async #cache(digest: string, manifest: Manifest, files: ReadonlyMap<string, Uint8Array>): Promise<ModelMetadata> {
    await mkdir(this.#init.cacheFolder, { recursive: true });
    const temporary = await mkdtemp(join(this.#init.cacheFolder, TEMPORARY));
    const folder = this.#cacheFolderOf(digest);
    try {
      for (const { path } of metadataFiles(manifest)) {
        await writeDurably(join(temporary, ...path.split('/')), files.get(path) ?? EMPTY);
      }
      await writeDurably(join(temporary, MANIFEST_FILE), Buffer.from(canonicalJson(manifest)));
      // Whatever has that name is no copy that open() would have taken.
      await rm(folder, { recursive: true, force: true });
      await rename(temporary, folder);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
    const metadata = { manifest, folder };
    this.#keep(digest, metadata);
    await this.#evict();
    return metadata;
  }

  async #scanRoot(root: string): Promise<void> {
    try {
      for (const name of await folders(root, true)) {
        if (name.startsWith(REMOVED)) await rm(join(root, name), { recursive: true, force: true });
      }
      for (const owner of await folders(root)) {
        for (const name of await folders(join(root, owner)))
          await this.#scan(join(root, owner, name), `${owner}/${name}`);
      }
    } catch (cause) {
      this.#report(
        basename(root),
        new WeftError({ code: 'model_corrupt', message: UNREADABLE, remedy: READABLE }, { cause }),
      );
    }
  }

  async #scan(folder: string, id: string): Promise<void> {
    try {
      const manifest = await readManifest(folder);
      if (manifest === undefined) return;
      if (manifest.id !== id) throw corrupt(`The manifest is that of "${manifest.id}", not of this folder.`);
      for (const file of manifest.files) await checkFilePresent(folder, file);
      const ref = modelRef(manifest);
      if (this.#installed.has(ref.digest)) return;
      this.#installed.set(ref.digest, { ref, manifest, folder, aliases: aliasesOf(ref.id) });
      this.#index(folder, manifest.files);
    } catch (cause) {
      const unreadable = { code: 'model_corrupt', message: UNREADABLE, remedy: READABLE } as const;
      this.#report(id, cause instanceof WeftError ? cause : new WeftError(unreadable, { cause }));
    }
  }

  #report(id: string, error: WeftError): void {
    this.#problems.push({ id, error });
    this.#components.log.warn({ model: id, code: error.code, reason: error.message }, 'skipped a model folder');
  }

  async #scanCache(): Promise<void> {
    const found: { readonly name: string; readonly changedMs: number }[] = [];
    for (const name of await folders(this.#init.cacheFolder, true)) {
      const path = join(this.#init.cacheFolder, name);
      // What a stop in the middle of cacheMetadata() left behind.
      if (name.startsWith(TEMPORARY)) await rm(path, { recursive: true, force: true });
      else found.push({ name, changedMs: (await lstat(path)).mtimeMs });
    }
    for (const { name } of found.sort((a, b) => a.changedMs - b.changedMs)) {
      const folder = join(this.#init.cacheFolder, name);
      try {
        const manifest = await readManifest(folder);
        if (manifest === undefined || this.#cacheFolderOf(modelRef(manifest).digest) !== folder) {
          throw corrupt('A cached manifest is not the one that its folder is named for.');
        }
        // A few MB: a damaged copy is noticed here, and fetched again.
        for (const file of metadataFiles(manifest)) await verifyFile(folder, file);
        this.#keep(modelRef(manifest).digest, { manifest, folder });
      } catch (cause) {
        // Only a copy: it is fetched again when it is needed.
        this.#components.log.warn({ reason: toWeftError(cause).message }, 'dropped a cached tokenizer');
        await rm(folder, { recursive: true, force: true });
      }
    }
    await this.#evict();
  }

  #keep(digest: string, metadata: ModelMetadata): void {
    this.#cached.set(digest, metadata);
    this.#index(metadata.folder, metadataFiles(metadata.manifest));
  }

  #index(folder: string, files: readonly ManifestFile[]): void {
    for (const { path, sha256, sizeBytes } of files) {
      if (!this.#files.has(sha256)) this.#files.set(sha256, { path: join(folder, ...path.split('/')), sizeBytes });
    }
  }

  /** A file that several models have must outlive one of them. */
  #reindex(): void {
    this.#files.clear();
    for (const { folder, manifest } of this.#installed.values()) this.#index(folder, manifest.files);
    for (const { folder, manifest } of this.#cached.values()) this.#index(folder, metadataFiles(manifest));
  }

  async #evict(): Promise<void> {
    for (const [digest, { manifest, folder }] of this.#cached) {
      if (this.#cached.size <= CACHED_MODELS_MAX) return;
      this.#cached.delete(digest);
      for (const file of metadataFiles(manifest)) {
        if (this.#files.get(file.sha256)?.path.startsWith(folder) === true) this.#files.delete(file.sha256);
      }
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Named by the hex digits alone: a colon is no part of a name on Windows. */
  #cacheFolderOf(digest: string): string {
    return join(this.#init.cacheFolder, digest.replace('sha256:', ''));
  }
}

const TEMPORARY = '.new-';
/** What a stop in the middle of remove() leaves behind. */
const REMOVED = '.removed-';
const EMPTY = new Uint8Array();
const UNREADABLE = 'The folder, or something in it, cannot be read.';
const READABLE = 'Make it readable for the user that runs the node.';
const DELETABLE = 'Make its folder writable for the user that runs the node, and close what uses its files.';

const corrupt = (message: string): WeftError => new WeftError({ code: 'model_corrupt', message });

/** Names of the real folders in a folder, sorted; none when it doesn't exist. Links are no folders here. */
async function folders(path: string, hidden = false): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
    throw error;
  });
  return entries
    .filter((entry) => entry.isDirectory() && (hidden || !entry.name.startsWith('.')))
    .map((entry) => entry.name)
    .sort()
    .slice(0, FOLDERS_PER_LEVEL_MAX);
}

/** The manifest in a folder; undefined when the folder has none. */
async function readManifest(folder: string): Promise<Manifest | undefined> {
  const path = join(folder, MANIFEST_FILE);
  let stat: Stats;
  try {
    stat = await lstat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (!stat.isFile() || stat.size > MANIFEST_BYTES_MAX) throw corrupt('The manifest is a link, or too large.');
  return parseManifest(await readFile(path, 'utf8'));
}

/** Writes a new file and waits until it is on the disk. */
async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await using handle = await open(path, 'wx');
  await handle.writeFile(bytes);
  await handle.sync();
}
