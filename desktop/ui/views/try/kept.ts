// A value that outlives the view that shows it, until it is cleared. Pure.

export class Kept<Value> {
  readonly #initial: Value;
  #value: Value;
  readonly #listeners = new Set<() => void>();

  constructor(initial: Value) {
    this.#initial = initial;
    this.#value = initial;
  }

  get value(): Value {
    return this.#value;
  }

  set(value: Value): void {
    this.#value = value;
    for (const listener of this.#listeners) listener();
  }

  /** Sets some fields. */
  change(part: Partial<Value>): void {
    this.set({ ...this.#value, ...part });
  }

  /** Forgets what was set. */
  clear(): void {
    this.set(this.#initial);
  }

  /** As React wants it: bound. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
}
