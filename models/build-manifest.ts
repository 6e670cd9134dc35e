// Makes the manifest of a model folder in the hub's layout: what its files are, what its graph takes and gives, and
// what it is for. `build-manifest-main.ts` writes what this returns beside the model.
import { createHash } from 'node:crypto';
import { lstat, open, readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { WeftError } from '../protocol/errors.ts';
import { SMALL_FILE_BYTES_MAX } from '../protocol/limits.ts';
import { CHUNK_BYTES, SMALL_FILE_BYTES } from './limits.ts';
import {
  canonicalJson,
  type EncodingSpec,
  type GenerationSpec,
  MANIFEST_FILE,
  type Manifest,
  type ManifestFile,
  parseManifest,
} from './manifest.ts';
import { type OnnxSummary, readOnnxFile } from './onnx/parse.ts';
import { readPieces } from './verify.ts';

export interface BuildManifestInit {
  /** @default the last two parts of the folder's path, `owner/name` */
  readonly id?: string;
  /** The graph, relative to the folder. @default the only `onnx/*.onnx` */
  readonly graph?: string;
  /** SPDX identifier. @default what the licence's text says */
  readonly licence?: string;
}

/** The parts of config.json that a manifest needs; GPT-2's older names beside today's. */
const Config = z.object({
  max_position_embeddings: z.number().int().positive().optional(),
  n_positions: z.number().int().positive().optional(),
  hidden_size: z.number().int().positive().optional(),
  vocab_size: z.number().int().positive().optional(),
  num_hidden_layers: z.number().int().positive().optional(),
  num_attention_heads: z.number().int().positive().optional(),
  num_key_value_heads: z.number().int().positive().optional(),
  head_dim: z.number().int().positive().optional(),
  eos_token_id: z.union([z.number().int(), z.array(z.number().int())]).nullish(),
  pad_token_id: z.number().int().nonnegative().nullish(),
});
type Config = z.infer<typeof Config>;

const GenerationConfig = Config.pick({ eos_token_id: true });
const Pooling = z.object({ pooling_mode_cls_token: z.boolean().optional() });
const Modules = z.array(z.object({ type: z.string() }));

const refuse = (message: string, remedy: string): WeftError =>
  new WeftError({ code: 'model_corrupt', message, remedy });

/**
 * Builds the manifest of a folder. Takes the JSON files and the chat template at its top, the pooling's settings, the
 * licence, one graph and the weights that the graph names; other files are no part of the model.
 * @throws WeftError `model_corrupt` when something is missing, contradicts the graph, or lies outside the folder
 */
export async function buildManifest(folder: string, init: BuildManifestInit = {}): Promise<Manifest> {
  const root = resolve(folder);
  const graph = init.graph ?? (await onlyGraph(root));
  await checkPlainFile(root, graph);
  const summary = readOnnxFile(join(root, graph));
  const licenceFile = await findLicence(root);
  const paths = [...(await sideFiles(root)), licenceFile, graph, ...weights(graph, summary)];
  const files = await Promise.all([...new Set(paths)].sort().map((path) => describeFile(root, path)));
  const task = taskOf(summary, files);
  const config = (await readSettings(root, 'config.json', Config)) ?? {};
  const manifest = {
    schema: 1,
    id: init.id ?? `${basename(dirname(root))}/${basename(root)}`,
    task,
    precision: precisionOf(graph),
    graph,
    files,
    inputs: summary.inputs,
    outputs: summary.outputs,
    contextLength: task === 'tensor' ? 0 : (config.max_position_embeddings ?? config.n_positions ?? 0),
    ...(task === 'text-generation' && { generation: await generationOf(root, config, summary) }),
    ...(task === 'feature-extraction' && { encoding: await encodingOf(root, config, summary) }),
    licence: { spdx: init.licence ?? (await spdxOf(join(root, licenceFile))), file: licenceFile },
  };
  // Through the same gate as everyone else's.
  return parseManifest(canonicalJson(manifest));
}

/** Size, digest and chunk digests of one file, in one pass over it. */
async function describeFile(root: string, path: string): Promise<ManifestFile> {
  await checkPlainFile(root, path);
  await using handle = await open(join(root, path));
  const whole = createHash('sha256');
  const chunks: string[] = [];
  let chunk = createHash('sha256');
  let chunkBytes = 0;
  const sizeBytes = await readPieces(handle, Number.POSITIVE_INFINITY, (piece) => {
    whole.update(piece);
    for (let offset = 0; offset < piece.byteLength; ) {
      const part = piece.subarray(offset, offset + CHUNK_BYTES - chunkBytes);
      chunk.update(part);
      chunkBytes += part.byteLength;
      offset += part.byteLength;
      if (chunkBytes === CHUNK_BYTES) {
        chunks.push(chunk.digest('hex'));
        chunk = createHash('sha256');
        chunkBytes = 0;
      }
    }
  });
  if (chunkBytes > 0) chunks.push(chunk.digest('hex'));
  return {
    path,
    sizeBytes,
    sha256: whole.digest('hex'),
    kind: sizeBytes <= SMALL_FILE_BYTES ? 'small' : 'large',
    chunks: { sizeBytes: CHUNK_BYTES, sha256: chunks },
  };
}

async function checkPlainFile(root: string, path: string): Promise<void> {
  const isFile = await lstat(join(root, path)).then(
    (stat) => stat.isFile(),
    () => false,
  );
  if (!isFile) throw refuse(`"${path}" is missing, a link, or no plain file.`, 'Put the file itself there.');
}

async function onlyGraph(root: string): Promise<string> {
  const names = await readdir(join(root, 'onnx')).catch(() => [] as string[]);
  const graphs = names.filter((name) => name.endsWith('.onnx'));
  if (graphs.length === 1) return `onnx/${graphs[0]}`;
  throw refuse(`The folder holds ${graphs.length} graphs (onnx/*.onnx).`, 'Name the one to use with --graph.');
}

/** Where the graph says that its weights lie, checked: beside it or below it. */
function weights(graph: string, summary: OnnxSummary): string[] {
  const folder = dirname(graph);
  return summary.externalLocations.map((location) => {
    if (/^[/\\]|\\|\0|:/.test(location) || location.split('/').some((part) => part === '' || part.startsWith('.'))) {
      throw refuse('The graph names weights outside of its folder.', 'Install the model from a source that you trust.');
    }
    return folder === '.' ? location : `${folder}/${location}`;
  });
}

async function sideFiles(root: string): Promise<string[]> {
  const names = await readdir(root);
  const top = names.filter(
    (name) => (name.endsWith('.json') && name !== MANIFEST_FILE) || name === 'chat_template.jinja',
  );
  return (await exists(join(root, '1_Pooling', 'config.json'))) ? [...top, '1_Pooling/config.json'] : top;
}

async function findLicence(root: string): Promise<string> {
  const name = (await readdir(root)).find((candidate) => /^(licen[cs]e|copying)(\.(txt|md))?$/i.test(candidate));
  if (name === undefined) throw refuse('The folder holds no LICENSE.', 'Put the licence of the model beside it.');
  return name;
}

async function spdxOf(path: string): Promise<string> {
  const text = (await readFile(path, 'utf8')).slice(0, 2_000);
  if (/Apache License\s+Version 2\.0/.test(text)) return 'Apache-2.0';
  if (/MIT License/.test(text)) return 'MIT';
  throw refuse('The licence is none that is known here by its text.', 'Name its SPDX identifier with --licence.');
}

/** `model_q4.onnx` → `q4`; the hub calls 8-bit graphs `quantized` too. */
function precisionOf(graph: string): string {
  const suffix = /_(q4f16|q4|q2|q1|q8|int8|uint8|quantized|bnb4|fp16|bf16|fp32)\.onnx$/.exec(graph)?.[1] ?? 'fp32';
  return suffix === 'quantized' || suffix === 'q8' ? 'int8' : suffix;
}

function taskOf(summary: OnnxSummary, files: readonly ManifestFile[]): Manifest['task'] {
  if (!files.some((file) => file.path === 'tokenizer.json')) return 'tensor';
  if (summary.inputs.some((port) => port.name.startsWith('past_key_values.'))) return 'text-generation';
  return summary.outputs.some((port) => port.name === 'last_hidden_state') ? 'feature-extraction' : 'tensor';
}

async function generationOf(root: string, config: Config, summary: OnnxSummary): Promise<GenerationSpec> {
  const heads = config.num_attention_heads ?? 0;
  const spec = {
    layers: config.num_hidden_layers ?? 0,
    kvHeads: config.num_key_value_heads ?? heads,
    headSize: config.head_dim ?? (config.hidden_size ?? 0) / heads,
    vocabularySize: config.vocab_size ?? 0,
  };
  const keys = summary.inputs.filter((port) => /^past_key_values\.\d+\.key$/.test(port.name));
  const fits = keys.every((port) => port.dims[1] === spec.kvHeads && port.dims[3] === spec.headSize);
  const logits = summary.outputs.find((port) => port.name === 'logits')?.dims.at(-1);
  if (keys.length !== spec.layers || !fits || logits !== spec.vocabularySize) {
    throw refuse("config.json contradicts the graph's layers, heads or vocabulary.", 'Take both from the same place.');
  }
  const own = await readSettings(root, 'generation_config.json', GenerationConfig);
  const eos = [own?.eos_token_id, config.eos_token_id].flat();
  return { ...spec, eosIds: [...new Set(eos.filter((id) => typeof id === 'number'))] };
}

/** Sentence-transformers' own settings where the folder has them, else what nearly all of its models do. */
async function encodingOf(root: string, config: Config, summary: OnnxSummary): Promise<EncodingSpec> {
  const dimensions = summary.outputs.find((port) => port.name === 'last_hidden_state')?.dims.at(-1);
  if (typeof dimensions !== 'number' || dimensions !== config.hidden_size) {
    throw refuse("config.json contradicts the length of the graph's vectors.", 'Take both from the same place.');
  }
  const pooling = await readSettings(root, '1_Pooling/config.json', Pooling);
  const modules = await readSettings(root, 'modules.json', Modules);
  return {
    dimensions,
    pooling: pooling?.pooling_mode_cls_token === true ? 'cls' : 'mean',
    normalize: modules?.some((module) => module.type.endsWith('Normalize')) ?? true,
    padId: config.pad_token_id ?? 0,
  };
}

/** The settings in a JSON file of the folder; undefined when there is no such file. */
async function readSettings<T>(root: string, path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  if (!(await exists(join(root, path)))) return undefined;
  if ((await lstat(join(root, path))).size > SMALL_FILE_BYTES_MAX) {
    throw refuse(`"${path}" is too large.`, 'Put the original file there.');
  }
  try {
    return schema.parse(JSON.parse(await readFile(join(root, path), 'utf8')));
  } catch (cause) {
    const message = `"${path}" is not JSON, or a setting in it has the wrong type.`;
    throw new WeftError({ code: 'model_corrupt', message }, { cause });
  }
}

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );
