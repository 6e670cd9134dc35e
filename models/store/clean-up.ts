// Deletes what nothing needs of the store: what a stop has left of an installation, files that were begun and nobody goes
// on with, whole files of no model. What is open or kept for a pull is never touched.

import { rm } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Blobs } from './blobs.ts';
import { ownBytes } from './disk-use.ts';
import type { PartFolders } from './part-folders.ts';
import type { PartialFiles } from './partial-files.ts';
import type { CleanUp } from './reports.ts';
import type { Staging } from './staging.ts';

export interface CleanUpComponents {
  readonly partials: PartialFiles;
  readonly parts: PartFolders;
  readonly blobs: Blobs;
  readonly staging: Staging;
  /** By a model, or by what is going on. */
  readonly isNeeded: (sha256: string) => boolean;
  /** By what is going on. */
  readonly isKept: (sha256: string) => boolean;
}

/** @param init.keepLaterThan files that were touched since stay; wall clock */
export async function cleanUp(
  { partials, parts, blobs, staging, isNeeded, isKept }: CleanUpComponents,
  init: { readonly dryRun: boolean; readonly keepLaterThan: number },
): Promise<CleanUp> {
  const removed: { readonly what: string; readonly bytes: number }[] = [];
  const remove = async (what: string, bytes: number, work: () => Promise<void>): Promise<void> => {
    removed.push({ what, bytes });
    if (!init.dryRun) await work();
  };
  for (const path of await staging.leftovers()) {
    const what = `leftovers of an installation (${basename(path)})`;
    await remove(what, await ownBytes(path), () => rm(path, { recursive: true, force: true }));
  }
  const going = new Set<string>();
  for (const { digest, id, sha256s, bytes, usedMs } of await parts.onDisk()) {
    if (usedMs > init.keepLaterThan || sha256s.some((sha256) => isKept(sha256) || partials.isOpen(sha256))) continue;
    going.add(digest);
    await remove(`the parts of ${id} (${short(digest.slice('sha256:'.length))})`, bytes, () => parts.remove(digest));
  }
  for (const { sha256, bytes, changedMs } of await partials.resting()) {
    if (changedMs > init.keepLaterThan || isKept(sha256) || partials.isOpen(sha256)) continue;
    if (parts.uses(sha256, going)) continue;
    await remove(`a file that is not whole (${short(sha256)})`, bytes, () => partials.delete(sha256));
  }
  for (const { sha256, bytes, changedMs } of await blobs.onDisk()) {
    if (changedMs > init.keepLaterThan || isNeeded(sha256) || parts.uses(sha256, going)) continue;
    await remove(`a file of no model (${short(sha256)})`, bytes, () => blobs.delete(sha256));
  }
  return { freedBytes: removed.reduce((sum, { bytes }) => sum + bytes, 0), removed };
}

const short = (sha256: string): string => `sha256:${sha256.slice(0, 12)}`;
