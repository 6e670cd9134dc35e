// Schemas put together: `allOf`, `$ref` with neighbours, and whether the options of a `oneOf` exclude one another. Works
// on the schemas as they were written; json-schema.ts reads what comes out.

/** A schema that is an object. */
export type Schema = Readonly<Record<string, unknown>>;

export const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Which keyword stands in the way of putting two schemas together. */
export class MergeRefusal extends Error {
  override readonly name = 'MergeRefusal';
  readonly keyword: string;

  constructor(keyword: string) {
    super(`two "${keyword}" cannot be put together`);
    this.keyword = keyword;
  }
}

/** Larger, or smaller, of the two holds. */
const LOWER = new Set(['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties']);
const UPPER = new Set(['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties']);

/**
 * One schema that asks for what both ask for.
 * @throws MergeRefusal
 */
export function mergeSchemas(a: Schema, b: Schema): Schema {
  // What one calls additional, the other may name.
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    const open = one.additionalProperties === undefined || one.additionalProperties === true;
    const named = Object.keys(propertiesOf(one));
    if (!open && Object.keys(propertiesOf(other)).some((name) => !named.includes(name))) {
      throw new MergeRefusal('additionalProperties');
    }
    if (one.items !== undefined && other.prefixItems !== undefined) throw new MergeRefusal('items');
  }
  const merged: Record<string, unknown> = { ...a };
  for (const [keyword, value] of Object.entries(b)) {
    merged[keyword] = Object.hasOwn(a, keyword) ? mergeKeyword(keyword, a[keyword], value) : value;
  }
  return merged;
}

function mergeKeyword(keyword: string, a: unknown, b: unknown): unknown {
  if (canonical(a) === canonical(b)) return a;
  if (keyword === 'properties') return mergeProperties(a, b);
  if (keyword === 'required' && Array.isArray(a) && Array.isArray(b)) return [...new Set([...a, ...b])];
  if (keyword === 'allOf' && Array.isArray(a) && Array.isArray(b)) return [...a, ...b];
  if (keyword === 'items' || keyword === 'additionalProperties') return { allOf: [a, b] };
  if (keyword === 'enum' && Array.isArray(a) && Array.isArray(b)) {
    const kept = new Set(b.map(canonical));
    return a.filter((value) => kept.has(canonical(value)));
  }
  if (keyword === 'type') return commonTypes(a, b);
  if (typeof a === 'number' && typeof b === 'number') {
    if (LOWER.has(keyword)) return Math.max(a, b);
    if (UPPER.has(keyword)) return Math.min(a, b);
  }
  throw new MergeRefusal(keyword);
}

function mergeProperties(a: unknown, b: unknown): Schema {
  if (!isSchema(a) || !isSchema(b)) throw new MergeRefusal('properties');
  const merged: [string, unknown][] = Object.entries(a).map(([name, schema]) => [
    name,
    Object.hasOwn(b, name) ? { allOf: [schema, b[name]] } : schema,
  ]);
  for (const [name, schema] of Object.entries(b)) if (!Object.hasOwn(a, name)) merged.push([name, schema]);
  return Object.fromEntries(merged);
}

/** An empty list, where there is none, fits no value. */
function commonTypes(a: unknown, b: unknown): unknown[] {
  const [first, second] = [[a].flat(), [b].flat()];
  const common = first.filter((type) => second.includes(type) || (type === 'integer' && second.includes('number')));
  if (first.includes('number') && second.includes('integer') && !common.includes('integer')) common.push('integer');
  return common;
}

/** The same text for the same value, whatever the order of its properties. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (!isSchema(value)) return JSON.stringify(value) ?? 'undefined';
  const entries = Object.entries(value).map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`);
  return `{${entries.sort().join()}}`;
}

/** Schemas that are looked at for one question: a few dozen in real ones; references may go round for ever. */
const LOOKS_MAX = 2_000;

/** Values that are compared in the time of one look. */
const VALUES_PER_LOOK = 4;

/**
 * Whether no value that is made for one schema validates against the other. It may say no where the answer is yes.
 * @param resolve finds what a `$ref` refers to
 * @param all looks that are left for all questions of a schema; fewer of them afterwards
 */
export function excludes(
  made: unknown,
  other: unknown,
  resolve: (pointer: string) => unknown,
  all: { left: number },
): boolean {
  const most = Math.min(LOOKS_MAX, all.left);
  const looks = { left: most };
  const result = rejects(made, other, resolve, looks);
  all.left -= most - Math.max(0, looks.left);
  return result;
}

function rejects(
  made: unknown,
  other: unknown,
  resolve: (pointer: string) => unknown,
  looks: { left: number },
): boolean {
  if (made === false || other === false) return true;
  if (!isSchema(made) || !isSchema(other) || --looks.left < 0) return false;
  if (typeof made.$ref === 'string') return rejects(resolve(made.$ref), other, resolve, looks);
  if (typeof other.$ref === 'string') return rejects(made, resolve(other.$ref), resolve, looks);
  const [values, others] = [literalsOf(made), literalsOf(other)];
  if (values !== undefined && others !== undefined) {
    looks.left -= (values.length + others.length) / VALUES_PER_LOOK;
    if (looks.left < 0) return false;
    const refused = new Set(others.map(canonical));
    if (!values.some((value) => refused.has(canonical(value)))) return true;
  }
  const [types, otherTypes] = [typesOf(made), typesOf(other)];
  if (types !== undefined && otherTypes !== undefined && commonTypes(types, otherTypes).length === 0) return true;
  if (types?.length !== 1 || types[0] !== 'object') return false;
  // Objects: one of the two has a property that the other refuses, or lacks one that the other requires.
  const [properties, otherProperties] = [propertiesOf(made), propertiesOf(other)];
  const closed = Object.keys(properties).length > 0 && (made.additionalProperties ?? true) === true;
  const written = (name: string): boolean => Object.hasOwn(properties, name) || requiredOf(made).includes(name);
  if ((closed || made.additionalProperties === false) && requiredOf(other).some((name) => !written(name))) return true;
  return requiredOf(made).some((name) => {
    if (!Object.hasOwn(otherProperties, name)) return other.additionalProperties === false;
    return rejects(properties[name], otherProperties[name], resolve, looks);
  });
}

const propertiesOf = (schema: Schema): Schema => (isSchema(schema.properties) ? schema.properties : {});
const requiredOf = (schema: Schema): string[] =>
  Array.isArray(schema.required) ? schema.required.filter((name) => typeof name === 'string') : [];

function literalsOf(schema: Schema): readonly unknown[] | undefined {
  if (Object.hasOwn(schema, 'const')) return [schema.const];
  return Array.isArray(schema.enum) ? schema.enum : undefined;
}

/** The types that a schema states, or that its values have. */
function typesOf(schema: Schema): readonly unknown[] | undefined {
  if (schema.type !== undefined) return [schema.type].flat();
  return literalsOf(schema)?.map(typeOf);
}

/** JSON schema's name for the type of a value. */
export function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (Number.isInteger(value)) return 'integer';
  return typeof value;
}
