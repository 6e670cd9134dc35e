// How soon an answer is wanted: the headers x-weft-deadline-ms and x-weft-priority, which every endpoint takes that runs
// models. Read by the gateway before anything else is done for the request.
import type { IncomingHttpHeaders } from 'node:http';
import { DEADLINE_HEADER, DEADLINE_MS_MAX, PRIORITIES, PRIORITY_HEADER } from '../../protocol/api/urgency.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { Priority } from '../core/engine.ts';

export interface Urgency {
  /** From the request's arrival to the end of its answer; the gateway's own bound on that holds all the same. @default none */
  readonly deadlineMs?: number;
  /** @default 'interactive' */
  readonly priority?: Priority;
}

/** @throws WeftError `bad_request`, with the name of the header */
export function urgencyOf(headers: IncomingHttpHeaders): Urgency {
  const { [DEADLINE_HEADER]: deadline, [PRIORITY_HEADER]: priority } = headers;
  return {
    ...(deadline === undefined ? {} : { deadlineMs: deadlineMs(String(deadline)) }),
    ...(priority === undefined ? {} : { priority: priorityOf(String(priority)) }),
  };
}

function deadlineMs(text: string): number {
  const ms = /^\d{1,8}$/.test(text) ? Number(text) : 0;
  if (ms >= 1 && ms <= DEADLINE_MS_MAX) return ms;
  throw invalid(DEADLINE_HEADER, `must be whole milliseconds from 1 to ${DEADLINE_MS_MAX} (24 hours)`);
}

function priorityOf(text: string): Priority {
  const priority = PRIORITIES.find((one) => one === text);
  if (priority !== undefined) return priority;
  throw invalid(PRIORITY_HEADER, `must be ${PRIORITIES.map((one) => `"${one}"`).join(' or ')}`);
}

function invalid(param: string, wanted: string): WeftError {
  return new WeftError({
    code: 'bad_request',
    message: `The header "${param}" ${wanted}.`,
    remedy: 'Correct the header, or leave it out.',
    facts: { param },
  });
}
