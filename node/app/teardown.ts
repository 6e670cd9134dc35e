// What was started is stopped, last first, and one failure keeps nothing else from being stopped.
import type { Log } from '../core/log.ts';

/** The process ends after this in any case: a part that hangs must not keep the others' work from being saved. */
const STOP_MS_MAX = 1_500;

export class Teardown {
  readonly #log: Log;
  readonly #steps: { readonly what: string; readonly stop: () => Promise<void> | void }[] = [];
  #running: Promise<void> | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Adds what is to be stopped before everything that was added earlier. */
  add(what: string, stop: () => Promise<void> | void): void {
    this.#steps.push({ what, stop });
  }

  /** Stops everything. Never rejects: failures are logged. */
  run(): Promise<void> {
    this.#running ??= this.#run();
    return this.#running;
  }

  async #run(): Promise<void> {
    for (const { what, stop } of this.#steps.toReversed()) {
      let timer: NodeJS.Timeout | undefined;
      const overdue = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`${what} did not stop in ${STOP_MS_MAX} ms`)), STOP_MS_MAX);
      });
      try {
        await Promise.race([stop(), overdue]);
      } catch (error) {
        this.#log.warn({ what, error }, 'stopping failed');
      } finally {
        clearTimeout(timer);
      }
    }
  }
}
