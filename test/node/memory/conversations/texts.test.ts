// Titles, searches and the text around what was found.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { INDEXED_LENGTH_MAX, SNIPPET_LENGTH, TITLE_LENGTH } from '../../../../node/memory/conversations/limits.ts';
import { indexed, matchOf, snippetOf } from '../../../../node/memory/conversations/search.ts';
import { titleOf } from '../../../../node/memory/conversations/title.ts';
import { openConversations } from './support.ts';

describe('a title', () => {
  it.each([
    ['Hello', 'Hello'],
    ['\n\n  ## What is   Weft?\nTell me.', 'What is Weft?'],
    ['```ts\nconst a = 1;\n```', 'const a = 1;'],
    ['- one\n- two', 'one'],
    ['', ''],
    [' \n\t', ''],
    ['Name\u202egnp.exe\u0000', 'Name gnp.exe'],
    [
      'Please explain the difference between a mutex and a semaphore in detail',
      'Please explain the difference between a mutex and a…',
    ],
    ['a'.repeat(100), `${'a'.repeat(59)}…`],
    ['😀'.repeat(100), `${'😀'.repeat(59)}…`],
  ])('of %j is %j', (text, title) => {
    expect(titleOf(text)).toBe(title);
  });

  it('is never long, and of one line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
        const title = titleOf(text);
        expect([...title].length).toBeLessThanOrEqual(TITLE_LENGTH);
        expect(title).not.toMatch(/[\n\r\p{Cc}]/u);
        expect(title.isWellFormed()).toBe(true);
      }),
    );
  });
});

describe('a search', () => {
  it('is words in quotation marks, and never a language', () => {
    expect(matchOf('quant mod')).toBe('"quant"* "mod"*');
    expect(matchOf('a "b" OR c* NEAR(d) ^e title:f')).toBe('"a" "b" "OR"* "c" "NEAR"* "d" "e" "title"*');
    expect(matchOf('東京x')).toBe('"東  京 x"');
    expect(matchOf('"*()')).toBeUndefined();
  });

  it('is understood by the index whatever is typed', () => {
    const { conversations } = openConversations();
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (search) => {
        expect(conversations.list({ search, limit: 5 }).conversations).toEqual([]);
      }),
    );
  });

  it('looks at the beginning of long texts', () => {
    expect(indexed('x'.repeat(INDEXED_LENGTH_MAX + 5))).toHaveLength(INDEXED_LENGTH_MAX);
  });
});

describe('a snippet', () => {
  const long = `${'before '.repeat(100)}the Zebra runs${' after'.repeat(100)}`;

  it('has the word that was found, and marks what is missing', () => {
    const snippet = snippetOf(long, 'zebra');
    expect(snippet).toMatch(/^….*the Zebra runs.*…$/);
    expect(snippet.length).toBeLessThanOrEqual(SNIPPET_LENGTH + 2);
  });

  it('is on one line, and begins at a word with the term', () => {
    expect(snippetOf('An art\nis a part.', 'art')).toBe('An art is a part.');
    expect(snippetOf(`${'part '.repeat(100)}art`, 'art')).toMatch(/ art$/);
  });

  it('is the beginning where only the index knows the word', () => {
    expect(snippetOf('Zürich is a town.', 'zurich')).toBe('Zürich is a town.');
  });
});
