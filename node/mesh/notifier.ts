// Tells listeners that something has changed: once for all changes of one turn, and whatever one of them throws.
import type { Log } from '../core/log.ts';

export class Notifier {
  readonly #log: Log;
  readonly #listeners = new Set<() => void>();
  #planned = false;

  constructor(components: { readonly log: Log }) {
    this.#log = components.log;
  }

  /** @returns what ends the subscription */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  notify(): void {
    if (this.#planned) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      for (const listener of [...this.#listeners]) this.#call(listener);
    });
  }

  #call(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.#log.error({ error: String(error) }, 'a listener of the mesh failed');
    }
  }
}
