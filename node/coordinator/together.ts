// The parts of one request, a few at a time: the texts of an embedding, the choices of an answer.
import { toAbortError } from '../core/calls.ts';

/**
 * Does the work for every item. The first failure ends the others, and is what this rejects with.
 * @param inFlightMax how many are under way at once
 * @param work gets a signal that aborts with the caller's, and when another part fails
 * @returns results in the order of the items
 */
export async function together<T, R>(
  items: readonly T[],
  inFlightMax: number,
  signal: AbortSignal,
  work: (item: T, index: number, signal: AbortSignal) => Promise<R>,
): Promise<readonly R[]> {
  if (signal.aborted) throw toAbortError(signal);
  // Most requests have one part, and short ones feel what is put around it.
  if (items.length === 1) return [await work(items[0] as T, 0, signal)];
  const controller = new AbortController();
  const follow = (): void => controller.abort(signal.reason);
  signal.addEventListener('abort', follow, { once: true });
  const results: R[] = [];
  const waiting = items.entries();
  const worker = async (): Promise<void> => {
    // Workers share one iterator: each takes the next item that nobody has.
    for (const [index, item] of waiting) {
      if (controller.signal.aborted) throw toAbortError(controller.signal);
      results[index] = await work(item, index, controller.signal);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(inFlightMax, items.length) }, worker));
    return results;
  } catch (error) {
    controller.abort(error);
    throw error;
  } finally {
    signal.removeEventListener('abort', follow);
  }
}
