// Hashes a model chunk by chunk against its manifest, and brings what is bad anew: from peers, from the hub, verified like
// everything that comes.

import type { HubModel } from '../../models/hub/hub-client.ts';
import type { InstalledModel } from '../../models/installed.ts';
import { sizeOf } from '../../models/manifest.ts';
import { chunkLength } from '../../models/store/chunks.ts';
import type { DamagedFile, PartialFile } from '../../models/store.ts';
import { toWeftError, WeftError, type WeftErrorInit } from '../../protocol/errors.ts';
import type { VerifyReport } from '../core/library.ts';
import type { DownloadProgress } from '../core/transfer.ts';
import type { LibraryComponents } from './components.ts';
import { LOCAL } from './hub-model.ts';
import type { JobContext } from './jobs.ts';
import { WHOLE_FILE_BYTES_MAX } from './limits.ts';
import { judge, readFound } from './signatures.ts';
import { Sources } from './sources.ts';
import { Tally } from './tally.ts';
import { holdersOf } from './variants.ts';

/** A file that isn't what it should be, with the manifest's entry of it. */
interface Damage {
  readonly file: InstalledModel['manifest']['files'][number];
  readonly bad: readonly number[];
  readonly bytes: number;
}

/** A damaged file while it is mended. */
interface Repair extends Damage {
  readonly partial: PartialFile;
}

/**
 * Hashes one model, and mends it where that is asked for.
 * @param repair bring what is bad anew; the engine lets go of the model meanwhile, and for good where that fails
 * @throws WeftError `cancelled`, or what reading the files failed with; a repair that fails is told in the report
 */
export async function verifyModel(
  components: LibraryComponents,
  model: InstalledModel,
  repair: boolean,
  { signal, record }: JobContext,
): Promise<VerifyReport> {
  const { store } = components;
  const { ref, manifest } = model;
  const sizeBytes = sizeOf(manifest);
  record.update({ model: ref.id, phase: 'checking', totalBytes: sizeBytes });
  let hashedBytes = 0;
  const onBytes = (bytes: number): void => {
    hashedBytes += bytes;
    record.update({ doneBytes: Math.min(sizeBytes, hashedBytes) });
  };
  const damaged = damageOf(model, await store.damage(ref.digest, { signal, onBytes }));
  const found = readFound(components, manifest, ref.digest, store.signatures(ref.digest));
  const report = {
    id: ref.id,
    digest: ref.digest,
    sizeBytes,
    damaged: damaged.map(({ file, bad, bytes }) => ({ path: file.path, chunks: bad.length, bytes })),
    signers: judge(components, ref.id, found, false).signers,
  };
  if (damaged.length === 0 || !repair) return { ...report, repaired: false, reason: undefined };
  try {
    await mend(components, model, damaged, { signal, record });
    return { ...report, repaired: true, reason: undefined };
  } catch (thrown) {
    if (signal.aborted) throw signal.reason;
    return { ...report, repaired: false, reason: toWeftError(thrown).message };
  }
}

function damageOf({ manifest }: InstalledModel, damaged: readonly DamagedFile[]): readonly Damage[] {
  return damaged.flatMap(({ path, bad }) => {
    const file = manifest.files.find((candidate) => candidate.path === path);
    if (file === undefined) return [];
    const { sizeBytes: chunkBytes } = file.chunks;
    const bytes = bad.reduce((sum, index) => sum + chunkLength(file.sizeBytes, chunkBytes, index), 0);
    return [{ file, bad, bytes }];
  });
}

