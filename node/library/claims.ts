// Who writes which file: two models may share one, and their pulls then take turns instead of writing it both.
import { unlessAborted } from '../core/waiting.ts';

export class Claims {
  readonly #held = new Map<string, Promise<void>>();

  /**
   * Waits until nobody has any of these, then has them all: never some of them, so that no two wait for each other.
   * @param keys such as sha256 digests
   * @returns what gives them back
   * @throws WeftError the signal's reason
   */
  async take(keys: Iterable<string>, signal: AbortSignal): Promise<() => void> {
    const wanted = [...new Set(keys)];
    for (;;) {
      signal.throwIfAborted();
      const other = wanted.map((key) => this.#held.get(key)).find((held) => held !== undefined);
      if (other === undefined) break;
      await unlessAborted(other, signal);
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    for (const key of wanted) this.#held.set(key, promise);
    return () => {
      for (const key of wanted) this.#held.delete(key);
      resolve();
    };
  }
}
