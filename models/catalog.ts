// Short names for models that people ask for often. The coordinator, the CLI and pulls resolve names here.
import type { ModelTask } from '../protocol/capability.ts';

/** A model that is known by a short name. */
export interface CatalogueEntry {
  /** Lower case. */
  readonly name: string;
  /** The hub's repository: it has ONNX files in the hub's usual layout. */
  readonly id: string;
  readonly task: ModelTask;
  /** One line for people. */
  readonly description: string;
}

// Repositories that keep what says how their vectors are pooled are taken before those that don't: bge's vector is that
// of its first token, which only BAAI's own repository says.
const CATALOGUE: readonly CatalogueEntry[] = [
  {
    name: 'smollm2',
    id: 'HuggingFaceTB/SmolLM2-135M-Instruct',
    task: 'text-generation',
    description: 'the smallest that chats in whole sentences; comes with Weft',
  },
  {
    name: 'smollm2-360m',
    id: 'HuggingFaceTB/SmolLM2-360M-Instruct',
    task: 'text-generation',
    description: 'English chat for weak machines',
  },
  {
    name: 'smollm2-1.7b',
    id: 'HuggingFaceTB/SmolLM2-1.7B-Instruct',
    task: 'text-generation',
    description: 'English chat, summaries and rewriting',
  },
  {
    name: 'qwen2.5-0.5b',
    id: 'onnx-community/Qwen2.5-0.5B-Instruct',
    task: 'text-generation',
    description: 'small multilingual chat that calls tools',
  },
  {
    name: 'qwen3-0.6b',
    id: 'onnx-community/Qwen3-0.6B-ONNX',
    task: 'text-generation',
    description: 'small multilingual chat that can think first and calls tools',
  },
  {
    name: 'qwen3-1.7b',
    id: 'onnx-community/Qwen3-1.7B-ONNX',
    task: 'text-generation',
    description: 'multilingual chat that can think first and calls tools',
  },
  {
    name: 'qwen3-4b',
    id: 'onnx-community/Qwen3-4B-ONNX',
    task: 'text-generation',
    description: 'able multilingual chat for machines with a GPU or much memory',
  },
  {
    name: 'llama3.2-1b',
    id: 'onnx-community/Llama-3.2-1B-Instruct-ONNX',
    task: 'text-generation',
    description: 'general chat with a long context',
  },
  {
    name: 'gemma3-1b',
    id: 'onnx-community/gemma-3-1b-it-ONNX',
    task: 'text-generation',
    description: 'multilingual chat with a long context',
  },
  {
    name: 'minilm',
    id: 'Xenova/all-MiniLM-L6-v2',
    task: 'feature-extraction',
    description: 'small, fast embeddings of English texts; comes with Weft',
  },
  {
    name: 'bge-small',
    id: 'BAAI/bge-small-en-v1.5',
    task: 'feature-extraction',
    description: 'embeddings of English texts for search',
  },
  {
    name: 'e5-small',
    id: 'Xenova/multilingual-e5-small',
    task: 'feature-extraction',
    description: 'embeddings of texts in a hundred languages; begin them with "query: " or "passage: "',
  },
  {
    name: 'bge-reranker',
    id: 'Xenova/bge-reranker-base',
    task: 'text-ranking',
    description: 'puts search results in order, English and Chinese',
  },
  {
    name: 'ms-marco-minilm',
    id: 'Xenova/ms-marco-MiniLM-L-6-v2',
    task: 'text-ranking',
    description: 'puts search results in order, English, fast',
  },
  {
    name: 'whisper-tiny',
    id: 'onnx-community/whisper-tiny',
    task: 'automatic-speech-recognition',
    description: 'speech to text, the fastest',
  },
  {
    name: 'whisper-base',
    id: 'onnx-community/whisper-base',
    task: 'automatic-speech-recognition',
    description: 'speech to text in a hundred languages',
  },
  {
    name: 'whisper-small',
    id: 'onnx-community/whisper-small',
    task: 'automatic-speech-recognition',
    description: 'speech to text in a hundred languages, fewer mistakes',
  },
  {
    name: 'whisper-turbo',
    id: 'onnx-community/whisper-large-v3-turbo',
    task: 'automatic-speech-recognition',
    description: 'the best speech to text here; wants a GPU',
  },
];

const BY_NAME: ReadonlyMap<string, CatalogueEntry> = new Map(CATALOGUE.map((entry) => [entry.name, entry]));

/** Every model with a short name, in the order in which people should see them. */
export function catalogue(): readonly CatalogueEntry[] {
  return CATALOGUE;
}

/**
 * The model of a short name. Case doesn't matter, and a size may stand behind a colon, as Ollama writes it.
 * @example catalogueEntry('Qwen3:0.6b')?.id // 'onnx-community/Qwen3-0.6B-ONNX'
 */
export function catalogueEntry(name: string): CatalogueEntry | undefined {
  return BY_NAME.get(name.trim().toLowerCase().replace(':', '-'));
}

/** Short names of a model, such as `smollm2`; empty where there are none. */
export function aliasesOf(id: string): readonly string[] {
  const wanted = id.toLowerCase();
  return CATALOGUE.filter((entry) => entry.id.toLowerCase() === wanted).map(({ name }) => name);
}

/**
 * The hub id that a person means: an id, a short name, or the last part of an id when only one model has it. Case
 * doesn't matter. Undefined when nothing fits, or more than one model does. A short name whose model isn't among the
 * known ones is the last part of a known id first: `whisper-base` is `acme/whisper-base` where only that is installed.
 * @param known ids beside the catalogue's own, such as those of the mesh's models
 * @example resolveModelId('SmolLM2') // 'HuggingFaceTB/SmolLM2-135M-Instruct'
 */
export function resolveModelId(name: string, known: readonly string[] = []): string | undefined {
  const wanted = name.trim().toLowerCase();
  const knownIds = new Map(known.map((id) => [id.toLowerCase(), id]));
  const target = catalogueEntry(wanted)?.id;
  if (target !== undefined) {
    return knownIds.get(target.toLowerCase()) ?? onlyLastPart(knownIds, wanted) ?? target;
  }
  const ids = new Map([...CATALOGUE.map(({ id }) => [id.toLowerCase(), id] as const), ...knownIds]);
  return ids.get(wanted) ?? onlyLastPart(ids, wanted);
}

/** @param ids by their lower case */
function onlyLastPart(ids: ReadonlyMap<string, string>, wanted: string): string | undefined {
  const found = [...ids].filter(([id]) => id.slice(id.indexOf('/') + 1) === wanted);
  return found.length === 1 ? found[0]?.[1] : undefined;
}
