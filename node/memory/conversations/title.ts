// Titles of conversations: as people give them, and of the first message where they don't.
import { TITLE_LENGTH } from './limits.ts';

/** Marks of Markdown at the beginning of a line. */
const MARKS = /^(?:[#>*\-+\s]|```\S*)+/u;

/** A title as it is kept: one line, without what can't be seen. */
export function cleanTitle(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\s\p{Cc}\p{Cf}]+/gu, ' ')
    .trim();
}

/** The first line that has words, cut at a word. Empty for a text without any. */
export function titleOf(text: string): string {
  for (const line of text.slice(0, TITLE_LENGTH * 20).split(/\r\n|[\r\n\u2028\u2029]/)) {
    const words = cleanTitle(line.replace(MARKS, ''));
    if (words !== '') return cut(words);
  }
  return '';
}

function cut(line: string): string {
  const characters = [...line];
  if (characters.length <= TITLE_LENGTH) return line;
  const head = characters.slice(0, TITLE_LENGTH - 1).join('');
  const space = head.lastIndexOf(' ');
  // A word that is longer than half of the title is cut in the middle.
  return `${(space > TITLE_LENGTH / 2 ? head.slice(0, space) : head).trimEnd()}…`;
}
