// What a JSON schema is read as, what is refused and how it is named, and that reading is bounded.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JSON_SCHEMA_BYTES_MAX, JSON_SCHEMA_DEPTH_MAX } from '../../../models/limits.ts';
import { automatonOf, matches } from '../../../models/tasks/json-automaton.ts';
import { integerPattern, type NumberBounds, numberPattern } from '../../../models/tasks/json-number.ts';
import { readPattern } from '../../../models/tasks/json-pattern.ts';
import { checkJsonSchema, readJsonSchema } from '../../../models/tasks/json-schema.ts';
import type { Automaton, JsonShape, Pattern } from '../../../models/tasks/json-shape.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { runs } from '../../support/property.ts';

const read = (schema: unknown): JsonShape => readJsonSchema(schema, 'response_format').root;
const automaton = (pattern: Pattern): Automaton => automatonOf(pattern, { steps: 1_000_000 });

/** What checking the schema throws. */
function refusal(schema: unknown): WeftError {
  try {
    checkJsonSchema(schema, 'response_format');
  } catch (error) {
    if (error instanceof WeftError) return error;
    throw error;
  }
  throw new Error('It was not refused.');
}

describe('checkJsonSchema', () => {
  it.each([
    ['uniqueItems', { type: 'array', uniqueItems: true }],
    ['contains', { type: 'array', contains: { const: 1 } }],
    ['minContains', { type: 'array', minContains: 1 }],
    ['multipleOf', { type: 'integer', multipleOf: 3 }],
    ['not', { not: { type: 'string' } }],
    ['if', { if: { type: 'string' } }],
    ['patternProperties', { type: 'object', patternProperties: { a: true } }],
    ['propertyNames', { type: 'object', propertyNames: { minLength: 1 } }],
    ['dependentRequired', { type: 'object', dependentRequired: { a: ['b'] } }],
    ['$dynamicRef', { $dynamicRef: '#a' }],
    ['$anchor', { $anchor: 'a' }],
    ['requred', { type: 'object', requred: ['a'] }],
    ['format', { type: 'string', format: 'iri' }],
    ['pattern', { type: 'string', pattern: '^(?=a)' }],
    ['pattern', { type: 'string', pattern: '(a)\\1' }],
    ['pattern', { type: 'string', pattern: '\\bword\\b' }],
    ['pattern', { type: 'string', pattern: 'a^b' }],
    ['pattern', { type: 'string', pattern: '(' }],
    ['pattern', { type: 'string', pattern: '^[\\u4e00-\\u9fa5]$' }],
    ['minLength', { type: 'string', pattern: '^a*$', minLength: 2 }],
    ['maxLength', { type: 'string', format: 'email', maxLength: 5 }],
    [
      'maxLength',
      {
        anyOf: [
          { type: 'string', maxLength: 3 },
          { type: 'string', format: 'date' },
        ],
      },
    ],
    ['minProperties', { type: 'object', minProperties: 2, additionalProperties: { type: 'string' } }],
    ['oneOf', { oneOf: [{ type: 'string' }, { enum: ['a'] }] }],
    ['items', { type: 'array', items: [{ type: 'string' }] }],
    [
      'additionalProperties',
      { allOf: [{ properties: { a: true }, additionalProperties: false }, { properties: { b: true } }] },
    ],
    ['$ref', { $ref: 'https://example.com/schema' }],
    ['minimum', { enum: [1, 2], minimum: 2 }],
  ])('names %s when it can not be kept to', (keyword, schema) => {
    expect(refusal({ type: 'object', properties: { deep: schema } })).toMatchObject({
      code: 'unsupported',
      facts: { param: 'response_format', keyword },
    });
  });

  it.each<[string, unknown]>([
    ['what is no schema', 7],
    ['a type that JSON does not have', { type: 'float' }],
    ['a reference to nothing', { $ref: '#/$defs/missing' }],
    ['a reference to itself', { $ref: '#' }],
    ['a choice of itself', { anyOf: [{ $ref: '#' }, { type: 'null' }] }],
    ['values of endless size only', { type: 'object', properties: { next: { $ref: '#' } }, required: ['next'] }],
    ['bounds that exclude one another', { type: 'integer', minimum: 3, maximum: 2 }],
    ['a type that is not among the values', { type: 'string', enum: [1] }],
    ['a count that is none', { type: 'array', minItems: -1 }],
    ['a count that nobody waits for', { type: 'array', minItems: 1e9 }],
    ['more digits than a double has', { type: 'number', minimum: 1.234567890123456e-5 }],
  ])('refuses %s', (_what, schema) => {
    expect(refusal(schema)).toMatchObject({ code: 'bad_request', facts: { param: 'response_format' } });
  });

  it('bounds what it reads', () => {
    const nested = (depth: number): object => (depth === 0 ? {} : { items: nested(depth - 1) });
    expect(() => checkJsonSchema(nested(JSON_SCHEMA_DEPTH_MAX), 'x')).not.toThrow();
    expect(refusal(nested(JSON_SCHEMA_DEPTH_MAX + 1)).code).toBe('bad_request');
    expect(refusal({ const: 'x'.repeat(JSON_SCHEMA_BYTES_MAX) }).code).toBe('bad_request');
    let list: unknown = 1;
    for (let depth = 0; depth < 100_000; depth++) list = [list];
    expect(refusal({ const: list }).code).toBe('bad_request');
    // Each reading of "a" puts it together with itself anew.
    const a = { type: 'object', properties: { b: { allOf: [{ $ref: '#/$defs/a' }, { required: ['b'] }] } } };
    expect(refusal({ $ref: '#/$defs/a', $defs: { a } }).code).toBe('bad_request');
    expect(refusal({ type: 'string', pattern: '(a|b)*a(a|b){14}' })).toMatchObject({ facts: { keyword: 'pattern' } });
    expect(refusal({ type: 'string', pattern: `${'('.repeat(5_000)}${')'.repeat(5_000)}` }).code).toBe('unsupported');
  });

  it('takes what pydantic and zod write', () => {
    checkJsonSchema(
      {
        $defs: {
          Color: { enum: ['red', 'green'], title: 'Color', type: 'string' },
          Cat: {
            properties: { kind: { const: 'cat', type: 'string' }, lives: { type: 'integer', maximum: 9 } },
            required: ['kind'],
            type: 'object',
          },
          Dog: {
            properties: { kind: { const: 'dog', type: 'string' }, name: { type: 'string', maxLength: 40 } },
            required: ['kind'],
            type: 'object',
          },
        },
        properties: {
          color: { allOf: [{ $ref: '#/$defs/Color' }], default: 'red' },
          pet: { discriminator: { propertyName: 'kind' }, oneOf: [{ $ref: '#/$defs/Cat' }, { $ref: '#/$defs/Dog' }] },
          note: { anyOf: [{ type: 'string', maxLength: 200 }, { type: 'null' }], default: null },
        },
        required: ['pet'],
        type: 'object',
      },
      'response_format',
    );
    checkJsonSchema(
      {
        $schema: 'http://json-schema.org/draft-07/schema#',
        type: 'object',
        properties: {
          when: { type: 'string', format: 'date-time' },
          tags: { type: 'array', items: { type: 'string' }, maxItems: 5 },
        },
        required: ['when', 'tags'],
        additionalProperties: false,
      },
      'response_format',
    );
  });
});

