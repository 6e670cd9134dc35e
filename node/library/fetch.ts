// Brings the files of a model that are not here: those of which a part has come go on, and what comes stays.
import type { PartialFile } from '../../models/store.ts';
import { toWeftError, WeftError } from '../../protocol/errors.ts';
import type { DownloadProgress, FileIdentity, SourceProgress } from '../core/transfer.ts';
import type { Claims } from './claims.ts';
import { type LibraryComponents, nodeName } from './components.ts';
import type { TransferRecord } from './record.ts';
import type { Sources } from './sources.ts';
import type { Tally } from './tally.ts';

/** A file that is wanted; without chunks, only the digest of the whole is known. */
export interface WantedFile extends FileIdentity {
  readonly chunks?: { readonly sizeBytes: number; readonly sha256: readonly string[] };
}

export interface FetchComponents extends Pick<LibraryComponents, 'store' | 'transfer' | 'mesh' | 'membership'> {
  /** Of files: nobody else writes them meanwhile. */
  readonly claims: Claims;
}

export interface FetchInit {
  /** Each content once. */
  readonly files: readonly WantedFile[];
  readonly sources: Sources;
  readonly tally: Tally;
  readonly record: TransferRecord;
  /** Of the record's total, those that are no part of these files and here. */
  readonly baseBytes: number;
  readonly signal: AbortSignal;
}

/**
 * Resolves once all of them are here, verified.
 * @throws WeftError why the last source failed, with what each said; what has come stays
 */
export async function fetchFiles(components: FetchComponents, init: FetchInit): Promise<void> {
  const { store, claims } = components;
  const absent = init.files.filter((file) => !store.has(file.sha256));
  const release = await claims.take(
    absent.map(({ sha256 }) => sha256),
    init.signal,
  );
  try {
    // Another pull may have brought some of them meanwhile.
    await download(components, { ...init, files: absent.filter((file) => !store.has(file.sha256)) });
  } finally {
    release();
  }
}

async function download(components: FetchComponents, init: FetchInit): Promise<void> {
  const { store, transfer } = components;
  const { files, sources, tally, record, baseBytes, signal } = init;
  const open: PartialFile[] = [];
  try {
    for (const file of files) open.push(await store.partial(file));
    if (open.length === 0) return;
    const onProgress = (progress: DownloadProgress): void => {
      tally.take(progress);
      record.progress({ ...progress, sources: tally.list() }, baseBytes);
    };
    const downloads = open.map((partial) => ({ file: partial.file, sink: partial }));
    onProgress(await transfer.download(downloads, { signal, sources: sources.list, onProgress }));
    for (const partial of open) {
      signal.throwIfAborted();
      await partial.finish();
    }
  } catch (thrown) {
    throw signal.aborted ? signal.reason : failure(components, toWeftError(thrown), tally.list());
  } finally {
    tally.next();
    // What has come stays; of a file that is finished, this does nothing.
    for (const partial of open) await partial.close();
  }
}

/** The last failure, and what went wrong with every other source. */
export function failure(
  components: Pick<FetchComponents, 'mesh' | 'membership'>,
  last: WeftError,
  sources: readonly SourceProgress[],
): WeftError {
  const said = sources
    .filter(({ state }) => state === 'failed' || state === 'blamed')
    .map(({ kind, name, reason, state }) => {
      const who = kind === 'hub' ? `the hub (${name})` : nodeName(components, name);
      return `${who}: ${(reason ?? state).replace(/\.$/, '')}`;
    });
  if (said.length === 0 || last.code === 'disk_full') return last;
  const { code, remedy, facts } = last;
  const message = `${last.message} No source is left: ${said.join('; ')}.`;
  return new WeftError({ code, message, remedy, facts }, { cause: last });
}
