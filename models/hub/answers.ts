// What the hub's API answers, checked: a repository at a revision, and the pages of its file list. Called by the client.
import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import { WeftError } from '../../protocol/errors.ts';
import { misbehaves } from './failures.ts';
import { fitsManifest, type HubGuards } from './guards.ts';

/** A file of a repository. */
export interface HubFile {
  /** Relative, with forward slashes; stays inside. */
  readonly path: string;
  readonly sizeBytes: number;
  /** 64 hex digits; of files that the hub stores by their content (LFS). */
  readonly sha256: string | undefined;
  /** The git blob's id: of an LFS file that of its pointer. */
  readonly gitSha1: string;
}

/** A repository at one commit. */
export interface HubModel {
  /** `owner/name`. */
  readonly id: string;
  /** The commit, 40 hex digits (64 where the repository uses sha256): never a branch. */
  readonly revision: string;
  readonly files: readonly HubFile[];
  /** As its card says: mostly an SPDX identifier in small letters. */
  readonly licence: string | undefined;
  /** Its files are only for those who accepted terms. */
  readonly gated: boolean;
  /** The hub's word for what it does, such as `text-generation`. */
  readonly task: string | undefined;
}

const GitId = z.string().regex(/^([0-9a-f]{40}|[0-9a-f]{64})$/);

/** A word of a model card: anything else counts as not there, and is never shown. */
const word = (value: unknown): string | undefined =>
  typeof value === 'string' && /^[\w.+-]{1,64}$/.test(value) ? value : undefined;

const Repository = z.object({
  id: z.string().optional().catch(undefined),
  sha: GitId,
  gated: z.union([z.boolean(), z.string()]).optional().catch(true),
  cardData: z.object({ license: z.unknown() }).partial().nullish().catch(undefined),
  tags: z.array(z.unknown()).optional().catch(undefined),
  pipeline_tag: z.unknown().optional(),
});

/** Reads what `/api/models/ID/revision/REVISION` answers. @throws WeftError `hub_unreachable` when that is no hub's answer */
export function readRepository(value: unknown, asked: string, host: string): Omit<HubModel, 'files'> {
  const result = Repository.safeParse(value);
  if (!result.success) throw misbehaves(host, 'answers with something other than a model');
  const { id, sha, gated = false, cardData, tags = [], pipeline_tag } = result.data;
  const licenceTag = tags.find((tag) => typeof tag === 'string' && tag.startsWith('license:'));
  return {
    // The hub's way to write it, and never another model's name.
    id: id?.toLowerCase() === asked.toLowerCase() ? id : asked,
    revision: sha,
    licence: word(cardData?.license) ?? word(typeof licenceTag === 'string' ? licenceTag.slice(8) : undefined),
    gated: gated !== false,
    task: word(pipeline_tag),
  };
}

const Entry = z.object({
  type: z.string(),
  path: z.string(),
  oid: GitId.optional(),
  size: z.number().int().nonnegative().optional(),
  lfs: z
    .object({
      oid: z.string().regex(/^(sha256:)?[0-9a-f]{64}$/),
      size: z.number().int().nonnegative(),
    })
    .nullish(),
});

/**
 * Reads a page of `/api/models/ID/tree/COMMIT`. Folders are left out, and files with names that no manifest takes.
 * @throws WeftError `hub_unreachable` for no hub's answer, `model_corrupt` for a path that leaves the model's folder
 */
export function readTree(value: unknown, host: string, isInside: HubGuards['path']): HubFile[] {
  const result = z.array(Entry).safeParse(value);
  if (!result.success) throw misbehaves(host, 'answers with something other than a list of files');
  return result.data
    .filter(({ type, path }) => type === 'file' && fitsManifest(path))
    .map(({ path, oid, size, lfs }) => {
      if (oid === undefined || size === undefined) throw misbehaves(host, 'lists a file without its size or digest');
      if (!isInside(path)) {
        throw new WeftError({
          code: 'model_corrupt',
          message: `The hub ${host} lists a file that lies outside of the model's folder.`,
          remedy: 'Do not use this model: its repository is made to do harm, or the hub is not to be trusted.',
          facts: { host },
        });
      }
      return { path, sizeBytes: lfs?.size ?? size, sha256: lfs?.oid.replace('sha256:', ''), gitSha1: oid };
    });
}

/** The query of the next page, from the `Link` header (RFC 8288). Its host and path are not taken from there. */
export function nextPage(headers: IncomingHttpHeaders): string | undefined {
  const link = headers.link;
  const [first] = [link].flat();
  const target = /<([^<>]*)>\s*;[^,]*\brel\s*=\s*"?next"?/.exec(first ?? '')?.[1];
  return target !== undefined && URL.canParse(target, 'http://hub') ? new URL(target, 'http://hub').search : undefined;
}
