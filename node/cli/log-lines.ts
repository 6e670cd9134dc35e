// Log lines as they are printed: JSON as it is for files and services, one readable line each for people.
import type { LogsAnswer } from '../../protocol/api/control.ts';
import type { Output } from './context.ts';
import { printable } from './format.ts';
import { dimLine } from './style.ts';

export type LogLine = LogsAnswer['lines'][number];

/** What a logger writes whole lines to. */
export interface LineSink {
  write(line: string): void;
}

/** The daemon's own lines of JSON to stderr, made readable where a person reads them. */
export function logLines(stderr: Output): LineSink {
  return { write: (line) => void stderr.write(stderr.isTTY ? dimLine(stderr, readable(line)) : line) };
}

/**
 * `09:15:02 warn   a peer went away  node=… reason=…`, on one line and printable.
 * @param nowMs lines of another day (UTC) have their date before the time
 */
export function formatLogLine({ atMs, level, message, fields }: LogLine, nowMs: number): string {
  const time = new Date(atMs).toISOString();
  const isToday = time.slice(0, 10) === new Date(nowMs).toISOString().slice(0, 10);
  const clock = isToday ? time.slice(11, 19) : time.slice(0, 19).replace('T', ' ');
  return assemble(clock, level, message, fields);
}

function readable(line: string): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  return assemble(String(time).slice(11, 19), String(level), String(msg ?? ''), fields);
}

function assemble(clock: string, level: string, message: string, fields: Readonly<Record<string, unknown>>): string {
  const facts = Object.entries(fields).map(([name, value]) => `${name}=${describe(value)}`);
  return printable([clock, level.padEnd(5), message, ...facts].join('  '));
}

/** Errors by their message; the JSON form has their stack. */
function describe(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && value !== null && 'message' in value) return String(value.message);
  return JSON.stringify(value) ?? '-';
}
