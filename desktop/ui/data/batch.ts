// Collects events and hands them on in one go before the next frame is painted, so that a busy mesh costs one update of the pages per
// frame, not one per event.
import { EVENTS_WAITING_MAX } from './limits.ts';

export interface BatchComponents {
  /** Calls back once, before the next paint or, where nothing is painted, soon. */
  readonly schedule: (callback: () => void) => void;
}

export class Batch<T> {
  readonly #components: BatchComponents;
  readonly #take: (items: readonly T[]) => void;
  readonly #overflow: () => void;
  #waiting: T[] = [];
  #overflowed = false;
  #scheduled = false;

  /**
   * @param take gets what has come since the last frame, in order
   * @param overflow is called first when more has come than is kept: what was left out must be read anew
   */
  constructor(
    components: BatchComponents,
    init: { readonly take: (items: readonly T[]) => void; readonly overflow: () => void },
  ) {
    this.#components = components;
    this.#take = init.take;
    this.#overflow = init.overflow;
  }

  add(items: readonly T[]): void {
    if (items.length === 0) return;
    for (const item of items) this.#waiting.push(item);
    if (this.#waiting.length > EVENTS_WAITING_MAX) {
      this.#waiting = [];
      this.#overflowed = true;
    }
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#components.schedule(() => {
      this.#scheduled = false;
      const waiting = this.#waiting;
      const overflowed = this.#overflowed;
      this.#waiting = [];
      this.#overflowed = false;
      if (overflowed) this.#overflow();
      if (waiting.length > 0) this.#take(waiting);
    });
  }
}