describe('readJsonSchema', () => {
  it('writes only what is stated, or required', () => {
    expect(read({ properties: { a: { type: 'null' } }, required: ['b'] })).toEqual({
      kind: 'object',
      properties: [
        { name: 'a', shape: { kind: 'null' }, required: false },
        { name: 'b', shape: { kind: 'any' }, required: true },
      ],
      rest: undefined,
    });
    expect(read({ type: 'object' })).toEqual({ kind: 'object', properties: [], rest: { kind: 'any' } });
    expect(read({ type: 'object', additionalProperties: false })).toMatchObject({ properties: [], rest: undefined });
  });

  it('puts what holds at once together', () => {
    const merged = read({
      type: 'object',
      properties: { a: { minLength: 2 } },
      allOf: [{ properties: { a: { type: 'string', maxLength: 5 } }, required: ['a'] }],
    });
    expect(merged).toMatchObject({
      properties: [{ name: 'a', required: true, shape: { kind: 'string', min: 2, max: 5 } }],
    });
    expect(read({ enum: [1, 2, 'x'], type: ['integer'] })).toEqual({ kind: 'literals', texts: ['1', '2'] });
  });

  it('makes as many properties required as there must be, and leaves out what is too many', () => {
    const properties = { a: true, b: true, c: true };
    const required = (schema: object): string[] => {
      const shape = read({ properties, ...schema });
      if (shape.kind !== 'object') throw new Error('no object');
      return shape.properties.map(({ name, required: must }) => (must ? name : `${name}?`));
    };
    expect(required({ required: ['c'], minProperties: 2 })).toEqual(['a', 'b?', 'c']);
    expect(required({ required: ['c'], maxProperties: 2 })).toEqual(['a?', 'c']);
  });
});

