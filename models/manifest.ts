// What a model is: its files, what each must be, what the graph takes and gives, and what it is for. Two nodes whose
// manifests have the same digest hold the same bytes.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { WeftError } from '../protocol/errors.ts';
import type { ModelRef } from '../protocol/ids.ts';

/** Name of the manifest in a model's folder. */
export const MANIFEST_FILE = 'weft-manifest.json';

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** A path inside the model's folder: relative, forward slashes, no step upwards. */
const RelativePath = z
  .string()
  .min(1)
  .max(512)
  .refine(
    (path) =>
      !/^[/\\]|\\|\0|:/.test(path) && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..'),
    {
      message: 'must stay inside the model folder',
    },
  );

const File = z.strictObject({
  path: RelativePath,
  sizeBytes: z.number().int().nonnegative(),
  sha256: Sha256,
  /** `small` files (tokenizer, config, graph without weights) are verified at every load, `large` ones at first use. */
  kind: z.enum(['small', 'large']),
  /** Digests of the file's consecutive chunks, the last one shorter: what a transfer verifies before it writes. */
  chunks: z.strictObject({ sizeBytes: z.number().int().positive(), sha256: z.array(Sha256) }),
});

const Port = z.strictObject({
  name: z.string().min(1),
  type: z.string().min(1),
  /** A number, or the name of a dimension that a run decides. */
  dims: z.array(z.union([z.number().int().nonnegative(), z.string()])),
});

const Generation = z.strictObject({
  layers: z.number().int().positive(),
  kvHeads: z.number().int().positive(),
  headSize: z.number().int().positive(),
  vocabularySize: z.number().int().positive(),
  /** Any of these ends an answer. */
  eosIds: z.array(z.number().int().nonnegative()).min(1),
});

const Encoding = z.strictObject({
  dimensions: z.number().int().positive(),
  pooling: z.enum(['mean', 'cls']),
  normalize: z.boolean(),
  padId: z.number().int().nonnegative(),
});

const ManifestSchema = z
  .strictObject({
    schema: z.literal(1),
    /** The hub's repository id. */
    id: z.string().regex(/^[\w.-]+\/[\w.-]+$/),
    task: z.enum(['text-generation', 'feature-extraction', 'tensor']),
    /** How the weights are stored: `fp32`, `fp16`, `int8`, `q4`, … */
    precision: z.string().min(1),
    /** The graph, among the files. */
    graph: RelativePath,
    files: z.array(File).min(1).max(4096),
    inputs: z.array(Port).min(1),
    outputs: z.array(Port).min(1),
    /** Most tokens of a sequence; 0 where there are none. */
    contextLength: z.number().int().nonnegative(),
    generation: Generation.optional(),
    encoding: Encoding.optional(),
    licence: z.strictObject({ spdx: z.string().min(1), file: RelativePath }),
  })
  .refine((manifest) => manifest.files.some((file) => file.path === manifest.graph), {
    message: 'graph is not among the files',
  })
  .refine((manifest) => manifest.task !== 'text-generation' || manifest.generation !== undefined, {
    message: 'generation is missing',
  })
  .refine((manifest) => manifest.task !== 'feature-extraction' || manifest.encoding !== undefined, {
    message: 'encoding is missing',
  });

/** A model's manifest. Sizes in bytes, digests as 64 hex digits. */
export type Manifest = z.infer<typeof ManifestSchema>;
export type ManifestFile = Manifest['files'][number];
export type GenerationSpec = NonNullable<Manifest['generation']>;
export type EncodingSpec = NonNullable<Manifest['encoding']>;

/** Reads a manifest. @throws WeftError `model_corrupt` that names the field at fault */
export function parseManifest(json: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new WeftError({ code: 'model_corrupt', message: 'The manifest is not JSON.' }, { cause });
  }
  const result = ManifestSchema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new WeftError({
    code: 'model_corrupt',
    message: `The manifest's "${issue?.path.join('.') ?? ''}" is invalid: ${issue?.message ?? 'unknown'}.`,
  });
}

/**
 * Whether a tensor of this shape may go in where the manifest lists that one. A dimension with a name takes any size; the
 * single dimension `*` stands for a shape that the graph doesn't say.
 */
export function fitsPort(dims: readonly number[], wanted: Manifest['inputs'][number]['dims']): boolean {
  if (wanted.length === 1 && wanted[0] === '*') return true;
  return dims.length === wanted.length && wanted.every((size, axis) => typeof size === 'string' || size === dims[axis]);
}

/** JSON with sorted keys and no spaces: the same manifest always gives the same bytes. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** What names this model across the mesh. */
export function modelRef(manifest: Manifest): ModelRef {
  return { id: manifest.id, digest: `sha256:${createHash('sha256').update(canonicalJson(manifest)).digest('hex')}` };
}
