// A model that is being put together out of whole files of the store. It appears in the models folder whole, or not at
// all.
import type { InstalledModel } from '../installed.ts';
import type { Manifest } from '../manifest.ts';

/** Where an installed model came from. */
export interface ModelOrigin {
  /** The node brought it by itself, nobody asked for it by name. */
  readonly brought: boolean;
  /** For people: a hub's host, a node's name, `import`. */
  readonly from: string;
  /** Wall clock. */
  readonly atMs: number;
}

export interface StagedModel {
  /** Holds the files in the hub's layout. */
  readonly folder: string;
  /**
   * Moves it among the installed models: OWNER/NAME, or OWNER/NAME@PRECISION where that is taken by another variant. Files
   * that the manifest doesn't list are left out. One that is installed already is given as it is.
   * @throws WeftError `model_corrupt` when a file of the manifest is missing or another one; `disk_full`, `forbidden`
   */
  install(
    manifest: Manifest,
    extras: { readonly signatures: readonly string[]; readonly origin: ModelOrigin },
  ): Promise<InstalledModel>;
  discard(): Promise<void>;
}
