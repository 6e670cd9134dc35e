// JSON with one meaning only.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseStrictJson } from '../../../models/signing/strict-json.ts';
import { runs } from '../../support/property.ts';

describe('strict JSON', () => {
  it('reads what JSON.parse reads, whatever stands in its strings', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), fc.boolean(), (text, spread) => {
        const written = spread ? JSON.stringify(JSON.parse(text), null, 2) : text;
        expect(parseStrictJson(written, 32)).toEqual(JSON.parse(written));
      }),
      runs(300),
    );
    const text = '{"a:b\\\\":"{[\\":\\\\\\"","c":[{"a":1},{"a":1}]}';
    expect(parseStrictJson(text, 3)).toEqual(JSON.parse(text));
  });

  it.each([
    '{"a":1,"a":1}',
    '{"a":1,"\\u0061":2}',
    '[{"b":{"a":1,"c":2,"a":3}}]',
    '{"__proto__":1,"__proto__":2}',
    '{"a\\"":1,"a\\"":2}',
  ])('refuses a name that stands twice: %s', (text) => {
    expect(() => parseStrictJson(text, 8)).toThrow('twice');
    expect(() => JSON.parse(text)).not.toThrow(); // The twin.
  });

  it('refuses what is too deep before it is parsed', () => {
    expect(parseStrictJson('[[[1]]]', 3)).toEqual([[[1]]]);
    expect(() => parseStrictJson('[[[[1]]]]', 3)).toThrow('deep');
    expect(() => parseStrictJson('['.repeat(1 << 20), 16)).toThrow('deep');
    expect(parseStrictJson('"[[[["', 0)).toBe('[[[[');
  });

  it.each(['', '{', '"', '"\\', '{"a":1', '{"a" 1}', 'nothing', '{"a":1}}', "{'a':1}"])('refuses %j', (text) => {
    expect(() => parseStrictJson(text, 8)).toThrow(SyntaxError);
  });
});
