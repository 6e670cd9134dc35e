import { describe, expect, it } from 'vitest';
import { linkAmong, parseDeepLink } from '../../../desktop/main/deep-link.ts';
import { externalUrl } from '../../../desktop/main/external.ts';
import { shownText } from '../../../desktop/main/text.ts';

const TICKET = `weft1${'3Ab9z'.repeat(40)}`;

describe('links into the app', () => {
  it('are read from a URL and from a command line', () => {
    expect(parseDeepLink(`weft://join/${TICKET}`)).toEqual({ kind: 'join', ticket: TICKET });
    expect(parseDeepLink(`weft://join/${TICKET}/`)).toEqual({ kind: 'join', ticket: TICKET });
    expect(linkAmong(['/opt/weft', '--hidden', `weft://join/${TICKET}`])).toEqual({ kind: 'join', ticket: TICKET });
    expect(linkAmong(['/opt/weft'])).toBeUndefined();
  });

  it.each([
    ['another scheme', `https://join/${TICKET}`],
    ['another kind', `weft://leave/${TICKET}`],
    ['no ticket', 'weft://join/'],
    ['no form of a ticket', 'weft://join/hello'],
    ['letters that no ticket has', `weft://join/weft1${'0OIl'.repeat(20)}`],
    ['more behind it', `weft://join/${TICKET}?then=run`],
    ['a fragment', `weft://join/${TICKET}#x`],
    ['a further path', `weft://join/${TICKET}/..`],
    ['escapes', `weft://join/weft1%33${'3Ab9z'.repeat(40)}`],
    ['a line break', `weft://join/${TICKET}\n--inspect`],
    ['script', 'weft://join/<script>alert(1)</script>'],
    ['no end', `weft://join/weft1${'3'.repeat(5_000)}`],
    ['a switch of a program', `--renderer-cmd-prefix=weft://join/${TICKET}`],
  ])('are refused with %s', (_what, link) => {
    expect(parseDeepLink(link)).toBeUndefined();
  });
});

describe('addresses out of the app', () => {
  it.each(['https://example.org/a?b#c', 'http://127.0.0.1:9338/', 'mailto:a@example.org'])('are opened: %s', (url) => {
    expect(externalUrl(url)).toBe(url);
  });

  it.each([
    'file:///etc/passwd',
    'javascript:alert(1)',
    'data:text/html,x',
    'smb://host/share',
    'ms-msdt:/id',
    'weft://join/x',
    'app://weft/',
    'https://bank.example@evil.example/',
    'no address',
    `https://example.org/${'x'.repeat(3_000)}`,
  ])('are refused: %s', (url) => {
    expect(externalUrl(url)).toBeUndefined();
  });
});

it('text of others is one line without tricks, cut to what can be shown', () => {
  expect(shownText('  a\u202ebc\u0000\u001b[31m\nd\u200b ')).toBe('a bc [31m d');
  expect(shownText('x'.repeat(500))).toHaveLength(200);
});
