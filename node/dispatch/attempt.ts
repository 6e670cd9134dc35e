// Waiting that ends when the caller says so: an engine that doesn't hear its signal can't hold a request.
import type { WeftError } from '../../protocol/errors.ts';
import { toAbortError } from '../core/calls.ts';

/**
 * The work's outcome, or the signal's reason as soon as it aborts. What the work does after that is ignored.
 * @param start gets a signal of its own, that follows the given one; `abandon` aborts it for a reason of the caller's
 */
export function attempt<R>(
  signal: AbortSignal,
  start: (signal: AbortSignal, abandon: (reason: WeftError) => void) => Promise<R>,
): Promise<R> {
  const controller = new AbortController();
  return new Promise<R>((resolve, reject) => {
    const follow = (): void => abandon(toAbortError(signal));
    const abandon = (reason: WeftError): void => {
      signal.removeEventListener('abort', follow);
      // The reason first: what the engine rejects with on hearing its signal comes too late to count.
      reject(reason);
      controller.abort(reason);
    };
    if (signal.aborted) return follow();
    signal.addEventListener('abort', follow, { once: true });
    start(controller.signal, abandon)
      .finally(() => signal.removeEventListener('abort', follow))
      .then(resolve, (error: unknown) => {
        reject(error);
        // Whatever of it still runs has nobody to run for.
        controller.abort(error);
      });
  });
}
