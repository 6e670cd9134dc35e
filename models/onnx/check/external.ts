// Where a graph may say that its weights lie: in plain files beside it or below it, reached without a link. The paths
// are judged as texts for every platform at once, as the same file goes from node to node. Nothing is ever opened here.
import { lstatSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { WeftError } from '../../../protocol/errors.ts';
import { onnxCorrupt } from '../protobuf.ts';
import { type OnnxCheck, quoted } from './names.ts';

/** Longest path, as in a manifest. */
const LOCATION_LENGTH_MAX = 512;

/** Names that Windows gives to devices, with any ending. */
const DEVICE = /^(con|prn|aux|nul|conin\$|conout\$|com\d|lpt\d)(\..*)?$/i;

/**
 * What is wrong with a location, as the rest of a sentence; undefined when it may be looked for.
 * @example locationProblem('../secret') // 'leaves the folder of the graph'
 */
export function locationProblem(location: string): string | undefined {
  if (location === '') return 'is empty';
  if (location.length > LOCATION_LENGTH_MAX) return 'is too long';
  if (/^[/\\]/.test(location) || /^[A-Za-z]:/.test(location)) return 'is absolute, outside of the folder of the graph';
  // The last two are how the runtime marks an address in its own memory.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what is refused
  if (/[\u0000-\u001f\u007f\\:<>"|?*]/.test(location)) return 'has a character that may lead outside of the folder';
  const parts = location.split('/');
  if (parts.includes('..')) return 'leads outside of the folder of the graph';
  if (parts.some((part) => part === '' || part.startsWith('.'))) return 'has an empty or hidden part, or leads outside';
  // Windows drops these, so that "a./b" is "a/b".
  if (parts.some((part) => /[. ]$/.test(part) || DEVICE.test(part))) return 'names something outside on Windows';
  return undefined;
}

/** Size of a file that holds weights. @throws WeftError `model_corrupt` when it may not be used */
export type SizeOfExternal = (location: string) => number;

/**
 * Sizes of the files beside a graph, each looked up once, by its path alone.
 * @param folder that the graph lies in
 */
export function externalFilesIn(folder: string, checks: ReadonlySet<OnnxCheck>): SizeOfExternal {
  const sizes = new Map<string, number>();
  return (location) => {
    const known = sizes.get(location);
    if (known !== undefined) return known;
    const problem = checks.has('places') ? locationProblem(location) : undefined;
    if (problem !== undefined) throw onnxCorrupt(`it names weights at ${quoted(location)}, which ${problem}`);
    const { size } = plainFile(folder, location, checks.has('links'));
    sizes.set(location, size);
    return size;
  };
}

/** The file, every part of whose path is a real one. */
function plainFile(folder: string, location: string, linksRefused: boolean): Stats {
  const parts = location.split('/');
  let path = folder;
  for (const [index, part] of parts.entries()) {
    path = join(path, part);
    const stat = (linksRefused ? lstatSync : statSync)(path, { throwIfNoEntry: false });
    if (stat === undefined) throw missing(location);
    if (stat.isSymbolicLink()) throw onnxCorrupt(`its weights at ${quoted(location)} are a link, or lie behind one`);
    if (index === parts.length - 1 ? !stat.isFile() : !stat.isDirectory()) {
      throw onnxCorrupt(`its weights at ${quoted(location)} are no plain file`);
    }
    if (index === parts.length - 1) return stat;
  }
  throw onnxCorrupt('it names weights without a name');
}

const missing = (location: string): WeftError =>
  new WeftError({
    code: 'model_corrupt',
    message: `The graph's weights at ${quoted(location)} are missing.`,
    remedy: 'Put that file beside the graph, under the same name.',
  });
