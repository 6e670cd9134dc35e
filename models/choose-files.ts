// Which files of a hub repository this machine takes: the graph that suits its devices and memory, everything that goes
// with it, and why, in sentences for people. Pure; called by pulls.
import type { Device } from '../protocol/capability.ts';
import { WeftError } from '../protocol/errors.ts';
import { SMALL_FILE_BYTES_MAX } from '../protocol/limits.ts';
import {
  folderOf,
  type GraphVariant,
  graphVariants,
  isInside,
  isLicenceFile,
  type ListedFile,
  nameOf,
} from './graph-variants.ts';
import { judge, type Target, targetsOf, type Work } from './variant-taste.ts';

export interface MachineFacts {
  readonly devices: readonly Device[];
  /** What models may take of the machine's memory: the setting `memory`. */
  readonly memoryBytes: number;
  /** As in Hardware. @default unknown: graphs for certain processors come last */
  readonly arch?: string;
}

/** What is known of the repository beside its listing. */
export interface RepositoryFacts {
  /** `owner/name`, for messages. */
  readonly id?: string;
  /** What the hub says that the model is for. @default guessed from the listing */
  readonly task?: string;
}

export interface FileChoice {
  /** The graph that a manifest names, as a path of the repository. */
  readonly graph: string;
  /** Graphs, weights, settings and licence, as paths of the repository, sorted. */
  readonly paths: readonly string[];
  /** Of all of them. */
  readonly sizeBytes: number;
  /** Folder of the repository that is the model's own top; empty nearly always. See {@link placeInModel}. */
  readonly root: string;
  /** What was chosen and why, the graph first; warnings stand last. */
  readonly reasons: readonly string[];
  /** Every other graph. */
  readonly rejected: readonly { readonly graph: string; readonly reason: string }[];
}

/**
 * Chooses among the graphs of a repository. A graph that was asked for is taken even where it doesn't fit, with a warning.
 * @param files the repository's listing
 * @param variant a path, the name of a file or a folder, or a quantisation (`q4`, `int8`, `quantized`, …), in any case
 * @throws WeftError `model_not_found` when there is no such graph, or none at all, with what there is; `unsupported` when
 *   nothing says which of several graphs is the model; `out_of_memory` when none fits
 */
export function chooseFiles(
  files: readonly ListedFile[],
  machine: MachineFacts,
  variant?: string,
  repository: RepositoryFacts = {},
): FileChoice {
  const variants = graphVariants(files);
  const name = repository.id ?? 'The repository';
  if (variants.length === 0) throw noGraph(files, name, repository.id);
  const wanted = variant === undefined ? undefined : matching(variants, variant);
  if (variant !== undefined && (wanted === undefined || wanted.length === 0)) {
    throw unknownVariant(variants, variant, name);
  }
  const candidates = wanted ?? variants.filter(({ obstacle }) => obstacle === undefined);
  if (candidates.length === 0) throw noneAlone(variants, name);

  const work = workOf(files, candidates, repository.task);
  const targets = targetsOf(machine);
  const judged = targets.flatMap((target) =>
    candidates
      .map((candidate) => ({ candidate, target, ...judge(candidate, target, work, machine.arch) }))
      .sort((a, b) => a.rank - b.rank || a.candidate.sizeBytes - b.candidate.sizeBytes || byPath(a, b)),
  );
  const best =
    judged.find(({ fits, able }) => fits && able) ??
    // What was asked for is taken all the same: the least of it, where there is the most room.
    (wanted === undefined ? undefined : leastOf(judged));
  if (best === undefined) throw tooLarge(judged, name);
  return describe(files, best, variants, { targets, work, arch: machine.arch, isWanted: wanted !== undefined });
}

/**
 * Where a file of the repository lies in the model's folder: the files of its root lie at the top.
 * @example placeInModel('cuda/cuda-fp16', 'cuda/cuda-fp16/model.onnx') // 'model.onnx'
 */
export function placeInModel(root: string, path: string): string {
  return root !== '' && path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path;
}

interface Judged extends ReturnType<typeof judge> {
  readonly candidate: GraphVariant;
  readonly target: Target;
}

const byPath = (a: Judged, b: Judged): number => (a.candidate.graph < b.candidate.graph ? -1 : 1);

/** What fits somewhere on a device that it doesn't suit, else what is the smallest. */
function leastOf(judged: readonly Judged[]): Judged | undefined {
  return judged.find(({ fits }) => fits) ?? judged.toSorted((a, b) => a.candidate.sizeBytes - b.candidate.sizeBytes)[0];
}

