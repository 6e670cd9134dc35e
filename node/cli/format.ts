// Turns readings into short text for people: tables, sizes, times. Pure; used by every command that prints.
import { printable, printableLines } from './printable.ts';
import { textWidth } from './text-width.ts';

export { printable, printableLines };

/** A column of {@link table}. */
export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  /** @default 'left' */
  readonly align?: 'left' | 'right';
}

/**
 * Rows in aligned columns, the titles above; every line ends in a line feed. Control characters in values are replaced,
 * since names come from other machines.
 */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const lines = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ value }) => printable(value(row)))),
  ];
  const widths = columns.map((_, at) => lines.reduce((most, line) => Math.max(most, textWidth(line[at] ?? '')), 0));
  const aligned = lines.map((line) =>
    line
      .map((cell, at) => {
        const padding = ' '.repeat((widths[at] ?? 0) - textWidth(cell));
        return columns[at]?.align === 'right' ? padding + cell : cell + padding;
      })
      .join('  ')
      .trimEnd(),
  );
  return `${aligned.join('\n')}\n`;
}

/** Facts about one thing: a label and a value a line. Control characters in values are replaced. */
export function factSheet(facts: readonly (readonly [label: string, value: string])[]): string {
  const width = facts.reduce((most, [label]) => Math.max(most, label.length), 0) + 2;
  return facts.map(([label, value]) => `${label.padEnd(width)}${printable(value)}\n`).join('');
}

/** True for a name that every shell takes as one word that means nothing else. */
export function isPlainWord(text: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_.,:/@+-]*$/.test(text);
}

/** A path or a name as one would type it: in quotation marks where a shell would take it for more than one word. */
export function asArgument(text: string): string {
  return isPlainWord(text.replace(/^[/~]/, '')) ? text : `"${printable(text)}"`;
}

/** Bytes with a decimal unit: `23.4 MB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** Milliseconds in the unit that reads best: `0.42 ms`, `17 ms`, `2.1 s`, `4 m 10 s`, `24 h`. */
export function formatMs(ms: number): string {
  if (ms === 0) return '0 ms';
  if (ms < 9.995) return `${ms.toFixed(2)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return both(Math.floor(seconds / 60), 'm', seconds % 60, 's');
  const minutes = Math.round(seconds / 60);
  return both(Math.floor(minutes / 60), 'h', minutes % 60, 'm');
}

const both = (large: number, largeUnit: string, small: number, smallUnit: string): string =>
  small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;

/** The first digits of a node's id, enough to tell the nodes of one mesh apart. Ids end in what differs. */
export function shortNode(node: string): string {
  return node.length > 12 ? `…${node.slice(-8)}` : node;
}

/** A reading, or a dash where there is none. */
export function orDash<Value>(value: Value | undefined | null, format: (value: Value) => string): string {
  return value === undefined || value === null ? '-' : format(value);
}
