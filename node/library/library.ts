// The models of this node's disk, and how more of them get there. Put together by the composition root; the control API
// asks it. Each of its parts has a file of its own.
import { isAbsolute } from 'node:path';
import { catalogue, resolveModelId } from '../../models/catalog.ts';
import type { InstalledModel } from '../../models/installed.ts';
import { formatModelName, type HubName, parseModelName } from '../../models/model-name.ts';
import type { HeldModel } from '../../protocol/capability.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import type {
  CatalogueModel,
  CleanUpReport,
  ImportOutcome,
  ImportRequest,
  Library,
  MeshModel,
  PullOutcome,
  PullRequest,
  StorageReport,
  TransferStatus,
  VerifyReport,
} from '../core/library.ts';
import type { PartFiles } from '../core/part-files.ts';
import type { Prep } from '../core/prep.ts';
import { Bringing, type DemandComponents } from './bringing.ts';
import { Claims } from './claims.ts';
import type { LibraryComponents } from './components.ts';
import { heldIn, heldModels } from './held.ts';
import { type Imported, importModel } from './import.ts';
import { Jobs } from './jobs.ts';
import { PART_JOBS_AT_ONCE_MAX } from './limits.ts';
import { meshModels } from './mesh-models.ts';
import { LibraryPartFiles, NO_PART_FILES } from './part-files.ts';
import { pullModel } from './pull.ts';
import { verifyModel } from './verify.ts';
import { type WantedModel, WantedModels } from './wanted.ts';

export interface ModelLibraryComponents extends LibraryComponents {
  /** Left out by nodes that never bring a model by themselves. */
  readonly demand?: DemandComponents;
  /** Reads graphs of which only some is here; left out by nodes that take no parts of models. */
  readonly graphs?: Pick<Prep, 'partFiles'>;
}

export class ModelLibrary implements Library {
  readonly #components: ModelLibraryComponents;
  readonly #jobs: Jobs;
  readonly #partJobs: Jobs;
  readonly #claims = new Claims();
  readonly #wanted = new WantedModels();
  readonly #bringing: Bringing | undefined;
  /** Brings what parts of models need that are not here. */
  readonly partFiles: PartFiles;

