// What of a text is searched, how a search is asked for, and the text around what was found. Words are found by their
// beginnings, whatever their case and accents; scripts that are written without spaces character by character.
import { INDEXED_LENGTH_MAX, SEARCH_TERMS_MAX, SNIPPET_LENGTH } from './limits.ts';

/** Characters of scripts that have no spaces between words. */
const UNSPACED = /[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Thai}\p{scx=Lao}\p{scx=Khmer}\p{scx=Myanmar}]/u;
const EACH_UNSPACED = new RegExp(UNSPACED.source, 'gu');

/** Letters, digits, and the marks that belong to them: what the index keeps of a text. */
const WORD = /[\p{L}\p{N}\p{M}]+/gu;

/** A text as the index gets it. */
export function indexed(text: string): string {
  return spaced(text.slice(0, INDEXED_LENGTH_MAX).toWellFormed());
}

/**
 * A search in the language of the index; undefined where there is no word in it. Nothing that was typed has a meaning of its
 * own there: every word stands in quotation marks.
 */
export function matchOf(search: string): string | undefined {
  const terms = termsOf(search).map((term) => {
    if (UNSPACED.test(term)) return `"${spaced(term).trim()}"`;
    // The beginnings of one character are as good as all words, and as many.
    return [...term].length > 1 ? `"${term}"*` : `"${term}"`;
  });
  return terms.length === 0 ? undefined : terms.join(' ');
}

/** The text around the first word of a search, on one line; its beginning where the index knows better than this. */
export function snippetOf(text: string, search: string): string {
  const head = text.slice(0, INDEXED_LENGTH_MAX);
  const lower = head.toLowerCase();
  const places = termsOf(search)
    .map((term) => placeOf(lower, term.toLowerCase()))
    .filter((place) => place >= 0);
  const found = places.length === 0 ? 0 : Math.min(...places);
  const from = Math.max(0, found - SNIPPET_LENGTH / 4);
  const line = head
    .slice(from, from + SNIPPET_LENGTH)
    .toWellFormed()
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim();
  return `${from > 0 ? '…' : ''}${line}${from + SNIPPET_LENGTH < text.length ? '…' : ''}`;
}

function termsOf(search: string): readonly string[] {
  const words = search.toWellFormed().normalize('NFC').match(WORD) ?? [];
  return words.filter((word) => /[\p{L}\p{N}]/u.test(word)).slice(0, SEARCH_TERMS_MAX);
}

/** Where a word begins with the term; scripts without spaces have words anywhere. */
function placeOf(text: string, term: string): number {
  if (UNSPACED.test(term)) return text.indexOf(term);
  for (let at = text.indexOf(term); at >= 0; at = text.indexOf(term, at + 1)) {
    if (at === 0 || !/[\p{L}\p{N}]/u.test(text.charAt(at - 1))) return at;
  }
  return -1;
}

const spaced = (text: string): string => text.replace(EACH_UNSPACED, ' $& ');
