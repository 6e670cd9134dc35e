// What is known of a model that is installed here, for `weft show`.

import type { InstalledModel } from '../../models/installed.ts';
import { sizeOf } from '../../models/manifest.ts';
import type { ModelDetails } from '../core/control.ts';
import type { LoadedModel } from '../core/engine.ts';
import type { ProfileReport } from '../core/profile.ts';

/** What the model's files don't say. */
export interface ModelFacts {
  readonly bundled: boolean;
  readonly offered: boolean;
  /** Where it is in memory. */
  readonly loaded: LoadedModel | undefined;
  /** Where it is offered. */
  readonly profile: ProfileReport | undefined;
}

/** Files, ports and facts of one model. How its graph is decoded is known from its last load, or its last measurement. */
export function modelDetails({ ref, manifest, aliases }: InstalledModel, facts: ModelFacts): ModelDetails {
  const { bundled, offered, loaded, profile } = facts;
  const { decoder, decoderReason } = loaded?.generation ?? profile?.claim ?? {};
  return {
    id: ref.id,
    digest: ref.digest,
    aliases,
    task: manifest.task,
    licence: manifest.licence.spdx,
    contextLength: manifest.contextLength,
    dimensions: manifest.encoding?.dimensions ?? 0,
    sizeBytes: sizeOf(manifest),
    bundled,
    offered,
    files: manifest.files.map(({ path, sizeBytes, sha256 }) => ({ path, sizeBytes, sha256 })),
    inputs: manifest.inputs,
    outputs: manifest.outputs,
    decoder,
    decoderReason,
    profile,
  };
}
