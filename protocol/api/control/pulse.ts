// How a node is doing, moment by moment: the event `pulse`, and the pulses of the last hour.
import { z } from 'zod';

/** Minutes of the history that one answer holds. */
export const HISTORY_MINUTES = { usual: 60, max: 60 } as const;

const MINUTES_TEXT = `must be an integer from 1 to ${HISTORY_MINUTES.max}`;

/** One beat of a node: itself, and its peers in reach as it sees them. */
export const Pulse = z.object({
  /** Milliseconds since 1970. */
  atMs: z.number(),
  self: z.object({
    /** Of the node's own clients. */
    requestsInFlight: z.number(),
    queuedMs: z.number(),
    memoryFreeBytes: z.number(),
    /** That loaded models take. */
    memoryUsedBytes: z.number(),
    /** That the node's own text generators make, together. */
    tokensPerSecond: z.number(),
    /** Of the requests of its clients that ended well in the last minute; left out where there were none. */
    ttftMsP50: z.number().optional(),
    ttftMsP95: z.number().optional(),
    durationMsP50: z.number().optional(),
    durationMsP95: z.number().optional(),
    /** Requests of its clients that ended since the last pulse, computed on this node alone. */
    local: z.number(),
    /** The same, with other nodes. */
    remote: z.number(),
  }),
  peers: z.array(
    z.object({
      node: z.string(),
      rttMs: z.number().optional(),
      goodputBytesPerSecond: z.number().optional(),
      load: z
        .object({
          requestsInFlight: z.number(),
          queuedMs: z.number(),
          latencyMs: z.number(),
          memoryFreeBytes: z.number(),
        })
        .optional(),
    }),
  ),
});
export type Pulse = z.infer<typeof Pulse>;

/** The query of `GET /api/v1/history`. */
export const HistoryQuery = z.strictObject({
  /** Only the last ones. @default an hour */
  minutes: z.coerce
    .number(MINUTES_TEXT)
    .int(MINUTES_TEXT)
    .min(1, MINUTES_TEXT)
    .max(HISTORY_MINUTES.max, MINUTES_TEXT)
    .optional(),
});
export type HistoryQuery = z.infer<typeof HistoryQuery>;

/** `GET /api/v1/history`: oldest first. */
export const HistoryAnswer = z.object({
  /** Between two pulses. */
  stepMs: z.number(),
  pulses: z.array(Pulse),
});
export type HistoryAnswer = z.infer<typeof HistoryAnswer>;
