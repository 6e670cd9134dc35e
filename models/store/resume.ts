// Opens a begun file: what of it is there and counts, or a new one. Only what a crash may have torn is hashed.
import { type FileHandle, lstat, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CHUNK_BYTES } from '../limits.ts';
import { chunkLength } from './chunks.ts';
import type { DiskQueue } from './disk-queue.ts';
import { missing, openPlain, replaceDurably, syncFolder } from './durable.ts';
import { type Journal, type JournalHead, readJournal, writeJournal } from './journal.ts';
import type { FileToFetch } from './stored-file.ts';

export interface BegunPaths {
  readonly data: string;
  readonly journal: string;
}

/** A begun file, ready to be written. */
export interface Resumed {
  readonly data: FileHandle;
  /** Opened to be appended to. */
  readonly journal: FileHandle;
  readonly head: JournalHead;
  /** Digests of the chunks that are here. */
  readonly chunks: Map<number, string>;
}

/**
 * Opens what is there, or begins anew; the journal says what counts afterwards.
 * @param names of the data, beside its own, that parts of models may read it by while it is written
 */
export async function resume(
  queue: DiskQueue,
  paths: BegunPaths,
  file: FileToFetch,
  names: readonly string[] = [],
): Promise<Resumed> {
  const known = await readJournalFile(paths.journal);
  const there = known !== undefined && fits(known, file) ? await openWhole(paths.data, file, known, names) : undefined;
  const data = there ?? (await beginData(paths.data, file.sizeBytes));
  try {
    const head = headOf(file, there && known);
    const chunks = there && known ? await kept(queue, there, known, head) : new Map<number, string>();
    if (chunks.size > 0) await data.datasync();
    await replaceDurably(paths.journal, Buffer.from(writeJournal(head, chunks)));
    return { data, journal: await open(paths.journal, 'a'), head, chunks };
  } catch (error) {
    await data.close();
    throw error;
  }
}

/** Bytes of the largest journal: a head, and a few lines for each chunk. */
const JOURNAL_BYTES_MAX = 128 << 20;

/** Reads a journal. @returns undefined when there is none that can be read */
export async function readJournalFile(path: string): Promise<Journal | undefined> {
  await using handle = await openPlain(path);
  if (handle === undefined || (await handle.stat()).size > JOURNAL_BYTES_MAX) return undefined;
  return readJournal(await handle.readFile('utf8'));
}

const fits = (journal: Journal, file: FileToFetch): boolean =>
  journal.sha256 === file.sha256 && journal.sizeBytes === file.sizeBytes;

/** What is known of the file, by the caller and from before. */
function headOf({ sha256, sizeBytes, chunks }: FileToFetch, known: Journal | undefined): JournalHead {
  return {
    sha256,
    sizeBytes,
    chunkBytes: chunks?.sizeBytes ?? known?.chunkBytes ?? CHUNK_BYTES,
    digests: chunks?.sha256 ?? known?.digests,
  };
}

/** Opens data to go on with. @returns undefined when it is none */
async function openWhole(
  path: string,
  file: FileToFetch,
  known: JournalHead,
  names: readonly string[],
): Promise<FileHandle | undefined> {
  const handle = await openPlain(path, true);
  if (handle === undefined) return undefined;
  const { size, nlink, dev, ino } = await handle.stat();
  if (size === file.sizeBytes && nlink === 1) return handle;
  // Good chunks that a part reads are never written over: those who say others of the same file have one of their own.
  if (size === file.sizeBytes && saysTheSame(file, known)) {
    const stats = await Promise.all(names.map((name) => lstat(name).catch(missing)));
    const own = stats.filter((stat) => stat?.dev === dev && stat.ino === ino).length;
    if (nlink === 1 + own) return handle;
  }
  await handle.close();
  return undefined;
}

const saysTheSame = ({ chunks }: FileToFetch, { chunkBytes, digests }: JournalHead): boolean =>
  chunks === undefined ||
  (chunks.sizeBytes === chunkBytes && (digests?.every((sha256, index) => sha256 === chunks.sha256[index]) ?? false));

async function beginData(path: string, sizeBytes: number): Promise<FileHandle> {
  await rm(path, { recursive: true, force: true });
  const handle = await open(path, 'wx+');
  try {
    await handle.truncate(sizeBytes);
    await handle.sync();
    await syncFolder(dirname(path));
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Which chunks of the journal count: those that a crash may have torn are hashed, and all compared with what they must be. */
async function kept(
  queue: DiskQueue,
  data: FileHandle,
  journal: Journal,
  head: JournalHead,
): Promise<Map<number, string>> {
  const digestsOf = async (
    chunkBytes: number,
    indexes: readonly number[],
  ): Promise<readonly (string | undefined)[]> => {
    const job = { kind: 'chunks', data: data.fd, sizeBytes: head.sizeBytes, chunkBytes, indexes } as const;
    return indexes.length === 0 ? [] : (await queue.run<'chunks'>(job)).chunks;
  };
  const chunks = new Map(journal.chunks);
  const unsure = [...journal.unsure];
  for (const [at, sha256] of (await digestsOf(journal.chunkBytes, unsure)).entries()) {
    const index = unsure[at] ?? 0;
    if (sha256 !== chunks.get(index)) chunks.delete(index);
  }
  const { digests, chunkBytes, sizeBytes } = head;
  if (digests === undefined) return chunks;
  if (chunkBytes === journal.chunkBytes) {
    return new Map([...chunks].filter(([index, sha256]) => sha256 === digests[index]));
  }
  // Begun with chunks of another size: those of this size count that lie within what has come.
  const covered = [...digests.keys()].filter((index) => {
    const end = index * chunkBytes + chunkLength(sizeBytes, chunkBytes, index);
    for (let at = Math.floor((index * chunkBytes) / journal.chunkBytes); at * journal.chunkBytes < end; at++) {
      if (!chunks.has(at)) return false;
    }
    return true;
  });
  const found = await digestsOf(chunkBytes, covered);
  return new Map(
    covered.flatMap((index, at): [number, string][] => {
      const sha256 = found[at];
      return sha256 !== undefined && sha256 === digests[index] ? [[index, sha256]] : [];
    }),
  );
}
