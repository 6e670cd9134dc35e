// Schemas that are small as text and dear to read: the coordinator reads them on the thread that answers everyone.
import { describe, expect, it } from 'vitest';
import { mergeSchemas } from '../../../models/tasks/json-merge.ts';
import { checkJsonSchema } from '../../../models/tasks/json-schema.ts';

const integers = (count: number, from: number): readonly number[] =>
  Array.from({ length: count }, (_, at) => from + at);
const references = (count: number, name: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => ({ $ref: `#/$defs/${name(index)}` }));

describe('a schema is refused that', () => {
  it.each<[string, object]>([
    [
      'puts long lists of values together again and again',
      { $defs: { b: { enum: integers(5_000, 1) } }, enum: integers(5_000, 0), anyOf: references(700, () => 'b') },
    ],
    [
      'has many "oneOf" of long lists',
      {
        $defs: Object.fromEntries(Array.from({ length: 32 }, (_, at) => [`b${at}`, { enum: integers(200, 200 * at) }])),
        anyOf: Array.from({ length: 40 }, () => ({ oneOf: references(32, (at) => `b${at}`) })),
      },
    ],
  ])('%s', (_what, schema) => {
    expect(JSON.stringify(schema).length).toBeLessThan(64 << 10);
    expect(() => checkJsonSchema(schema, 'response_format')).toThrow(expect.objectContaining({ name: 'WeftError' }));
  });

  it('would be read for seconds without the bound: each list is compared as often as it is named', () => {
    let compared = 0;
    const counted = (values: readonly number[]): readonly number[] =>
      new Proxy(values, {
        get: (target, key, self) => {
          if (typeof key === 'string' && /^\d+$/.test(key)) compared++;
          return Reflect.get(target, key, self);
        },
      });
    const [a, b] = [{ enum: counted(integers(5_000, 0)) }, { enum: counted(integers(5_000, 1)) }];
    for (let times = 0; times < 10; times++) mergeSchemas(a, b);
    expect(compared).toBeGreaterThan(10 * 10_000);
  });
});

it('a schema is read whose lists and options are those of real ones', () => {
  const options = Array.from({ length: 30 }, (_, at) => ({
    type: 'object',
    properties: { kind: { const: `k${at}` }, value: { type: 'string' } },
    required: ['kind', 'value'],
    additionalProperties: false,
  }));
  const country = { enum: integers(250, 0) };
  const schema = {
    type: 'object',
    properties: {
      one: { oneOf: options },
      other: { oneOf: options },
      at: { allOf: [country, { enum: integers(9, 3) }] },
    },
  };
  expect(() => checkJsonSchema(schema, 'response_format')).not.toThrow();
});
