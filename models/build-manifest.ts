// Makes the manifest of a model folder in the hub's layout: what its files are, what its graph takes and gives, and
// what it is for. `build-manifest-main.ts` writes what this returns beside the model. Stricter than an import: what is
// in doubt is refused, as whoever publishes a model can say it.
import { basename, dirname, resolve } from 'node:path';
import { inspectModel } from './import/inspect.ts';
import { type Manifest, parseManifest } from './manifest.ts';

export interface BuildManifestInit {
  /** @default the last two parts of the folder's path, `owner/name` */
  readonly id?: string;
  /** The graph, relative to the folder. @default the only `onnx/*.onnx` */
  readonly graph?: string;
  /** @default what inputs, outputs and config say */
  readonly task?: string;
  /** SPDX identifier. @default what the licence's text says, else the model card */
  readonly licence?: string;
}

/**
 * Builds the manifest of a folder. Takes the JSON files and the chat template at its top, the pooling's settings, the
 * licence, one graph and the weights that the graph names; other files are no part of the model.
 * @throws WeftError `model_corrupt` when something is missing, hostile, contradicts the graph, or lies outside the folder
 */
export async function buildManifest(folder: string, init: BuildManifestInit = {}): Promise<Manifest> {
  const path = resolve(folder);
  const id = init.id ?? `${basename(dirname(path))}/${basename(path)}`;
  const { manifestJson } = await inspectModel({ ...init, path, id }, { strict: true });
  return parseManifest(manifestJson);
}
