// What is loaded once for all who ask at the same time, and kept. Used by everything here that reads models.
import { keepNewest } from '../core/keep-newest.ts';

/** Keeps what was loaded, the least recently used leaving first; who asks while a load is under way shares it. */
export class LoadCache<T> {
  readonly #max: number;
  /** Least recently used first. */
  readonly #entries = new Map<string, Promise<T>>();

  constructor(init: { readonly max: number }) {
    this.#max = init.max;
  }

  get(key: string, load: () => Promise<T>): Promise<T> {
    const known = this.#entries.get(key);
    if (known !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, known);
      return known;
    }
    const loading = load();
    this.#entries.set(key, loading);
    // A failure isn't kept: the next request tries again.
    loading.catch(() => {
      if (this.#entries.get(key) === loading) this.#entries.delete(key);
    });
    keepNewest(this.#entries, this.#max);
    return loading;
  }
}
