// Where the daemon's log lines go: JSON as it is for files and services, one readable line each at a terminal.
import type { Output } from './context.ts';
import { printable } from './format.ts';
import { dimLine } from './style.ts';

/** What a logger writes whole lines to. */
export interface LineSink {
  write(line: string): void;
}

/** Lines of JSON to stderr, made readable where a person reads them. */
export function logLines(stderr: Output): LineSink {
  return { write: (line) => void stderr.write(stderr.isTTY ? dimLine(stderr, readable(line)) : line) };
}

/** `09:15:02 warn  a peer went away  node=… reason=…` */
function readable(line: string): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const facts = Object.entries(fields).map(([name, value]) => `${name}=${describe(value)}`);
  const clock = String(time).slice(11, 19);
  return printable([clock, String(level).padEnd(5), String(msg ?? ''), ...facts].join('  '));
}

/** Errors by their message; the JSON form has their stack. */
function describe(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && value !== null && 'message' in value) return String(value.message);
  return JSON.stringify(value);
}
