// Many simulated runs at once, one thread per core: they share nothing, so that each gives what it would give alone.
// Called by the bench `route`.
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Experiment } from '../sim/experiment.ts';

export interface RouteRun {
  readonly scenario: string;
  readonly seed: number;
  readonly policy: string;
  /** Seconds of arrivals. */
  readonly untilS: number;
}

/**
 * What came of each, in the given order.
 * @param done called after each
 * @throws whatever a run failed with; the others are ended then
 */
export async function runAll(
  runs: readonly RouteRun[],
  done: (run: RouteRun, result: Experiment) => void,
): Promise<readonly Experiment[]> {
  const results: Experiment[] = [];
  const threads: Worker[] = [];
  const left = [...runs.entries()];
  const work = async (): Promise<void> => {
    const thread = new Worker(new URL('./route-worker.ts', import.meta.url));
    threads.push(thread);
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [index, run] = next;
      thread.postMessage(run);
      const [result] = (await once(thread, 'message')) as [Experiment];
      results[index] = result;
      done(run, result);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(availableParallelism(), runs.length) }, work));
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
  return results;
}
