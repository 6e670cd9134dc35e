// A model of six layers, with its weights in the graph's own file or beside it, and what a part of it must have: told apart
// from the library's own reckoning.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CHUNK_BYTES } from '../../../models/limits.ts';
import type { Manifest, ManifestFile } from '../../../models/manifest.ts';
import { TensorProto_DataType as DataType } from '../../../models/onnx/messages/onnx_pb.js';
import { readModel, readModelFrom, writeModel } from '../../../models/onnx/model-file.ts';
import { extractPart } from '../../../models/onnx/partition/extract.ts';
import { type WeightRange, weightRanges } from '../../../models/onnx/partition/weights.ts';
import { memorySource } from '../../../models/onnx/protobuf.ts';
import { valueInfo } from '../../../models/onnx/tensors.ts';
import type { NodeId } from '../../../protocol/ids.ts';
import type { GraphPart } from '../../../protocol/part.ts';
import { GraphBuilder } from '../../support/graph-builder.ts';
import { SeededRandom } from '../../support/seeded.ts';
import { hashOf, ID, never, openNode, openPrep, type TestNode, temporary, tinyModel, Wire } from './support.ts';

/** Columns of every tensor: a layer's weights are 9 MB, in three chunks or four. */
export const WIDTH = 1500;
export const LAYERS = 6;

export type Where = 'inside' | 'beside';

/** y = x · w0 · w1 · …; the tensors between are h1, h2, … */
function layeredGraph(): Uint8Array {
  const random = new SeededRandom(5);
  const graph = new GraphBuilder();
  let at = 'x';
  for (let layer = 0; layer < LAYERS; layer++) {
    const weights = new Float32Array(WIDTH * WIDTH);
    for (let index = 0; index < weights.length; index++) weights[index] = random.next();
    const name = layer === LAYERS - 1 ? 'y' : `h${layer + 1}`;
    at = graph.as(name, graph.op('MatMul', [at, graph.floats([WIDTH, WIDTH], weights)]));
  }
  const [x, y] = ['x', 'y'].map((name) => valueInfo(name, DataType.FLOAT, ['rows', WIDTH]));
  return graph.file(x ? [x] : [], y ? [y] : []);
}

let made: Uint8Array | undefined;
const BESIDE = 'model.onnx_data';

/** Writes the model below this folder. @returns its folder */
export async function layeredModel(root: string, where: Where): Promise<string> {
  made ??= layeredGraph();
  const folder = await tinyModel(root, { graphs: { model: made } });
  if (where === 'inside') return folder;
  // The same bytes, named by a graph that has none.
  await rm(join(folder, 'onnx', 'model.onnx'));
  await writeFile(join(folder, 'onnx', 'model.onnx'), writeModel(readModelFrom(memorySource(made), BESIDE)));
  await writeFile(join(folder, 'onnx', BESIDE), made);
  return folder;
}

const nameAt = (layer: number): string => (layer === 0 ? 'x' : layer === LAYERS ? 'y' : `h${layer}`);

/** The layers from one up to another, without that. */
export const layers = (from: number, to: number): GraphPart => ({
  inputs: [{ name: nameAt(from), type: 'float32' }],
  outputs: [nameAt(to)],
});

/** A node that has the model, and what to make others with. */
export async function giving(where: Where) {
  const wire = new Wire();
  const prep = openPrep();
  const giver = await openNode({ wire, prep });
  const path = await layeredModel(await temporary(), where);
  const { digest } = await giver.library.import({ path, id: ID }, { signal: never });
  const installed = giver.store.byDigest(digest);
  if (installed === undefined) throw new Error('The model was imported.');
  const { manifest, folder } = installed;
  const open = (init: Parameters<typeof openNode>[0] = {}): Promise<TestNode> =>
    openNode({ wire, prep, ...init, components: { graphs: prep, ...init.components } });
  const model = { id: ID, digest };
  const prepare = (node: TestNode, part: GraphPart, signal = never, from: readonly NodeId[] = []) =>
    node.library.partFiles.prepare(model, part, { signal, from });
  return { wire, prep, giver, digest, model, manifest, folder, open, prepare };
}

