// A model of some tens of megabytes in the hub's layout, y = x · W, whose answers a test can work out: what pulls move.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TensorProto_DataType as DataType } from '../../models/onnx/messages/onnx_pb.js';
import { valueInfo } from '../../models/onnx/tensors.ts';
import { GraphBuilder } from './graph-builder.ts';
import { SeededRandom } from './seeded.ts';

export const WIDE_ROWS = 8;

export interface WideModel {
  readonly id: string;
  readonly folder: string;
  /** Of its graph file, weights included. */
  readonly sizeBytes: number;
  /** What `x` gives. */
  answer(x: readonly number[]): number[];
}

/** Writes it to ROOT/ID. @param columns of W: 32 bytes each */
export async function wideModel(
  root: string,
  { id = 'owner/wide', columns = 800_000, seed = 1 }: { id?: string; columns?: number; seed?: number } = {},
): Promise<WideModel> {
  const folder = join(root, ...id.split('/'));
  await mkdir(join(folder, 'onnx'), { recursive: true });
  const random = new SeededRandom(seed);
  const weights = Float32Array.from({ length: WIDE_ROWS * columns }, () => Math.fround(random.next() - 0.5));
  const graph = new GraphBuilder();
  const product = graph.op('MatMul', ['x', graph.floats([WIDE_ROWS, columns], weights)]);
  // Few numbers, so that an answer is small: the sums of the first columns.
  const slice = graph.op('Slice', [product, graph.ints(0), graph.ints(4), graph.ints(1)]);
  graph.as('y', slice);
  const file = graph.file(
    [valueInfo('x', DataType.FLOAT, ['batch', WIDE_ROWS])],
    [valueInfo('y', DataType.FLOAT, ['batch', 4])],
  );
  await writeFile(join(folder, 'onnx', 'model.onnx'), file);
  await writeFile(join(folder, 'config.json'), '{}');
  await writeFile(join(folder, 'LICENSE'), 'MIT License\n');
  return {
    id,
    folder,
    sizeBytes: file.byteLength,
    answer: (x) =>
      Array.from({ length: 4 }, (_, column) =>
        x.reduce((sum, value, row) => sum + value * (weights[row * columns + column] as number), 0),
      ),
  };
}
