// Waiting for work that others wait for too: one who gives up leaves, the work goes on. Used by everything here.
import { toAbortError } from '../core/calls.ts';

/** The promise's outcome. @throws WeftError the signal's reason, as soon as it aborts */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(toAbortError(signal));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.finally(() => signal.removeEventListener('abort', onAbort)).then(resolve, reject);
  });
}

/** Gives the event loop a turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

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
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > this.#max && oldest !== undefined) this.#entries.delete(oldest);
    return loading;
  }
}
