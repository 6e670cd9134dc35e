// The course of one pull: is it here, which peers have it, what does the hub have; then the files, the checks, the
// signatures, and the engine. Everything that has come stays, whatever happens: a second pull goes on.

import { isLicenceFile } from '../../models/graph-variants.ts';
import type { InstalledModel } from '../../models/installed.ts';
import { sizeOf } from '../../models/manifest.ts';
import type { HubName } from '../../models/model-name.ts';
import type { SignersVerdict } from '../../models/signing/judge.ts';
import { type ErrorCode, toWeftError, WeftError, type WeftErrorInit } from '../../protocol/errors.ts';
import type { PullOutcome, SignerReport } from '../core/library.ts';
import { chooseVariant } from './choose-variant.ts';
import type { Claims } from './claims.ts';
import { type LibraryComponents, nodeName } from './components.ts';
import { gather } from './gather.ts';
import { LIBRARY_GUARDS } from './guards.ts';
import {
  BUNDLE_FILE,
  cachedModel,
  fetchSmallFiles,
  type HubPlan,
  type KnownFile,
  LOCAL,
  planFromHub,
} from './hub-model.ts';
import { type Installed, type InstallInit, installFiles } from './install.ts';
import type { JobContext } from './jobs.ts';
import { VARIANTS_MAX } from './limits.ts';
import { type PeerModel, peerManifests, peerSignatures } from './peer-manifest.ts';
import { type FoundSignatures, join, judge, readBundle, readFound, signAsPublisher } from './signatures.ts';
import { Sources } from './sources.ts';
import { Tally } from './tally.ts';
import { variantsOf } from './variants.ts';
import type { WantedModels } from './wanted.ts';

export type PullComponents = LibraryComponents & {
  readonly claims: Claims;
  readonly wanted: WantedModels;
};

export interface PullInit {
  readonly name: HubName;
  /** This edition of it, from peers, and no other. @default what is chosen */
  readonly digest?: string;
  /** The node brings it by itself. */
  readonly brought: boolean;
}

/** What peers have, and what was signed of it. */
interface PeerPlan extends PeerModel {
  readonly digest: string;
  readonly found: FoundSignatures;
  readonly reasons: readonly string[];
}

type Kept = ReturnType<LibraryComponents['store']['keep']>;

/** Other sources don't help, or must not be asked. */
const FINAL: ReadonlySet<ErrorCode> = new Set(['disk_full', 'signature_invalid', 'cancelled', 'stopping', 'forbidden']);

/** What was fetched is not to be run, and of no use to the next pull. */
const REFUSED: ReadonlySet<ErrorCode> = new Set(['model_corrupt', 'signature_invalid']);

/** @throws WeftError as Library.pull */
export function pullModel(components: PullComponents, init: PullInit, context: JobContext): Promise<PullOutcome> {
  return new Pull(components, init, context).run();
}

class Pull {
  readonly #components: PullComponents;
  readonly #init: PullInit;
  readonly #context: JobContext;
  readonly #tally = new Tally();
  readonly #startedAt: number;

  constructor(components: PullComponents, init: PullInit, context: JobContext) {
    this.#components = components;
    this.#init = init;
    this.#context = context;
    this.#startedAt = components.clock.now();
  }

