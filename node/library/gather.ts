// Gets every file of a model here that isn't: room first, then what lies on this disk already, then small files, so that a
// source that leaves takes no settings with it, then the large ones.

import { SMALL_FILE_BYTES } from '../../models/limits.ts';
import { toWeftError } from '../../protocol/errors.ts';
import type { LibraryComponents } from './components.ts';
import { type FetchComponents, fetchFiles, type WantedFile } from './fetch.ts';
import { distinctFiles, heldIn } from './held.ts';
import { FILES_AT_ONCE_MAX } from './limits.ts';
import type { TransferRecord } from './record.ts';
import type { Sources } from './sources.ts';
import type { Tally } from './tally.ts';

/** A file that is wanted, and where the cache of the hub's own tools has it. */
export interface GatheredFile extends WantedFile {
  readonly path: string;
  readonly cachedAt?: string;
}

export interface GatherInit {
  readonly files: readonly GatheredFile[];
  readonly sources: Sources;
  readonly tally: Tally;
  readonly record: TransferRecord;
  readonly signal: AbortSignal;
}

export type GatherComponents = FetchComponents & Pick<LibraryComponents, 'log'>;

/**
 * Resolves once all of them are in the store.
 * @throws WeftError `disk_full` before anything is fetched, or what {@link fetchFiles} throws
 */
export async function gather(components: GatherComponents, init: GatherInit): Promise<void> {
  const { store } = components;
  const { record, signal } = init;
  const files = distinctFiles(init);
  const hereBytes = bytesHere(store, files);
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const reserved = await store.reserve(files);
  try {
    record.update({ totalBytes, doneBytes: hereBytes, hereBytes });
    record.update({ phase: 'fetching' });
    await adoptCached(components, files, signal);
    const adoptedBytes = bytesHere(store, files);
    record.update({ doneBytes: adoptedBytes, hereBytes: Math.max(hereBytes, adoptedBytes) });
    for (const these of batches(files.filter(({ sha256 }) => !store.has(sha256)))) {
      signal.throwIfAborted();
      const others = files.filter((file) => !these.includes(file));
      await fetchFiles(components, { ...init, files: these, baseBytes: bytesHere(store, others) });
    }
  } finally {
    reserved.release();
  }
}

/** Small files first; a bounded number together, as each that is being written is open. */
function batches<File extends Pick<WantedFile, 'sizeBytes'>>(files: readonly File[]): readonly (readonly File[])[] {
  const isSmall = ({ sizeBytes }: File): boolean => sizeBytes <= SMALL_FILE_BYTES;
  return [files.filter(isSmall), files.filter((file) => !isSmall(file))].flatMap((group) =>
    Array.from({ length: Math.ceil(group.length / FILES_AT_ONCE_MAX) }, (_, index) =>
      group.slice(index * FILES_AT_ONCE_MAX, (index + 1) * FILES_AT_ONCE_MAX),
    ),
  );
}

/** Bytes of these that are here, verified. */
function bytesHere(
  store: Pick<LibraryComponents['store'], 'has' | 'partials'>,
  files: readonly Pick<WantedFile, 'sha256' | 'sizeBytes'>[],
): number {
  const heldBytes = heldIn(store);
  return files.reduce((sum, { sha256, sizeBytes }) => sum + heldBytes(sha256, sizeBytes), 0);
}

async function adoptCached({ store, log }: GatherComponents, files: readonly GatheredFile[], signal: AbortSignal) {
  for (const file of files) {
    if (file.cachedAt === undefined || store.has(file.sha256)) continue;
    signal.throwIfAborted();
    try {
      await store.adopt(file.cachedAt, file);
    } catch (thrown) {
      const { code, message } = toWeftError(thrown);
      if (code === 'disk_full') throw thrown;
      // Not what its name says, or not readable: then it is fetched like any other.
      log.warn({ file: file.path, code, reason: message }, "a file of the hub's cache could not be taken");
    }
  }
}
