// A bounded cache that forgets what was used least recently.

export class LruCache<Value> {
  readonly #entries = new Map<string, Value>();
  readonly #sizeMax: number;
  readonly #forget: (value: Value) => void;

  /** @param forget frees a value that leaves */
  constructor(sizeMax: number, forget: (value: Value) => void) {
    this.#sizeMax = sizeMax;
    this.#forget = forget;
  }

  get(key: string): Value | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  set(key: string, value: Value): void {
    this.#entries.set(key, value);
    if (this.#entries.size <= this.#sizeMax) return;
    for (const [oldest, old] of this.#entries) {
      this.#entries.delete(oldest);
      this.#forget(old);
      return;
    }
  }
}
