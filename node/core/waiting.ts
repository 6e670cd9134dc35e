// Waiting: for work that others wait for too, where one who gives up leaves and the work goes on; and for the event loop.
import { toAbortError } from './calls.ts';

/** The promise's outcome. @throws WeftError the signal's reason, as soon as it aborts */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(toAbortError(signal));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.finally(() => signal.removeEventListener('abort', onAbort)).then(resolve, reject);
  });
}

/** Gives the event loop a turn. */
export function untilNextLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
