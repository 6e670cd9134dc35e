// Random JSON schemas over every keyword that answers are held to, with a value for each.
import fc from 'fast-check';

export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

const PATTERNS = [
  '^[a-z]{2,5}$',
  '^(foo|bar)-\\d+$',
  '[0-9]{2}',
  '^\\w{1,8}@\\w{1,8}\\.(com|org)$',
  '^[^"\\\\]*$',
  '^"quoted\\\\"$',
  '^[\\u00e9é😀]{1,3}$',
  '^(?:a|b(?<name>c))*?$',
  '^.{3}$',
  '^\\S{1,4}\\s\\S',
  '^(\\+\\d{1,3} )?\\d{3}-\\d{4}$',
  'a|^b.*|c$',
];
const FORMATS = ['date', 'time', 'date-time', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'uuid', 'uri'];

const text = fc.oneof(
  { weight: 4, arbitrary: fc.string({ maxLength: 8 }) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 4 }) },
  { weight: 1, arbitrary: fc.constantFrom('"', '\\', '" | "', ']', '-', '^', 'toString') },
);
const decimal = fc.oneof(
  fc.integer({ min: -2_000, max: 2_000 }),
  fc.integer({ min: -2_000_000, max: 2_000_000 }).map((value) => value / 1_000),
  fc.constantFrom(0, 0.5, -0.001, 1e6, -123_456_789, 99.999),
);
/** ajv compares by these where an object has them itself, and throws, or finds equal objects different. */
const AJV_TRIPS_OVER = /"(valueOf|toString|constructor)":/;
const jsonValue = fc.jsonValue({ maxDepth: 2 }).filter((value) => !AJV_TRIPS_OVER.test(JSON.stringify(value)));
const ANNOTATIONS = { title: 'A title', description: 'What it is.', default: null, examples: [1] };
const annotated = (schema: fc.Arbitrary<JsonSchema>): fc.Arbitrary<JsonSchema> =>
  fc
    .tuple(schema, fc.boolean())
    .map(([value, add]) => (add && typeof value === 'object' ? { ...ANNOTATIONS, ...value } : value));

/** Bounds that leave room between them. */
const bounds = (values: fc.Arbitrary<number>): fc.Arbitrary<JsonSchema> =>
  fc
    .tuple(values, values, fc.boolean(), fc.boolean(), fc.integer({ min: 0, max: 3 }))
    .map(([a, b, low, high, which]) => {
      const [from, to] = [Math.min(a, b), Math.max(a, b) + 2];
      const lower = low ? { minimum: from } : { exclusiveMinimum: from };
      const upper = high ? { maximum: to } : { exclusiveMaximum: to };
      return [{}, lower, upper, { ...lower, ...upper }][which] as JsonSchema;
    });

const counts = (low: string, high: string, max: number): fc.Arbitrary<JsonSchema> =>
  fc.tuple(fc.nat({ max }), fc.nat({ max }), fc.integer({ min: 0, max: 3 })).map(([a, b, which]) => {
    const [from, to] = [Math.min(a, b), Math.max(a, b)];
    return [{}, { [low]: from }, { [high]: to }, { [low]: from, [high]: to }][which] as JsonSchema;
  });

const string: fc.Arbitrary<JsonSchema> = fc.oneof(
  fc.constant({ type: 'string' }),
  counts('minLength', 'maxLength', 12).map((range) => ({ type: 'string', ...(range as object) })),
  counts('minLength', 'maxLength', 300).map((range) => ({ type: 'string', ...(range as object) })),
  fc.constantFrom(...PATTERNS).map((pattern) => ({ type: 'string', pattern })),
  fc.constantFrom(...FORMATS).map((format) => ({ type: 'string', format })),
);

