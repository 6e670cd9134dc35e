// Models that the hub's own tools have fetched before: the cache folder of huggingface_hub. Nothing in it is trusted: links
// are resolved and checked here, digests by whoever takes the files over (the store).
import { lstat, open, readdir, realpath, stat } from 'node:fs/promises';
import { basename, join, sep } from 'node:path';
import { fitsManifest, HUB_GUARDS } from './guards.ts';
import { HUB_LIMITS } from './limits.ts';

export interface CachedFile {
  /** As in the repository, forward slashes. */
  readonly path: string;
  /** Where its bytes lie: no link is on the way. */
  readonly realPath: string;
  readonly sizeBytes: number;
  /** What it claims to be, by its blob's name: an LFS file. To be verified. */
  readonly sha256: string | undefined;
}

export interface CachedModel {
  /** The commit. */
  readonly revision: string;
  /** May be some of the model's files only: what was asked for. */
  readonly files: readonly CachedFile[];
  /** Paths that lead out of the cache folder, or to what is no plain file, or that no manifest takes: left out. */
  readonly refused: readonly string[];
}

export interface FindCachedOptions {
  /** `~/.cache/huggingface/hub`, as HF_HOME and HF_HUB_CACHE say it. */
  readonly cacheFolder: string;
  /** For tests: true when a real path lies inside the real cache folder. */
  readonly isInside?: (realPath: string, folder: string) => boolean;
}

/** Folders within folders of a snapshot; real ones have two. */
const DEPTH_MAX = 16;

/** Bytes of a file in `refs`: a commit, maybe with a line break. */
const REF_BYTES_MAX = 128;

const COMMIT = /^([0-9a-f]{40}|[0-9a-f]{64})$/;

/**
 * A model in the cache, without asking the hub.
 * @param id `owner/name`
 * @param revision a branch, a tag or a commit. @default `main`
 * @returns undefined when the cache doesn't have it
 */
export async function findCached(
  id: string,
  revision: string | undefined,
  { cacheFolder, isInside = (path, folder) => path.startsWith(folder + sep) }: FindCachedOptions,
): Promise<CachedModel | undefined> {
  const name = revision ?? 'main';
  if (!/^[\w.-]+\/[\w.-]+$/.test(id) || !HUB_GUARDS.path(id) || !HUB_GUARDS.path(name)) return undefined;
  // A cache that can't be read is as good as none: the files come from elsewhere.
  const folder = await realpath(cacheFolder).catch(() => undefined);
  if (folder === undefined) return undefined;
  const repository = join(folder, `models--${id.replace('/', '--')}`);
  const commit = COMMIT.test(name) ? name : await readRef(join(repository, 'refs', ...name.split('/')));
  if (commit === undefined) return undefined;

  const files: CachedFile[] = [];
  const refused: string[] = [];
  const visit = async (below: string, prefix: string, depth: number): Promise<void> => {
    const entries = await readdir(below, { withFileTypes: true }).catch(() => []);
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (files.length + refused.length >= HUB_LIMITS.filesMax) return;
      const path = prefix + entry.name;
      const at = join(below, entry.name);
      if (entry.isDirectory()) {
        if (depth < DEPTH_MAX) await visit(at, `${path}/`, depth + 1);
        else refused.push(path);
        continue;
      }
      const found = await look(at);
      // A link to what is gone: the tools leave it so when their cache is cleaned.
      if (found === undefined) continue;
      if (!found.isFile || !isInside(found.realPath, folder) || !HUB_GUARDS.path(path) || !fitsManifest(path)) {
        refused.push(path);
        continue;
      }
      const blob = basename(found.realPath);
      const sha256 = entry.isSymbolicLink() && /^[0-9a-f]{64}$/.test(blob) ? blob : undefined;
      files.push({ path, realPath: found.realPath, sizeBytes: found.sizeBytes, sha256 });
    }
  };
  const snapshot = join(repository, 'snapshots', commit);
  // A snapshot folder that is itself a link could lead anywhere.
  if ((await realpath(snapshot).catch(() => undefined)) !== snapshot) return undefined;
  await visit(snapshot, '', 0);
  return files.length + refused.length === 0 ? undefined : { revision: commit, files, refused };
}

async function look(
  path: string,
): Promise<{ readonly realPath: string; readonly isFile: boolean; readonly sizeBytes: number } | undefined> {
  try {
    const realPath = await realpath(path);
    const found = await stat(realPath);
    return { realPath, isFile: found.isFile(), sizeBytes: found.size };
  } catch {
    return undefined;
  }
}

/** The commit that a branch or tag was at. */
async function readRef(path: string): Promise<string | undefined> {
  try {
    const found = await lstat(path);
    if (!found.isFile() || found.size > REF_BYTES_MAX) return undefined;
    await using handle = await open(path, 'r');
    const { buffer, bytesRead } = await handle.read(new Uint8Array(REF_BYTES_MAX), 0, REF_BYTES_MAX, 0);
    const commit = Buffer.from(buffer.subarray(0, bytesRead)).toString('utf8').trim();
    return COMMIT.test(commit) ? commit : undefined;
  } catch {
    return undefined;
  }
}
