// The models that are installed below the roots: OWNER/NAME, and OWNER/NAME@VARIANT for a further one of the same id.
// Scanned by ModelStore.open(); changed by installing and removing.
import { constants, type Stats } from 'node:fs';
import { lstat, open, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { WeftError } from '../../protocol/errors.ts';
import { aliasesOf, resolveModelId } from '../catalog.ts';
import type { InstalledModel } from '../installed.ts';
import { FOLDERS_PER_LEVEL_MAX, MANIFEST_BYTES_MAX } from '../limits.ts';
import { MANIFEST_FILE, type Manifest, type ManifestFile, modelRef, parseManifest } from '../manifest.ts';
import { checkFilePresent } from '../verify.ts';
import { corrupt } from './disk-error.ts';
import { below, missing } from './durable.ts';
import { type ModelNotes, readNotes } from './model-notes.ts';

/** A folder that looks like a model and isn't a whole one. */
export interface ModelProblem {
  /** `owner/name`, as the folder is called. */
  readonly id: string;
  readonly error: WeftError;
}

export interface InstalledModelsComponents {
  readonly log: { warn(fields: Readonly<Record<string, unknown>>, message: string): void };
}

export interface InstalledModelsInit {
  readonly roots: readonly string[];
  readonly bundledRoot: string | undefined;
}

/** A file of an installed model. */
export interface InstalledFile {
  readonly model: InstalledModel;
  readonly file: ManifestFile;
  /** Absolute. */
  readonly path: string;
}

/** What a stop in the middle of a removal leaves behind. */
export const REMOVED = '.removed-';

const UNREADABLE = 'The folder, or something in it, cannot be read.';
const READABLE = 'Make it readable for the user that runs the node.';
const DELETABLE = 'Make its folder writable for the user that runs the node, and close what uses its files.';

export class InstalledModels {
  readonly #components: InstalledModelsComponents;
  readonly #init: InstalledModelsInit;
  /** By digest, in the order found. */
  readonly #models = new Map<string, InstalledModel>();
  readonly #notes = new Map<string, ModelNotes>();
  /** By digest of the file. */
  readonly #files = new Map<string, InstalledFile[]>();
  #problems: ModelProblem[] = [];

  constructor(components: InstalledModelsComponents, init: InstalledModelsInit) {
    this.#components = components;
    this.#init = init;
  }

  /**
   * Scans the roots anew.
   * @param tidy finishes removals that were cut short
   * @returns digests of files that these removals leave to no model
   */
  async scan(tidy: boolean): Promise<readonly string[]> {
    this.#models.clear();
    this.#notes.clear();
    this.#files.clear();
    this.#problems = [];
    const left: string[] = [];
    for (const root of this.#init.roots) left.push(...(await this.#scanRoot(resolve(root), tidy)));
    return left.filter((sha256) => !this.#files.has(sha256));
  }

  list(): readonly InstalledModel[] {
    return [...this.#models.values()];
  }

  problems(): readonly ModelProblem[] {
    return this.#problems;
  }

  byDigest(digest: string): InstalledModel | undefined {
    return this.#models.get(digest);
  }

  /** By hub id, short name, or the unique last part of an id; behind a colon may stand the precision. */
  find(name: string): InstalledModel | undefined {
    const [idOrAlias = '', ...rest] = name.split(':');
    const models = this.list();
    const id = resolveModelId(
      idOrAlias,
      models.map((model) => model.ref.id),
    );
    const fitting = models.filter((model) => model.ref.id === id);
    if (rest.length > 0) return fitting.find((model) => isVariant(model, rest.join(':').trim().toLowerCase()));
    return fitting.find((model) => !basename(model.folder).includes('@')) ?? fitting[0];
  }

  isBundled({ folder }: InstalledModel): boolean {
    const { bundledRoot } = this.#init;
    return bundledRoot !== undefined && folder.startsWith(resolve(bundledRoot) + sep);
  }

  /** Everywhere that a file lies, by its digest. */
  files(sha256: string): readonly InstalledFile[] {
    return this.#files.get(sha256) ?? [];
  }

  notes(digest: string): ModelNotes | undefined {
    return this.#notes.get(digest);
  }

  setNotes(digest: string, notes: ModelNotes): void {
    if (this.#models.has(digest)) this.#notes.set(digest, notes);
  }

  add(model: InstalledModel, notes: ModelNotes): void {
    this.#models.set(model.ref.digest, model);
    this.#notes.set(model.ref.digest, notes);
    this.#index(model);
  }

  /**
   * Takes a model out: its folder gets another name, and counts as gone.
   * @returns deletes the folder under that name
   * @throws WeftError `model_not_found`, or `forbidden`
   */
  async takeOut(
    digest: string,
  ): Promise<{ readonly model: InstalledModel; readonly deleteFolder: () => Promise<void> }> {
    const model = this.#models.get(digest);
    if (model === undefined) throw new WeftError({ code: 'model_not_found', message: 'No such model is installed.' });
    if (this.isBundled(model)) {
      throw new WeftError({
        code: 'forbidden',
        message: `${model.ref.id} came with Weft, and stays.`,
        remedy: 'Leave it out of what this node offers instead (WEFT_OFFER).',
      });
    }
    const owner = dirname(model.folder);
    let doomed: string;
    try {
      doomed = await setAside(model.folder);
    } catch (cause) {
      const message = `The folder of ${model.ref.id} can't be deleted.`;
      throw new WeftError({ code: 'forbidden', message, remedy: DELETABLE }, { cause });
    }
    this.#models.delete(digest);
    this.#notes.delete(digest);
    this.#files.clear();
    for (const other of this.#models.values()) this.#index(other);
    return {
      model,
      deleteFolder: async () => {
        await rm(doomed, { recursive: true, force: true });
        // Only where it is empty.
        await rmdir(owner).catch(() => undefined);
      },
    };
  }

  async #scanRoot(root: string, tidy: boolean): Promise<readonly string[]> {
    const left: string[] = [];
    try {
      for (const name of await folders(root, true)) {
        if (!tidy || !name.startsWith(REMOVED)) continue;
        const manifest = await readManifest(join(root, name)).catch(() => undefined);
        left.push(...(manifest?.files ?? []).map(({ sha256 }) => sha256));
        await rm(join(root, name), { recursive: true, force: true });
      }
      for (const owner of await folders(root)) {
        for (const name of await this.#namesIn(join(root, owner), owner)) {
          await this.#scan(join(root, owner, name), owner, name);
        }
      }
    } catch (cause) {
      this.#report(
        basename(root),
        new WeftError({ code: 'model_corrupt', message: UNREADABLE, remedy: READABLE }, { cause }),
      );
    }
    return left;
  }

  /** Folders of one owner; one that can't be read doesn't hide the others. */
  async #namesIn(path: string, owner: string): Promise<readonly string[]> {
    try {
      return await folders(path);
    } catch (cause) {
      this.#report(owner, new WeftError({ code: 'model_corrupt', message: UNREADABLE, remedy: READABLE }, { cause }));
      return [];
    }
  }

  async #scan(folder: string, owner: string, name: string): Promise<void> {
    try {
      const manifest = await readManifest(folder);
      if (manifest === undefined) return;
      if (manifest.id !== `${owner}/${name.replace(VARIANT, '')}`) {
        throw corrupt(`The manifest is that of "${manifest.id}", not of this folder.`);
      }
      for (const file of manifest.files) await checkFilePresent(folder, file);
      const ref = modelRef(manifest);
      if (this.#models.has(ref.digest)) return;
      this.add({ ref, manifest, folder, aliases: aliasesOf(ref.id) }, await readNotes(folder));
    } catch (cause) {
      const unreadable = { code: 'model_corrupt', message: UNREADABLE, remedy: READABLE } as const;
      this.#report(`${owner}/${name}`, cause instanceof WeftError ? cause : new WeftError(unreadable, { cause }));
    }
  }

  #report(id: string, error: WeftError): void {
    this.#problems.push({ id, error });
    this.#components.log.warn({ model: id, code: error.code, reason: error.message }, 'skipped a model folder');
  }

  #index(model: InstalledModel): void {
    for (const file of model.manifest.files) {
      const entry = { model, file, path: below(model.folder, file.path) };
      const entries = this.#files.get(file.sha256);
      if (entries === undefined) this.#files.set(file.sha256, [entry]);
      else entries.push(entry);
    }
  }
}

/** Behind a model's name in its folder's: which of several of the same id it is. */
const VARIANT = /@[\w.-]+$/;

function isVariant({ manifest, folder }: InstalledModel, wanted: string): boolean {
  const name = basename(folder).toLowerCase();
  const graph = manifest.graph.toLowerCase();
  return (
    manifest.precision.toLowerCase() === wanted ||
    (name.includes('@') && name.endsWith(`@${wanted}`)) ||
    graph === wanted ||
    basename(graph) === wanted
  );
}

/** Gives a model's folder a name under which it is no model any more. @returns that name */
export async function setAside(folder: string): Promise<string> {
  const owner = dirname(folder);
  const aside = join(dirname(owner), `${REMOVED}${basename(owner)}-${basename(folder)}`);
  await rm(aside, { recursive: true, force: true });
  // One that somebody has deleted by hand is gone as well.
  await rename(folder, aside).catch(missing);
  return aside;
}

/** Names of the real folders in a folder, sorted; none when it doesn't exist. Links are no folders here. */
export async function folders(path: string, hidden = false): Promise<string[]> {
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
export async function readManifest(folder: string): Promise<Manifest | undefined> {
  const path = join(folder, MANIFEST_FILE);
  let stat: Stats;
  try {
    stat = await lstat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (!stat.isFile() || stat.size > MANIFEST_BYTES_MAX) throw corrupt('The manifest is a link, or too large.');
  await using handle = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  return parseManifest(await handle.readFile('utf8'));
}
