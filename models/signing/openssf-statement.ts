// What an OpenSSF Model Signing bundle says: an in-toto statement that lists a model's files with their digests, held
// against the files that are here. All of it is signed; what is wrong here is wrong by the signer's own hand, or is
// about another model.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { OWN_FILES } from '../manifest.ts';
import { IGNORED_PATHS_MAX, NAMED_MAX, PATH_CHARS_MAX, RESOURCES_MAX } from './limits.ts';
import type { Problem } from './openssf-bundle.ts';

const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
const PREDICATE_TYPE = 'https://model_signing/signature/v1.0';

/** Relative, with forward slashes: a name that leads elsewhere is nobody's file. */
const Path = z
  .string()
  .max(PATH_CHARS_MAX)
  .refine((path) => !path.includes('\\') && path.split('/').every((part) => part !== '' && part !== '..'));
const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** Fields that aren't named are left out, as the format wants it of who reads version 1.0. */
const Head = z.object({ _type: z.string(), predicateType: z.string() });

const Statement = z.object({
  subject: z.array(z.object({ name: z.string(), digest: z.object({ sha256: Sha256 }) })).length(1),
  predicate: z.object({
    serialization: z.object({
      method: z.string(),
      hash_type: z.string(),
      allow_symlinks: z.boolean(),
      ignore_paths: z.array(z.string()).max(IGNORED_PATHS_MAX).optional(),
    }),
    resources: z
      .array(z.object({ name: Path, algorithm: z.string(), digest: z.string().regex(/^([0-9a-f]{2}){1,128}$/) }))
      .min(1)
      .max(RESOURCES_MAX),
  }),
});
export type Statement = z.infer<typeof Statement>;
export type StatementHead = z.infer<typeof Head>;

/** A model's files by path: relative, with forward slashes; sha256 as 64 hex digits. */
export type SignedFiles = ReadonlyMap<string, { readonly sha256: string; readonly sizeBytes: number }>;

/** What a statement is held against. */
export interface StatementContext {
  readonly files: SignedFiles;
  /** Must be signed even where the signer ignored them; undefined = all files. */
  readonly needed: ReadonlySet<string> | undefined;
  /** Files may be signed that are not here. */
  readonly partial: boolean;
  /** Digest of the bundle itself, which can't sign itself. */
  readonly bundleSha256: string;
}

/** Reads the statement's head and the statement; undefined for what is no statement of this form. */
export function readHead(json: unknown): StatementHead | undefined {
  return Head.safeParse(json).data;
}

/** @see readHead */
export function readStatement(json: unknown): Statement | undefined {
  return Statement.safeParse(json).data;
}

const invalid = (reason: string): Problem => ({ status: 'invalid', reason });
const unsupported = (reason: string): Problem => ({ status: 'unsupported', reason });

/** Checks of what kind of statement this is, in this order. */
export const HEAD_CHECKS = {
  statementType: ({ _type }: StatementHead) =>
    _type === STATEMENT_TYPE ? undefined : invalid('What it signs is no in-toto statement.'),
  predicateType: ({ predicateType }: StatementHead) =>
    predicateType === PREDICATE_TYPE ? undefined : unsupported('What it says of the model is not of version 1.0.'),
} as const;

/** Says what is wrong with a statement, or undefined. */
export type StatementCheck = (statement: Statement, context: StatementContext) => Problem | undefined;

/** Checks of what the statement says, in this order. */
export const STATEMENT_CHECKS = {
  /** Digests of parts of files, or of another algorithm, can't be compared with ours. */
  serialization: ({ predicate: { serialization, resources } }) => {
    const { method, hash_type } = serialization;
    if (method !== 'files') return unsupported('It signs parts of files, not files.');
    const other = [hash_type, ...resources.map(({ algorithm }) => algorithm)].find((name) => name !== 'sha256');
    return other === undefined ? undefined : unsupported('It signs with other digests than sha256.');
  },
  /** The digest over all digests is what others know the model by. */
  subject: ({ subject, predicate }) => {
    const whole = createHash('sha256');
    for (const { digest } of predicate.resources) whole.update(digest, 'hex');
    return whole.digest('hex') === subject[0]?.digest.sha256
      ? undefined
      : invalid('The digest of the whole is not that of its files.');
  },
  twice: ({ predicate: { resources } }) => {
    const seen = new Set<string>();
    const twice = resources.find(({ name }) => seen.size === seen.add(name).size);
    return twice === undefined ? undefined : invalid(`It signs ${quote([twice.name])} twice.`);
  },
  wholeModel: ({ predicate: { resources } }) =>
    resources.some(({ name }) => name === '.') ? unsupported('It signs a file by itself, not a model.') : undefined,
  digests: ({ predicate: { resources } }, { files }) => {
    const other = resources.filter(({ name, digest }) => (files.get(name)?.sha256 ?? digest) !== digest);
    return other.length === 0
      ? undefined
      : invalid(`It signs other bytes for ${quote(other.map(({ name }) => name))}.`);
  },
  missing: ({ predicate: { resources } }, { files, partial }) => {
    const missing = partial ? [] : resources.filter(({ name }) => !files.has(name));
    return missing.length === 0
      ? undefined
      : invalid(`It signs ${quote(missing.map(({ name }) => name))}, which the model does not have.`);
  },
  unsigned: (statement, context) => {
    const ignored = statement.predicate.serialization.ignore_paths ?? [];
    const excused = (path: string): boolean =>
      context.needed !== undefined && !context.needed.has(path) && ignored.some((folder) => isIn(path, folder));
    const unsigned = coverage(statement, context).uncovered.filter((path) => !excused(path));
    return unsigned.length === 0 ? undefined : invalid(`It does not sign ${quote(unsigned)}.`);
  },
} as const satisfies Record<string, StatementCheck>;

const isIn = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

/** Which files the statement names and which it doesn't, Weft's own and the bundle itself aside; sorted. */
export function coverage(
  statement: Statement | undefined,
  { files, bundleSha256 }: Pick<StatementContext, 'files' | 'bundleSha256'>,
): { readonly covered: readonly string[]; readonly uncovered: readonly string[] } {
  const named = new Map(statement?.predicate.resources.map(({ name, digest }) => [name, digest]));
  const covered: string[] = [];
  const uncovered: string[] = [];
  for (const [path, { sha256 }] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (named.get(path) === sha256) covered.push(path);
    else if (!OWN_FILES.has(path) && sha256 !== bundleSha256) uncovered.push(path);
  }
  return { covered, uncovered };
}

/** The first few of these, for a sentence; without what could command a terminal. */
function quote(paths: readonly string[]): string {
  const named = paths.slice(0, NAMED_MAX).map((path) => `"${path.replace(/\p{C}/gu, '?')}"`);
  const more = paths.length - named.length;
  return more === 0 ? named.join(', ') : `${named.join(', ')} and ${more} more`;
}
