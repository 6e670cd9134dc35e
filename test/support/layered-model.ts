// A model whose weights lie in a file of their own, one chunk of a transfer for each layer: how much a part of it fetches can
// be counted. y = tanh(… tanh(x · W1) … · Wn).

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clearField, create, fromBinary } from '@bufbuild/protobuf';
import {
  TensorProto_DataType as DataType,
  ModelProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataLocation,
  TensorProtoSchema,
} from '../../models/onnx/messages/onnx_pb.js';
import { writeModel } from '../../models/onnx/model-file.ts';
import { valueInfo } from '../../models/onnx/tensors.ts';
import { GraphBuilder } from './graph-builder.ts';
import { SeededRandom } from './seeded.ts';

/** Rows and columns of each layer's weights: 4 MiB of floats. */
export const LAYER_SIDE = 1024;
export const LAYER_BYTES = 4 * LAYER_SIDE ** 2;

/** Writes the model into a folder, which is made. @returns the path of its graph */
export async function layeredModel(folder: string, layers: number, seed = 7): Promise<string> {
  await mkdir(folder, { recursive: true });
  const random = new SeededRandom(seed);
  const graph = new GraphBuilder();
  let value = 'x';
  for (let layer = 0; layer < layers; layer++) {
    const weights = Float32Array.from({ length: LAYER_SIDE ** 2 }, () => (random.next() - 0.5) / 16);
    value = graph.op('Tanh', [graph.op('MatMul', [value, graph.floats([LAYER_SIDE, LAYER_SIDE], weights)])]);
  }
  graph.as('y', value);
  const ports = [valueInfo('x', DataType.FLOAT, ['rows', LAYER_SIDE])];
  const path = join(folder, 'model.onnx');
  const whole = graph.file(ports, [valueInfo('y', DataType.FLOAT, ['rows', LAYER_SIDE])]);
  const model = fromBinary(ModelProtoSchema, whole);
  const data: Uint8Array[] = [];
  for (const tensor of model.graph?.initializer ?? []) {
    const offset = data.reduce((sum, { byteLength }) => sum + byteLength, 0);
    data.push(tensor.rawData);
    const entries = { location: 'model.onnx.data', offset: String(offset), length: String(tensor.rawData.byteLength) };
    tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
    tensor.externalData = Object.entries(entries).map(([key, entry]) =>
      create(StringStringEntryProtoSchema, { key, value: entry }),
    );
    // An empty field would be a second place.
    clearField(tensor, TensorProtoSchema.field.rawData);
  }
  await writeFile(join(folder, 'model.onnx.data'), Buffer.concat(data));
  await writeFile(path, writeModel(model));
  await writeFile(join(folder, 'LICENSE'), 'MIT License\n');
  return path;
}