  async run(): Promise<PullOutcome> {
    const { record, signal } = this.#context;
    const { name } = this.#init;
    record.update({ model: name.id });
    const here = this.#installed();
    if (here !== undefined) return this.#wasHere(here);
    const failures: WeftError[] = [];
    /** Editions that peers have, or say so. */
    const tried = new Set<string>();
    while (tried.size < VARIANTS_MAX) {
      const peers = await this.#planFromPeers(failures, tried);
      if (peers === undefined) break;
      tried.add(peers.digest);
      try {
        return await this.#fromPeers(peers);
      } catch (thrown) {
        // One that somebody made up must not keep the real one away, be it of a size that no disk has.
        failures.push(this.#unlessFinal(thrown, new Set(['disk_full'])));
      }
    }
    if (this.#init.digest !== undefined) throw failures.at(-1) ?? new WeftError(GONE);
    record.update({ phase: 'resolving' });
    let plan: HubPlan;
    try {
      plan = await planFromHub(this.#components, name, signal);
    } catch (thrown) {
      throw together(failures, this.#unlessFinal(thrown));
    }
    try {
      return await this.#fromHub(plan);
    } catch (thrown) {
      const error = this.#unlessFinal(thrown);
      // A peer may have come meanwhile.
      const late = error.code === 'hub_unreachable' && tried.size === 0 && (await this.#planFromPeers([], tried));
      if (late) return this.#fromPeers(late);
      throw together(failures, error);
    }
  }

  /** A model that is what was asked for; a revision is only known by its files. */
  #installed(): InstalledModel | undefined {
    const { store } = this.#components;
    const { digest, name } = this.#init;
    const { id, variant, revision } = name;
    if (digest !== undefined) return store.byDigest(digest);
    if (revision !== undefined) return undefined;
    const models = store.list().filter(({ ref }) => ref.id.toLowerCase() === id.toLowerCase());
    if (variant === undefined || models.length === 0) return models[0];
    const forms = models.map(({ ref, manifest }, index) => ({
      index,
      manifest,
      digest: ref.digest,
      wholeCount: 0,
      signedMs: 0,
    }));
    const { form } = chooseVariant(forms, this.#components.machine(), { id, variant });
    return form && models[form.index];
  }

  async #wasHere({ ref, manifest }: InstalledModel, chosen: readonly string[] = []): Promise<PullOutcome> {
    const { store } = this.#components;
    const origin = store.origin(ref.digest);
    // A person asks for it now: the node doesn't delete it by itself any more.
    if (origin?.brought === true && !this.#init.brought) {
      await store.setOrigin(ref.digest, { ...origin, brought: false });
    }
    const sizeBytes = sizeOf(manifest);
    this.#context.record.update({ model: ref.id, totalBytes: sizeBytes, doneBytes: sizeBytes, hereBytes: sizeBytes });
    const found = readFound(this.#components, manifest, ref.digest, store.signatures(ref.digest));
    const { signers } = judge(this.#components, ref.id, found, false);
    return this.#outcome({ ref, manifest, wasHere: true, chosen, signers, warnings: [] });
  }

  /**
   * @param failures why peers that have it are no help is added here
   * @param tried digests of editions that are left out
   */
  async #planFromPeers(failures: WeftError[], tried: ReadonlySet<string>): Promise<PeerPlan | undefined> {
    const { mesh, machine } = this.#components;
    const { signal } = this.#context;
    const { digest, name } = this.#init;
    // Peers say what they have by its content, not by the hub's commit that it came from.
    const all = name.revision === undefined ? variantsOf(name.id, mesh.peers(), tried) : [];
    const variants = digest === undefined ? all : all.filter(({ ref }) => ref.digest === digest);
    if (variants.length === 0) return undefined;
    const { models, failed } = await peerManifests(this.#components, variants, signal);
    failures.push(...failed);
    if (models.length === 0) return undefined;
    const forms = await Promise.all(
      models.map(async (model) => {
        const { manifest } = model;
        const { digest } = model.variant.ref;
        const texts = await peerSignatures(this.#components, model.variant, signal);
        const found = readFound(this.#components, manifest, digest, texts);
        return { ...model, found, digest, wholeCount: model.variant.wholeCount, signedMs: found.latestMs };
      }),
    );
    signal.throwIfAborted();
    // What would be refused is only taken, and refused, where there is nothing else.
    const fine = forms.filter(({ variant, found }) => this.#judge(variant.ref.id, found, false).refusal === undefined);
    const best = fine.length > 0 ? chooseVariant(fine, machine(), name) : undefined;
    const chosen = best?.form === undefined ? chooseVariant(forms, machine(), name) : best;
    if (chosen.form !== undefined) return { ...chosen.form, reasons: chosen.reasons };
    failures.push(chosen.error);
    return undefined;
  }

  async #fromPeers(plan: PeerPlan): Promise<PullOutcome> {
    const { store, mesh, wanted, clock } = this.#components;
    const { manifest, manifestJson, found, reasons } = plan;
    const { ref, holders } = plan.variant;
    this.#context.record.update({ model: ref.id, chosen: reasons });
    const here = store.byDigest(ref.digest);
    if (here !== undefined) {
      await store.addSignatures(ref.digest, found.texts);
      return this.#wasHere(here, reasons);
    }
    // Nothing is fetched of what would be refused.
    const { signers, warnings, refusal } = this.#judge(ref.id, found, false);
    if (refusal !== undefined) throw refusal;
    wanted.add({ ref, manifest, manifestJson, signatures: found.texts });
    const sources = new Sources(this.#components, ref);
    const hub = new AbortController();
    const joining = this.#hubToo(plan, sources, AbortSignal.any([this.#context.signal, hub.signal]));
    try {
      const cachedAt = await this.#cached(ref.id);
      const files = manifest.files.map((file) => ({ ...file, ...at(cachedAt.get(file.sha256)) }));
      mesh.announce();
      const from = holders.map((node) => nodeName(this.#components, node)).slice(0, NAMED_MAX);
      const { graph, task, licence } = manifest;
      const installed = await this.#bring(sources, files, {
        about: { id: ref.id, graph, task, licence: licence.spdx },
        said: manifest,
        sign: async () => found.texts,
        origin: { brought: this.#init.brought, from: from.join(', '), atMs: clock.wallNow() },
      });
      wanted.remove(ref.digest);
      return this.#done(installed, reasons, signers, warnings);
    } catch (thrown) {
      // Hostile, or refused: nobody shall fetch it from here.
      if (toWeftError(thrown).code === 'model_corrupt') wanted.remove(ref.digest);
      throw thrown;
    } finally {
      hub.abort();
      await joining;
      mesh.announce();
    }
  }

  async #fromHub(plan: HubPlan): Promise<PullOutcome> {
    const { store } = this.#components;
    const { signal, record } = this.#context;
    const { reasons, id } = plan;
    record.update({ model: id, chosen: reasons });
    // Refused before anything is fetched; the room is taken once all digests are known.
    const coming = plan.files.map(({ sha256, path, sizeBytes }) => ({ sha256: sha256 ?? path, sizeBytes }));
    (await store.reserve(coming)).release();
    const kept = new Set<Kept>();
    try {
      const keep = (sha256: string): void => void kept.add(store.keep([sha256]));
      const files = await fetchSmallFiles(this.#components, plan, { tally: this.#tally, signal, keep });
      return await this.#withSmallFiles(plan, files, kept);
    } finally {
      for (const one of kept) one.release();
    }
  }

  /** @param kept small files that are here and kept */
  async #withSmallFiles(plan: HubPlan, files: readonly KnownFile[], kept: ReadonlySet<Kept>): Promise<PullOutcome> {
    const { hub, mesh, clock } = this.#components;
    const { hubModel, reasons, graph, id } = plan;
    const bundle = await this.#bundle(plan, files);
    // What this node brings from the hub, it signs; nothing more is fetched of what would be refused all the same.
    const own = { ...bundle, signed: [...bundle.signed, { key: mesh.self }] };
    const early = this.#judge(id, own, true);
    if (early.refusal !== undefined) throw early.refusal;
    const sources = new Sources(this.#components, undefined);
    if (hubModel !== undefined) sources.addHub(hub().source(hubModel));
    const installed = await this.#bring(
      sources,
      files,
      {
        about: { id, graph, ...licenceOf(plan) },
        said: undefined,
        sign: async (_manifest, digest) => join([await signAsPublisher(this.#components, digest), bundle]).texts,
        origin: {
          brought: this.#init.brought,
          from: hubModel === undefined ? 'cache' : hub().source(hubModel).name,
          atMs: clock.wallNow(),
        },
      },
      kept,
    );
    mesh.announce();
    return this.#done(installed, reasons, early.signers, early.warnings);
  }

  /** Files, folder, check, installation. What a refusal leaves behind is of no use to anyone, and goes. */
  async #bring(
    sources: Sources,
    files: Parameters<typeof gather>[1]['files'],
    install: Pick<InstallInit, 'about' | 'said' | 'sign' | 'origin'>,
    keptBefore: Iterable<Kept> = [],
  ): Promise<Installed> {
    const { store } = this.#components;
    const { signal, record } = this.#context;
    const kept = store.keep(files.map(({ sha256 }) => sha256));
    let refused = false;
    try {
      await gather(this.#components, { files, sources, tally: this.#tally, record, signal });
      try {
        return await installFiles(this.#components, { ...install, files, record, signal });
      } catch (thrown) {
        refused = REFUSED.has(toWeftError(thrown).code);
        throw thrown;
      }
    } finally {
      for (const one of [kept, ...keptBefore]) one.release();
      if (refused) await store.forget(files.map(({ sha256 }) => sha256));
    }
  }

  /** The hub may have some of the files that peers have: then it is one more source. */
  async #hubToo({ manifest, variant }: PeerPlan, sources: Sources, signal: AbortSignal): Promise<void> {
    const { hub, settings, log } = this.#components;
    const { id } = variant.ref;
    if (settings().offline || id.startsWith(LOCAL)) return;
    try {
      const hubModel = await hub().model(id, undefined, signal);
      const wanted = new Set(manifest.files.map(({ sha256 }) => sha256));
      if (signal.aborted || !hubModel.files.some(({ sha256 }) => sha256 !== undefined && wanted.has(sha256))) return;
      sources.addHub(hub().source(hubModel));
    } catch (thrown) {
      log.debug({ model: id, reason: toWeftError(thrown).message }, 'the hub is no source of this model');
    }
  }

  /** Where the cache of the hub's own tools has files, by digest. */
  async #cached(id: string): Promise<ReadonlyMap<string, string>> {
    const cached = await cachedModel(this.#components, id, undefined);
    return new Map(
      cached?.files.flatMap(({ sha256, realPath }) => (sha256 === undefined ? [] : [[sha256, realPath] as const])),
    );
  }

  /** What the publisher's own bundle says, where there is one. */
  async #bundle({ hubModel }: HubPlan, chosen: readonly KnownFile[]): Promise<FoundSignatures> {
    const file = hubModel?.files.find(({ path }) => path === BUNDLE_FILE);
    if (hubModel === undefined || file === undefined) return join([]);
    const bytes = await this.#components.hub().bytes(hubModel, file, this.#context.signal);
    // The publisher signed what lies in the repository, by its names there.
    const files = chosen.map(({ hubPath, sha256, sizeBytes }) => ({ path: hubPath, sha256, sizeBytes }));
    return readBundle(this.#components, files, new TextDecoder().decode(bytes));
  }

  #done(
    { model, wasHere, inspected }: Installed,
    chosen: readonly string[],
    signers: readonly SignerReport[],
    warnings: readonly string[],
  ): PullOutcome {
    return this.#outcome({ ...model, wasHere, chosen, signers, warnings: [...inspected.warnings, ...warnings] });
  }

  #outcome(
    init: Pick<InstalledModel, 'ref' | 'manifest'> & Pick<PullOutcome, 'wasHere' | 'chosen' | 'signers' | 'warnings'>,
  ): PullOutcome {
    const { ref, manifest, wasHere, chosen, signers, warnings } = init;
    const sizeBytes = sizeOf(manifest);
    const peerBytes = this.#tally.bytes('peer');
    const hubBytes = this.#tally.bytes('hub');
    return {
      id: ref.id,
      digest: ref.digest,
      wasHere,
      sizeBytes,
      hereBytes: Math.max(0, sizeBytes - peerBytes - hubBytes),
      peerBytes,
      hubBytes,
      durationMs: this.#components.clock.now() - this.#startedAt,
      chosen,
      signers,
      warnings,
    };
  }

  #judge(model: string, found: FoundSignatures, invalidCounts: boolean): SignersVerdict {
    const { guards } = this.#components;
    return (guards?.signers ?? LIBRARY_GUARDS.signers)(this.#components, model, found, invalidCounts);
  }

  #unlessFinal(thrown: unknown, passing: ReadonlySet<ErrorCode> = new Set()): WeftError {
    this.#context.signal.throwIfAborted();
    const error = toWeftError(thrown);
    if ((FINAL.has(error.code) && !passing.has(error.code)) || error.code === 'internal') throw thrown;
    return error;
  }
}

const GONE: WeftErrorInit = { code: 'model_not_found', message: 'No connected node has this model any more.' };

/** Names of nodes that a model's origin lists. */
const NAMED_MAX = 3;

const at = (cachedAt: string | undefined): { readonly cachedAt?: string } =>
  cachedAt === undefined ? {} : { cachedAt };

/** The text beside the model counts, so that the same files make the same manifest wherever they come from. */
function licenceOf({ hubModel, files }: HubPlan): { readonly licence?: string } {
  const licence = files.some(({ path }) => isLicenceFile(path)) ? undefined : hubModel?.licence;
  return licence === undefined ? {} : { licence };
}

/** What peers said counts more than that the hub, which was asked last, has nothing either. */
function together(failures: readonly WeftError[], last: WeftError): WeftError {
  const first = failures.at(-1);
  if (first === undefined || first === last) return last;
  const code = last.code === 'model_not_found' || last.code === 'hub_unreachable' ? first.code : last.code;
  const told = code === first.code ? first : last;
  return new WeftError(
    { code, message: `From peers: ${first.message} From the hub: ${last.message}`, remedy: told.remedy },
    { cause: last },
  );
}
