// How far a batch is, and who does it: lines that change at a terminal. Pure; for `weft embed`.
import { printable } from './format.ts';
import { SOURCES_SHOWN_MAX } from './limits.ts';
import type { NameOf } from './node-names.ts';
import { barLine } from './progress-bar.ts';
import { fitText, textWidth } from './text-width.ts';
import type { ViewLine } from './transfer-view.ts';

export interface BatchState {
  readonly done: number;
  readonly total: number;
  /** Ids of the nodes that work on it. */
  readonly nodes: readonly string[];
  /** What each has done; undefined where that isn't known of all that is done. */
  readonly byNode: ReadonlyMap<string, number> | undefined;
}

/** The bar, and below it the nodes: each with what it has done, or their names alone. Each line fits the columns. */
export function batchWindow(
  { done, total, nodes, byNode }: BatchState,
  { columns, nameOf }: { readonly columns: number; readonly nameOf: NameOf },
): readonly ViewLine[] {
  const percent = Math.min(100, Math.max(0, Math.floor((100 * done) / Math.max(1, total))));
  const bar: ViewLine = { text: barLine(percent, [`${done} of ${total} texts`], columns), tone: 'plain' };
  const below = byNode === undefined || byNode.size === 0 ? namesLine(nodes, nameOf) : countLines(byNode, nameOf);
  return [bar, ...below.map((text): ViewLine => ({ text, tone: 'dim' }))].map(({ text, tone }) => ({
    text: fitText(text, columns),
    tone,
  }));
}

function namesLine(nodes: readonly string[], nameOf: NameOf): string[] {
  return nodes.length === 0 ? [] : [printable(`  on ${nodes.map(nameOf).join(', ')}`)];
}

/** Those that have done most first. */
function countLines(byNode: ReadonlyMap<string, number>, nameOf: NameOf): string[] {
  const all = [...byNode]
    .toSorted(([, a], [, b]) => b - a)
    .map(([node, done]) => ({ name: printable(nameOf(node)), done: String(done) }));
  const shown = all.length <= SOURCES_SHOWN_MAX ? all : all.slice(0, SOURCES_SHOWN_MAX - 1);
  const nameWidth = Math.max(...shown.map(({ name }) => textWidth(name)));
  const doneWidth = Math.max(...shown.map(({ done }) => done.length));
  const lines = shown.map(
    ({ name, done }) => `  ${name}${' '.repeat(nameWidth - textWidth(name))}  ${done.padStart(doneWidth)}`,
  );
  return all.length === shown.length ? lines : [...lines, `  … ${all.length - shown.length} more`];
}
