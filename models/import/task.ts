// What a graph is for, told from what it takes and gives and from its config, each with a reason for people; and what a
// manifest says of a model for that task. Where it can't be told it is `tensor`: any graph on any tensors.
import { WeftError } from '../../protocol/errors.ts';
import type { EncodingSpec, GenerationSpec, Manifest } from '../manifest.ts';
import type { OnnxSummary } from '../onnx/parse.ts';
import { refuse } from './files.ts';
import { type Config, GenerationConfig, Modules, Pooling, type ReadSettings } from './settings.ts';

export type Task = Manifest['task'];

export const TASKS: ReadonlySet<string> = new Set<Task>([
  'text-generation',
  'feature-extraction',
  'text-ranking',
  'automatic-speech-recognition',
  'tensor',
]);

/** @throws WeftError `bad_request` for a task that there is not */
export function taskNamed(name: string): Task {
  if (TASKS.has(name)) return name as Task;
  throw new WeftError({
    code: 'bad_request',
    message: `There is no task "${name.slice(0, 64)}".`,
    remedy: `Name one of ${[...TASKS].join(', ')}, or none.`,
  });
}

/** A task, and why: the rest of a sentence that begins with its name. */
export interface Guess {
  readonly task: Task;
  readonly reason: string;
}

const PAST = /^past_key_values\.\d+\.(key|value)$/;
const GENERATOR_INPUTS: ReadonlySet<string> = new Set(['input_ids', 'attention_mask', 'position_ids']);
const ENCODER_INPUTS: ReadonlySet<string> = new Set(['input_ids', 'attention_mask', 'token_type_ids']);

/**
 * The task of a graph by itself; speech models, which are several, are told by their layout.
 * @param tokenizer whether tokenizer.json is there
 */
export function guessTask(summary: OnnxSummary, config: Config, tokenizer: boolean): Guess {
  const inputs = summary.inputs.map(({ name }) => name);
  const gives = (name: string): boolean => summary.outputs.some((port) => port.name === name);
  const tensor = (reason: string): Guess => ({ task: 'tensor', reason });
  if (!tokenizer) return tensor('no tokenizer.json lies beside the graph, so that it takes tensors as they are');
  if (inputs.some((name) => PAST.test(name))) {
    const strange = inputs.find((name) => !PAST.test(name) && !GENERATOR_INPUTS.has(name));
    if (strange !== undefined) return tensor(`the graph takes "${strange}", which no text generator here is given`);
    if (!inputs.includes('input_ids') || !inputs.includes('attention_mask') || !gives('logits')) {
      return tensor('the graph has a past, but takes no token ids and mask or gives no logits');
    }
    return { task: 'text-generation', reason: 'the graph takes token ids and a past, and gives logits' };
  }
  const strange = inputs.find((name) => !ENCODER_INPUTS.has(name));
  if (strange !== undefined) return tensor(`the graph takes "${strange}", which no text model here is given`);
  if (!inputs.includes('input_ids')) return tensor('the graph takes no token ids');
  if (isRanking(summary, config)) {
    return { task: 'text-ranking', reason: 'the graph is a classifier with one label, which judges pairs of texts' };
  }
  if (gives('last_hidden_state')) {
    return { task: 'feature-extraction', reason: 'the graph takes token ids and gives the vector of each' };
  }
  return tensor(`the graph gives ${listed(summary.outputs.map(({ name }) => name))}, which no task here is made of`);
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 3).map((name) => JSON.stringify(name.slice(0, 64)));
  return names.length > 3 ? `${shown.join(', ')} and ${names.length - 3} more` : shown.join(' and ');
}

/** A classifier of one class judges how well two texts go together: a cross-encoder. */
function isRanking(summary: OnnxSummary, { architectures, id2label }: Config): boolean {
  if (!architectures?.some((name) => name.endsWith('ForSequenceClassification'))) return false;
  const logits = summary.outputs.find((port) => port.name === 'logits');
  if (logits?.type !== 'float32' || logits.dims.length !== 2) return false;
  const [, labels] = logits.dims;
  return labels === 1 || (typeof labels === 'string' && Object.keys(id2label ?? {}).length === 1);
}

/**
 * What a manifest says of a model for that task, beside what it says of every model.
 * @throws WeftError `model_corrupt` when config and graph contradict each other
 */
export async function specsOf(
  task: Task,
  summary: OnnxSummary,
  config: Config,
  read: ReadSettings,
): Promise<Partial<Manifest>> {
  const contextLength = positionsOf(config);
  switch (task) {
    case 'text-generation':
      return { contextLength, generation: await generationOf(config, summary, read) };
    case 'feature-extraction':
      return { contextLength, encoding: await encodingOf(config, summary, read) };
    case 'text-ranking':
      return { contextLength, encoding: rankingOf(config, summary) };
    default:
      return { contextLength: 0 };
  }
}

function rankingOf(config: Config, { outputs }: OnnxSummary): EncodingSpec {
  if (!outputs.some(({ name }) => name === 'logits')) {
    throw refuse('The graph gives no logits, so that it ranks nothing.', 'Name another task.');
  }
  return { dimensions: 1, pooling: 'logits', normalize: false, padId: config.pad_token_id ?? 0 };
}

/** Models after RoBERTa count positions from behind the padding's id, so that their tables are longer than their texts. */
const OFFSET_POSITIONS: ReadonlySet<string> = new Set(['roberta', 'xlm-roberta', 'camembert', 'xlm-roberta-xl']);

function positionsOf(config: Config): number {
  const positions = config.max_position_embeddings ?? config.n_positions ?? 0;
  const offset = OFFSET_POSITIONS.has(config.model_type ?? '') ? (config.pad_token_id ?? 1) + 1 : 0;
  return Math.max(0, positions - offset);
}

async function generationOf(config: Config, summary: OnnxSummary, read: ReadSettings): Promise<GenerationSpec> {
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
  if (keys.length === 0 || keys.length !== spec.layers || !fits || logits !== spec.vocabularySize) {
    throw refuse("config.json contradicts the graph's layers, heads or vocabulary.", 'Take both from the same place.');
  }
  const own = await read('generation_config.json', GenerationConfig);
  const eos = [own?.eos_token_id, config.eos_token_id].flat();
  const eosIds = [...new Set(eos.filter((id) => typeof id === 'number'))];
  if (eosIds.length === 0) {
    throw refuse('Nothing says which token ends an answer.', 'Put eos_token_id into generation_config.json.');
  }
  return { ...spec, eosIds };
}

/** Sentence-transformers' own settings where the folder has them, else what nearly all of its models do. */
async function encodingOf(config: Config, summary: OnnxSummary, read: ReadSettings): Promise<EncodingSpec> {
  const dimensions = summary.outputs.find((port) => port.name === 'last_hidden_state')?.dims.at(-1);
  if (typeof dimensions !== 'number' || dimensions !== config.hidden_size) {
    throw refuse("config.json contradicts the length of the graph's vectors.", 'Take both from the same place.');
  }
  const pooling = await read('1_Pooling/config.json', Pooling);
  const modules = await read('modules.json', Modules);
  return {
    dimensions,
    pooling: pooling?.pooling_mode_cls_token === true ? 'cls' : 'mean',
    normalize: modules?.some((module) => module.type.endsWith('Normalize')) ?? true,
    padId: config.pad_token_id ?? 0,
  };
}
