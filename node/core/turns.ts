// Places for so many at a time, or for so many bytes: those who wait get theirs in the order in which they came.
import { toAbortError } from './calls.ts';

interface Waiting {
  readonly weight: number;
  readonly enter: () => void;
}

export class Turns {
  readonly #most: number;
  readonly #waiting: Waiting[] = [];
  #taken = 0;

  /** @param most sum of the weights that may be inside at once; one heavier than that goes in alone */
  constructor(most: number) {
    this.#most = most;
  }

  /** True when nobody is inside or waits. */
  get isIdle(): boolean {
    return this.#taken === 0 && this.#waiting.length === 0;
  }

  /**
   * Waits for a place.
   * @returns what gives it back; a second call of it does nothing
   * @throws WeftError the signal's reason when it aborts first
   */
  async take(weight: number, signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) throw toAbortError(signal);
    if (this.#waiting.length > 0 || !this.#fits(weight)) await this.#wait(weight, signal);
    else this.#taken += weight;
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      this.#taken -= weight;
      this.#admit();
    };
  }

  #wait(weight: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        weight,
        enter: () => {
          signal.removeEventListener('abort', leave);
          resolve();
        },
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        this.#admit();
        reject(toAbortError(signal));
      };
      this.#waiting.push(waiting);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.weight); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#taken += next.weight;
      next.enter();
    }
  }

  #fits(weight: number): boolean {
    return this.#taken === 0 || this.#taken + weight <= this.#most;
  }
}
