// Running a node: its log, its settings, its health, its key, its end.
import { z } from 'zod';

/** Lines that one answer of the log holds. */
export const LOG_LINES_LISTED = { usual: 200, max: 2_000 } as const;

const LIMIT_TEXT = `must be an integer from 1 to ${LOG_LINES_LISTED.max}`;

const LogLevel = z.enum(['debug', 'info', 'warn', 'error'], 'must be "debug", "info", "warn" or "error"');

/** The query of `GET /api/v1/logs`: lines at this level and above. */
export const LogsQuery = z.strictObject({
  level: LogLevel.optional(),
  limit: z.coerce
    .number(LIMIT_TEXT)
    .int(LIMIT_TEXT)
    .min(1, LIMIT_TEXT)
    .max(LOG_LINES_LISTED.max, LIMIT_TEXT)
    .optional(),
});
export type LogsQuery = z.infer<typeof LogsQuery>;

/** One line of the log. */
export const LogLine = z.object({
  atMs: z.number(),
  level: LogLevel,
  message: z.string(),
  fields: z.record(z.string(), z.unknown()),
});

/** `GET /api/v1/logs`: the last lines, oldest first. */
export const LogsAnswer = z.object({ lines: z.array(LogLine) });
export type LogsAnswer = z.infer<typeof LogsAnswer>;

/** `GET` and `POST /api/v1/sharing`: whether the owner wants anything done here for other members. */
export const SharingAnswer = z.object({
  paused: z.boolean(),
  /** It computes for other members: not paused, and the setting `lend` allows it. */
  lends: z.boolean(),
});
export type SharingAnswer = z.infer<typeof SharingAnswer>;

/** `POST /api/v1/sharing`. */
export const SharingRequest = z.strictObject({ paused: z.boolean('must be true or false') });
export type SharingRequest = z.infer<typeof SharingRequest>;

/** `GET /api/v1/config`: every setting, its value, and where that came from. */
export const ConfigAnswer = z.object({
  /** Of the settings. */
  file: z.string(),
  /** What is wrong with the file; the node keeps the values that it had. */
  problem: z.string().optional(),
  settings: z.array(
    z.object({
      name: z.string(),
      /** The API key is never shown. */
      value: z.unknown(),
      source: z.enum(['flag', 'environment', 'file', 'default']),
      flag: z.string(),
      env: z.string(),
      expected: z.string(),
      /** What the file says now, where that differs and is taken over at the next start. */
      pending: z.unknown().optional(),
      /** A change in the file is taken over by a running node. */
      live: z.boolean(),
      /** Only the node's own API changes it, never another node's. Left out for all others. */
      local: z.literal(true).optional(),
    }),
  ),
});
export type ConfigAnswer = z.infer<typeof ConfigAnswer>;

/** `PATCH /api/v1/config`: settings by name; null takes one out of the file. The answer is that of `GET`. */
export const ConfigRequest = z.record(z.string(), z.unknown(), 'must be an object of settings');
export type ConfigRequest = z.infer<typeof ConfigRequest>;

/** `GET /api/v1/doctor`: layer by layer. May take 20 seconds. */
export const DoctorAnswer = z.object({
  ok: z.boolean(),
  checks: z.array(
    z.object({
      layer: z.string(),
      name: z.string(),
      status: z.enum(['ok', 'warning', 'failed', 'skipped']),
      detail: z.string(),
      remedy: z.string().optional(),
    }),
  ),
});
export type DoctorAnswer = z.infer<typeof DoctorAnswer>;

/** `POST /api/v1/key`, `/stop` and `/restart` take nothing: an empty object. */
export const EmptyRequest = z.strictObject({});
export type EmptyRequest = z.infer<typeof EmptyRequest>;

/** The answer of `POST /api/v1/key`: the new key, for every request from now on. */
export const KeyAnswer = z.object({ key: z.string() });
export type KeyAnswer = z.infer<typeof KeyAnswer>;

/** The answer of `POST /api/v1/stop`; the node ends once it has gone out. */
export const StopAnswer = z.object({ stopping: z.literal(true) });
export type StopAnswer = z.infer<typeof StopAnswer>;

/** The answer of `POST /api/v1/restart`; once it has gone out, the node ends and begins anew. */
export const RestartAnswer = z.object({ restarting: z.literal(true) });
export type RestartAnswer = z.infer<typeof RestartAnswer>;
