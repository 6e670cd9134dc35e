// What of a model's files must be there before a part of its graph can be opened, read from a file of the graph that has
// holes still: first which chunks of it hold the structure, then which of all files hold the part's weights. Runs in the
// prep process, as the graph may be anybody's.
import { basename, dirname } from 'node:path/posix';
import type { GraphPart } from '../../../protocol/part.ts';
import { locationProblem, type SizeOfExternal } from '../check/external.ts';
import { quoted } from '../check/names.ts';
import { checkOnnx } from '../check.ts';
import { readModelFrom } from '../model-file.ts';
import { type ByteSource, onnxCorrupt, withFileSource } from '../protobuf.ts';
import { extractPart } from './extract.ts';
import { type WeightRange, weightRanges } from './weights.ts';

/** A file of the model, as its manifest says. */
export interface SizedFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly chunkBytes: number;
}

/** As node/core's PartRequest. */
export interface PartFilesRequest {
  /** Where the graph's file lies: of full size, with holes. */
  readonly from: string;
  /** The graph's path among the files. */
  readonly graph: string;
  readonly files: readonly SizedFile[];
  /** Chunks of the graph's file that are there: bit i of byte i / 8, lowest first. */
  readonly present: Uint8Array;
  readonly part: GraphPart;
}

/** As node/core's PartNeeds. */
export type PartFilesNeeds =
  | { readonly missing: readonly number[] }
  | {
      readonly files: readonly { readonly path: string; readonly chunks: Uint8Array<ArrayBuffer> }[];
      readonly weightBytes: number;
    };

/**
 * Which chunks the part needs: of the graph's file those that are missing before its structure can be read, as far as that
 * can be told; or, once that is there, those that hold the part's weights, of every file that the graph names. Whatever
 * reads the graph later, the same way, finds its structure there. Blocks on the disk.
 * @throws WeftError `model_corrupt` for a damaged or hostile graph, or one that names files that the model doesn't have;
 *   as {@link extractPart} for a part that the graph doesn't have
 */
export function partFiles(request: PartFilesRequest): PartFilesNeeds {
  const files = new Map(request.files.map((file) => [file.path, file]));
  const graph = files.get(request.graph);
  if (graph === undefined) throw onnxCorrupt('it is not among the files of its model');
  /** Of a location, as the graph names it. */
  const fileAt = (location: string): SizedFile | undefined => {
    const folder = dirname(request.graph);
    return files.get(folder === '.' ? location : `${folder}/${location}`);
  };
  const read = withHeld(request.from, graph, request.present, (source) => {
    const { externalFiles } = checkOnnx(source, sizesIn(fileAt));
    const part = extractPart(readModelFrom(source, basename(request.graph)), request.part);
    return { ranges: weightRanges(part), locations: externalFiles.map(({ location }) => location) };
  });
  if ('missing' in read) return read;
  const needed = new Map([[graph, bitmapFor(graph)]]);
  for (const location of read.locations) {
    const file = fileAt(location);
    if (file !== undefined) needed.set(file, bitmapFor(file));
  }
  let weightBytes = 0;
  for (const range of read.ranges) {
    const file = fileAt(range.location);
    const chunks = file && needed.get(file);
    if (file === undefined || chunks === undefined) throw onnxCorrupt(`it has no weights at ${quoted(range.location)}`);
    mark(chunks, file, range);
    weightBytes += range.length;
  }
  return { files: [...needed].map(([{ path }, chunks]) => ({ path, chunks })), weightBytes };
}

/** Sizes of the files beside a graph, by what the manifest says of them. */
function sizesIn(fileAt: (location: string) => SizedFile | undefined): SizeOfExternal {
  return (location) => {
    const problem = locationProblem(location);
    if (problem !== undefined) throw onnxCorrupt(`it names weights at ${quoted(location)}, which ${problem}`);
    const file = fileAt(location);
    if (file === undefined) throw onnxCorrupt(`it names weights at ${quoted(location)}, which the model doesn't have`);
    return file.sizeBytes;
  };
}

/**
 * Gives a file to `use` that ends as soon as a chunk is looked at that isn't there: nothing is ever read from a hole.
 * @returns what `use` gives, or the chunk
 */
function withHeld<Result extends object>(
  path: string,
  { sizeBytes, chunkBytes }: SizedFile,
  present: Uint8Array,
  use: (source: ByteSource) => Result,
): Result | { readonly missing: readonly number[] } {
  let missing: number | undefined;
  const held = (source: ByteSource): ByteSource => ({
    sizeBytes,
    view(offset, length) {
      const end = Math.min(offset + length, sizeBytes);
      for (let index = Math.floor(offset / chunkBytes); index * chunkBytes < end; index++) {
        if (hasBit(present, index)) continue;
        missing ??= index;
        throw onnxCorrupt('a part of it is not there yet');
      }
      return source.view(offset, length);
    },
  });
  try {
    const result = withFileSource(path, (source) => {
      if (source.sizeBytes !== sizeBytes) throw onnxCorrupt('it is not as large as its manifest says');
      return use(held(source));
    });
    if (missing === undefined) return result;
  } catch (error) {
    // Whatever a reader makes of a look into a hole, it says nothing of the file.
    if (missing === undefined) throw error;
  }
  return { missing: [missing] };
}

const hasBit = (bits: Uint8Array, index: number): boolean => (((bits[index >> 3] ?? 0) >> (index & 7)) & 1) === 1;

const bitmapFor = ({ sizeBytes, chunkBytes }: SizedFile): Uint8Array<ArrayBuffer> =>
  new Uint8Array(Math.ceil(Math.ceil(sizeBytes / chunkBytes) / 8));

function mark(bits: Uint8Array, { path, sizeBytes, chunkBytes }: SizedFile, { offset, length }: WeightRange): void {
  if (offset + length > sizeBytes) throw onnxCorrupt(`its weights go beyond the end of ${quoted(path)}`);
  for (let index = Math.floor(offset / chunkBytes); index * chunkBytes < offset + length; index++) {
    bits[index >> 3] = (bits[index >> 3] ?? 0) | (1 << (index & 7));
  }
}
