// Logging as every layer sees it. Facts as fields, never payloads: no prompt, no key, no text of an answer.

/** Facts of one line. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** A log whose lines carry these fields as well. */
  child(fields: LogFields): Log;
}

/** Drops every line. */
export const silentLog: Log = {
  debug() {
    /* dropped */
  },
  info() {
    /* dropped */
  },
  warn() {
    /* dropped */
  },
  error() {
    /* dropped */
  },
  child: () => silentLog,
};
