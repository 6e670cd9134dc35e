// What lies where, of files that are to become a model: a folder in the hub's layout keeps its paths; a graph that lies
// by itself is put under onnx/, its weights beside it, and the settings beside it above.
import { lstat, readdir, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { isLicenceFile } from '../graph-variants.ts';
import { FOLDERS_PER_LEVEL_MAX, GRAPHS_LISTED_MAX } from '../limits.ts';
import { OWN_FILES } from '../manifest.ts';
import { exists, refuse } from './files.ts';

export interface Layout {
  /** Last part of the path that was named, without an ending. */
  readonly name: string;
  /** The folder whose files have these paths, but for a graph by itself. */
  readonly root: string;
  /** Where a file with that path in the manifest lies: a folder, and its path below that. */
  place(path: string): { readonly root: string; readonly path: string };
  /** The graph, where the path that was named says which; in the manifest's terms. */
  readonly graph: string | undefined;
  /** Graphs that there are, in the manifest's terms, sorted. */
  readonly graphs: readonly string[];
  /** Settings, tokenizer and templates, in the manifest's terms. */
  readonly sides: readonly string[];
  readonly licence: string | undefined;
  /** The model card. */
  readonly card: string | undefined;
}

/** Settings and the like that are taken from beside a graph by itself: whatever else lies there is somebody's own. */
const KNOWN_SIDES: ReadonlySet<string> = new Set([
  'added_tokens.json',
  'chat_template.jinja',
  'config.json',
  'config_sentence_transformers.json',
  'generation_config.json',
  'modules.json',
  'preprocessor_config.json',
  'quantize_config.json',
  'sentence_bert_config.json',
  'special_tokens_map.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'vocab.json',
]);
const POOLING = '1_Pooling/config.json';

/**
 * @param path an .onnx file, or a folder; links on the way to it are followed, as it was named by a person
 * @throws WeftError `model_corrupt` when there is neither
 */
export async function layoutOf(path: string): Promise<Layout> {
  const named = resolve(path);
  const stat = await lstat(named).catch(() => undefined);
  if (stat === undefined) throw refuse('There is no such file or folder.', 'Check the path.');
  if (stat.isSymbolicLink() && !(await isFolder(named))) {
    throw refuse('The file is a link.', 'Name the file that it leads to, or pull the model by its name.');
  }
  if (!stat.isFile() && !(await isFolder(named)))
    throw refuse('That is neither a file nor a folder.', 'Check the path.');
  if (!stat.isFile()) return folderLayout(await realpath(named), undefined);
  if (!named.endsWith('.onnx')) throw refuse('The file is no .onnx file.', 'Name an ONNX graph, or a folder with one.');
  const folder = await realpath(dirname(named));
  const above = dirname(folder);
  const inHubLayout =
    basename(folder) === 'onnx' &&
    ((await exists(join(above, 'config.json'))) || (await exists(join(above, 'tokenizer.json'))));
  return inHubLayout ? folderLayout(above, `onnx/${basename(named)}`) : fileLayout(folder, basename(named));
}

async function isFolder(path: string): Promise<boolean> {
  return lstat(await realpath(path).catch(() => path)).then(
    (stat) => stat.isDirectory(),
    () => false,
  );
}

async function folderLayout(root: string, graph: string | undefined): Promise<Layout> {
  const names = await readNames(root);
  const tops = names.filter(
    (name) => (name.endsWith('.json') && !OWN_FILES.has(name)) || name === 'chat_template.jinja',
  );
  return {
    name: basename(root),
    root,
    place: (path) => ({ root, path }),
    graph,
    graphs: await graphsIn(root, names),
    sides: await withPooling(root, tops),
    ...papers(names),
  };
}

async function fileLayout(root: string, file: string): Promise<Layout> {
  const names = await readNames(root);
  const tops = names.filter((name) => KNOWN_SIDES.has(name));
  const graph = `onnx/${file}`;
  return {
    name: file.replace(/\.onnx$/, ''),
    root,
    place: (path) => ({ root, path: path.startsWith('onnx/') ? path.slice('onnx/'.length) : path }),
    graph,
    graphs: [graph],
    sides: await withPooling(root, tops),
    ...papers(names),
  };
}

async function withPooling(root: string, tops: readonly string[]): Promise<readonly string[]> {
  return (await exists(join(root, ...POOLING.split('/')))) ? [...tops, POOLING] : tops;
}

/** Where the hub puts graphs; else at the top; else in the folders below it. */
async function graphsIn(root: string, names: readonly string[]): Promise<string[]> {
  const onnx = (all: readonly string[]): string[] => all.filter((name) => name.endsWith('.onnx')).sort();
  const usual = onnx(await readNames(join(root, 'onnx')).catch(() => []));
  if (usual.length > 0) return usual.slice(0, GRAPHS_LISTED_MAX).map((name) => `onnx/${name}`);
  const top = onnx(names);
  if (top.length > 0) return top.slice(0, GRAPHS_LISTED_MAX);
  const found: string[] = [];
  for (const name of names.filter((folder) => !folder.startsWith('.'))) {
    const below = await readNames(join(root, name)).catch(() => []);
    found.push(...onnx(below).map((file) => `${name}/${file}`));
    if (found.length > GRAPHS_LISTED_MAX) break;
  }
  return found.slice(0, GRAPHS_LISTED_MAX);
}

function papers(names: readonly string[]): Pick<Layout, 'licence' | 'card'> {
  return {
    licence: names.find(isLicenceFile),
    card: names.find((name) => name === 'README.md'),
  };
}

const readNames = async (folder: string): Promise<string[]> => (await readdir(folder)).slice(0, FOLDERS_PER_LEVEL_MAX);
