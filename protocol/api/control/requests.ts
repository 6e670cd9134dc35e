// Requests of the last minutes: what became of each, which way it took, and what had been predicted.
import { z } from 'zod';
import { Plan } from './plans.ts';

/** Requests that one answer lists at most: more than a node keeps. */
export const REQUESTS_LISTED = { usual: 100, max: 1_000 } as const;

const LIMIT_TEXT = `must be an integer from 1 to ${REQUESTS_LISTED.max}`;

/** The query of `GET /api/v1/requests`. */
export const RequestsQuery = z.strictObject({
  limit: z.coerce.number(LIMIT_TEXT).int(LIMIT_TEXT).min(1, LIMIT_TEXT).max(REQUESTS_LISTED.max, LIMIT_TEXT).optional(),
});
export type RequestsQuery = z.infer<typeof RequestsQuery>;

const RequestSummary = z.object({
  requestId: z.string(),
  /** 32 hex digits, as in W3C Trace Context. */
  traceId: z.string(),
  name: z.string(),
  /** Node id of the peer that asked; absent for a client of this node's API. */
  caller: z.string().optional(),
  model: z.string().optional(),
  startedAtMs: z.number(),
  durationMs: z.number(),
  status: z.enum(['running', 'ok', 'error', 'cancelled']),
  code: z.string().optional(),
  promptTokens: z.number().optional(),
  completionTokens: z.number().optional(),
  /** Until the first token. */
  ttftMs: z.number().optional(),
});

/** `GET /api/v1/requests`: newest first. */
export const RequestsAnswer = z.object({
  requests: z.array(
    RequestSummary.extend({
      /** Of the last plan. */
      plan: z.string().optional(),
      nodes: z.array(z.string()),
      predictedMs: z.number().optional(),
      /** Attempts that failed, and were taken up elsewhere. */
      failures: z.number(),
    }),
  ),
});
export type RequestsAnswer = z.infer<typeof RequestsAnswer>;

/** `GET /api/v1/requests/{id}`: times in milliseconds since the request began. */
export const RequestAnswer = RequestSummary.extend({
  spans: z.array(
    z.object({
      name: z.enum(['prepare', 'up', 'acknowledge', 'queue', 'load', 'compute', 'down']),
      node: z.string(),
      startMs: z.number(),
      durationMs: z.number(),
      predictedMs: z.number().optional(),
      /** Of `up` to a node that has a part of a graph: what left this node for it; of `down` what came back as blocks. */
      tensors: z.array(z.object({ name: z.string(), bytes: z.number(), error: z.number().optional() })).optional(),
    }),
  ),
  /** Every plan that was tried, in order. */
  plans: z.array(Plan),
  failures: z.array(z.object({ node: z.string(), code: z.string(), atMs: z.number() })),
});
export type RequestAnswer = z.infer<typeof RequestAnswer>;
