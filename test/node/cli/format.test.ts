import { describe, expect, it } from 'vitest';
import {
  asArgument,
  formatBytes,
  formatMs,
  orDash,
  printable,
  printableLines,
  shortNode,
  table,
} from '../../../node/cli/format.ts';

describe('table', () => {
  const columns = [
    { title: 'NAME', value: (row: { name: string; size: string }) => row.name },
    { title: 'SIZE', value: (row: { name: string; size: string }) => row.size, align: 'right' as const },
  ];

  it('aligns columns by their widest cell, without trailing spaces', () => {
    const rows = [
      { name: 'a-long-name', size: '5 B' },
      { name: 'b', size: '1000 kB' },
    ];
    expect(table(columns, rows)).toBe('NAME            SIZE\na-long-name      5 B\nb            1000 kB\n');
  });

  it('shows the titles alone when there are no rows', () => {
    expect(table(columns, [])).toBe('NAME  SIZE\n');
  });

  it('shows escape sequences in the names of other machines as text', () => {
    const line = table(columns, [{ name: '\u{1b}[2Jgone\n', size: '-' }]).split('\n')[1];
    expect(line).toBe('�[2Jgone�     -');
  });
});

describe('printable', () => {
  it('replaces every control character, C1 included', () => {
    expect(printable('a\u{7}b\u{9b}31mc\r\n')).toBe('a�b�31mc��');
  });

  it('keeps line feeds and tabs of running text', () => {
    expect(printableLines('a\n\tb\u{1b}]0;title\u{7}')).toBe('a\n\tb�]0;title�');
  });
});

describe('units', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1.0 kB'],
    [23_400_000, '23.4 MB'],
    [108_600_000, '109 MB'],
    [999_999, '1.0 MB'],
    [16_770_000_000, '16.8 GB'],
  ])('writes %d bytes as %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it.each([
    [0.4166, '0.42 ms'],
    [17.3, '17 ms'],
    [999.6, '1.0 s'],
    [2_149, '2.1 s'],
    [0, '0 ms'],
    [59_980, '1 m'],
    [250_000, '4 m 10 s'],
    [3_599_800, '1 h'],
    [11_100_000, '3 h 5 m'],
  ])('writes %d ms as %s', (ms, text) => expect(formatMs(ms)).toBe(text));

  it.each([
    ['/tmp/k/a', '/tmp/k/a'],
    ['/tmp/my folder', '"/tmp/my folder"'],
    ['C:\\Users\\ada', '"C:\\Users\\ada"'],
  ])('writes the folder %s as %s behind an option', (path, text) => expect(asArgument(path)).toBe(text));

  it('shortens node ids to the digits that differ', () => {
    expect(shortNode('12D3KooWGRUzCgSbGdLeYxPm3cT8CMzFnUeRvbL7WJRXq9MNKRDh')).toBe('…q9MNKRDh');
    expect(shortNode('laptop')).toBe('laptop');
  });

  it('writes a dash where there is no reading', () => {
    expect([orDash(undefined, String), orDash(null, String), orDash(0, String)]).toEqual(['-', '-', '0']);
  });
});