describe('numbers within bounds', () => {
  const within = ({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: NumberBounds, value: number): boolean =>
    !(value < (minimum ?? -Infinity)) &&
    !(value > (maximum ?? Infinity)) &&
    !(value <= (exclusiveMinimum ?? -Infinity)) &&
    !(value >= (exclusiveMaximum ?? Infinity));
  const boundsOf = (values: fc.Arbitrary<number>): fc.Arbitrary<NumberBounds> =>
    fc.record(
      { minimum: values, maximum: values, exclusiveMinimum: values, exclusiveMaximum: values },
      { requiredKeys: [] },
    );

  it('are those whole numbers', () => {
    const near = fc.integer({ min: -120, max: 120 });
    fc.assert(
      fc.property(
        boundsOf(
          fc.oneof(
            near,
            near.map((value) => value / 4),
          ),
        ),
        (bounds) => {
          const pattern = integerPattern(bounds);
          const states = pattern === undefined ? [] : automaton(pattern);
          for (let value = -130; value <= 130; value++) {
            expect([value, states.length > 0 && matches(states, String(value))]).toEqual([
              value,
              within(bounds, value),
            ]);
          }
          expect(states.length > 0 && matches(states, '-0')).toBe(false);
        },
      ),
      runs(200),
    );
  });

  it('are those decimals, to the last digit', () => {
    const decimal = fc.integer({ min: -3_000, max: 3_000 }).map((value) => value / 100);
    fc.assert(
      fc.property(boundsOf(decimal), fc.array(decimal), (bounds, values) => {
        const pattern = numberPattern(bounds);
        if (pattern === 'digits') throw new Error('too many digits');
        const states = pattern === undefined ? [] : automaton(pattern);
        const edges = Object.values(bounds).flatMap((value) => [value, value + 0.000001, value - 0.000001]);
        for (const value of [...values, ...edges].map((raw) => Number(raw.toFixed(6)))) {
          const texts = [String(value), value.toFixed(2), value.toFixed(6)].filter((text) => Number(text) === value);
          for (const text of texts.filter((one) => !one.includes('e') && !/^-0(\.0*)?$/.test(one))) {
            expect([text, states.length > 0 && matches(states, text)]).toEqual([text, within(bounds, value)]);
          }
        }
      }),
      runs(300),
    );
  });
});

describe('patterns', () => {
  // No characters beyond the first plane: V8 14 finds no match for /[^a]$/u in one.
  const PIECES = ['a', 'b', '.', '[ab]', '[^a]', '\\d', '\\W', 'é', '\\u00e9', '[\\s"]', '(?:ab|c)', '(b|ca)'];
  const piece = fc.tuple(fc.constantFrom(...PIECES), fc.constantFrom('', '', '*', '+', '?', '{2}', '{1,3}', '*?'));
  const branch = fc
    .tuple(fc.boolean(), fc.array(piece, { maxLength: 4 }), fc.boolean())
    .map(
      ([begins, parts, ends]) =>
        `${begins ? '^' : ''}${parts.map(([one, many]) => one + many).join('')}${ends ? '$' : ''}`,
    );
  const source = fc.array(branch, { minLength: 1, maxLength: 3 }).map((branches) => branches.join('|'));
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '1', ' ', '"', '\\', '\n', 'é', 'ß'), maxLength: 7 });

  it('describe what the expression matches', () => {
    fc.assert(
      fc.property(source, fc.array(text, { minLength: 20, maxLength: 20 }), (expression, texts) => {
        const states = automaton(readPattern(expression, 100));
        const expected = new RegExp(expression, 'u');
        for (const one of texts) {
          // Beyond ASCII it may be less: some sets can't be written.
          const found = matches(states, one);
          if (found || /^[\0-\x7f]*$/.test(one)) expect([one, found]).toEqual([one, expected.test(one)]);
        }
      }),
      runs(300),
    );
  });

  it('never write line separators, which "." excludes', () => {
    const states = automaton(readPattern('^.*$', 100));
    expect(matches(states, 'a\u2028b')).toBe(false);
    expect(matches(states, 'aéb')).toBe(true);
  });
});
