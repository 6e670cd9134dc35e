// What a model is: its files, what each must be, what the graph takes and gives, and what it is for. Two nodes whose
// manifests have the same digest hold the same bytes.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { WeftError } from '../protocol/errors.ts';
import type { ModelRef } from '../protocol/ids.ts';
import { LANGUAGES_MAX, ONNX_PORTS_MAX as PORTS_MAX, SUPPRESSED_MAX } from './limits.ts';

/** Name of the manifest in a model's folder. */
export const MANIFEST_FILE = 'weft-manifest.json';
/** A JSON array of texts, each a signature of the manifest's digest. */
export const SIGNATURES_FILE = 'weft-signatures.json';
export const ORIGIN_FILE = 'weft-origin.json';
/** Written by Weft beside every installed model, over whatever was there: no file of a model is called so. */
export const OWN_FILES: ReadonlySet<string> = new Set([MANIFEST_FILE, SIGNATURES_FILE, ORIGIN_FILE]);

/** The hub's repository id, neither part of which is a step in a path or hidden. */
export const MODEL_ID = /^(?!\.)[\w.-]+\/(?!\.)[\w.-]+$/;

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** Names that Windows gives to devices, or takes for others: a model is to lie on every disk. */
const isPlainName = (part: string): boolean =>
  !/[. ]$/.test(part) && !/^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(part);

/** A path inside the model's folder: relative, forward slashes, no step upwards. */
const RelativePath = z
  .string()
  .min(1)
  .max(512)
  .refine(
    (path) =>
      !/^[/\\]|\\|\0|:/.test(path) &&
      path.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && isPlainName(part)),
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
  /** `logits`: the graph says one thing of a text, or of a pair, as a whole. */
  pooling: z.enum(['mean', 'cls', 'logits']),
  normalize: z.boolean(),
  padId: z.number().int().nonnegative(),
});

/** A graph beside the first one. */
const FurtherGraph = z.strictObject({
  path: RelativePath,
  inputs: z.array(Port).min(1).max(PORTS_MAX),
  outputs: z.array(Port).min(1).max(PORTS_MAX),
});

const TokenId = z.number().int().nonnegative();

const Speech = z.strictObject({
  /** Of the sound: samples a second, samples of a spectrum, samples from one spectrum to the next. */
  sampleRate: z.number().int().min(8_000).max(48_000),
  fftSize: z.number().int().min(16).max(4096),
  hopLength: z.number().int().min(16).max(4096),
  melBins: z.number().int().min(1).max(512),
  /** Spectra that the graph takes at once. */
  frames: z.number().int().positive().max(12_000),
  /** The token that an answer begins with. */
  startId: TokenId,
  /** What stands before text that came earlier. */
  previousId: TokenId.optional(),
  /** Language → token; empty for a model of one language. */
  languages: z
    .record(z.string().regex(/^[a-z]{2,3}$/), TokenId)
    .refine((languages) => Object.keys(languages).length <= LANGUAGES_MAX),
  transcribeId: TokenId.optional(),
  translateId: TokenId.optional(),
  noTimestampsId: TokenId,
  /** Times are the tokens from this one on, to the end of the vocabulary, 0.02 s apart. */
  timestampBeginId: TokenId,
  /** The first time of an answer is among this many. */
  initialTimestampsMax: z.number().int().nonnegative(),
  /** Never drawn; and never drawn first. */
  suppressIds: z.array(TokenId).max(SUPPRESSED_MAX),
  beginSuppressIds: z.array(TokenId).max(SUPPRESSED_MAX),
});

const ManifestSchema = z
  .strictObject({
    schema: z.literal(1),
    /** The hub's repository id. */
    id: z
      .string()
      .regex(MODEL_ID)
      .refine((id) => id.split('/').every(isPlainName), { message: 'is a name that some disks have no folder for' }),
    task: z.enum(['text-generation', 'feature-extraction', 'text-ranking', 'automatic-speech-recognition', 'tensor']),
    /** How the weights are stored: `fp32`, `fp16`, `int8`, `q4`, … */
    precision: z.string().min(1),
    /** The graph, among the files. */
    graph: RelativePath,
    /** Graphs beside it: of speech models the encoder, and what decodes with a past where `graph` can't. */
    graphs: z.strictObject({ encoder: FurtherGraph.optional(), decoderWithPast: FurtherGraph.optional() }).optional(),
    files: z.array(File).min(1).max(4096),
    inputs: z.array(Port).min(1),
    outputs: z.array(Port).min(1),
    /** Most tokens of a sequence; 0 where there are none. */
    contextLength: z.number().int().nonnegative(),
    generation: Generation.optional(),
    encoding: Encoding.optional(),
    speech: Speech.optional(),
    /** `LicenseRef-unknown` for one that could not be told; no file where none lies beside the model. */
    licence: z.strictObject({ spdx: z.string().min(1), file: RelativePath.optional() }),
  })
  .refine((manifest) => manifest.files.some((file) => file.path === manifest.graph), {
    message: 'graph is not among the files',
  })
  .refine((manifest) => manifest.task !== 'text-generation' || manifest.generation !== undefined, {
    message: 'generation is missing',
  })
  .refine(
    ({ task, encoding }) =>
      (task !== 'feature-extraction' && task !== 'text-ranking') ||
      (encoding !== undefined && (encoding.pooling === 'logits') === (task === 'text-ranking')),
    { message: 'encoding is missing, or that of another task' },
  )
  .refine(
    ({ files, graphs }) =>
      [graphs?.encoder, graphs?.decoderWithPast].every(
        (graph) => graph === undefined || files.some((file) => file.path === graph.path),
      ),
    { message: 'a graph is not among the files' },
  )
  .refine(
    ({ task, speech, generation, graphs }) =>
      task !== 'automatic-speech-recognition' ||
      (speech !== undefined && generation !== undefined && graphs?.encoder !== undefined),
    { message: 'speech, generation or the encoder is missing' },
  )
  .refine(({ speech, generation }) => speech === undefined || tokensFit(speech, generation?.vocabularySize ?? 0), {
    message: 'speech names tokens beyond the vocabulary',
  });

function tokensFit(speech: z.infer<typeof Speech>, vocabularySize: number): boolean {
  const { startId, noTimestampsId, timestampBeginId, previousId = 0, transcribeId = 0, translateId = 0 } = speech;
  const ids = [startId, noTimestampsId, timestampBeginId, previousId, transcribeId, translateId];
  return [...ids, ...Object.values(speech.languages), ...speech.suppressIds, ...speech.beginSuppressIds].every(
    (id) => id < vocabularySize,
  );
}

/** A model's manifest. Sizes in bytes, digests as 64 hex digits. */
export type Manifest = z.infer<typeof ManifestSchema>;
export type ManifestFile = Manifest['files'][number];
export type GenerationSpec = NonNullable<Manifest['generation']>;
export type EncodingSpec = NonNullable<Manifest['encoding']>;
export type SpeechSpec = NonNullable<Manifest['speech']>;
export type FurtherGraph = z.infer<typeof FurtherGraph>;

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

/** Bytes of a model's files; one that it has twice counts twice. */
export const sizeOf = ({ files }: Pick<Manifest, 'files'>): number =>
  files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

/** What names this model across the mesh. */
export function modelRef(manifest: Manifest): ModelRef {
  return { id: manifest.id, digest: `sha256:${createHash('sha256').update(canonicalJson(manifest)).digest('hex')}` };
}
