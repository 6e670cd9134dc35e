// Text of others (a peer's name, a feed's version, a page's notice) on its way into the system's own windows.
import { SHOWN_TEXT_LENGTH_MAX } from './limits.ts';

/** Control characters, and those that turn the direction of what follows or hide: none of them belongs on a label. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+/g;

/** One line without tricks, cut to what a label can show. */
export function shownText(text: string): string {
  const line = text.replaceAll(HIDDEN, ' ').replaceAll(/ {2,}/g, ' ').trim();
  return line.length <= SHOWN_TEXT_LENGTH_MAX ? line : `${line.slice(0, SHOWN_TEXT_LENGTH_MAX - 1)}…`;
}
