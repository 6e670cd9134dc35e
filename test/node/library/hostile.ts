// Models that lie, and a prep process that lets everything pass: what an attacker has, and what a guard stands against.
import { create } from '@bufbuild/protobuf';
import { inspectModel } from '../../../models/import/inspect.ts';
import { canonicalJson, type Manifest, parseManifest } from '../../../models/manifest.ts';
import {
  TensorProto_DataType as DataType,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
} from '../../../models/onnx/messages/onnx_pb.js';
import { writeModel } from '../../../models/onnx/model-file.ts';
import { valueInfo } from '../../../models/onnx/tensors.ts';
import type { Prep } from '../../../node/core/prep.ts';

/** A graph of an operator that only a library of the attacker's has. */
export function graphOfAnotherDomain(): Uint8Array {
  const node = create(NodeProtoSchema, { name: 'n', opType: 'Run', domain: 'com.evil', input: ['x'], output: ['y'] });
  const [x, y] = ['x', 'y'].map((name) => valueInfo(name, DataType.FLOAT, [1]));
  return writeModel(
    create(ModelProtoSchema, {
      irVersion: 8n,
      opsetImport: [
        { domain: '', version: 17n },
        { domain: 'com.evil', version: 1n },
      ],
      graph: create(GraphProtoSchema, { name: 'g', node: [node], input: x ? [x] : [], output: y ? [y] : [] }),
    }),
  );
}

/** Inspects without looking. @param change what the manifest says in the end */
export const carelessPrep = (change: (manifest: Manifest) => Manifest = (same) => same): Pick<Prep, 'inspect'> => ({
  async inspect(request) {
    const inspected = await inspectModel(request, { checks: new Set() });
    const manifest = parseManifest(inspected.manifestJson);
    return { ...inspected, manifestJson: canonicalJson(change(manifest)) };
  },
});
