// Puts models together, in .staged/: a folder of further names of whole files, which becomes a model by one renaming.
// Whatever lies there and isn't being put together was left by a stop.
import { lstat, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { WeftError } from '../../protocol/errors.ts';
import { aliasesOf } from '../catalog.ts';
import type { InstalledModel } from '../installed.ts';
import { CHUNK_BYTES } from '../limits.ts';
import {
  canonicalJson,
  MANIFEST_FILE,
  type Manifest,
  modelRef,
  ORIGIN_FILE,
  OWN_FILES,
  parseManifest,
  SIGNATURES_FILE,
} from '../manifest.ts';
import type { Blobs } from './blobs.ts';
import { checkPaths } from './check-paths.ts';
import { chunksFit } from './chunks.ts';
import { corrupt, onDisk } from './disk-error.ts';
import { below, ensureFolder, exists, type Link, linkOrCopy, missing, syncFolder, writeDurably } from './durable.ts';
import { type InstalledModels, setAside } from './installed-models.ts';
import { mergeSignatures } from './model-notes.ts';
import type { ModelOrigin, StagedModel } from './staged-model.ts';
import type { ChunkDigests } from './stored-file.ts';

export interface StagingComponents {
  readonly blobs: Blobs;
  readonly installed: InstalledModels;
}

export interface StagingInit {
  /** Where models are installed. */
  readonly root: string;
  readonly folder: string;
  readonly link: Link;
}

interface Extras {
  readonly signatures: readonly string[];
  readonly origin: ModelOrigin;
}

interface Staged {
  readonly folder: string;
  /** Path → digest. */
  readonly files: ReadonlyMap<string, string>;
  /** Files that couldn't be linked, so that they are here twice until the model is installed. */
  readonly copied: readonly string[];
}

export class Staging {
  readonly #components: StagingComponents;
  readonly #init: StagingInit;
  readonly #live = new Set<Staged>();
  /** One installation after the other: two may want the same name. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(components: StagingComponents, init: StagingInit) {
    this.#components = components;
    this.#init = init;
  }

  /** True for a file of a model that is being put together. */
  uses(sha256: string): boolean {
    return this.#live.values().some(({ files }) => files.values().some((used) => used === sha256));
  }

  /** What a stop has left. */
  async leftovers(): Promise<readonly string[]> {
    const names = (await readdir(this.#init.folder).catch(missing)) ?? [];
    const live = new Set([...this.#live].map(({ folder }) => basename(folder)));
    return names
      .filter((name) => !live.has(name) && !this.#components.blobs.isMaking(name))
      .map((name) => join(this.#init.folder, name));
  }

  /** As {@link ModelStore.stage}. */
  async stage(files: readonly { readonly path: string; readonly sha256: string }[]): Promise<StagedModel> {
    checkPaths(files.map(({ path }) => path));
    const staged = await onDisk(async () => {
      await ensureFolder(this.#init.folder);
      const folder = await mkdtemp(join(this.#init.folder, MODEL));
      const copied: string[] = [];
      const live = { folder, files: new Map(files.map(({ path, sha256 }) => [path, sha256])), copied };
      this.#live.add(live);
      try {
        for (const { path, sha256 } of files) {
          if (!(await this.#lay(sha256, below(folder, path)))) copied.push(sha256);
        }
        return live;
      } catch (error) {
        await this.#discard(live);
        throw error;
      }
    });
    return {
      folder: staged.folder,
      install: (manifest, extras) => {
        const installing = this.#turn.then(() => onDisk(() => this.#install(staged, manifest, extras)));
        this.#turn = installing.catch(() => undefined);
        return installing;
      },
      discard: () => onDisk(() => this.#discard(staged)),
    };
  }

  /** @returns false when the file had to be copied */
  async #lay(sha256: string, target: string): Promise<boolean> {
    const { blobs, installed } = this.#components;
    const [first] = installed.files(sha256);
    if (first !== undefined) await blobs.remember(sha256, first.path);
    const sizeBytes = blobs.sizeOf(sha256);
    const from = sizeBytes === undefined ? first?.path : blobs.path(sha256);
    if (from === undefined) throw corrupt('A file of the model is not here.');
    await mkdir(dirname(target), { recursive: true });
    const linked = await linkOrCopy(from, target, this.#init.link);
    const stat = await lstat(target);
    // Nothing but a plain file is ever laid out, whatever has come into its place.
    if (!stat.isFile() || stat.size !== (sizeBytes ?? first?.file.sizeBytes))
      throw corrupt('A file of the model is not whole.');
    return linked;
  }

  async #install(staged: Staged, given: Manifest, extras: Extras): Promise<InstalledModel> {
    if (!this.#live.has(staged)) throw new WeftError({ code: 'cancelled', message: 'The model was put away.' });
    const manifest = parseManifest(canonicalJson(given));
    const ref = modelRef(manifest);
    const known = this.#components.installed.byDigest(ref.digest);
    if (known !== undefined) {
      await this.#discard(staged);
      return known;
    }
    await this.#check(staged, manifest);
    const listed = new Set(manifest.files.map(({ path }) => path));
    for (const path of staged.files.keys()) {
      if (!listed.has(path)) await rm(below(staged.folder, path));
    }
    const notes = { signatures: mergeSignatures([], extras.signatures), origin: extras.origin };
    await writeDurably(join(staged.folder, SIGNATURES_FILE), json(notes.signatures));
    await writeDurably(join(staged.folder, ORIGIN_FILE), json(notes.origin));
    await writeDurably(join(staged.folder, MANIFEST_FILE), Buffer.from(canonicalJson(manifest)));
    await settle(staged.folder);

    const [owner = '', name = ''] = manifest.id.split('/');
    await ensureFolder(join(this.#init.root, owner));
    const folder = await this.#place(join(this.#init.root, owner), name, ref.digest, manifest.precision);
    await rename(staged.folder, folder);
    await syncFolder(dirname(folder));
    await syncFolder(this.#init.root);
    this.#live.delete(staged);
    const model = { ref, manifest, folder, aliases: aliasesOf(ref.id) };
    this.#components.installed.add(model, notes);
    // Stored once: where it couldn't be linked, the model's own file is the one.
    for (const sha256 of staged.copied) await this.#components.blobs.delete(sha256);
    return model;
  }

  async #check({ folder, files }: Staged, manifest: Manifest): Promise<void> {
    for (const { path, sha256, sizeBytes, chunks } of manifest.files) {
      if (!chunksFit(sizeBytes, chunks)) throw corrupt(`The chunks of "${path}" do not fit its size.`);
      const stat = files.get(path) === sha256 ? await lstat(below(folder, path)).catch(missing) : undefined;
      if (!stat?.isFile() || stat.size !== sizeBytes) throw corrupt(`"${path}" is not what the manifest says.`);
      await this.#checkChunks(path, sha256, chunks);
    }
    if (manifest.files.some(({ path }) => OWN_FILES.has(path)))
      throw corrupt('A file of the model has a name of the store.');
  }

  /** A manifest that lies about chunks would have good ones taken for bad when they are read out. */
  async #checkChunks(path: string, sha256: string, said: ChunkDigests): Promise<void> {
    const { blobs, installed } = this.#components;
    // A file without a name of its own lies in a model that was checked.
    if (said.sizeBytes !== CHUNK_BYTES || blobs.sizeOf(sha256) === undefined) return;
    const chunks = blobs.chunksOf(sha256) ?? (await blobs.hash(sha256));
    if (chunks === undefined) {
      // No model has it that could be repaired: the next pull brings it anew.
      if (installed.files(sha256).length === 0) await blobs.delete(sha256);
      throw corrupt(`"${path}" is not what its digest says.`);
    }
    if (chunks.sizeBytes !== CHUNK_BYTES) return;
    if (said.sha256.some((digest, index) => digest !== chunks.sha256[index])) {
      throw corrupt(`The chunks of "${path}" are not what the manifest says.`);
    }
  }

  /** A folder for the model: a broken one of its name makes room, another variant keeps its own. */
  async #place(owner: string, name: string, digest: string, precision: string): Promise<string> {
    const variant = `${name}@${precision.replace(/[^\w.-]/g, '-')}`;
    for (const candidate of [name, variant, `${variant}-${digest.slice('sha256:'.length, 15)}`]) {
      const folder = join(owner, candidate);
      // Many disks don't tell cases apart: another model's folder would make room for this one.
      const isTaken = (model: InstalledModel): boolean => model.folder.toLowerCase() === folder.toLowerCase();
      if (this.#components.installed.list().some(isTaken)) continue;
      if (!(await exists(folder))) return folder;
      if (!(await exists(join(folder, MANIFEST_FILE)))) continue;
      await rm(await setAside(folder), { recursive: true, force: true });
      return folder;
    }
    throw new WeftError({
      code: 'forbidden',
      message: 'The folders that the model could have are taken by something else.',
      remedy: 'Move what lies there out of the folder of the models.',
    });
  }

  async #discard(staged: Staged): Promise<void> {
    if (!this.#live.has(staged)) return;
    await rm(staged.folder, { recursive: true, force: true });
    this.#live.delete(staged);
  }
}

const MODEL = 'model-';
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

/** Waits until the names in a folder, and in those below it, are on the disk. */
async function settle(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await settle(join(folder, entry.name));
  }
  await syncFolder(folder);
}