  constructor(components: ModelLibraryComponents) {
    this.#components = components;
    this.#jobs = new Jobs(components);
    this.#partJobs = new Jobs(components, { name: 'part', atOnceMax: PART_JOBS_AT_ONCE_MAX });
    const { demand, graphs, settings } = components;
    this.partFiles =
      graphs === undefined ? NO_PART_FILES : new LibraryPartFiles({ ...this.#pulling(), graphs, jobs: this.#partJobs });
    this.#bringing =
      demand &&
      new Bringing({
        ...components,
        ...demand,
        allowed: () => settings().bring,
        pull: (model, signal) => this.#bring(model, signal),
        heldBytes: (digest) => this.#held().find(({ model }) => model.digest === digest)?.heldBytes ?? 0,
      });
  }

  /** Begins to watch which models requests ask other nodes for. */
  start(): void {
    this.#bringing?.start();
  }

  async pull({ model }: PullRequest, { signal }: { readonly signal: AbortSignal }): Promise<PullOutcome> {
    const name = this.#parse(model);
    if (typeof name === 'string') return this.#pullPath(name, signal);
    const key = `pull ${formatModelName({ ...name, id: name.id.toLowerCase() })}`;
    return this.#jobs.run(
      {
        key,
        kind: 'pull',
        model: name.id,
        work: (context) => pullModel(this.#pulling(), { name, brought: false }, context),
      },
      signal,
    );
  }

  /** Brings a model of the mesh here, in place of nothing: what was brought may be deleted again for another one. */
  bring(model: ModelRef, { signal }: { readonly signal: AbortSignal }): Promise<PullOutcome> {
    return this.#bring(model, signal);
  }

  transfers(): readonly TransferStatus[] {
    return [...this.#partJobs.list(), ...this.#jobs.list()];
  }

  cancel(id: string): boolean {
    const cancelled = this.#jobs.cancel(id) ?? this.#partJobs.cancel(id);
    if (cancelled !== undefined) return cancelled;
    throw new WeftError({
      code: 'not_found',
      message: 'No transfer of this id is remembered here.',
      remedy: 'Ask for the transfers again: only the last ones that ended are kept.',
      facts: { param: 'id' },
    });
  }

  catalogue(): readonly CatalogueModel[] {
    return catalogue();
  }

  async import(request: ImportRequest, { signal }: { readonly signal: AbortSignal }): Promise<ImportOutcome> {
    const { signers: _, ...outcome } = await this.#import(request, signal);
    return outcome;
  }

  async verify(
    name: string | undefined,
    { repair, signal }: { readonly repair: boolean; readonly signal: AbortSignal },
  ): Promise<readonly VerifyReport[]> {
    const { store } = this.#components;
    const models = name === undefined ? store.list() : this.#installed(name);
    const reports: VerifyReport[] = [];
    // One after the other: a disk reads one file at a time fastest.
    for (const model of models) {
      const { id, digest } = model.ref;
      // Deleted while the others were looked at.
      if (store.byDigest(digest) === undefined) continue;
      reports.push(
        await this.#jobs.run(
          {
            key: `verify ${repair} ${digest}`,
            kind: 'repair',
            model: id,
            work: (context) => verifyModel(this.#components, model, repair, context),
          },
          signal,
        ),
      );
    }
    return reports;
  }

  cleanUp(options: { readonly dryRun: boolean; readonly partial: boolean }): Promise<CleanUpReport> {
    return this.#components.store.cleanUp(options);
  }

  storage(): Promise<StorageReport> {
    return this.#components.store.storage();
  }

  meshModels(): readonly MeshModel[] {
    const { mesh, membership, offers } = this.#components;
    const own = { node: mesh.self, name: membership.self.name, offers: offers(), held: this.#held() };
    const others = mesh.peers().flatMap(({ advert, state }) => (state === 'gone' ? [] : [advert]));
    return meshModels([own, ...others], mesh.self);
  }

  /** For this node's advert: files that are no offer. */
  held(): readonly HeldModel[] {
    return this.#components.settings().share ? this.#held() : [];
  }

  /** A model that is on its way here, by its digest: its manifest may be told to peers, like that of one that is here. */
  wantedModel(digest: string): WantedModel | undefined {
    return this.#wanted.get(digest);
  }

  async stop(): Promise<void> {
    await Promise.all([this.#bringing?.stop(), this.#jobs.stop(), this.#partJobs.stop()]);
  }

  #held(): readonly HeldModel[] {
    const { store, offers } = this.#components;
    return heldModels({
      installed: store.list(),
      offers: offers(),
      wanted: this.#wanted.list(),
      heldBytes: heldIn(store),
    });
  }

  #pulling() {
    return { ...this.#components, claims: this.#claims, wanted: this.#wanted };
  }

  #bring(model: ModelRef, signal: AbortSignal): Promise<PullOutcome> {
    const name: HubName = { kind: 'hub', id: model.id };
    return this.#jobs.run(
      {
        key: `bring ${model.digest}`,
        kind: 'pull',
        model: model.id,
        work: (context) => pullModel(this.#pulling(), { name, digest: model.digest, brought: true }, context),
      },
      signal,
    );
  }

  /** A folder or a file. */
  async #pullPath(path: string, signal: AbortSignal): Promise<PullOutcome> {
    const startedAt = this.#components.clock.now();
    const { id, digest, wasHere, sizeBytes, reason, signers, warnings } = await this.#import({ path }, signal);
    const durationMs = this.#components.clock.now() - startedAt;
    const counts = { sizeBytes, hereBytes: sizeBytes, peerBytes: 0, hubBytes: 0, durationMs };
    return { id, digest, wasHere, ...counts, chosen: [reason], signers, warnings };
  }

  #import(request: ImportRequest, signal: AbortSignal): Promise<Imported> {
    const { path, id, task, licence } = request;
    return this.#jobs.run(
      {
        key: `import ${JSON.stringify([path, id, task, licence])}`,
        kind: 'import',
        // No path of this machine: watchers of transfers need not be who asked for it.
        model: id ?? 'import',
        work: (context) => importModel(this.#components, request, context),
      },
      signal,
    );
  }

  /** A hub name, or an absolute path. @throws WeftError `bad_request`, `model_not_found` */
  #parse(text: string): HubName | string {
    const parsed = parseModelName(text);
    if (parsed?.kind === 'hub') return parsed;
    if (parsed?.kind === 'path') {
      if (isAbsolute(parsed.path)) return parsed.path;
      throw new WeftError({
        code: 'bad_request',
        message: 'A path is taken only where it is absolute.',
        facts: { param: 'model' },
      });
    }
    // The last part of an id that only one model of this node or its peers has.
    const id = resolveModelId(text, [...new Set(this.meshModels().map((model) => model.id))]);
    if (id !== undefined) return { kind: 'hub', id };
    throw new WeftError({
      code: 'model_not_found',
      message: 'This is no name of a model: neither an id such as owner/name, nor a short name, nor a path.',
      remedy: 'Write it as OWNER/NAME, as on the hub; `weft list --mesh` shows what the mesh has.',
    });
  }

  /** @throws WeftError `model_not_found` */
  #installed(name: string): readonly InstalledModel[] {
    const { store } = this.#components;
    const first = store.find(name);
    if (first === undefined) throw new WeftError({ code: 'model_not_found', message: 'No such model is installed.' });
    // A name without a variant means all editions.
    return name.includes(':') ? [first] : store.list().filter(({ ref }) => ref.id === first.ref.id);
  }
}
