// Logging by pino: one JSON object a line, so that nothing in a name or an error's text can forge a line of its own.
// Made by the composition root.
import { type DestinationStream, pino, stdSerializers } from 'pino';
import type { Log } from '../core/log.ts';
import { LOG_DEPTH_MAX, LOG_WIDTH_MAX } from './limits.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface PinoLogInit {
  readonly level: LogLevel;
  /** Takes whole lines, such as process.stderr. */
  readonly destination: DestinationStream;
}

/** Fields that hold secrets by their name. No code logs them on purpose; a mistake shall not cost the key. */
const SECRET_FIELDS = ['apiKey', 'authorization', 'key', 'seed', 'secret', 'ticket', 'token'];

/** A log whose lines carry level, time (ISO 8601), the fields and `msg`. Errors under `err`, `error` or `cause` keep their stack. */
export function createPinoLog(init: PinoLogInit): Log {
  return pino(
    {
      level: init.level,
      // The process id and the machine's name say nothing on the machine itself.
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: stdSerializers.err, error: stdSerializers.err, cause: stdSerializers.err },
      redact: { paths: [...SECRET_FIELDS, ...SECRET_FIELDS.map((field) => `*.${field}`)], censor: '[redacted]' },
      depthLimit: LOG_DEPTH_MAX,
      edgeLimit: LOG_WIDTH_MAX,
    },
    init.destination,
  );
}
