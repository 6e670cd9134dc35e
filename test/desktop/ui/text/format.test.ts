import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ago,
  bytes,
  count,
  duration,
  memory,
  nodeHue,
  plural,
  safeName,
  safeText,
  shortId,
  shortModel,
} from '../../../../desktop/ui/text/format.ts';

describe('figures', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1 KB'],
    [1_540_000, '1.54 MB'],
    [99_960_000, '100 MB'],
    [137_000_000, '137 MB'],
    [999_600_000, '1 GB'],
    [4.68e9, '4.68 GB'],
    [-5, '0 B'],
  ])('tells %d bytes as %s', (value, text) => expect(bytes(value)).toBe(text));

  it.each([
    [0, '0'],
    [24 * 2 ** 30, '24 GiB'],
    [1.5 * 2 ** 30, '1.5 GiB'],
    [393 * 2 ** 20, '393 MiB'],
  ])('tells %d bytes of memory as %s', (value, text) => expect(memory(value)).toBe(text));

  it.each([
    [0, '0 ms'],
    [0.42, '0.4 ms'],
    [9.96, '10 ms'],
    [85.4, '85 ms'],
    [999.6, '1 s'],
    [1_240, '1.24 s'],
    [12_345, '12.3 s'],
    [59_960, '1 min'],
    [125_000, '2 min 5 s'],
    [12_000_000, '3 h 20 min'],
    [93_784_000, '1 d 2 h'],
    [Number.POSITIVE_INFINITY, '∞'],
    [-1_500, '−1.5 s'],
  ])('tells %d ms as %s', (ms, text) => expect(duration(ms)).toBe(text));

  it('grows with what it tells: no longer time looks shorter at the seams', () => {
    for (const seam of [9.95, 999.5, 9_995, 59_950, 3_599_500]) {
      expect(duration(seam + 0.01)).not.toMatch(/^(1000 ms|60 s|60 min)/);
      expect(duration(seam - 0.01)).not.toMatch(/^(1000 ms|60 s|60 min)/);
    }
  });

  it('tells how long ago, and how long until', () => {
    expect(ago(1_000, 3_000)).toBe('just now');
    expect(ago(0, 40_000)).toBe('40 s ago');
    expect(ago(7_200_000, 0)).toBe('in 2 h');
    expect(ago(0, 86_400_000 * 3)).toBe('3 days ago');
  });

  it('counts', () => {
    expect(count(12_480)).toBe('12,480');
    expect(count(1_240_000)).toBe('1.2 million');
    expect(plural(1, 'node')).toBe('1 node');
    expect(plural(3, 'node')).toBe('3 nodes');
    expect(plural(2, 'proxy', 'proxies')).toBe('2 proxies');
  });

  it('shortens ids and models to what tells them apart', () => {
    expect(shortId('12D3KooWabcdefghijklmnop')).toBe('…ijklmnop');
    expect(shortModel('owner/name')).toBe('name');
    expect(shortModel('name')).toBe('name');
  });
});

describe('names of others', () => {
  it('show what would turn the writing round, hide it or break the line', () => {
    expect(safeName('eva\u{202E}gpj.exe')).toBe('eva\u{FFFD}gpj.exe');
    expect(safeName('a\u{2066}b\u{2069}c\u{200B}d')).toBe('a\u{FFFD}b\u{FFFD}c\u{FFFD}d');
    expect(safeName('two\nlines\t\u{0000}')).toBe('two\u{FFFD}lines\u{FFFD}\u{FFFD}');
    expect(safeName('lone \u{D800} half')).toBe('lone \u{FFFD} half');
  });

  it('leave other writing as it is', () => {
    for (const name of ['Zoë', 'مطبخ', '台所', 'мышь 3', '<b>bold</b>']) expect(safeName(name)).toBe(name);
  });

  it('have an end and are never nothing', () => {
    expect([...safeName('🧵'.repeat(500))]).toHaveLength(80);
    expect(safeName('  \u{3000} ')).toBe('(no name)');
  });

  it('never let a character through that is no character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(safeName(text)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
        expect(safeText(text)).not.toMatch(/[\u{202A}-\u{202E}\u{2066}-\u{2069}]/u);
      }),
    );
  });

  it('of long texts keep their lines', () => {
    expect(safeText('a\n\tb\u{0007}\u{202E}c')).toBe('a\n\tb\u{FFFD}\u{FFFD}c');
  });

  it('give a node one colour wherever it is shown', () => {
    expect(nodeHue('12D3KooWabc')).toBe(nodeHue('12D3KooWabc'));
    fc.assert(fc.property(fc.string(), (id) => nodeHue(id) >= 0 && nodeHue(id) < 360));
    const hues = new Set(Array.from({ length: 60 }, (_, at) => nodeHue(`12D3KooW${at}`)));
    expect(hues.size).toBeGreaterThan(15);
  });
});
