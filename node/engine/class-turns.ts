// Whose turn it is where interactive and batch work wait for the same places: interactive work goes first, and every so
// often batch work all the same, so that it never waits for ever. One for each kind of place, in the daemon and in a runner.
import type { Priority } from '../core/engine.ts';
import { BATCH_TURN_EVERY } from './limits.ts';

export class ClassTurns {
  /** Interactive work that went before batch work, in a row. */
  #passed = 0;

  /** Of the next two that wait, one of each class, batch work goes first. */
  get isBatchTurn(): boolean {
    return this.#passed >= BATCH_TURN_EVERY - 1;
  }

  /**
   * A place was given away.
   * @param batchWaits whether batch work waited for it too
   */
  took(priority: Priority, batchWaits: boolean): void {
    if (priority === 'batch' || !batchWaits) this.#passed = 0;
    else this.#passed++;
  }

  /** Of those who wait, in the order in which they came: the first of the class whose turn it is. */
  next<Waiting extends { readonly isBatch: boolean }>(waiting: readonly Waiting[]): Waiting | undefined {
    const { isBatchTurn } = this;
    return waiting.find(({ isBatch }) => isBatch === isBatchTurn) ?? waiting[0];
  }
}
