// The one process of a runner slot: started on demand, with a growing pause when the last ones did not live long; ended
// when nothing is in it; replaced when it is lost. Held by the slot, which says when.

import type { WeftError } from '../../protocol/errors.ts';
import { type Clock, delay } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { RunnerRecords } from './leftovers.ts';
import type { RunnerReading } from './lifeline-reader.ts';
import { RESTART_PAUSE_MS, RESTART_PAUSE_MS_MAX, RUNNER_STABLE_MS } from './limits.ts';
import { type RunnerLaunch, RunnerProcess } from './runner-process.ts';

export interface SlotProcessComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly records: Pick<RunnerRecords, 'add' | 'remove'>;
  /** It died, or was killed because it was silent. Called before its calls fail, and when it is not there any more. */
  readonly onLost: (process: RunnerProcess, error: WeftError) => void;
  readonly onReading: (process: RunnerProcess, reading: RunnerReading) => void;
}

export class SlotProcess {
  readonly #components: SlotProcessComponents;
  readonly #launch: RunnerLaunch;
  #process: RunnerProcess | undefined;
  /** The last one that was lost: killed, but perhaps not gone yet. */
  #lost: RunnerProcess | undefined;
  /** Resolves once a process that was told to end is gone. */
  #ending: Promise<void> | undefined;
  /** Processes in a row that did not live long. */
  #shortLives = 0;

  constructor(components: SlotProcessComponents, launch: RunnerLaunch) {
    this.#components = components;
    this.#launch = launch;
  }

  get current(): RunnerProcess | undefined {
    return this.#process;
  }

  /** The running process, or a new one. @throws the signal's reason; `runner_lost` where it could not be started */
  async start(signal: AbortSignal): Promise<RunnerProcess> {
    const { clock, log, records } = this.#components;
    while (this.#ending !== undefined) await this.#ending;
    // Killed, and still in memory perhaps: the next one has been promised that memory.
    await this.#lost?.stop();
    this.#lost = undefined;
    if (this.#process === undefined && this.#shortLives > 1) {
      await delay(clock, Math.min(RESTART_PAUSE_MS_MAX, RESTART_PAUSE_MS * 2 ** (this.#shortLives - 2)), signal);
    }
    signal.throwIfAborted();
    if (this.#process !== undefined) return this.#process;
    const process: RunnerProcess = new RunnerProcess(
      {
        clock,
        log,
        onLost: (error) => this.#onLost(process, error),
        onReading: (reading) => {
          if (this.#process === process) this.#components.onReading(process, reading);
        },
        onGone: () => {
          if (process.pid !== undefined) records.remove(process.pid);
        },
      },
      this.#launch,
    );
    this.#process = process;
    if (process.pid !== undefined) records.add(process.pid);
    return process;
  }

  /** Resolves once there is none. */
  async end(): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (process !== undefined) {
      const ending = process.stop().finally(() => {
        if (this.#ending === ending) this.#ending = undefined;
      });
      this.#ending = ending;
    }
    await this.#ending;
  }

  /** As {@link end}, and the one that was lost is gone as well. */
  async stop(): Promise<void> {
    await Promise.all([this.end(), this.#lost?.stop()]);
  }

  #onLost(process: RunnerProcess, error: WeftError): void {
    if (this.#process !== process) return;
    this.#process = undefined;
    this.#lost = process;
    const { clock, onLost } = this.#components;
    this.#shortLives = clock.now() - process.startedAtMs < RUNNER_STABLE_MS ? this.#shortLives + 1 : 0;
    onLost(process, error);
  }
}
