// Models that are, or were, on their way here: what peers may be told of them while they are not whole.
import type { Manifest } from '../../models/manifest.ts';
import type { ModelRef } from '../../protocol/ids.ts';
import { keepNewest } from '../core/keep-newest.ts';
import { WANTED_MANIFESTS_MAX } from './limits.ts';

/** A model whose manifest is known, so that its files mean something to others. */
export interface WantedModel {
  readonly ref: ModelRef;
  readonly manifest: Manifest;
  /** In canonical form: as its digest is made. */
  readonly manifestJson: string;
  /** Those that are valid. */
  readonly signatures: readonly string[];
}

/** The latest ones; a pull that was interrupted stays among them until it goes on, or the node ends. */
export class WantedModels {
  readonly #byDigest = new Map<string, WantedModel>();

  add(model: WantedModel): void {
    const { digest } = model.ref;
    this.#byDigest.delete(digest);
    this.#byDigest.set(digest, model);
    keepNewest(this.#byDigest, WANTED_MANIFESTS_MAX);
  }

  /** It is here, or not wanted any more. */
  remove(digest: string): void {
    this.#byDigest.delete(digest);
  }

  get(digest: string): WantedModel | undefined {
    return this.#byDigest.get(digest);
  }

  list(): readonly WantedModel[] {
    return [...this.#byDigest.values()];
  }
}
