// Parts of a graph as files of their own: what is written of each, and which bytes of the whole model's files follow beside it.
// Runs in the prep process, as the graph may be anybody's; nothing is written here.
import { clone, create } from '@bufbuild/protobuf';
import type { GraphPart } from '../../../protocol/part.ts';
import { checkOnnxFile } from '../check.ts';
import { ModelProtoSchema, StringStringEntryProtoSchema, TensorProto_DataLocation } from '../messages/onnx_pb.js';
import { readModel, writeModel } from '../model-file.ts';
import { extractPart } from './extract.ts';
import { rangeOf, tensorsOf, type WeightRange } from './weights.ts';

/** As node/core's PartFileRequest. */
export interface PartFileRequest {
  /** The graph's file: absolute. */
  readonly graph: string;
  /** The parts, each with the name of the file that its weights are to lie in, beside its own. */
  readonly parts: readonly { readonly part: GraphPart; readonly weights: string }[];
}

/** As node/core's PartFile. */
export interface PartFile {
  /** An ONNX file, which refers to the file of its weights. */
  readonly model: Uint8Array;
  /** What that file consists of, in order: bytes of files in the folder of the whole graph, zeros in between. None for a part without. */
  readonly weights: readonly (WeightRange & { readonly at: number })[];
}

/** Where each tensor begins: mapped into memory, a page can't begin in between. */
const ALIGNMENT = 4_096;

/**
 * Reads and checks the graph, and makes the parts. Blocks on the disk.
 * @throws WeftError `model_corrupt` for a damaged or hostile graph; as {@link extractPart} for parts that it doesn't have
 */
export function partModels({ graph, parts }: PartFileRequest): PartFile[] {
  checkOnnxFile(graph);
  const whole = readModel(graph);
  return parts.map(({ part, weights: file }) => {
    // Tensors are shared with the whole, which the next part is made of.
    const model = clone(ModelProtoSchema, extractPart(whole, part));
    const weights: (WeightRange & { readonly at: number })[] = [];
    const placed = new Map<string, number>();
    let end = 0;
    for (const tensor of tensorsOf(model)) {
      const range = rangeOf(tensor);
      if (range === undefined) continue;
      const key = JSON.stringify([range.location, range.offset, range.length]);
      let at = placed.get(key);
      if (at === undefined) {
        at = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
        end = at + range.length;
        placed.set(key, at);
        weights.push({ ...range, at });
      }
      const entries = { location: file, offset: String(at), length: String(range.length) };
      tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
      tensor.externalData = Object.entries(entries).map(([name, value]) =>
        create(StringStringEntryProtoSchema, { key: name, value }),
      );
    }
    return { model: writeModel(model), weights };
  });
}