/** Names that mean the same weights, beside the one that a file has. */
const SAME: readonly (readonly string[])[] = [
  ['int8', 'q8', 'quantized', 'qint8'],
  ['uint8', 'quint8'],
  ['q4', 'int4'],
  ['bnb4', 'nf4'],
  ['fp16', 'float16', 'f16'],
  ['fp32', 'float32', 'f32', 'full'],
];

/** By path, then by name, then by what they are called, then by precision: the first that finds any. */
function matching(variants: readonly GraphVariant[], text: string): readonly GraphVariant[] {
  const wanted = text.toLowerCase().replace(/\/+$/, '');
  const family = SAME.find((names) => names.includes(wanted)) ?? [wanted];
  const usable = variants.filter(({ obstacle }) => obstacle === undefined);
  const tries: readonly (readonly GraphVariant[])[] = [
    variants.filter(({ graph }) => [wanted, `${wanted}.onnx`].includes(graph.toLowerCase())),
    variants.filter(({ graph }) => [wanted, `${wanted}.onnx`].includes(nameOf(graph).toLowerCase())),
    usable.filter(({ label }) => label.toLowerCase() === wanted),
    usable.filter(({ precision }) => family.includes(precision)),
    usable.filter(({ graph }) => `/${folderOf(graph).toLowerCase()}/`.includes(`/${wanted}/`)),
  ];
  return tries.find((found) => found.length > 0) ?? [];
}

/** What the graphs are for, as far as it decides which precision is fast. */
function workOf(files: readonly ListedFile[], candidates: readonly GraphVariant[], task: string | undefined): Work {
  if (candidates.some(({ kind }) => kind === 'seq2seq')) return 'encode';
  if (task !== undefined) return /text-generation|image-text-to-text/.test(task) ? 'generate' : 'encode';
  const names = new Set(files.map(({ path }) => nameOf(path)));
  return ['generation_config.json', 'genai_config.json', 'chat_template.jinja'].some((name) => names.has(name))
    ? 'generate'
    : 'encode';
}

function describe(
  files: readonly ListedFile[],
  best: Judged,
  variants: readonly GraphVariant[],
  how: { readonly targets: readonly Target[]; readonly work: Work; readonly arch?: string; readonly isWanted: boolean },
): FileChoice {
  const { candidate, target } = best;
  const side = sideFiles(files, candidate.root);
  const sizes = new Map(files.map(({ path, sizeBytes }) => [path, sizeBytes]));
  const total = (paths: readonly string[]): number => paths.reduce((sum, path) => sum + (sizes.get(path) ?? 0), 0);
  const paths = [...new Set([...candidate.paths, ...side])].sort();
  const [graph, ...others] = candidate.paths;
  const room = `${best.fits ? 'fits' : 'does not fit'} ${budgetOf(target)}`;
  const why = how.isWanted ? 'asked for' : best.merit;
  return {
    graph: candidate.graph,
    paths,
    sizeBytes: total(paths),
    root: candidate.root,
    reasons: [
      `${graph}: ${best.weights}, ${readable(candidate.sizeBytes)}; ${room}; ${why}`,
      ...(others.length === 0 ? [] : [`with it ${listed(others.map(nameOf))}`]),
      `${side.length === 1 ? '1 file' : `${side.length} files`} of settings, vocabulary and licence, ${readable(total(side))}`,
      ...(best.fits
        ? []
        : [`warning: it needs about ${readable(best.neededBytes)} of memory to run, and may not load here`]),
      ...(best.able ? [] : [`warning: ${best.merit}`]),
      ...(candidate.obstacle === undefined
        ? []
        : [`warning: it ${candidate.obstacle}; on its own it may be of little use`]),
    ],
    rejected: variants
      .filter((other) => other !== candidate)
      .map((other) => ({ graph: other.graph, reason: whyNot(other, best, how) })),
  };
}

function whyNot(
  other: GraphVariant,
  best: Judged,
  { targets, work, arch, isWanted }: { targets: readonly Target[]; work: Work; arch?: string; isWanted: boolean },
): string {
  if (other.obstacle !== undefined) return other.obstacle;
  const there = judge(other, best.target, work, arch);
  const tooLarge = `needs about ${readable(there.neededBytes)}; models may take ${readable(best.target.budgetBytes)} ${best.target.where}`;
  if (!there.fits && targets.every((target) => !judge(other, target, work, arch).fits)) return tooLarge;
  if (isWanted) return 'was not asked for';
  if (!there.able) return there.merit;
  if (!there.fits) return tooLarge;
  const suitsLess = there.place > best.place || there.drawback === undefined;
  if (there.place !== best.place && suitsLess) return `${there.weights} suit ${best.target.name} less`;
  return there.drawback ?? 'is the same in another file';
}

