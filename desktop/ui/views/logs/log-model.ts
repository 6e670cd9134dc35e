// Lines of a log as they are kept, joined, filtered and written out. Pure and bounded.
import type { LogsAnswer } from '../../../../protocol/api/control.ts';

export type LogLine = LogsAnswer['lines'][number];
export type Level = LogLine['level'];

export const LEVELS: readonly Level[] = ['debug', 'info', 'warn', 'error'];

/** Lines that a page keeps: some tens of megabytes at most. */
export const LINES_MAX = 20_000;

/** A line with what stays its own while others come and go. */
export interface KeptLine extends LogLine {
  readonly key: number;
}

export interface KeptLog {
  readonly lines: readonly KeptLine[];
  readonly nextKey: number;
  /** Lines that were let go for want of room. */
  readonly dropped: number;
}

export const EMPTY_LOG: KeptLog = { lines: [], nextKey: 0, dropped: 0 };

/** Adds lines in the order of time. What is told again, after a break or by reading what came by events too, is passed over. */
export function append(log: KeptLog, lines: readonly LogLine[], max = LINES_MAX): KeptLog {
  const fresh = unseen(log.lines, lines);
  if (fresh.length === 0) return log;
  let { nextKey } = log;
  const all = [...log.lines, ...fresh.map((line): KeptLine => ({ ...line, key: nextKey++ }))];
  // Lines from before the first event are read while events come already.
  if ((fresh[0]?.atMs ?? 0) < (log.lines.at(-1)?.atMs ?? 0)) all.sort((one, other) => one.atMs - other.atMs);
  const excess = Math.max(0, all.length - max);
  return { lines: excess === 0 ? all : all.slice(excess), nextKey, dropped: log.dropped + excess };
}

/** Lines that are not among the last ones that are kept. Each counts as often as it was written. */
function unseen(kept: readonly KeptLine[], lines: readonly LogLine[]): readonly LogLine[] {
  const firstMs = lines.reduce((least, { atMs }) => Math.min(least, atMs), Number.POSITIVE_INFINITY);
  const known = new Map<string, number>();
  for (let at = kept.length - 1; at >= 0; at -= 1) {
    const line = kept[at];
    if (line === undefined || line.atMs < firstMs - OUT_OF_ORDER_MS) break;
    const key = identity(line);
    known.set(key, (known.get(key) ?? 0) + 1);
  }
  return lines.filter((line) => {
    const key = identity(line);
    const times = known.get(key) ?? 0;
    if (times > 0) known.set(key, times - 1);
    return times === 0;
  });
}

/** Clocks of a machine may be set back by a little. */
const OUT_OF_ORDER_MS = 2_000;

const identity = ({ atMs, level, message, fields }: LogLine): string =>
  `${atMs}\n${level}\n${message}\n${JSON.stringify(fields)}`;

export interface Wanted {
  readonly level: Level;
  readonly words: string;
}

/** Lines at this level and above in which every word is found, in message or fields. */
export function filterLines<Line extends LogLine>(lines: readonly Line[], { level, words }: Wanted): readonly Line[] {
  const from = LEVELS.indexOf(level);
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  if (from === 0 && wanted.length === 0) return lines;
  return lines.filter((line) => {
    if (LEVELS.indexOf(line.level) < from) return false;
    if (wanted.length === 0) return true;
    const text = searchText(line);
    return wanted.every((word) => text.includes(word));
  });
}

const searched = new WeakMap<LogLine, string>();

/** Made once for each line: typing in the filter looks through all of them. */
function searchText(line: LogLine): string {
  const before = searched.get(line);
  if (before !== undefined) return before;
  const text = `${line.message} ${fieldsText(line)}`.toLowerCase();
  searched.set(line, text);
  return text;
}

/** `key=value` for each field. */
export const fieldsText = ({ fields }: LogLine): string =>
  Object.entries(fields)
    .map(([key, value]) => `${key}=${valueText(value)}`)
    .join(' ');

export const valueText = (value: unknown): string =>
  typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));

/**
 * Any text, so that all of it is seen and none of it acts: control characters, overrides of the writing direction and other invisible
 * characters become their numbers, line ends and tabs their signs.
 */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (character) => {
    if (character === '\n') return '↵';
    if (character === '\t') return '→';
    const code = character.codePointAt(0) ?? 0;
    return `⟨U+${code.toString(16).toUpperCase().padStart(4, '0')}⟩`;
  });
}

/** A line as one copies it: time, level, message, fields, in one line. */
export function lineText(line: LogLine): string {
  const fields = fieldsText(line);
  const { atMs, level, message } = line;
  return visible(`${new Date(atMs).toISOString()} ${level.padEnd(5)} ${message}${fields === '' ? '' : ` ${fields}`}`);
}

/** Time of day to the millisecond: lines of one second are told apart. */
export function timeText(atMs: number): string {
  const at = new Date(atMs);
  return `${at.toLocaleTimeString('en-GB')}.${String(at.getMilliseconds()).padStart(3, '0')}`;
}
