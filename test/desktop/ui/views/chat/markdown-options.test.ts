// What a model writes can't act: each guard with a twin in which it is off and the attack succeeds.
import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import ReactMarkdown, { type Options } from 'react-markdown';
import { describe, expect, test } from 'vitest';
import {
  COLOURED,
  SAFE_COMPONENTS,
  safeHref,
  safeMarkdown,
} from '../../../../../desktop/ui/views/chat/markdown-options.ts';

const html = (source: string, options: Options = {}): string =>
  renderToStaticMarkup(createElement(ReactMarkdown, { ...COLOURED, components: SAFE_COMPONENTS, ...options }, source));

describe('hostile Markdown', () => {
  test('HTML stays text', () => {
    const shown = html('<script>globalThis.pwned = 1</script>\n\n<img src=x onerror="pwned()"> and <b onclick=x>b</b>');
    expect(shown).not.toMatch(/<(?:script|img|b)\b/);
    expect(shown).toContain('&lt;script&gt;');
  });

  const file = '[click](file:///etc/passwd) [data](data:text/html,x) [weft](#/access) <javascript:x>';

  test('links lead to the web or to mail only, and apart', () => {
    expect(html(file)).not.toContain('href');
    const web = html('[web](https://example.org/a?b=c) <mailto:a@example.org>');
    expect(web).toContain('href="https://example.org/a?b=c"');
    expect(web).toContain('href="mailto:a@example.org"');
    expect(web.match(/rel="noreferrer noopener"/g)).toHaveLength(2);
    expect(web.match(/target="_blank"/g)).toHaveLength(2);
  });

  test('twin: without the check of addresses they would lead anywhere', () => {
    expect(html(file, { urlTransform: (url) => url })).toContain('href="file:///etc/passwd"');
  });

  const picture = '![a cat](https://tracker.example/cat.png)';

  test('pictures are links: nothing is loaded', () => {
    const shown = html(picture);
    expect(shown).not.toContain('<img');
    expect(shown).toContain('>a cat</a>');
  });

  test('twin: without that the picture would be loaded', () => {
    expect(html(picture, { components: {} })).toContain('<img src="https://tracker.example/cat.png"');
  });

  const turned = 'invoice\u202Efdp.exe and \u2066hidden\u2069, and a bell \u0007';

  test('characters that turn the writing around become visible', () => {
    expect(html(safeMarkdown(turned))).not.toMatch(/[\p{Cf}\p{Cc}]/u);
    expect(safeMarkdown('a\r\nb\rc')).toBe('a\nb\nc');
  });

  test('twin: unguarded they would reach the page', () => {
    expect(html(turned)).toContain('\u202E');
  });
});

test('addresses', () => {
  for (const url of [
    'javascript:x',
    ' JAVASCRIPT:x',
    'java\nscript:x',
    'data:text/html,x',
    '//example.org',
    '#/x',
    '/x',
    'weft://x',
  ]) {
    expect(safeHref(url), url).toBe('');
  }
  expect(safeHref(' HTTPS://example.org ')).toBe('HTTPS://example.org');
});

test('code of known languages is coloured, of others it is not guessed', () => {
  expect(html('```js\nconst a = 1;\n```')).toContain('hljs-keyword');
  expect(html('```\nconst a = 1;\n```')).not.toContain('hljs-keyword');
  expect(html('```nosuchlanguage\nx\n```')).toContain('x');
});
