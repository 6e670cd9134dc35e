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
import {
  furtherGraph,
  Preprocessor,
  SpeechConfig,
  SpeechGeneration,
  type SpeechGraphs,
  SpeechTokenizer,
  speechGraphs,
  speechSpecs,
} from './speech-layout.ts';
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
  model_type: z.string().optional(),
  architectures: z.array(z.string()).nullish(),
  id2label: z.record(z.string(), z.string()).nullish(),
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
  const config = (await readSettings(root, 'config.json', Config)) ?? {};
  const speech = config.model_type === 'whisper' ? speechGraphs(await graphNames(root), init.graph) : undefined;
  const graph = speech?.decoder ?? init.graph ?? (await onlyGraph(root));
  const summary = await readGraph(root, graph);
  const further = speech === undefined ? undefined : await readFurther(root, speech);
  const licenceFile = await findLicence(root);
  const paths = [
    ...(await sideFiles(root)),
    licenceFile,
    ...[{ path: graph, summary }, ...(further ?? [])].flatMap((one) => [one.path, ...weights(one.path, one.summary)]),
  ];
  const files = await Promise.all([...new Set(paths)].sort().map((path) => describeFile(root, path)));
  const task = further === undefined ? taskOf(summary, files, config) : 'automatic-speech-recognition';
  const manifest = {
    schema: 1,
    id: init.id ?? `${basename(dirname(root))}/${basename(root)}`,
    task,
    precision: precisionOf(graph),
    graph,
    files,
    inputs: summary.inputs,
    outputs: summary.outputs,
    contextLength: task === 'tensor' ? 0 : positionsOf(config),
    ...(task === 'text-generation' && { generation: await generationOf(root, config, summary) }),
    ...(task === 'feature-extraction' && { encoding: await encodingOf(root, config, summary) }),
    ...(task === 'text-ranking' && { encoding: rankingOf(config) }),
    ...(further !== undefined && (await speechOf(root, summary, further))),
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

const graphNames = (root: string): Promise<string[]> => readdir(join(root, 'onnx')).catch(() => [] as string[]);

async function readGraph(root: string, path: string): Promise<OnnxSummary> {
  await checkPlainFile(root, path);
  return readOnnxFile(join(root, path));
}

/** A graph beside the first one, by what a manifest calls it. */
interface Further {
  readonly name: 'encoder' | 'decoderWithPast';
  readonly path: string;
  readonly summary: OnnxSummary;
}

async function readFurther(root: string, { encoder, decoderWithPast }: SpeechGraphs): Promise<readonly Further[]> {
  const read = async (name: Further['name'], path: string): Promise<Further> => ({
    name,
    path,
    summary: await readGraph(root, path),
  });
  const first = await read('encoder', encoder);
  return decoderWithPast === undefined ? [first] : [first, await read('decoderWithPast', decoderWithPast)];
}

async function onlyGraph(root: string): Promise<string> {
  const graphs = (await graphNames(root)).filter((name) => name.endsWith('.onnx'));
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

function taskOf(summary: OnnxSummary, files: readonly ManifestFile[], config: Config): Manifest['task'] {
  if (!files.some((file) => file.path === 'tokenizer.json')) return 'tensor';
  if (summary.inputs.some((port) => port.name.startsWith('past_key_values.'))) return 'text-generation';
  if (isRanking(summary, config)) return 'text-ranking';
  return summary.outputs.some((port) => port.name === 'last_hidden_state') ? 'feature-extraction' : 'tensor';
}

/** A classifier of one class judges how well two texts go together: a cross-encoder. */
function isRanking(summary: OnnxSummary, { architectures, id2label }: Config): boolean {
  if (!architectures?.some((name) => name.endsWith('ForSequenceClassification'))) return false;
  const logits = summary.outputs.find((port) => port.name === 'logits');
  if (logits?.type !== 'float32' || logits.dims.length !== 2) return false;
  const [, labels] = logits.dims;
  return labels === 1 || (typeof labels === 'string' && Object.keys(id2label ?? {}).length === 1);
}

const rankingOf = (config: Config): EncodingSpec => ({
  dimensions: 1,
  pooling: 'logits',
  normalize: false,
  padId: config.pad_token_id ?? 0,
});

/** Models after RoBERTa count positions from behind the padding's id, so that their tables are longer than their texts. */
const OFFSET_POSITIONS: ReadonlySet<string> = new Set(['roberta', 'xlm-roberta', 'camembert', 'xlm-roberta-xl']);

function positionsOf(config: Config): number {
  const positions = config.max_position_embeddings ?? config.n_positions ?? 0;
  const offset = OFFSET_POSITIONS.has(config.model_type ?? '') ? (config.pad_token_id ?? 1) + 1 : 0;
  return Math.max(0, positions - offset);
}

/** What a manifest says of a speech model beside what it says of every model. */
async function speechOf(root: string, decoder: OnnxSummary, further: readonly Further[]) {
  const encoder = further.find(({ name }) => name === 'encoder')?.summary;
  const read = async <T>(path: string, schema: z.ZodType<T>): Promise<T> => {
    const settings = await readSettings(root, path, schema);
    if (settings === undefined) throw refuse(`"${path}" is missing.`, 'Put the original file there.');
    return settings;
  };
  const config = await read('config.json', SpeechConfig);
  const tokenizer = await read('tokenizer.json', SpeechTokenizer);
  const preprocessor = await read('preprocessor_config.json', Preprocessor);
  const generation = (await readSettings(root, 'generation_config.json', SpeechGeneration)) ?? {};
  if (encoder === undefined) throw refuse('The encoder is missing.', 'Put the original file there.');
  const specs = speechSpecs({ config, tokenizer, preprocessor, generation, decoder, encoder });
  const graphs = Object.fromEntries(further.map(({ name, path, summary }) => [name, furtherGraph(path, summary)]));
  return { ...specs, graphs, contextLength: config.max_target_positions };
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