/** What the nodes of a network read of files, from now on. */
export function meter(wire: Wire) {
  const counted = { bytes: 0, calls: 0, sha256s: new Set<string>() };
  wire.tamper = async ({ request, method, ask }) => {
    counted.calls++;
    const answer = await ask();
    if (method === 'read-file') {
      counted.bytes += (answer as { readonly bytes: Uint8Array }).bytes.byteLength;
      counted.sha256s.add((request as { readonly sha256: string }).sha256);
    }
    return answer;
  };
  return counted;
}

export const fileAt = ({ files }: Manifest, path: string): ManifestFile => {
  const file = files.find((candidate) => candidate.path === path);
  if (file === undefined) throw new Error(`The model has no ${path}.`);
  return file;
};

const pathOf = ({ location }: WeightRange): string => `onnx/${location}`;

/** Ranges of the weights of a part, from the whole model. */
export function rangesOf(folder: string, { graph }: Manifest, part: GraphPart): readonly WeightRange[] {
  return weightRanges(extractPart(readModel(join(folder, graph)), part));
}

/** Bytes that a node may fetch for parts at most: chunks with their weights, and chunks with more than weights. */
export function boundOf(folder: string, manifest: Manifest, parts: readonly GraphPart[]): number {
  const whole = weightRanges(readModel(join(folder, manifest.graph)));
  const chunks = new Set<string>();
  const graph = fileAt(manifest, manifest.graph);
  const add = (path: string, start: number, end: number): void => {
    for (let index = Math.floor(start / CHUNK_BYTES); index * CHUNK_BYTES < end; index++)
      chunks.add(`${index} ${path}`);
  };
  for (const part of parts) {
    for (const range of rangesOf(folder, manifest, part)) add(pathOf(range), range.offset, range.offset + range.length);
  }
  let end = 0;
  for (const range of whole.filter((one) => pathOf(one) === graph.path)) {
    add(graph.path, end, range.offset);
    end = range.offset + range.length;
  }
  add(graph.path, end, graph.sizeBytes);
  return [...chunks].reduce((sum, key) => {
    const [index = '', ...path] = key.split(' ');
    return sum + Math.min(CHUNK_BYTES, fileAt(manifest, path.join(' ')).sizeBytes - Number(index) * CHUNK_BYTES);
  }, 0);
}

/** True when each range has the same bytes in both folders. */
export async function sameBytes(ranges: readonly WeightRange[], one: string, other: string): Promise<boolean> {
  for (const range of ranges) {
    const [a, b] = await Promise.all([one, other].map((folder) => readFile(join(folder, pathOf(range)))));
    const of = (bytes: Buffer | undefined) => bytes?.subarray(range.offset, range.offset + range.length);
    if (!of(a)?.equals(of(b) ?? Buffer.alloc(0))) return false;
  }
  return true;
}

/**
 * Another model with the same weights' file by its digest, all chunks of which are said to be other bytes; and what somebody
 * answers who gives those out.
 */
export async function storedTwice(manifest: Manifest) {
  const weights = fileAt(manifest, 'onnx/model.onnx_data');
  const chunkOf = (offset: number): Uint8Array<ArrayBuffer> =>
    new Uint8Array(Math.min(CHUNK_BYTES, weights.sizeBytes - offset)).fill(7);
  const sha256 = weights.chunks.sha256.map((_, index) => hashOf(chunkOf(index * CHUNK_BYTES)));
  const files = manifest.files.map((file) =>
    file === weights ? { ...file, chunks: { ...file.chunks, sha256 } } : file,
  );
  const answer = (method: string, request: unknown): unknown => {
    if (method === 'holding') {
      const { sha256: asked } = request as { readonly sha256: readonly string[] };
      const said = (digest: string) => (digest === weights.sha256 ? weights.sizeBytes : 0);
      const chunks = new Uint8Array();
      return { files: asked.map((one) => ({ sizeBytes: BigInt(said(one)), chunkBytes: CHUNK_BYTES, chunks })) };
    }
    const asked = request as { readonly sha256: string; readonly offset: bigint };
    if (method !== 'read-file' || asked.sha256 !== weights.sha256) return undefined;
    return { bytes: chunkOf(Number(asked.offset)), sizeBytes: weights.sizeBytes };
  };
  return { manifest: { ...manifest, id: 'evil/tiny', files }, answer };
}
