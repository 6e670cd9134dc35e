// The graphs in a listing of a hub repository, each with everything that belongs to it: its external weights, the graphs
// that work with it, and what its name says of its precision. Pure; called by choose-files.

/** One line of a repository's listing. */
export interface ListedFile {
  /** Relative to the repository, with forward slashes. Nothing else is taken. */
  readonly path: string;
  readonly sizeBytes: number;
}

/** How weights are stored; the part behind `f16` says that activations are halves too. */
export type Precision =
  | 'fp32'
  | 'fp16'
  | 'bf16'
  | 'int8'
  | 'uint8'
  | 'q8f16'
  | 'q4'
  | 'q4f16'
  | 'bnb4'
  | 'q2'
  | 'q2f16'
  | 'q1'
  | 'q1f16';

/** A graph that could be taken. */
export interface GraphVariant {
  /** What a manifest would name: of several graphs the decoder. */
  readonly graph: string;
  readonly precision: Precision;
  /** What the hub calls it: `q4`, `quantized`, `qint8_avx512_vnni`, `cpu-int4-rtn-block-32`; empty for a plain name. */
  readonly label: string;
  /** `seq2seq`: an encoder and a decoder, as Whisper has them. */
  readonly kind: 'single' | 'seq2seq';
  /** Where its settings lie: empty for the top of the repository, else the folder of the graph. */
  readonly root: string;
  /** Graphs and weights. */
  readonly paths: readonly string[];
  readonly sizeBytes: number;
  /** Written for devices of this kind by its folder's name; `gpu` = any but the processor. */
  readonly device: 'cpu' | 'gpu' | 'cuda' | 'dml' | undefined;
  /** Written for processors with these instructions. */
  readonly processor: 'x64' | 'arm64' | undefined;
  /** Optimised beforehand, for one version of the runtime. */
  readonly optimised: boolean;
  /** Why it is taken only when somebody asks for it by its path. */
  readonly obstacle: string | undefined;
}

/** Endings of graphs' names, as transformers.js, Optimum and sentence-transformers write them. */
const ENDINGS: Readonly<Record<string, Precision>> = {
  fp32: 'fp32',
  fp16: 'fp16',
  float16: 'fp16',
  bf16: 'bf16',
  int8: 'int8',
  qint8: 'int8',
  quantized: 'int8',
  quant: 'int8',
  q8: 'int8',
  uint8: 'uint8',
  quint8: 'uint8',
  q8f16: 'q8f16',
  q4: 'q4',
  int4: 'q4',
  uint4: 'q4',
  q4f16: 'q4f16',
  bnb4: 'bnb4',
  nf4: 'bnb4',
  q2: 'q2',
  q2f16: 'q2f16',
  q1: 'q1',
  q1f16: 'q1f16',
};

const ENDING = new RegExp(
  `[._-](${[...Object.keys(ENDINGS), 'o[1-4]', 'optimi[sz]ed', 'avx2', 'avx512', 'vnni', 'arm64'].join('|')})$`,
  'i',
);

/** Names of weights without their graph's name in front, as torch.onnx writes them. */
const NAMELESS_WEIGHTS = /^onnx__|__value$|\.(weight|bias)$/;

/** The parts of a model that is no single graph, nor an encoder and a decoder of text or speech. */
const PARTS = /^(embed_tokens|vision_|audio_|text_|speech_|image_|prompt_|lm_head|unet|vae_|transformer_)/;

/** Graphs of one folder that are looked at: the fullest that people make have sixty. */
const GRAPHS_MAX = 1_024;

interface Graph {
  readonly path: string;
  readonly folder: string;
  /** The name without `.onnx` and endings: `model`, `encoder_model`, … */
  readonly stem: string;
  readonly label: string;
  readonly endings: readonly string[];
  readonly files: readonly ListedFile[];
}

