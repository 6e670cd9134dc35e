import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scanJson } from '../../../node/config/json-text.ts';
import { runs } from '../../support/property.ts';

const parses = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

/** JSON that people write into settings: not nested without end, no control characters beyond the spaces. */
const json = fc.jsonValue({ maxDepth: 5, stringUnit: 'grapheme' });

describe('the place of a name', () => {
  it('is its line and column, of the outermost object only', () => {
    const text = '{\n  "a": {"inner": [1, {"b": 2}]},\n\t"c d" : "x",\n"\\u0065": null}';
    expect(scanJson(text)).toEqual({
      names: [
        ['a', { line: 2, column: 3 }],
        ['c d', { line: 3, column: 2 }],
        ['e', { line: 4, column: 1 }],
      ],
    });
  });

  it('is found for every name of any object, however it is written', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), json), fc.constantFrom(0, 2, '\t'), (value, space) => {
        const text = JSON.stringify(value, null, space);
        const lines = text.split('\n');
        const scan = scanJson(text);
        if (!('names' in scan)) throw new Error(scan.fault.problem);
        expect(scan.names.map(([name]) => name).sort()).toEqual(Object.keys(value).sort());
        for (const [name, { line, column }] of scan.names) {
          expect(lines[line - 1]?.slice(column - 1).startsWith(JSON.stringify(name))).toBe(true);
        }
      }),
      runs(300),
    );
  });

  it('is nowhere in JSON that is no object', () => {
    for (const text of ['[1]', '"a"', '1', 'null', ' true ']) expect(scanJson(text)).toEqual({ names: [] });
  });
});

describe('the first fault', () => {
  it.each([
    ['{\n  "a": 1,\n}', 3, 1, 'a comma may not stand before the end before "}"'],
    ['{\n  "a": 1\n  "b": 2\n}', 3, 3, 'a comma or } is missing before "\\""'],
    ['{\n  // why\n}', 2, 3, 'JSON has no comments'],
    ["{ 'a': 1 }", 1, 3, 'a name in double quotes is missing before "\'"'],
    ['{ a: 1 }', 1, 3, 'a name in double quotes is missing before "a"'],
    ['{ "a" 1 }', 1, 7, 'a colon is missing before "1"'],
    ['{ "a": }', 1, 8, 'a value is missing before "}"'],
    ['{ "a": 01 }', 1, 8, 'a value is missing before "0"'],
    ['{ "a": tru }', 1, 8, 'a value is missing before "t"'],
    ['{ "a": [1, 2 }', 1, 14, 'a comma or ] is missing before "}"'],
    ['{ "a": 1 } x', 1, 12, 'nothing may follow here before "x"'],
    ['{ "a": 1', 1, 9, 'a comma or } is missing: the text ends'],
    ['', 1, 1, 'a value is missing: the text ends'],
    ['[[[[', 1, 5, 'a value is missing: the text ends'],
  ])('of %j is in line %d, column %d', (text, line, column, problem) => {
    expect(scanJson(text)).toEqual({ fault: { position: { line, column }, problem } });
    expect(parses(text)).toBe(false);
  });

  it('is found in whatever JSON.parse refuses, and in nothing that it takes', () => {
    const damage = fc.record({
      at: fc.nat(),
      drop: fc.nat({ max: 3 }),
      put: fc.constantFrom('', ',', '"', '}', '[', 'x', '\\'),
    });
    fc.assert(
      fc.property(json, damage, (value, { at, drop, put }) => {
        const whole = JSON.stringify(value, null, 1);
        const start = at % (whole.length + 1);
        const text = whole.slice(0, start) + put + whole.slice(start + drop);
        expect('names' in scanJson(text)).toBe(parses(text));
      }),
      runs(1_000),
    );
  });

  it('is brackets without end, and not the end of the stack', () => {
    expect(scanJson('['.repeat(60_000))).toMatchObject({ fault: { problem: expect.stringContaining('too deeply') } });
  });
});
