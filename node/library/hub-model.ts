// A model as the hub, or the cache of the hub's own tools, has it: which of its files are taken, and the small ones.
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { chooseFiles, placeInModel } from '../../models/choose-files.ts';
import { findCached } from '../../models/hub/cache.ts';
import type { HubModel } from '../../models/hub/hub-client.ts';
import type { HubName } from '../../models/model-name.ts';
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import type { LibraryComponents } from './components.ts';
import { HUB_READS_AT_ONCE_MAX, WHOLE_FILE_BYTES_MAX } from './limits.ts';
import type { Tally } from './tally.ts';

/** A file of the model that is to be; its digest may not be known before its bytes are. */
export interface PlannedFile {
  /** In the model's folder. */
  readonly path: string;
  /** In the repository. */
  readonly hubPath: string;
  readonly sizeBytes: number;
  readonly sha256: string | undefined;
  /** Where the cache of the hub's own tools has it. */
  readonly cachedAt?: string;
}

/** What is taken of a hub's repository. */
export interface HubPlan {
  readonly id: string;
  /** Undefined where the hub was not asked: everything is in the cache. */
  readonly hubModel: HubModel | undefined;
  /** In the model's folder. */
  readonly graph: string;
  readonly files: readonly PlannedFile[];
  /** Why these. */
  readonly reasons: readonly string[];
}

/** A file whose digest is known. */
export interface KnownFile extends PlannedFile {
  readonly sha256: string;
}

export type HubComponents = Pick<LibraryComponents, 'log' | 'store' | 'hub' | 'machine' | 'settings'>;

/** Name of an OpenSSF Model Signing bundle beside a model. */
export const BUNDLE_FILE = 'model.sig';

/**
 * What to take of a model that the hub has, else of what its own tools' cache has.
 * @throws WeftError `model_not_found`, `hub_refused`, `hub_unreachable`
 */
export async function planFromHub(components: HubComponents, name: HubName, signal: AbortSignal): Promise<HubPlan> {
  const { hub, settings } = components;
  try {
    if (settings().offline) throw new WeftError({ code: 'hub_unreachable', message: OFFLINE, remedy: ONLINE });
    const hubModel = await hub().model(name.id, name.revision, signal);
    const cached = await cachedModel(components, hubModel.id, hubModel.revision);
    const cachedAt = new Map(cached?.files.map(({ path, sha256, realPath }) => [`${path} ${sha256}`, realPath]));
    const files = hubModel.files.map((file) => {
      const at = file.sha256 && cachedAt.get(`${file.path} ${file.sha256}`);
      return at ? { ...file, cachedAt: at } : file;
    });
    return { ...choose(components, name, files, hubModel.task), id: hubModel.id, hubModel };
  } catch (thrown) {
    const error = toWeftError(thrown);
    signal.throwIfAborted();
    const cached = error.code === 'hub_unreachable' ? await cachedModel(components, name.id, name.revision) : undefined;
    if (cached === undefined) throw error;
    const files = cached.files.map(({ realPath, ...file }) => ({ ...file, cachedAt: realPath }));
    const plan = choose(components, name, files, undefined);
    const reasons = [...plan.reasons, `Taken from the cache of the hub's own tools: ${error.message}`];
    return { ...plan, id: name.id, hubModel: undefined, reasons };
  }
}

function choose(
  { machine }: HubComponents,
  { id, variant }: HubName,
  files: readonly Omit<PlannedFile, 'hubPath'>[],
  task: string | undefined,
): Pick<HubPlan, 'graph' | 'files' | 'reasons'> {
  const { graph, paths, root, reasons } = chooseFiles(files, machine(), variant, {
    id,
    ...(task !== undefined && { task }),
  });
  const wanted = new Set(paths);
  return {
    graph: placeInModel(root, graph),
    reasons,
    files: files
      .filter(({ path }) => wanted.has(path))
      .map((file) => ({ ...file, path: placeInModel(root, file.path), hubPath: file.path })),
  };
}

/** What the cache of the hub's own tools has of it; a cache that can't be read has nothing. */
export async function cachedModel({ settings, log }: HubComponents, id: string, revision: string | undefined) {
  const cacheFolder = settings().hubCache;
  if (cacheFolder === undefined) return undefined;
  try {
    return await findCached(id, revision, { cacheFolder });
  } catch (thrown) {
    log.debug({ model: id, reason: toWeftError(thrown).message }, "the hub's cache could not be read");
    return undefined;
  }
}

export interface SmallFilesInit {
  readonly tally: Tally;
  readonly signal: AbortSignal;
  /** Told of the digest of each file before it is in the store: nobody may clean it up from there. */
  readonly keep: (sha256: string) => void;
}

/**
 * Brings the files of which only the hub, or its cache, knows what they are: small ones, whole.
 * @returns all files, each with its digest
 */
export async function fetchSmallFiles(
  components: HubComponents,
  { files, hubModel }: HubPlan,
  init: SmallFilesInit,
): Promise<readonly KnownFile[]> {
  const known: KnownFile[] = [];
  const left = [...files];
  const work = async (): Promise<void> => {
    for (let file = left.shift(); file !== undefined; file = left.shift()) {
      init.signal.throwIfAborted();
      const { sha256 } = file;
      known.push(sha256 === undefined ? await bringWhole(components, file, hubModel, init) : { ...file, sha256 });
    }
  };
  const workers = await Promise.allSettled(Array.from({ length: HUB_READS_AT_ONCE_MAX }, work));
  for (const worker of workers) if (worker.status === 'rejected') throw worker.reason;
  return known;
}

async function bringWhole(
  { hub, store }: HubComponents,
  file: PlannedFile,
  hubModel: HubModel | undefined,
  { tally, signal, keep }: SmallFilesInit,
): Promise<KnownFile> {
  const { path, hubPath, sizeBytes, cachedAt } = file;
  if (sizeBytes > WHOLE_FILE_BYTES_MAX) throw tooLarge(path);
  const hubFile = hubModel?.files.find((candidate) => candidate.path === hubPath);
  let bytes: Uint8Array;
  if (hubModel !== undefined && hubFile !== undefined) {
    bytes = await hub().bytes(hubModel, hubFile, signal);
    tally.add('hub', hub().source(hubModel).name, bytes.byteLength);
  } else {
    if (cachedAt === undefined || (await stat(cachedAt)).size > WHOLE_FILE_BYTES_MAX) throw tooLarge(path);
    bytes = await readFile(cachedAt);
  }
  keep(createHash('sha256').update(bytes).digest('hex'));
  return { ...file, ...(await store.put(bytes)) };
}

const tooLarge = (path: string): WeftError =>
  new WeftError({
    code: 'unsupported',
    message: `"${path}" is too large for a file whose digest the hub doesn't tell.`,
    remedy: 'Download the model with other tools, then run `weft import` on its folder.',
  });

/** Owner of what people import: no hub has it. */
export const LOCAL = 'local/';

const OFFLINE = 'No peer has it, and the hub is never asked (setting `offline`).';
const ONLINE = 'Connect a node that has the model, or set `offline` to false (HF_HUB_OFFLINE).';
