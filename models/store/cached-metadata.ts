// Manifests and tokenizers of models that are elsewhere, kept so that this node can coordinate them. A folder appears whole
// or not at all, and the oldest leaves first.
import { lstat, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toWeftError } from '../../protocol/errors.ts';
import { SMALL_FILE_BYTES_MAX } from '../../protocol/limits.ts';
import { CACHED_MODELS_MAX } from '../limits.ts';
import { canonicalJson, MANIFEST_FILE, type Manifest, type ManifestFile, modelRef } from '../manifest.ts';
import { checkBytes, verifyFile } from '../verify.ts';
import { corrupt } from './disk-error.ts';
import { below, writeDurably } from './durable.ts';
import { folders, readManifest } from './installed-models.ts';

/** A manifest and where the files beside it lie; the weights may be elsewhere. */
export interface ModelMetadata {
  readonly manifest: Manifest;
  readonly folder: string;
}

export interface CachedFile {
  /** Absolute. */
  readonly path: string;
  readonly file: ManifestFile;
}

/** What turns text into token ids and back. Three names, so that a manifest can't make a node fetch without end. */
const METADATA_FILES: ReadonlySet<string> = new Set(['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja']);

/** Files of a model that a node needs to coordinate it, as far as the manifest lists them. */
export function metadataFiles(manifest: Manifest): readonly ManifestFile[] {
  return manifest.files.filter((file) => METADATA_FILES.has(file.path) && file.sizeBytes <= SMALL_FILE_BYTES_MAX);
}

export interface CachedMetadataComponents {
  readonly log: { warn(fields: Readonly<Record<string, unknown>>, message: string): void };
}

const TEMPORARY = '.new-';
const EMPTY = new Uint8Array();

export class CachedMetadata {
  readonly #components: CachedMetadataComponents;
  readonly #folder: string;
  /** By digest, oldest first. */
  readonly #models = new Map<string, ModelMetadata>();
  /** By digest of the file. */
  readonly #files = new Map<string, CachedFile>();
  /** Copies being made, by digest: a second call for the same model waits for the first. */
  readonly #making = new Map<string, Promise<ModelMetadata>>();

  constructor(components: CachedMetadataComponents, init: { readonly folder: string }) {
    this.#components = components;
    this.#folder = init.folder;
  }

  get(digest: string): ModelMetadata | undefined {
    return this.#models.get(digest);
  }

  /** By digest of the file. */
  file(sha256: string): CachedFile | undefined {
    return this.#files.get(sha256);
  }

  /**
   * Reads the folder anew.
   * @param tidy deletes what a stop has left, and copies that are damaged
   */
  async scan(tidy: boolean): Promise<void> {
    this.#models.clear();
    this.#files.clear();
    const found: { readonly name: string; readonly changedMs: number }[] = [];
    for (const name of await folders(this.#folder, true)) {
      const path = join(this.#folder, name);
      // What a stop in the middle of keep() left behind.
      if (!name.startsWith(TEMPORARY)) found.push({ name, changedMs: (await lstat(path)).mtimeMs });
      else if (tidy) await rm(path, { recursive: true, force: true });
    }
    for (const { name } of found.sort((a, b) => a.changedMs - b.changedMs)) {
      const folder = join(this.#folder, name);
      try {
        const manifest = await readManifest(folder);
        if (manifest === undefined || this.#folderOf(modelRef(manifest).digest) !== folder) {
          throw corrupt('A cached manifest is not the one that its folder is named for.');
        }
        // A few MB: a damaged copy is noticed here, and fetched again.
        for (const file of metadataFiles(manifest)) await verifyFile(folder, file);
        this.#add(modelRef(manifest).digest, { manifest, folder });
      } catch (cause) {
        // Only a copy: it is fetched again when it is needed.
        this.#components.log.warn({ reason: toWeftError(cause).message }, 'dropped a cached tokenizer');
        if (tidy) await rm(folder, { recursive: true, force: true });
      }
    }
    if (tidy) await this.#evict();
  }

  /**
   * Keeps what another node sent of a model.
   * @param files path → bytes of every one of {@link metadataFiles}, and nothing else
   * @throws WeftError `model_corrupt` when a file is missing, too many, or not what the manifest says
   */
  async keep(digest: string, manifest: Manifest, files: ReadonlyMap<string, Uint8Array>): Promise<ModelMetadata> {
    const wanted = metadataFiles(manifest);
    for (const file of wanted) {
      const bytes = files.get(file.path);
      if (bytes === undefined) throw corrupt(`"${file.path}" did not come.`);
      checkBytes(file, bytes);
    }
    if (files.size !== wanted.length) throw corrupt('Files came that the model has no use for here.');

    const copy = this.#making.get(digest) ?? this.#make(digest, manifest, files);
    this.#making.set(digest, copy);
    try {
      return await copy;
    } finally {
      this.#making.delete(digest);
    }
  }

  async #make(digest: string, manifest: Manifest, files: ReadonlyMap<string, Uint8Array>): Promise<ModelMetadata> {
    await mkdir(this.#folder, { recursive: true });
    const temporary = await mkdtemp(join(this.#folder, TEMPORARY));
    const folder = this.#folderOf(digest);
    try {
      for (const { path } of metadataFiles(manifest)) {
        await writeDurably(below(temporary, path), files.get(path) ?? EMPTY);
      }
      await writeDurably(join(temporary, MANIFEST_FILE), Buffer.from(canonicalJson(manifest)));
      // Whatever has that name is no copy that scan() would have taken.
      await rm(folder, { recursive: true, force: true });
      await rename(temporary, folder);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
    const metadata = { manifest, folder };
    this.#add(digest, metadata);
    await this.#evict();
    return metadata;
  }

  #add(digest: string, metadata: ModelMetadata): void {
    this.#models.set(digest, metadata);
    this.#index(metadata);
  }

  #index({ folder, manifest }: ModelMetadata): void {
    for (const file of metadataFiles(manifest)) {
      if (!this.#files.has(file.sha256)) this.#files.set(file.sha256, { path: below(folder, file.path), file });
    }
  }

  async #evict(): Promise<void> {
    for (const [digest, { folder }] of this.#models) {
      if (this.#models.size <= CACHED_MODELS_MAX) return;
      this.#models.delete(digest);
      // A file that several models have must outlive one of them.
      this.#files.clear();
      for (const metadata of this.#models.values()) this.#index(metadata);
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Named by the hex digits alone: a colon is no part of a name on Windows. */
  #folderOf(digest: string): string {
    return join(this.#folder, digest.replace('sha256:', ''));
  }
}
