import { describe, expect, it } from 'vitest';
import { LiveLines } from '../../../node/cli/live-lines.ts';
import type { ViewLine } from '../../../node/cli/transfer-view.ts';
import { recordedContext } from './fake-daemon.ts';

const plain = (...texts: string[]): ViewLine[] => texts.map((text) => ({ text, tone: 'plain' }));

/** What stands on a terminal of so many columns after these bytes; rows that were cleared are gone. */
function screenAfter(bytes: string, columns: number): string[] {
  const rows: string[][] = [[]];
  let row = 0;
  let column = 0;
  for (const [token, up] of bytes.matchAll(/\p{Cc}\[(\d*)[A-Z]|[\s\S]/gu)) {
    if (token.endsWith('A') && token.length > 1) row -= Number(up);
    else if (token === '\u{1b}[J') {
      rows.length = row + 1;
      rows[row]?.splice(column);
    } else if (token === '\r') column = 0;
    else if (token === '\n') {
      row += 1;
      column = 0;
    } else if (token.length === 1) {
      if (column === columns) {
        row += 1;
        column = 0;
      }
      rows[row] ??= [];
      (rows[row] as string[])[column] = token;
      column += 1;
    }
    rows[row] ??= [];
  }
  return rows.map((cells) => cells.join(''));
}

function opened(columns: number) {
  const context = recordedContext();
  const output = Object.assign(context.stderr, { columns });
  return { lines: new LiveLines(output), output, screen: () => screenAfter(context.err(), output.columns) };
}

describe('LiveLines', () => {
  it('changes its lines in place, however many there were', () => {
    const { lines, screen } = opened(40);
    lines.draw(plain('a', 'b', 'c'));
    lines.draw(plain('d'));
    lines.draw(plain('e', 'f'));
    expect(screen()).toEqual(['e', 'f']);
  });

  it('prints what stays above, and takes the rest away at the end', () => {
    const { lines, screen } = opened(40);
    lines.draw(plain('a', 'b'));
    lines.draw(plain('c', 'd'), ['chosen']);
    expect(screen()).toEqual(['chosen', 'c', 'd']);
    lines.end();
    lines.end();
    expect(screen()).toEqual(['chosen', '']);
  });

  it('finds its first line again in a window that has shrunk', () => {
    const { lines, output, screen } = opened(40);
    lines.draw(plain('x'.repeat(30), 'y'));
    // The terminal breaks the long line into three.
    Object.assign(output, { columns: 10 });
    lines.draw(plain('z'));
    expect(screen()).toEqual(['z']);
  });

  it('uses one column less than the window has', () => {
    expect(opened(40).lines.columns).toBe(39);
    expect(opened(0).lines.columns).toBe(79);
    expect(opened(1).lines.columns).toBe(1);
  });
});
