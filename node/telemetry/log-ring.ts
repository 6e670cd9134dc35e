// The log's last lines, kept for `weft logs` and published for watchers, whatever is printed. Made by the composition
// root around the printed log; every layer gets `log`.
import type { Clock } from '../core/clock.ts';
import type { LogLine } from '../core/control.ts';
import type { Events } from '../core/events.ts';
import type { Log, LogFields } from '../core/log.ts';
import { LOG_BYTES_MAX, LOG_LINE_LENGTH_MAX, LOG_LINES_MAX } from './limits.ts';
import { createPinoLog, type LogLevel } from './pino-log.ts';

export interface LogRingComponents {
  readonly clock: Pick<Clock, 'wallNow'>;
  /** Where lines at the printed level and above go as well; a level of its own holds beside it. */
  readonly printed: Log;
  readonly events?: Pick<Events, 'publish'>;
}

export interface LogRingInit {
  /** What is printed. Kept is everything at `info` and above, or at this level where that is more. */
  readonly level: LogLevel;
  /** @default LOG_LINES_MAX */
  readonly linesMax?: number;
  /** Of the lines as JSON. @default LOG_BYTES_MAX */
  readonly bytesMax?: number;
}

type Level = LogLine['level'];

const LEVELS: readonly Level[] = ['debug', 'info', 'warn', 'error'];

export class LogRing {
  /** Keeps and prints. */
  readonly log: Log;
  readonly #components: LogRingComponents;
  readonly #linesMax: number;
  readonly #bytesMax: number;
  /** Positions in LEVELS; one past the end = none. */
  #printedFrom = 0;
  #keptFrom = 0;
  /** Oldest first. */
  readonly #lines: { readonly line: LogLine; readonly bytes: number }[] = [];
  #bytes = 0;
  /** What the writer wrote last: it writes at once, and never twice. */
  #written = '';

  constructor(components: LogRingComponents, init: LogRingInit) {
    this.#components = components;
    this.#linesMax = init.linesMax ?? LOG_LINES_MAX;
    this.#bytesMax = init.bytesMax ?? LOG_BYTES_MAX;
    this.setLevel(init.level);
    // Lines are kept as they would be printed: secrets left out, errors written out, depth and width bounded.
    const destination = {
      write: (text: string): void => {
        this.#written = text;
      },
    };
    this.log = this.#logOver(components.printed, createPinoLog({ level: 'debug', destination }));
  }

  /** What is printed from now on, by every log that was made from this one. */
  setLevel(level: LogLevel): void {
    this.#printedFrom = level === 'silent' ? LEVELS.length : LEVELS.indexOf(level);
    this.#keptFrom = Math.min(this.#printedFrom, LEVELS.indexOf('info'));
  }

  /** The last lines, oldest first. */
  lines(filter: { readonly level?: Level; readonly limit: number }): readonly LogLine[] {
    const from = LEVELS.indexOf(filter.level ?? 'debug');
    const lines = this.#lines.filter(({ line }) => LEVELS.indexOf(line.level) >= from);
    return lines.slice(Math.max(0, lines.length - filter.limit)).map(({ line }) => line);
  }

  #logOver(printed: Log, writer: Log): Log {
    const at = (level: Level) => {
      const weight = LEVELS.indexOf(level);
      return (fields: LogFields, message: string): void => {
        if (weight >= this.#printedFrom) printed[level](fields, message);
        if (weight < this.#keptFrom) return;
        writer[level](fields, message);
        this.#keep(level, message);
      };
    };
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: (fields) => this.#logOver(printed.child(fields), writer.child(fields)),
    };
  }

  #keep(level: Level, message: string): void {
    const bytes = Math.min(Buffer.byteLength(this.#written), LOG_LINE_LENGTH_MAX);
    const line: LogLine = {
      atMs: this.#components.clock.wallNow(),
      level,
      message: message.slice(0, LOG_LINE_LENGTH_MAX).toWellFormed(),
      fields: fieldsOf(this.#written),
    };
    this.#lines.push({ line, bytes });
    this.#bytes += bytes;
    while (this.#lines.length > this.#linesMax || this.#bytes > this.#bytesMax) {
      this.#bytes -= this.#lines.shift()?.bytes ?? 0;
    }
    this.#components.events?.publish('log', line);
  }
}

/** Facts of a line as it was written. */
function fieldsOf(written: string): LogLine['fields'] {
  if (written.length > LOG_LINE_LENGTH_MAX) return { truncated: true };
  const { level: _level, time: _time, msg: _msg, ...fields } = JSON.parse(written) as Record<string, unknown>;
  return fields;
}
