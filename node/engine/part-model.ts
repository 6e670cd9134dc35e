// A part of a graph as a model of its own: the engine keeps, loads, runs and watches it like any other. Pure.
import { createHash } from 'node:crypto';
import type { InstalledModel } from '../../models/installed.ts';
import { type Manifest, sizeOf } from '../../models/manifest.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import { type GraphPart, partText } from '../../protocol/part.ts';
import type { LoadedPart } from '../core/engine.ts';

/** What a part has beside a model. */
export interface PartOfModel {
  readonly graph: GraphPart;
  /** Digest of the whole model. */
  readonly model: string;
  /** Bytes of all files of the whole. */
  readonly modelBytes: number;
  /** Only what the part needs of the model's files is there, verified by whoever brought it. */
  readonly prepared: boolean;
}

/** Names the part among all models and parts, as a digest names a model. */
export function digestOfPart({ digest }: Pick<ModelRef, 'digest'>, part: GraphPart): string {
  return `part:${createHash('sha256')
    .update(`${digest} ${partText(part)}`)
    .digest('hex')}`;
}

/** The shape of a tensor of which nothing is told, as manifests write it. */
const ANY_SHAPE = ['*'];

/**
 * The part as an installed model: its inputs are checked as those of any graph. What an output looks like is not known, and
 * so requests share no runs.
 * @param prepared as {@link PartOfModel.prepared}
 */
export function partModel(
  whole: InstalledModel,
  graph: GraphPart,
  prepared: boolean,
): { readonly installed: InstalledModel; readonly part: PartOfModel } {
  const { ref, manifest, folder } = whole;
  const { id, precision, files, licence } = manifest;
  const own: Manifest = {
    schema: 1,
    id,
    task: 'tensor',
    precision,
    graph: manifest.graph,
    // What was verified as it was brought is not there as a whole, and can't be verified by its files' digests.
    files: prepared ? [] : files,
    inputs: graph.inputs.map(({ name, type, dims = ANY_SHAPE }) => ({ name, type, dims: [...dims] })),
    outputs: graph.outputs.map((name) => ({ name, type: 'unknown', dims: ANY_SHAPE })),
    contextLength: 0,
    licence,
  };
  return {
    installed: { ref: { id: ref.id, digest: digestOfPart(ref, graph) }, manifest: own, folder, aliases: [] },
    part: { graph, model: ref.digest, modelBytes: sizeOf(manifest), prepared },
  };
}

/** As it is shown. */
export const loadedPart = ({ model, graph: { inputs, outputs } }: PartOfModel): LoadedPart => ({
  model,
  inputs: inputs.map(({ name }) => name),
  outputs,
});
