// The last steps of every pull and import: files that are here become a model folder, the caged process checks them, and
// only then are they installed and offered.
import type { InstalledModel } from '../../models/installed.ts';
import { type Manifest, modelRef, parseManifest } from '../../models/manifest.ts';
import type { ModelOrigin, StagedModel } from '../../models/store.ts';
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import type { Inspected, InspectRequest } from '../core/prep.ts';
import type { LibraryComponents } from './components.ts';
import { LIBRARY_GUARDS } from './guards.ts';
import type { TransferRecord } from './record.ts';

export type InstallComponents = Pick<LibraryComponents, 'log' | 'prep' | 'store' | 'offer' | 'guards'>;

export interface InstallInit {
  /** All of them are in the store. */
  readonly files: readonly { readonly path: string; readonly sha256: string }[];
  /** What is said of them; or what the caged process said already, of these very bytes. */
  readonly about: Omit<InspectRequest, 'path'> | Inspected;
  /** What peers say that the model is; undefined = nobody has said it yet, and what is found here counts. */
  readonly said: Manifest | undefined;
  /** Judges who signed it. @returns the signatures to keep @throws WeftError `signature_invalid` */
  readonly sign: (manifest: Manifest, digest: string) => Promise<readonly string[]>;
  readonly origin: ModelOrigin;
  readonly record: TransferRecord;
  readonly signal: AbortSignal;
}

export interface Installed {
  readonly model: InstalledModel;
  /** It was here before. */
  readonly wasHere: boolean;
  readonly inspected: Inspected;
}

/** @throws WeftError `model_corrupt`, `signature_invalid`, `disk_full`; nothing is installed then */
export async function installFiles(components: InstallComponents, init: InstallInit): Promise<Installed> {
  const { log, prep, store, offer, guards } = components;
  const { record, signal } = init;
  record.update({ phase: 'checking' });
  const staged = await store.stage(init.files);
  try {
    const { about } = init;
    const inspected =
      'manifestJson' in about ? about : await prep.inspect({ ...about, path: staged.folder }, { signal });
    const made = parseManifest(inspected.manifestJson);
    if (init.said !== undefined) (guards?.files ?? LIBRARY_GUARDS.files)(init.said, made);
    const manifest = init.said ?? made;
    const { digest } = modelRef(manifest);
    const wasHere = store.byDigest(digest) !== undefined;
    const signatures = await init.sign(manifest, digest);
    signal.throwIfAborted();
    record.update({ phase: 'installing' });
    const model = await installed(staged, manifest, signatures, init.origin);
    // Somebody may have deleted it in the same moment.
    if (!wasHere && store.byDigest(digest) !== undefined) offer(model);
    log.info({ model: model.ref.id, digest, from: init.origin.from }, 'installed a model');
    return { model, wasHere, inspected };
  } finally {
    await staged.discard();
  }
}

async function installed(
  staged: StagedModel,
  manifest: Manifest,
  signatures: readonly string[],
  origin: ModelOrigin,
): Promise<InstalledModel> {
  try {
    return await staged.install(manifest, { signatures, origin });
  } catch (thrown) {
    const error = toWeftError(thrown);
    if (error.code !== 'internal') throw error;
    throw new WeftError({ code: 'internal', message: `${manifest.id} could not be installed.` }, { cause: thrown });
  }
}
