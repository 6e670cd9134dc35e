// How many threads a session gets. Pure. A session's threads are fixed when it is made, so the plan is for what the
// other runners do at that moment.

/** A runner with models in it. */
export interface RunnerThreads {
  /** Threads of its sessions. */
  readonly threads: number;
  /** It computes now. */
  readonly busy: boolean;
}

export interface ThreadPlan {
  /** Threads within one operator. */
  readonly threads: number;
  /** Threads wait for the next operator by spinning: faster by far alone, slower by half beside others. */
  readonly spin: boolean;
}

/** Most threads that one session gains from, unless a person says more: past it, memory is what decode waits for. */
export const SESSION_THREADS_MAX = 8;

/**
 * Threads of all runners together: what a person set, else the cores. Two threads of one core share what multiplies
 * matrices, so cores are counted where the system tells them apart.
 */
export function threadsInAll(machine: {
  /** What was set; undefined = nothing. */
  readonly asked: number | undefined;
  /** What this process may use at once. */
  readonly available: number;
  /** Cores of the whole machine. */
  readonly physical: number | undefined;
}): number {
  const { asked, available, physical } = machine;
  return Math.max(1, asked ?? Math.min(available, physical ?? available, SESSION_THREADS_MAX));
}

/**
 * A runner that is alone gets all threads. Beside busy ones it gets an equal share, or what they leave where that is
 * more; idle ones cost nothing, since their threads sleep. Threads spin only where no other runner is loaded: two
 * sessions of two threads on two cores gave 51 tokens/s spinning and 75 without.
 */
export function planThreads(total: number, others: readonly RunnerThreads[]): ThreadPlan {
  const busy = others.filter((runner) => runner.busy);
  const taken = busy.reduce((sum, { threads }) => sum + threads, 0);
  const share = Math.floor(total / (busy.length + 1));
  return { threads: Math.max(1, share, total - taken), spin: others.length === 0 };
}
