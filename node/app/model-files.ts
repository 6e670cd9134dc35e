// What this node reads out to its peers: manifests, what was signed of them, and pieces of files that lie here verified.
import { canonicalJson } from '../../models/manifest.ts';
import { type ModelStore, metadataFiles } from '../../models/store.ts';
import type { ModelLibrary } from '../library/library.ts';
import type { SharedFiles } from '../mesh/serve-files.ts';

export interface ModelFilesComponents {
  /** Knows files by digest only: nothing else on this disk can be named. */
  readonly store: Pick<ModelStore, 'list' | 'byDigest' | 'signatures' | 'holding' | 'read'>;
  /** Knows the models that are on their way here. */
  readonly library: Pick<ModelLibrary, 'wantedModel'>;
  /** Whether this node runs it for others. */
  readonly isOffered: (digest: string) => boolean;
}

/**
 * Reads from the store.
 * @param share whether members may have whole models; what it takes to coordinate one that is offered here (manifest,
 *   tokenizer) they get in any case
 */
export function modelFiles({ store, library, isOffered }: ModelFilesComponents, share: () => boolean): SharedFiles {
  const mayKnow = (digest: string): boolean => share() || isOffered(digest);
  const mayRead = (sha256: string): boolean =>
    share() ||
    store
      .list()
      .some(
        ({ ref, manifest }) => isOffered(ref.digest) && metadataFiles(manifest).some((file) => file.sha256 === sha256),
      );
  return {
    manifestJson: (digest) => {
      if (!mayKnow(digest)) return undefined;
      const installed = store.byDigest(digest);
      if (installed !== undefined) return canonicalJson(installed.manifest);
      return library.wantedModel(digest)?.manifestJson;
    },
    signatures: (digest) => {
      if (!mayKnow(digest)) return [];
      const signatures = store.signatures(digest);
      return signatures.length > 0 ? signatures : (library.wantedModel(digest)?.signatures ?? []);
    },
    holding: (sha256) => (mayRead(sha256) ? store.holding(sha256) : undefined),
    read: async (sha256, offset, length) => (mayRead(sha256) ? store.read(sha256, offset, length) : undefined),
  };
}
