// Models of which only parts are here, in .parts/: one folder for each, in which files of the model have their second
// names as they come, holes and all. No such folder is an installed model, and nothing takes it for one.
import { lstat, mkdir, open, rm, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { WeftError } from '../../protocol/errors.ts';
import { canonicalJson, MANIFEST_FILE, type Manifest, modelRef, OWN_FILES } from '../manifest.ts';
import { checkPaths } from './check-paths.ts';
import { corrupt } from './disk-error.ts';
import { below, copyDurably, ensureFolder, exists, isNoLink, type Link, missing, writeDurably } from './durable.ts';
import { folders, readManifest } from './installed-models.ts';
import { mergeSignatures, readNotes, writeSignatures } from './model-notes.ts';

/** A model of which parts are here. */
export interface PartModel {
  readonly manifest: Manifest;
  /** What was signed of it, unverified. */
  readonly signatures: readonly string[];
  readonly folder: string;
}

export interface PartFoldersInit {
  readonly folder: string;
  readonly link: Link;
  /** Wall clock. */
  readonly now: () => number;
}

/** Chunks of a file that were found good since the start, as long as the file stays the same one. */
interface Good {
  readonly inode: string;
  readonly chunks: Set<number>;
}

interface Kept {
  readonly manifest: Manifest;
  signatures: readonly string[];
  readonly good: Map<string, Good>;
}

/** A folder, for what deletes old ones. */
export interface PartsOnDisk {
  readonly digest: string;
  readonly id: string;
  readonly sha256s: readonly string[];
  /** What only this folder has: nothing of files that have their names elsewhere too. */
  readonly bytes: number;
  /** When a part of it was last asked for. */
  readonly usedMs: number;
}

export class PartFolders {
  readonly #init: PartFoldersInit;
  /** By digest of the model. */
  #kept = new Map<string, Kept>();

  constructor(init: PartFoldersInit) {
    this.#init = init;
  }

  /** Reads the folders anew. What has no manifest, or is here whole, is deleted when `tidy`. */
  async scan(tidy: boolean, isInstalled: (digest: string) => boolean): Promise<void> {
    const kept = new Map<string, Kept>();
    for (const name of await folders(this.#init.folder)) {
      const folder = join(this.#init.folder, name);
      const manifest = await readManifest(folder).catch(() => undefined);
      const digest = manifest && modelRef(manifest).digest;
      if (manifest !== undefined && digest === `${PREFIX}${name}` && !isInstalled(digest)) {
        kept.set(digest, { manifest, signatures: (await readNotes(folder)).signatures, good: new Map() });
      } else if (tidy) await rm(folder, { recursive: true, force: true });
    }
    this.#kept = kept;
  }

  get(digest: string): PartModel | undefined {
    const kept = this.#kept.get(digest);
    return kept && { manifest: kept.manifest, signatures: kept.signatures, folder: this.#folder(digest) };
  }

  /** Makes a model's folder, where there is none; more signatures are added. @throws WeftError `model_corrupt` */
  async begin(manifest: Manifest, signatures: readonly string[]): Promise<void> {
    checkPaths(manifest.files.map(({ path }) => path));
    if (manifest.files.some(({ path }) => OWN_FILES.has(path)))
      throw corrupt('A file of the model has a name of the store.');
    const { digest } = modelRef(manifest);
    const folder = this.#folder(digest);
    const before = this.#kept.get(digest);
    const all = mergeSignatures(before?.signatures ?? [], signatures);
    await ensureFolder(this.#init.folder);
    await ensureFolder(folder);
    if (all.length > (before?.signatures.length ?? 0)) await writeSignatures(folder, all);
    // The last file: with it the folder counts.
    if (!(await exists(join(folder, MANIFEST_FILE))))
      await writeDurably(join(folder, MANIFEST_FILE), Buffer.from(canonicalJson(manifest)));
    if (before !== undefined) before.signatures = all;
    else this.#kept.set(digest, { manifest, signatures: all, good: new Map() });
  }

  /** Notes that a part of the model is asked for now. */
  async touch(digest: string): Promise<void> {
    const now = new Date(this.#init.now());
    await utimes(join(this.#folder(digest), MANIFEST_FILE), now, now).catch(missing);
  }

  /** Where a file of the model lies for whoever opens a part. */
  path(digest: string, path: string): string {
    return below(this.#folder(digest), path);
  }

  /** Second names that a file may have here. */
  names(sha256: string): readonly string[] {
    return [...this.#kept].flatMap(([digest, { manifest }]) =>
      manifest.files.filter((file) => file.sha256 === sha256).map(({ path }) => this.path(digest, path)),
    );
  }

  /** True for a file of a model that is kept here. @param without digests of models that don't count */
  uses(sha256: string, without: ReadonlySet<string> = NONE): boolean {
    return [...this.#kept].some(
      ([digest, { manifest }]) => !without.has(digest) && manifest.files.some((file) => file.sha256 === sha256),
    );
  }

  /**
   * Gives a file its name in the folder of the model.
   * @param whole a copy will do where the disk can't give files second names: it doesn't change any more
   * @throws WeftError `forbidden` where it can't, and the file is still coming
   */
  async lay(digest: string, path: string, from: string, whole: boolean): Promise<void> {
    const to = this.path(digest, path);
    const [source, target] = [await lstat(from), await lstat(to).catch(missing)];
    if (target?.isFile() && target.ino === source.ino && target.dev === source.dev) return;
    await this.#makePlace(digest, to);
    try {
      await this.#init.link(from, to);
    } catch (error) {
      if (!isNoLink(error)) throw error;
      if (!whole) throw new WeftError(UNLINKABLE, { cause: error });
      await copyDurably(from, to);
    }
  }

  /** A file of which nothing is needed: it is there, and all of it is a hole. One that is there already stays. */
  async hollow(digest: string, path: string, sizeBytes: number): Promise<void> {
    const to = this.path(digest, path);
    const target = await lstat(to).catch(missing);
    if (target?.isFile() && target.size === sizeBytes) return;
    await this.#makePlace(digest, to);
    await using handle = await open(to, 'wx');
    await handle.truncate(sizeBytes);
  }

  /** Chunks of a file of the model that were found good since the start. They count no more once it is another file. */
  async good(digest: string, path: string): Promise<Set<number>> {
    const kept = this.#kept.get(digest);
    const stat = await lstat(this.path(digest, path)).catch(missing);
    if (kept === undefined || stat === undefined) return new Set();
    const inode = `${stat.dev}:${stat.ino}`;
    const known = kept.good.get(path);
    if (known?.inode === inode) return known.chunks;
    const chunks = new Set<number>();
    kept.good.set(path, { inode, chunks });
    return chunks;
  }

  /** Deletes a model's folder. Files that have their names elsewhere too stay there. */
  async remove(digest: string): Promise<void> {
    if (!this.#kept.delete(digest)) return;
    await rm(this.#folder(digest), { recursive: true, force: true });
  }

  async onDisk(): Promise<readonly PartsOnDisk[]> {
    const found: PartsOnDisk[] = [];
    for (const [digest, { manifest }] of this.#kept) {
      const stat = await lstat(join(this.#folder(digest), MANIFEST_FILE)).catch(missing);
      let bytes = 0;
      for (const { path } of manifest.files) {
        const file = await lstat(this.path(digest, path)).catch(missing);
        if (file?.isFile() && file.nlink === 1) bytes += Math.min(file.size, (file.blocks ?? 0) * 512);
      }
      const sha256s = manifest.files.map(({ sha256 }) => sha256);
      found.push({ digest, id: manifest.id, sha256s, bytes, usedMs: stat?.mtimeMs ?? 0 });
    }
    return found;
  }

  /** Folders above the file, all of them real ones, and nothing in its place. */
  async #makePlace(digest: string, to: string): Promise<void> {
    const root = this.#folder(digest);
    const above: string[] = [];
    for (let folder = dirname(to); folder.length > root.length; folder = dirname(folder)) above.unshift(folder);
    for (const folder of above) {
      await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
      await ensureFolder(folder);
    }
    await rm(to, { recursive: true, force: true });
  }

  #folder(digest: string): string {
    return join(this.#init.folder, digest.slice(PREFIX.length));
  }
}

const PREFIX = 'sha256:';
const NONE: ReadonlySet<string> = new Set();

const UNLINKABLE = {
  code: 'forbidden',
  message: 'The disk of the models can not give a file two names, which parts of models need.',
  remedy: 'Put the folder of the models on another disk (WEFT_MODELS), or pull the whole model.',
} as const;
