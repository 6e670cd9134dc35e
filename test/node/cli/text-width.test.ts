import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fitText, textWidth } from '../../../node/cli/text-width.ts';
import { runs } from '../../support/property.ts';

describe('textWidth', () => {
  it.each([
    ['', 0],
    ['laptop', 6],
    ['Küche', 5],
    ['Ku\u{308}che', 5],
    ['台所', 4],
    ['한국어', 6],
    ['👩‍👩‍👧', 2],
    ['🇩🇪', 2],
    ['❤️', 2],
    ['a\u{200b}b', 2],
    ['ｆｕｌｌ', 8],
  ])('%s takes %d columns', (text, width) => expect(textWidth(text)).toBe(width));
});

describe('fitText', () => {
  it.each([
    ['laptop', 6, 'laptop'],
    ['laptop', 5, 'lapt…'],
    ['台所の', 5, '台所…'],
    ['台所の', 4, '台…'],
    ['laptop', 1, '…'],
    ['laptop', 0, ''],
    ['', 0, ''],
  ])('makes %s fit %d columns', (text, columns, fitted) => expect(fitText(text, columns)).toBe(fitted));

  it('never takes more columns than there are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(30), (text, columns) => {
        expect(textWidth(fitText(text, columns))).toBeLessThanOrEqual(columns);
      }),
      runs(500),
    );
  });
});
