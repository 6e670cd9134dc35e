// Brings what a part of a graph needs of a model that isn't here: its manifest, the chunks of the graph that hold its
// structure, and the chunks that hold the part's weights. Under the rules of pulls; what comes goes where theirs does, so
// that a pull of the whole goes on with it. The engine asks before it loads such a part.
import { canonicalJson } from '../../models/manifest.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { ModelRef, NodeId } from '../../protocol/ids.ts';
import { checkPart, type GraphPart, partText } from '../../protocol/part.ts';
import { keepNewest } from '../core/keep-newest.ts';
import type { PartFiles, PreparedPart } from '../core/part-files.ts';
import type { Jobs } from './jobs.ts';
import { PARTS_REMEMBERED_MAX } from './limits.ts';
import { judged, type PartComponents, type PartNeed, preparePart } from './prepare-part.ts';

export interface LibraryPartFilesComponents extends PartComponents {
  /** Of their own: a part is wanted now, and doesn't wait for pulls. */
  readonly jobs: Jobs;
}

export class LibraryPartFiles implements PartFiles {
  readonly #components: LibraryPartFilesComponents;
  /** What parts were found to need, by key; the one that was asked for last at the end. */
  readonly #needs = new Map<string, PartNeed>();

  constructor(components: LibraryPartFilesComponents) {
    this.#components = components;
  }

  /**
   * As PartFiles. Who asks for the same part shares the work, and who asks for other parts of the same model takes turns
   * with it. What has come stays when everybody leaves.
   * @throws WeftError beside what the port says: `bad_request`, `tensor_invalid` for a part that the graph doesn't have;
   *   `model_corrupt`, `signature_invalid`, `disk_full`, `forbidden`, `overloaded`, `cancelled`, `stopping`
   */
  async prepare(
    model: ModelRef,
    part: GraphPart,
    { signal, from }: { readonly signal: AbortSignal; readonly from: readonly NodeId[] },
  ): Promise<PreparedPart> {
    checkPart(part);
    const key = `part ${model.digest} ${partText(part)}`;
    const there = this.#whole(model) ?? (await this.#known(model, key));
    if (there !== undefined) return there;
    return this.#components.jobs.run(
      {
        key,
        kind: 'pull',
        model: model.id,
        work: async (context) => {
          const release = await this.#components.claims.take([`parts ${model.digest}`], context.signal);
          try {
            const whole = this.#whole(model);
            if (whole !== undefined) return whole;
            const { prepared, need } = await preparePart(this.#components, { model, part, from }, context);
            this.#needs.delete(key);
            this.#needs.set(key, need);
            keepNewest(this.#needs, PARTS_REMEMBERED_MAX);
            return prepared;
          } finally {
            release();
          }
        },
      },
      signal,
    );
  }

  #whole({ digest }: ModelRef): PreparedPart | undefined {
    const installed = this.#components.store.byDigest(digest);
    return installed && { folder: installed.folder, manifestJson: canonicalJson(installed.manifest) };
  }

  /** One that was prepared since the start, and lies there still. */
  async #known({ digest }: ModelRef, key: string): Promise<PreparedPart | undefined> {
    const { store } = this.#components;
    const need = this.#needs.get(key);
    const parts = store.partModel(digest);
    if (need === undefined || parts === undefined) return undefined;
    // Settings may have changed.
    if (judged(this.#components, parts.manifest, digest, parts.signatures).refusal !== undefined) return undefined;
    if (!(await store.hasPart(digest, need))) return undefined;
    return { folder: parts.folder, manifestJson: canonicalJson(parts.manifest) };
  }
}

/** For nodes that take no parts. */
export const NO_PART_FILES: PartFiles = {
  prepare: async ({ id }) => {
    throw new WeftError({ code: 'model_not_found', message: `This node has no part of ${id}.` });
  },
};
