// Cuts Markdown into its outermost blocks, so that of a long answer that is still being written only the last one is rendered again.
// Pure. Where a cut could change what is meant (definitions that hold for the whole text), there is none.

/** The blocks in order; joined by blank lines they are the text. */
export function blocksOf(text: string): readonly string[] {
  if (DEFINITION.test(text)) return [text];
  const blocks: string[] = [];
  let current: string[] = [];
  let fence: string | undefined;
  let blank = false;
  for (const line of text.split('\n')) {
    if (fence === undefined && line.trim() === '') {
      blank = true;
      if (current.length > 0) current.push(line);
      continue;
    }
    if (blank && fence === undefined && current.length > 0 && !goesOn(current[0] ?? '', line)) {
      blocks.push(joined(current));
      current = [];
    }
    blank = false;
    current.push(line);
    const [, mark = ''] = FENCE.exec(line) ?? [];
    if (fence === undefined && mark !== '') fence = mark;
    else if (fence !== undefined && mark[0] === fence[0] && mark.length >= fence.length && line.trim() === mark) {
      fence = undefined;
    }
  }
  if (current.length > 0) blocks.push(fence === undefined ? joined(current) : current.join('\n'));
  return blocks;
}

/** Of a block that is nothing but code which has not been closed yet: its language and what there is of it. */
export function openCodeOf(block: string): { readonly language: string; readonly code: string } | undefined {
  const [head, mark, language = ''] = /^(`{3,}|~{3,})[ \t]*([^\s`]*)[^\n`]*\n/.exec(block) ?? [];
  if (head === undefined || mark === undefined) return undefined;
  const code = block.slice(head.length);
  const closes = new RegExp(`^ {0,3}\\${mark[0]}{${mark.length},}[ \\t]*$`, 'm');
  return closes.test(code) ? undefined : { language, code };
}

/** Code in pieces of so many lines, each with its last newline: of a text that grows at its end all but the last stay the same. */
export function piecesOf(code: string, linesMax: number): readonly string[] {
  const pieces: string[] = [];
  let from = 0;
  let lines = 0;
  for (let at = code.indexOf('\n'); at !== -1; at = code.indexOf('\n', at + 1)) {
    lines += 1;
    if (lines < linesMax) continue;
    pieces.push(code.slice(from, at + 1));
    from = at + 1;
    lines = 0;
  }
  if (from < code.length || pieces.length === 0) pieces.push(code.slice(from));
  return pieces;
}

const FENCE = /^\s{0,12}(`{3,}|~{3,})/;

/** Links and footnotes that other places of the text name. */
const DEFINITION = /^ {0,3}\[[^\]\n]+\]:/m;

const LIST_ITEM = /^\s{0,3}(?:[-*+]|\d{1,9}[.)])(?:\s|$)/;

/** A line behind a blank one belongs to the block before: it is indented, or the next item of its list. */
const goesOn = (first: string, line: string): boolean =>
  LIST_ITEM.test(first)
    ? /^\s/.test(line) || LIST_ITEM.test(line)
    : /^(?: {4}|\t)/.test(first) && /^(?: {4}|\t)/.test(line);

/** Without the blank lines at the end. */
function joined(lines: readonly string[]): string {
  let end = lines.length;
  while (end > 0 && lines[end - 1]?.trim() === '') end -= 1;
  return lines.slice(0, end).join('\n');
}