async function mend(
  components: LibraryComponents,
  model: InstalledModel,
  damaged: readonly Damage[],
  { signal, record }: JobContext,
): Promise<void> {
  const { store, letGo, offer, log } = components;
  const { ref } = model;
  const totalBytes = damaged.reduce((sum, { bytes }) => sum + bytes, 0);
  await store.room(damaged.reduce((sum, { file }) => sum + file.sizeBytes, 0));
  record.update({ totalBytes, doneBytes: 0, hereBytes: 0 });
  record.update({ phase: 'fetching' });
  const repairs: Repair[] = [];
  try {
    for (const damage of damaged) {
      repairs.push({ ...damage, partial: await store.repairing(ref.digest, damage.file.path, damage.bad) });
    }
    await letGo(ref.digest);
    await bring(components, model, repairs, { signal, record });
    record.update({ phase: 'installing' });
    for (const { partial } of repairs) {
      signal.throwIfAborted();
      await partial.finish();
    }
  } finally {
    // After finish() it does nothing.
    for (const { partial } of repairs) await partial.close();
  }
  log.info({ model: ref.id, digest: ref.digest, bytes: totalBytes }, 'repaired a model');
  // It may have been let go for good by a repair that failed, or deleted meanwhile.
  if (store.byDigest(ref.digest) !== undefined) offer(model);
}

/** Peers first; the hub where none has the files, or those that had them fail. */
async function bring(
  components: LibraryComponents,
  { ref }: InstalledModel,
  repairs: readonly Repair[],
  context: JobContext,
): Promise<void> {
  const { mesh, hub, settings } = components;
  const tally = new Tally();
  const sources = new Sources(components, ref);
  let failure: WeftError | undefined;
  if (holdersOf(ref, mesh.peers()).length > 0) {
    try {
      await fromSources(components, repairs, sources, tally, context);
      return;
    } catch (thrown) {
      context.signal.throwIfAborted();
      failure = toWeftError(thrown);
    }
  }
  try {
    if (settings().offline || ref.id.startsWith(LOCAL)) throw new WeftError(NOBODY);
    const hubModel = await hub().model(ref.id, undefined, context.signal);
    sources.addHub(hub().source(hubModel));
    for (const repair of repairs) await smallFromHub(components, hubModel, repair, tally, context);
    await fromSources(components, repairs, sources, tally, context);
  } catch (thrown) {
    context.signal.throwIfAborted();
    if (failure !== undefined) throw failure;
    const { code, message, remedy } = toWeftError(thrown);
    throw new WeftError({ code, message: `No connected node has its files. ${message}`, remedy }, { cause: thrown });
  }
}

async function fromSources(
  { transfer }: LibraryComponents,
  repairs: readonly Repair[],
  sources: Sources,
  tally: Tally,
  { signal, record }: JobContext,
): Promise<void> {
  const left = repairs.filter(({ partial, bad }) => bad.some((index) => !partial.has(index)));
  const baseBytes = repairs.reduce((sum, repair) => sum + (left.includes(repair) ? 0 : repair.bytes), 0);
  const downloads = left.map(({ partial, bad }) => ({ file: partial.file, sink: partial, wanted: new Set(bad) }));
  if (downloads.length === 0) return;
  const onProgress = (progress: DownloadProgress): void => {
    tally.take(progress);
    record.progress({ ...progress, sources: tally.list() }, baseBytes);
  };
  try {
    onProgress(await transfer.download(downloads, { signal, sources: sources.list, onProgress }));
  } finally {
    tally.next();
  }
}

/** A file that the hub doesn't store by its digest comes whole; its chunks are verified like any. */
async function smallFromHub(
  { hub }: LibraryComponents,
  hubModel: HubModel,
  { file, partial, bad }: Repair,
  tally: Tally,
  { signal }: JobContext,
): Promise<void> {
  const hubFile = hubModel.files.find(({ path, sizeBytes }) => path === file.path && sizeBytes === file.sizeBytes);
  if (hubFile === undefined || hubFile.sha256 !== undefined || file.sizeBytes > WHOLE_FILE_BYTES_MAX) return;
  const bytes = await hub().bytes(hubModel, hubFile, signal);
  const { sizeBytes: chunkBytes } = file.chunks;
  for (const index of bad) {
    const chunk = Uint8Array.from(bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes));
    const { byteLength } = chunk;
    if (!partial.has(index) && (await partial.write(index, chunk))) {
      tally.add('hub', hub().source(hubModel).name, byteLength);
    }
  }
}

const NOBODY: WeftErrorInit = {
  code: 'hub_unreachable',
  message: 'The hub is not asked for them.',
  remedy: 'Connect a node that has the model, or install it again.',
};
