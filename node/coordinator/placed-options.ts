// What dispatch is told of a request, or of a part of it, when it is placed. Used by every task.
import type { RequestOptions } from '../core/coordinator.ts';
import type { PlacedOptions } from '../core/dispatcher.ts';

/**
 * Options of a placement that begins now: of the request's deadline, what is left by now.
 * @param part what is its own where a request is sent in several parts
 */
export function placedOptions(
  { signal, requestId, trace, priority, leftMs, cut, rawLocal }: RequestOptions,
  part: Pick<PlacedOptions, 'onPlan' | 'onProgress'> & Partial<Pick<PlacedOptions, 'signal' | 'requestId'>> = {},
): PlacedOptions {
  return {
    signal,
    requestId,
    ...(trace !== undefined && { trace }),
    ...(priority !== undefined && { priority }),
    ...(cut !== undefined && { cut }),
    ...(rawLocal !== undefined && { rawLocal }),
    // One whose time has run out is on its way to be ended: dispatch shall see no less than an instant.
    ...(leftMs !== undefined && { deadlineMs: Math.max(1, leftMs()) }),
    ...part,
  };
}
