// What this node tells the others of files that are no offer: models that it doesn't run, and pulls that are not whole.
import type { InstalledModel } from '../../models/installed.ts';
import { sizeOf } from '../../models/manifest.ts';
import type { HeldModel, ModelOffer } from '../../protocol/capability.ts';
import type { LibraryStore } from './components.ts';
import { HELD_MODELS_MAX } from './limits.ts';
import type { WantedModel } from './wanted.ts';

export interface Shelves {
  readonly installed: readonly InstalledModel[];
  readonly offers: readonly ModelOffer[];
  readonly wanted: readonly WantedModel[];
  /** Bytes of a file that are here, verified. */
  readonly heldBytes: (sha256: string, sizeBytes: number) => number;
}

/** Whole models first, then those of which most is here; none of which nothing is. */
export function heldModels({ installed, offers, wanted, heldBytes }: Shelves): readonly HeldModel[] {
  const offered = new Set(offers.map(({ model }) => model.digest));
  const whole = installed
    .filter(({ ref }) => !offered.has(ref.digest))
    .map(({ ref, manifest }) => ({ model: ref, sizeBytes: sizeOf(manifest), heldBytes: sizeOf(manifest) }));
  const here = new Set(installed.map(({ ref }) => ref.digest));
  const partly = wanted
    .filter(({ ref }) => !here.has(ref.digest) && !offered.has(ref.digest))
    .map(({ ref, manifest }) => ({
      model: ref,
      sizeBytes: sizeOf(manifest),
      // Whatever has come of it, nobody takes it for a whole one before it is.
      heldBytes: Math.min(
        sizeOf(manifest) - 1,
        manifest.files.reduce((sum, file) => sum + heldBytes(file.sha256, file.sizeBytes), 0),
      ),
    }))
    .filter((model) => model.heldBytes > 0)
    .sort((a, b) => b.heldBytes - a.heldBytes);
  return [...whole, ...partly].slice(0, HELD_MODELS_MAX);
}

/** Says how many bytes of a file are here, verified, as it is now. */
export function heldIn(store: Pick<LibraryStore, 'has' | 'partials'>): Shelves['heldBytes'] {
  const partly = new Map(store.partials().map(({ sha256, heldBytes }) => [sha256, heldBytes]));
  return (sha256, sizeBytes) => (store.has(sha256) ? sizeBytes : Math.min(sizeBytes, partly.get(sha256) ?? 0));
}

/** Each content once. */
export function distinctFiles<File extends { readonly sha256: string }>({
  files,
}: {
  readonly files: readonly File[];
}): readonly File[] {
  return [...new Map(files.map((file) => [file.sha256, file])).values()];
}
