// What is known of a model that is installed here, for `weft show`.
import type { InstalledModel } from '../../models/installed.ts';
import type { ModelDetails } from '../core/control.ts';

/** @param facts that the model's files don't say */
export function modelDetails(
  { ref, manifest, aliases }: InstalledModel,
  facts: { readonly bundled: boolean; readonly offered: boolean },
): ModelDetails {
  return {
    id: ref.id,
    digest: ref.digest,
    aliases,
    task: manifest.task,
    licence: manifest.licence.spdx,
    contextLength: manifest.contextLength,
    dimensions: manifest.encoding?.dimensions ?? 0,
    sizeBytes: manifest.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    ...facts,
    files: manifest.files.map(({ path, sizeBytes, sha256 }) => ({ path, sizeBytes, sha256 })),
    inputs: manifest.inputs,
    outputs: manifest.outputs,
  };
}
