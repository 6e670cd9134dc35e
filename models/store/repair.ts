// Brings a damaged file anew out of what is good of it, and puts it in the place of the damaged one. A file that has other
// names, or that a runner has open, is never written: the new one takes its name.
import { lstat, mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ManifestFile } from '../manifest.ts';
import { chunkCount, chunksFit } from './chunks.ts';
import { onDisk } from './disk-error.ts';
import { type Link, linkOrCopy, missing, openPlain, syncFolder } from './durable.ts';
import type { InstalledFile } from './installed-models.ts';
import type { PartialFiles } from './partial-files.ts';
import type { PartialFile } from './stored-file.ts';

/** A file that should be the same. */
export interface RepairSource {
  readonly path: string;
  /** Chunks that need not be tried. */
  readonly bad: ReadonlySet<number>;
}

/** A lease of the file with every chunk that is good in one of the sources. */
export async function beginRepair(
  partials: PartialFiles,
  { sha256, sizeBytes, chunks }: ManifestFile,
  sources: readonly RepairSource[],
): Promise<PartialFile> {
  if (!chunksFit(sizeBytes, chunks)) return partials.lease({ sha256, sizeBytes });
  const lease = await partials.lease({ sha256, sizeBytes, chunks });
  try {
    for (const { path, bad } of sources) {
      await onDisk(async () => {
        await using handle = await openPlain(path);
        if (handle === undefined) return;
        for (let index = 0; index < chunkCount(sizeBytes, chunks.sizeBytes); index++) {
          if (!bad.has(index) && !lease.has(index)) await lease.copy(index, handle.fd);
        }
      });
    }
    return lease;
  } catch (error) {
    await lease.close();
    throw error;
  }
}

/** Gives these files of models the content of a verified one, where they are others. */
export async function putInPlace(verified: string, files: readonly InstalledFile[], link: Link): Promise<void> {
  const wanted = await lstat(verified);
  for (const { model, file, path } of files) {
    await makePlainFolders(model.folder, file.path);
    const stat = await lstat(path).catch(missing);
    if (stat?.isFile() && stat.ino === wanted.ino && stat.dev === wanted.dev) continue;
    if (stat?.isDirectory()) await rm(path, { recursive: true });
    const fresh = `${path}.new`;
    // A stop may have left one.
    await rm(fresh, { recursive: true, force: true });
    await linkOrCopy(verified, fresh, link);
    await rename(fresh, path);
    await syncFolder(dirname(path));
  }
}

/** Puts real folders in the place of links on the way to a file. */
async function makePlainFolders(folder: string, path: string): Promise<void> {
  let inner = folder;
  for (const part of path.split('/').slice(0, -1)) {
    inner = join(inner, part);
    const stat = await lstat(inner).catch(missing);
    if (stat?.isDirectory()) continue;
    await rm(inner, { force: true });
    await mkdir(inner);
  }
}
