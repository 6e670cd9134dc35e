// Graphs of a few operators, as installed models: what requests on any tensors are tested with.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspectModel } from '../../../models/import/inspect.ts';
import type { InstalledModel } from '../../../models/installed.ts';
import { modelRef, parseManifest } from '../../../models/manifest.ts';
import type { OnnxCheck } from '../../../models/onnx/check.ts';
import { TensorProto_DataType as DataType } from '../../../models/onnx/messages/onnx_pb.js';
import { valueInfo } from '../../../models/onnx/tensors.ts';
import { GraphBuilder } from '../../support/graph-builder.ts';
import { SeededRandom } from '../../support/seeded.ts';

/** Writes a graph into a folder of its own, with its manifest. @param checks of the graph. @default all */
export async function installGraph(
  folder: string,
  name: string,
  graph: Uint8Array,
  checks?: ReadonlySet<OnnxCheck>,
): Promise<InstalledModel> {
  const root = join(folder, 'test', name);
  await mkdir(join(root, 'onnx'), { recursive: true });
  await writeFile(join(root, 'onnx/model.onnx'), graph);
  await writeFile(join(root, 'LICENSE'), 'MIT License\n');
  const { manifestJson } = await inspectModel(
    { path: root, id: `test/${name}`, licence: 'MIT' },
    checks === undefined ? {} : { checks },
  );
  const manifest = parseManifest(manifestJson);
  return { ref: modelRef(manifest), manifest, folder: root, aliases: [] };
}

/** A small classifier of pictures of any size: `pixels` float32 [N, 3, H, W] → `scores` float32 [N, 5]. */
export function pictureGraph(): Uint8Array {
  const random = new SeededRandom(3);
  const weights = (count: number) => Array.from({ length: count }, () => random.next() - 0.5);
  const builder = new GraphBuilder();
  const filters = builder.floats([8, 3, 3, 3], weights(8 * 27));
  const hidden = builder.op('Relu', [builder.op('Conv', ['pixels', filters], { pads: [1n, 1n, 1n, 1n] })]);
  const pooled = builder.op('Flatten', [builder.op('GlobalAveragePool', [hidden])]);
  builder.as('scores', builder.op('MatMul', [pooled, builder.floats([8, 5], weights(40))]));
  return builder.file(
    [valueInfo('pixels', DataType.FLOAT, ['N', 3, 'H', 'W'])],
    [valueInfo('scores', DataType.FLOAT, ['N', 5])],
  );
}

/** Values on a row of {@link layersGraph}. */
export const LAYER_WIDTH = 96;

/**
 * Layers with weights of their own, 36 KiB each: `x` float32 [N, 96] → `layer_1`, …, each the one before plus what it makes
 * of it → `y`. The last two layers share one weight, and add what the first layer gave.
 */
export function layersGraph(layers: number): Uint8Array {
  const random = new SeededRandom(7);
  const builder = new GraphBuilder();
  const weight = (): string =>
    builder.floats(
      [LAYER_WIDTH, LAYER_WIDTH],
      Array.from({ length: LAYER_WIDTH ** 2 }, () => (random.next() - 0.5) / 5),
    );
  const shared = weight();
  let last = 'x';
  for (let layer = 1; layer <= layers; layer++) {
    const isLate = layer > layers - 2;
    const made = builder.op('Relu', [builder.op('MatMul', [last, isLate ? shared : weight()])]);
    last = builder.as(`layer_${layer}`, builder.op('Add', [made, isLate ? 'layer_1' : last]));
  }
  builder.as('y', last);
  const port = (name: string) => valueInfo(name, DataType.FLOAT, ['N', LAYER_WIDTH]);
  return builder.file([port('x')], [port('y')]);
}

/** Rows that are NOT independent, which its ports don't show: `x` [batch, 4] → `y` = x minus its mean over the batch. */
export function centringGraph(): Uint8Array {
  const builder = new GraphBuilder();
  builder.as('y', builder.op('Sub', ['x', builder.op('ReduceMean', ['x'], { axes: [0n], keepdims: 1n })]));
  return builder.file([valueInfo('x', DataType.FLOAT, ['batch', 4])], [valueInfo('y', DataType.FLOAT, ['batch', 4])]);
}

/** Rows of a table: `ids` int64 [batch, 2] → `vectors` float32 [batch, 2, 4]; an id beyond 9 fails the run. */
export function lookupGraph(): Uint8Array {
  const builder = new GraphBuilder();
  const table = builder.floats(
    [10, 4],
    Array.from({ length: 40 }, (_, index) => index),
  );
  builder.as('vectors', builder.op('Gather', [table, 'ids'], { axis: 0n }));
  return builder.file(
    [valueInfo('ids', DataType.INT64, ['batch', 2])],
    [valueInfo('vectors', DataType.FLOAT, ['batch', 2, 4])],
  );
}
