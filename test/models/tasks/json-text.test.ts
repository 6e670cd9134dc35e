// JSON with escapes in it, and in its names.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseJson } from '../../../models/tasks/json-text.ts';
import { runs } from '../../support/property.ts';

const NAMES = ['"', '\\', '"', '\\', '\n', '\t', '\n', 'a"', 'a\\', 'a"', '\u0001'];

/** Names that came back as others. */
const mistaken = (parse: (text: string) => unknown, before: string): string[] =>
  NAMES.filter((name) => Object.keys(parse(JSON.stringify({ [before]: 1, [name]: 2 })) as object)[1] !== name);

it('reads every name as it is written', () => {
  for (let times = 0; times < 100; times++) expect(mistaken(parseJson, 'a name')).toEqual([]);
});

it.runIf(process.versions.v8.startsWith('14.6.'))('is needed: this V8 mixes names up', () => {
  expect(mistaken((text) => JSON.parse(text), 'another name')).not.toEqual([]);
});

it('reads every value as it is written', () => {
  const text = fc.string({
    unit: fc.oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
      fc.constantFrom('"', '\\', '\n', '\ue000', '\ue022', '\ue07f', '\ud800', '/'),
    ),
  });
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      text,
      fc.constantFrom(null, true, 0, -1.5),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(text, tie('value'), { maxKeys: 4 }),
    ),
  }));
  const everything = (text: string): string =>
    text.replaceAll(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  fc.assert(
    fc.property(value, (original) => {
      const written = JSON.stringify(original);
      expect(JSON.stringify(parseJson(written))).toBe(written);
      expect(JSON.stringify(parseJson(everything(written)))).toBe(written);
    }),
    runs(500),
  );
});

it.each(['', '{', '"\\x"', '"\\u12"', '\\u007b\\u007d', '{"a\\"}', '"a\n\\n"', '[1,]', '"\\'])('refuses %j', (text) => {
  expect(() => parseJson(text)).toThrow(SyntaxError);
});
