// Ctrl-C and `kill`, as an AbortSignal. Used by main.ts alone.
import { SIGNAL_REPEAT_MS_MIN } from './limits.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Signal numbers, which POSIX fixes: a process that ends by one reports 128 + its number. */
const NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/** Where signals come from: the process, or a test's emitter. */
export interface SignalSource {
  on(event: (typeof SIGNALS)[number], listener: (signal: (typeof SIGNALS)[number]) => void): unknown;
  off(event: (typeof SIGNALS)[number], listener: (signal: (typeof SIGNALS)[number]) => void): unknown;
}

export interface SignalWatch extends Disposable {
  /** Aborts at the first signal; the reason is its exit code. */
  readonly signal: AbortSignal;
}

/**
 * Watches for signals. The first asks for an end in good order; one more, not at the same moment, forces it.
 * @param init.onForced is called with the exit code for an end at once
 * @param init.now milliseconds of a clock that never jumps
 */
export function watchSignals(init: {
  readonly source: SignalSource;
  readonly onForced: (exitCode: number) => void;
  readonly now: () => number;
}): SignalWatch {
  const controller = new AbortController();
  let firstAt = 0;
  const listener = (name: (typeof SIGNALS)[number]) => {
    const exitCode = 128 + NUMBERS[name];
    if (!controller.signal.aborted) {
      firstAt = init.now();
      controller.abort(exitCode);
    } else if (init.now() - firstAt >= SIGNAL_REPEAT_MS_MIN) {
      init.onForced(exitCode);
    }
  };
  for (const name of SIGNALS) init.source.on(name, listener);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const name of SIGNALS) init.source.off(name, listener);
    },
  };
}