const leaf: fc.Arbitrary<JsonSchema> = fc.oneof(
  { weight: 4, arbitrary: string },
  fc.constantFrom<JsonSchema>({ type: 'boolean' }, { type: 'null' }, true, {}, { type: ['string', 'null'] }),
  bounds(fc.integer({ min: -5_000, max: 5_000 })).map((range) => ({ type: 'integer', ...(range as object) })),
  bounds(decimal).map((range) => ({ type: 'number', ...(range as object) })),
  bounds(decimal).map((range) => ({ type: ['number', 'boolean'], ...(range as object) })),
  jsonValue.map((value) => ({ const: value })),
  fc.array(jsonValue, { minLength: 1, maxLength: 5 }).map((values) => ({ enum: values })),
);

const REFERENCE: JsonSchema = { $ref: '#/$defs/node' };

const { schema } = fc.letrec<{ schema: JsonSchema; object: JsonSchema; array: JsonSchema; composed: JsonSchema }>(
  (tie) => ({
    schema: annotated(
      fc.oneof(
        { maxDepth: 3, withCrossShrink: true },
        leaf,
        { weight: 2, arbitrary: tie('object') },
        tie('array'),
        tie('composed'),
        fc.constant(REFERENCE),
      ),
    ),
    object: fc
      .tuple(
        fc.uniqueArray(fc.tuple(text, tie('schema'), fc.boolean()), { maxLength: 4, selector: ([name]) => name }),
        fc.constantFrom<'closed' | 'open' | 'typed' | 'unsaid'>('closed', 'open', 'typed', 'unsaid'),
        leaf,
        fc.nat({ max: 2 }),
      )
      .map(([properties, others, rest, count]) => ({
        type: 'object',
        properties: Object.fromEntries(properties.map(([name, value]) => [name, value])),
        required: properties.filter(([, , required]) => required).map(([name]) => name),
        ...{
          closed: { additionalProperties: false },
          open: { additionalProperties: true },
          typed: { additionalProperties: rest },
          unsaid: {},
        }[others],
        ...(others !== 'typed' && properties.length > count ? { minProperties: count } : {}),
      })),
    array: fc
      .tuple(
        fc.array(tie('schema'), { maxLength: 2 }),
        fc.oneof(tie('schema'), fc.constant(undefined)),
        counts('minItems', 'maxItems', 5),
      )
      .map(([prefixItems, items, range]) => ({
        type: 'array',
        ...(prefixItems.length > 0 ? { prefixItems } : {}),
        ...(items === undefined ? {} : { items }),
        ...(range as object),
      })),
    composed: fc.oneof(
      fc.array(tie('schema'), { minLength: 1, maxLength: 3 }).map((anyOf): JsonSchema => ({ anyOf })),
      tie('object').map((object): JsonSchema => ({ oneOf: [{ type: 'null' }, object] })),
      tie('object').map((object): JsonSchema => ({ allOf: [object] })),
      tie('schema').map(
        (value): JsonSchema => ({
          type: 'object',
          properties: { kind: { enum: ['a', 'b'] } },
          required: ['kind'],
          oneOf: [
            { properties: { kind: { const: 'a' }, value }, required: ['value'] },
            { properties: { kind: { const: 'b' } } },
          ],
        }),
      ),
      tie('schema').map(
        (value): JsonSchema => ({
          allOf: [
            { type: 'object', properties: { first: value }, required: ['first'] },
            { properties: { second: { type: 'integer', minimum: 3 } }, required: ['second'] },
          ],
        }),
      ),
    ),
  }),
);

/** A schema, with a definition that refers to itself for those that use it. */
export const anySchema: fc.Arbitrary<JsonSchema> = fc.tuple(schema, leaf).map(([root, value]) =>
  typeof root === 'boolean'
    ? root
    : {
        ...root,
        $defs: {
          node: {
            type: 'object',
            properties: {
              value,
              next: { anyOf: [REFERENCE, { type: 'null' }] },
              list: { type: 'array', items: REFERENCE },
            },
            required: ['value'],
            additionalProperties: false,
          },
        },
      },
);
