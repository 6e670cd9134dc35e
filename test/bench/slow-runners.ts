// Makes a machine of another speed out of this one: a node's runners are stopped and continued fifty times a second, so
// that they compute for a share of the time. What is measured on them is emulated, and labelled so.
import { readFile } from 'node:fs/promises';

const PERIOD_MS = 20;

export class SlowRunners {
  readonly #pids: readonly number[];
  #timers: NodeJS.Timeout[] = [];
  #isStopped = false;

  /** @param pids of the runners; @param share of the time that they compute, 0 to 1 */
  constructor(pids: readonly number[], share: number) {
    this.#pids = pids;
    this.share(share);
  }

  /** From now on. */
  share(share: number): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers = [];
    this.#signal('SIGCONT');
    if (share >= 1) return;
    const cycle = (): void => {
      this.#signal('SIGSTOP');
      this.#timers[0] = setTimeout(
        () => {
          this.#signal('SIGCONT');
          this.#timers[1] = setTimeout(cycle, PERIOD_MS * share);
        },
        PERIOD_MS * (1 - share),
      );
    };
    cycle();
  }

  stop(): void {
    this.share(1);
    this.#isStopped = true;
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#isStopped) return;
    for (const pid of this.#pids) {
      try {
        process.kill(pid, signal);
      } catch {
        // It has ended.
      }
    }
  }
}

/** Ids of the processes among these whose command line names a runner. */
export async function runnersAmong(pids: readonly number[]): Promise<readonly number[]> {
  const runners: number[] = [];
  for (const pid of pids) {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (line.includes('runner')) runners.push(pid);
  }
  return runners;
}