/** True for a path that stays inside of a model's folder, as a manifest demands it. */
export function isInside(path: string): boolean {
  if (path.length > 512 || /^[/\\]|\\|:|\p{Cc}/u.test(path)) return false;
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

/** Every graph of the listing, in its order. A path that could lead elsewhere, or comes twice, is not taken. */
export function graphVariants(listing: readonly ListedFile[]): readonly GraphVariant[] {
  const files = [...new Map(listing.filter(({ path }) => isInside(path)).map((file) => [file.path, file])).values()];
  const byFolder = Map.groupBy(files, ({ path }) => folderOf(path));
  const hasTokenizer = (folder: string): boolean => has(byFolder.get(folder), 'tokenizer.json');
  return [...byFolder].flatMap(([folder, within]) => {
    const graphs = graphsIn(folder, within);
    const isOwnModel = has(within, 'genai_config.json') || (hasTokenizer(folder) && !hasTokenizer(''));
    return variantsIn(graphs, isOwnModel ? folder : '');
  });
}

const has = (files: readonly ListedFile[] | undefined, name: string): boolean =>
  files?.some(({ path }) => nameOf(path) === name) ?? false;

export const folderOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));
/** True for the text of a licence, at the top of a model. */
export const isLicenceFile = (name: string): boolean => /^(licen[cs]e|copying)(\.(txt|md))?$/i.test(name);

export const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** The graphs of one folder, each with its external data. */
function graphsIn(folder: string, files: readonly ListedFile[]): readonly Graph[] {
  const ownerOfData = new Map<string, ListedFile[]>();
  const nameless = files.filter(({ path }) => NAMELESS_WEIGHTS.test(nameOf(path)));
  for (const file of files) {
    // model.onnx_data, model.onnx_data_1, model.onnx.data, model.data
    const owner = /^(.+?)(?:\.onnx)?[._]data(?:[._-]?\d+)?$/.exec(nameOf(file.path))?.[1];
    if (owner === undefined) continue;
    const others = ownerOfData.get(owner);
    if (others === undefined) ownerOfData.set(owner, [file]);
    else others.push(file);
  }
  const graphs = files.filter(({ path }) => path.endsWith('.onnx')).slice(0, GRAPHS_MAX);
  const dataOf = (file: ListedFile): readonly ListedFile[] => ownerOfData.get(withoutEnding(file.path)) ?? [];
  const noneHasData = graphs.every((file) => dataOf(file).length === 0);
  return graphs.map((file) => {
    const name = withoutEnding(file.path);
    const { stem, endings } = peeled(name);
    const data = dataOf(file);
    // Weights that say nothing of their graph go with those that have weights outside at all.
    const further = data.length > 0 || noneHasData ? nameless : [];
    const label = name.slice(stem.length + 1);
    return { path: file.path, folder, stem, endings, label, files: [file, ...data, ...further] };
  });
}

const withoutEnding = (path: string): string => nameOf(path).slice(0, -'.onnx'.length);

/** `model_qint8_avx512_vnni` → `model` and its three endings. */
function peeled(name: string): { readonly stem: string; readonly endings: readonly string[] } {
  const endings: string[] = [];
  let stem = name;
  for (let found = ENDING.exec(stem); found !== null && found.index > 0; found = ENDING.exec(stem)) {
    endings.unshift((found[1] ?? '').toLowerCase());
    stem = stem.slice(0, found.index);
  }
  return { stem, endings };
}

/** @param root where the settings of these graphs lie */
function variantsIn(graphs: readonly Graph[], root: string): readonly GraphVariant[] {
  const stems = new Set(graphs.map(({ stem }) => stem));
  const parts = [...stems].filter((stem) => PARTS.test(stem));
  if (stems.has('model')) {
    return graphs.map((graph) => single(graph, root, graph.stem === 'model' ? undefined : 'is a part of the model'));
  }
  if (parts.length > 0) {
    const all = [...stems].slice(0, 6).join(', ');
    return graphs.map((graph) => single(graph, root, `is a part of a model of several graphs (${all})`));
  }
  if (stems.has('encoder_model')) return graphs.map((graph) => paired(graph, graphs, root));
  if (stems.size <= 1) return graphs.map((graph) => single(graph, root, undefined));
  return graphs.map((graph) => single(graph, root, 'is one of several graphs, and nothing says which is the model'));
}

