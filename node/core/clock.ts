// Time and randomness as every layer gets them, so that the simulator can run the same code on its own.

/** A timer that can be stopped. Timers never keep the process alive by themselves. */
export interface Timer {
  cancel(): void;
  /** Keeps the process alive until the timer ends: for a wait that somebody awaits. A virtual clock has no need of it. */
  hold?(): void;
}

export interface Clock {
  /** Monotonic milliseconds; only differences mean anything. */
  now(): number;
  /** Milliseconds since 1970, as the machine's clock says: may jump. */
  wallNow(): number;
  /** Calls back once, after this many milliseconds. */
  after(ms: number, callback: () => void): Timer;
}

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Fresh, unpredictable bytes. */
  bytes(length: number): Uint8Array;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return { cancel: () => clearTimeout(timer), hold: () => void timer.ref() };
  },
};

/** Calls back again and again, this many milliseconds after the last time. */
export function every(clock: Clock, ms: number, callback: () => void): Timer {
  let timer: Timer;
  const again = (): void => {
    timer = clock.after(ms, () => {
      // First: the callback may end it.
      again();
      callback();
    });
  };
  again();
  return { cancel: () => timer.cancel() };
}

/** Resolves after this many milliseconds. @throws the signal's reason when it aborts first */
export function delay(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason);
    const timer = clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    timer.hold?.();
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
