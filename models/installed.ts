// A model whose files are on this machine's disk: what the store lists and the engine loads.
import type { ModelRef } from '../protocol/ids.ts';
import type { Manifest } from './manifest.ts';

export interface InstalledModel {
  readonly ref: ModelRef;
  readonly manifest: Manifest;
  /** Absolute path; the manifest's paths are relative to it. */
  readonly folder: string;
  /** Short names, such as `smollm2`. */
  readonly aliases: readonly string[];
}