/** A decoder with its encoder; the same graphs that `speechGraphs` puts together when a manifest is built. */
function paired(graph: Graph, graphs: readonly Graph[], root: string): GraphVariant {
  const isMerged = graph.stem === 'decoder_model_merged';
  if (!isMerged && graph.stem !== 'decoder_model') return single(graph, root, 'goes with a decoder');
  if (!isMerged && graphs.some(({ stem }) => stem === 'decoder_model_merged')) {
    return single(graph, root, 'is the first half of a decoder that is there as a whole');
  }
  const counterparts = (isMerged ? ['encoder_model'] : ['encoder_model', 'decoder_with_past_model']).map((stem) => {
    const all = graphs.filter((other) => other.stem === stem);
    return { stem, found: all.find(({ label }) => label === graph.label) ?? (all.length === 1 ? all[0] : undefined) };
  });
  const missing = counterparts.find(({ found }) => found === undefined);
  if (missing !== undefined) {
    const name = `${missing.stem}${graph.label === '' ? '' : `_${graph.label}`}.onnx`;
    return single(graph, root, `has no ${name} beside it`);
  }
  return variant(graph, root, 'seq2seq', [graph, ...counterparts.flatMap(({ found }) => found ?? [])], undefined);
}

function single(graph: Graph, root: string, obstacle: string | undefined): GraphVariant {
  return variant(graph, root, 'single', [graph], obstacle);
}

function variant(
  graph: Graph,
  root: string,
  kind: GraphVariant['kind'],
  graphs: readonly Graph[],
  obstacle: string | undefined,
): GraphVariant {
  const { endings, folder } = graph;
  const files = [...new Map(graphs.flatMap(({ files: all }) => all).map((file) => [file.path, file])).values()];
  const device = deviceOf(folder);
  return {
    graph: graph.path,
    precision: precisionOf(endings) ?? precisionOfFolder(folder, device),
    label: graph.label !== '' || folder === '' || folder === 'onnx' ? graph.label : nameOf(folder),
    kind,
    root,
    paths: files.map(({ path }) => path),
    sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    device,
    processor: endings.some((ending) => /^(avx|vnni)/.test(ending))
      ? 'x64'
      : endings.includes('arm64')
        ? 'arm64'
        : undefined,
    optimised: endings.some((ending) => /^o/.test(ending)),
    obstacle,
  };
}

function precisionOf(endings: readonly string[]): Precision | undefined {
  const named = endings.find((ending) => Object.hasOwn(ENDINGS, ending));
  if (named !== undefined) return ENDINGS[named];
  // Optimum's fourth level of optimisation computes in halves.
  return endings.includes('o4') ? 'fp16' : undefined;
}

/** Folders of onnxruntime-genai: `cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4`, `cuda/cuda-fp16`, `directml/…`. */
function deviceOf(folder: string): GraphVariant['device'] {
  const words = folder.toLowerCase().split(/[/_-]/);
  if (words.includes('cuda')) return 'cuda';
  if (words.includes('directml') || words.includes('dml')) return 'dml';
  if (words.includes('gpu') || words.includes('webgpu')) return 'gpu';
  return words.includes('cpu') ? 'cpu' : undefined;
}

function precisionOfFolder(folder: string, device: GraphVariant['device']): Precision {
  const words = folder.toLowerCase().split(/[/_-]/);
  // The builder for a GPU keeps activations in halves, and the one for processors in single precision.
  if (words.some((word) => /^(u?int4|awq)$/.test(word)))
    return device === 'cpu' || device === undefined ? 'q4' : 'q4f16';
  if (words.includes('fp16')) return 'fp16';
  return words.includes('int8') ? 'int8' : 'fp32';
}
