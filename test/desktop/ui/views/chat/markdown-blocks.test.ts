// A long answer is cut where Markdown itself would begin another block, and nowhere else.
import { describe, expect, test } from 'vitest';
import { blocksOf, openCodeOf, piecesOf } from '../../../../../desktop/ui/views/chat/markdown-blocks.ts';

describe('blocks', () => {
  test('are paragraphs, and what belongs together stays together', () => {
    expect(blocksOf('one\n\ntwo\ngoes on\n\n\nthree')).toEqual(['one', 'two\ngoes on', 'three']);
    expect(blocksOf('- a\n\n- b\n\n  more of b\n\nafter')).toEqual(['- a\n\n- b\n\n  more of b', 'after']);
    expect(blocksOf('1. a\n\n2. b')).toEqual(['1. a\n\n2. b']);
  });

  test('of code hold its blank lines, closed or not', () => {
    expect(blocksOf('before\n\n```js\na\n\nb\n```\n\nafter')).toEqual(['before', '```js\na\n\nb\n```', 'after']);
    expect(blocksOf('````\n```\n\nstill\n````\n\nafter')).toEqual(['````\n```\n\nstill\n````', 'after']);
    expect(blocksOf('before\n\n~~~\na\n\n')).toEqual(['before', '~~~\na\n\n']);
  });

  test('are one where a definition holds for the whole text', () => {
    const text = 'see [this]\n\n[this]: https://example.org';
    expect(blocksOf(text)).toEqual([text]);
  });

  test('that are whole stay as they are while the text grows', () => {
    const text = Array.from({ length: 200 }, (_, at) => (at % 7 === 0 ? `- item ${at}` : `Paragraph ${at}.`)).join(
      '\n\n',
    );
    let before: readonly string[] = [];
    for (let end = 1; end <= text.length; end += 13) {
      const blocks = blocksOf(text.slice(0, end));
      // All but the last two: a list may still take a line in.
      expect(blocks.slice(0, Math.max(0, before.length - 1))).toEqual(before.slice(0, -1));
      before = blocks;
    }
  });
});

test('code is open until its own fence closes it', () => {
  expect(openCodeOf('```js\na\n\nb')).toEqual({ language: 'js', code: 'a\n\nb' });
  expect(openCodeOf('````\n```')).toEqual({ language: '', code: '```' });
  expect(openCodeOf('~~~ py title\n```')).toEqual({ language: 'py', code: '```' });
  expect(openCodeOf('```\na\n```')).toBeUndefined();
  expect(openCodeOf('```\na\n  `````  ')).toBeUndefined();
  expect(openCodeOf('```js')).toBeUndefined();
  expect(openCodeOf('no code')).toBeUndefined();
});

test('code that grows at its end changes but its last piece', () => {
  const code = Array.from({ length: 7 }, (_, at) => `line ${at}\n`).join('');
  expect(piecesOf(code, 3)).toEqual(['line 0\nline 1\nline 2\n', 'line 3\nline 4\nline 5\n', 'line 6\n']);
  expect(piecesOf(`${code}more`, 3).slice(0, 2)).toEqual(piecesOf(code, 3).slice(0, 2));
  for (const text of ['', '\n', 'a', 'a\n\n\nb', '\n\n\n']) expect(piecesOf(text, 2).join('')).toBe(text);
  expect(piecesOf('', 2)).toEqual(['']);
});
