// What keeps a model away that isn't what it is said to be, in one place, so that tests can leave each out and see the
// attack succeed.
import type { ModelRef } from '../../protocol/ids.ts';
import { compareManifests } from './compare-manifests.ts';
import { judge } from './signatures.ts';

export const LIBRARY_GUARDS = {
  /** A manifest that peers sent is the one that was asked for. */
  digest: (found: ModelRef, wanted: ModelRef): boolean => found.digest === wanted.digest && found.id === wanted.id,
  /** It is that of the files that came with it. @throws WeftError `model_corrupt` */
  files: compareManifests,
  /** Who signed it is enough for the owner of this node. */
  signers: judge,
} as const;

export type LibraryGuards = typeof LIBRARY_GUARDS;