/** What `build-manifest` takes beside graphs: settings at the top, the chat template, the pooling, the licence. */
function sideFiles(files: readonly ListedFile[], root: string): readonly string[] {
  const listing = files.filter(({ path, sizeBytes }) => isInside(path) && sizeBytes <= SMALL_FILE_BYTES_MAX);
  const taken = new Map<string, string>();
  // The model's own come first: a setting at the top of the repository is taken where its root has none.
  for (const top of new Set([root, ''])) {
    for (const { path } of listing) {
      const place = top === '' ? path : placeInModel(top, path);
      if ((top !== '' && place === path) || taken.has(place) || !isSideFile(place)) continue;
      taken.set(place, path);
    }
  }
  return [...taken.values()];
}

function isSideFile(place: string): boolean {
  if (place === '1_Pooling/config.json' || place === 'chat_template.jinja') return true;
  if (place.includes('/')) return false;
  if (isLicenceFile(place)) return true;
  // The index of weights in another format, and manifests, which each node makes itself.
  return place.endsWith('.json') && !/\.index\.json$|^weft-/.test(place);
}

function noGraph(files: readonly ListedFile[], name: string, id: string | undefined): WeftError {
  const others = ['safetensors', 'gguf', 'bin', 'pt', 'h5', 'tflite'].filter((kind) =>
    files.some(({ path }) => path.endsWith(`.${kind}`)),
  );
  const has = others.length === 0 ? '' : `: its weights are ${others.join(', ')}`;
  const [owner, own] = id?.split('/') ?? [];
  const remedy =
    own === undefined || owner === 'onnx-community'
      ? 'Pull a repository that has ONNX files: the hub lists them under the library "onnx".'
      : `ONNX variants are usually in onnx-community/${own}-ONNX, onnx-community/${own} or Xenova/${own}: pull one of these.`;
  return new WeftError({ code: 'model_not_found', message: `${name} has no ONNX files${has}.`, remedy });
}

/** Graphs that a message names. */
const NAMED_MAX = 12;

function unknownVariant(variants: readonly GraphVariant[], variant: string, name: string): WeftError {
  const names = variants.map(({ graph }) => graph);
  const more = names.length > NAMED_MAX ? ` and ${names.length - NAMED_MAX} more` : '';
  return new WeftError({
    code: 'model_not_found',
    message: `${name} has no "${variant}". It has ${names.slice(0, NAMED_MAX).join(', ')}${more}.`,
    remedy: 'Name one of these behind the colon, or none, and the best for this machine is taken.',
  });
}

function noneAlone(variants: readonly GraphVariant[], name: string): WeftError {
  const [first] = variants;
  return new WeftError({
    code: 'unsupported',
    message: `${name} can't be taken as it is: ${first?.graph} ${first?.obstacle}.`,
    remedy: `Name one graph to have it for tensors alone: :${first?.graph}`,
  });
}

function tooLarge(judged: readonly Judged[], name: string): WeftError {
  const [least] = judged.toSorted((a, b) => a.neededBytes - b.neededBytes);
  const where = [...new Set(judged.map(({ target }) => `${readable(target.budgetBytes)} ${target.where}`))].join(', ');
  return new WeftError({
    code: 'out_of_memory',
    message: `${name} is too large: its smallest graph, ${least?.candidate.graph}, needs about ${readable(least?.neededBytes ?? 0)}; models may take ${where}.`,
    remedy: `Raise --memory, use a machine of the mesh that has more, or take it all the same: :${least?.candidate.graph}`,
  });
}

function budgetOf({ budgetBytes, where }: Target): string {
  // A device whose memory nobody knows bounds nothing.
  return Number.isFinite(budgetBytes)
    ? `the ${readable(budgetBytes)} that models may take ${where}`
    : `what is ${where}`;
}

/** Decimal, as disks and downloads are counted. */
function readable(bytes: number): string {
  const power = [1e12, 1e9, 1e6, 1e3].find((unit) => bytes >= unit * 0.9995) ?? 1;
  const unit = { 1e12: 'TB', 1e9: 'GB', 1e6: 'MB', 1e3: 'kB' }[power] ?? 'bytes';
  const value = bytes / power;
  return `${value >= 99.95 || power === 1 ? Math.round(value) : value.toFixed(1)} ${unit}`;
}

const LISTED_MAX = 6;

function listed(names: readonly string[]): string {
  const more = names.length > LISTED_MAX ? [`${names.length - LISTED_MAX} more`] : [];
  const all = [...names.slice(0, LISTED_MAX), ...more];
  return all.length === 1 ? (all[0] ?? '') : `${all.slice(0, -1).join(', ')} and ${all.at(-1)}`;
}
