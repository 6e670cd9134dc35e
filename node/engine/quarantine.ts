// When a model is too dangerous to go on with. Pure bookkeeping: the supervisor reports deaths and successes.
import { BLAMED_REQUESTS_MAX } from './limits.ts';

/** Deaths of runners that one model is blamed for, since its last success. */
export class DeathLedger {
  readonly #byRequest = new Map<string, number>();
  #atLoad = 0;

  /** The runner died while it loaded the model. @returns why the model is to be quarantined, if it is */
  diedAtLoad(how: string): string | undefined {
    this.#atLoad++;
    return this.#atLoad >= 2 ? `Its runner died at two loads in a row (${how}).` : undefined;
  }

  /**
   * The runner died while it had these requests. A retry comes under the same id.
   * @returns why the model is to be quarantined, if it is
   */
  diedWorking(requestIds: ReadonlySet<string>, how: string): string | undefined {
    let reason: string | undefined;
    for (const id of requestIds) {
      const deaths = (this.#byRequest.get(id) ?? 0) + 1;
      // Set anew, so that the one that has been silent longest leaves first.
      this.#byRequest.delete(id);
      this.#byRequest.set(id, deaths);
      if (deaths >= 2) reason = `Its runner died twice by the same request (${how}).`;
    }
    for (const id of this.#byRequest.keys()) {
      if (this.#byRequest.size <= BLAMED_REQUESTS_MAX) break;
      this.#byRequest.delete(id);
    }
    return reason;
  }

  /** The model was loaded: says nothing about requests. */
  loaded(): void {
    this.#atLoad = 0;
  }

  /** The model gave an answer, or a token of one. */
  worked(): void {
    this.#atLoad = 0;
    if (this.#byRequest.size > 0) this.#byRequest.clear();
  }
}
