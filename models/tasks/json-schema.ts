// JSON schemas → shapes that can be written as a grammar. Whatever fits the shape validates against the schema; what
// can't be kept to is refused by name rather than ignored. Used by the coordinator to check a request before it is
// placed, and by the runner to make the grammar.
import { WeftError } from '../../protocol/errors.ts';
import {
  AUTOMATON_STEPS_MAX,
  JSON_SCHEMA_BYTES_MAX,
  JSON_SCHEMA_DEPTH_MAX,
  JSON_SCHEMA_LOOKS_MAX,
  JSON_SCHEMA_NODES_MAX,
  JSON_SCHEMA_OPTIONS_MAX,
  JSON_SCHEMA_REPEAT_MAX,
} from '../limits.ts';
import { automatonOf } from './json-automaton.ts';
import { JSON_FORMATS } from './json-format.ts';
import { lengthsConflict } from './json-lengths.ts';
import { canonical, excludes, isSchema, MergeRefusal, mergeSchemas, type Schema, typeOf } from './json-merge.ts';
import { integerPattern, type NumberBounds, numberPattern } from './json-number.ts';
import { patternLengths, readPattern } from './json-pattern.ts';
import { PatternRefusal } from './json-points.ts';
import {
  type Automaton,
  finiteShapes,
  type JsonShape,
  type JsonShapes,
  NEVER,
  type ObjectProperty,
  type Pattern,
} from './json-shape.ts';

/**
 * Checks that answers can be held to a schema.
 * @param param name of the request's field, for the error
 * @throws WeftError `unsupported` for a keyword that can't be kept to, `bad_request` for what is no schema, is too large,
 *   or has no value
 */
export function checkJsonSchema(schema: unknown, param: string): void {
  readJsonSchema(schema, param);
}

/**
 * Reads a schema. Types that are not stated are those that its keywords speak of; properties that are neither stated nor
 * required are not written; a number has at most 15 digits before the point, and 15 behind it.
 * @param param name of the request's field, for the error
 * @param scope put before the names of definitions, so that those of several schemas can stand together
 * @throws WeftError as {@link checkJsonSchema}
 */
export function readJsonSchema(schema: unknown, param: string, scope = ''): JsonShapes {
  const bytes = textBytes(schema);
  if (bytes === undefined || bytes > JSON_SCHEMA_BYTES_MAX) {
    throw new WeftError({
      code: 'bad_request',
      message: `The JSON schema is too large; the most is ${JSON_SCHEMA_BYTES_MAX} bytes.`,
      facts: { param, limit: String(JSON_SCHEMA_BYTES_MAX) },
    });
  }
  try {
    return new SchemaReader(schema, param, scope).read();
  } catch (cause) {
    // A value within "const" or "enum" may be nested as deeply as its text is long.
    if (!(cause instanceof RangeError)) throw cause;
    throw new WeftError(
      { code: 'bad_request', message: `The JSON schema of "${param}" is nested too deeply.`, facts: { param } },
      { cause },
    );
  }
}

/** Length of the schema as text; undefined when it is nested too deeply to be written. */
function textBytes(schema: unknown): number | undefined {
  try {
    return Buffer.byteLength(JSON.stringify(schema) ?? '');
  } catch {
    return undefined;
  }
}

/** Say nothing about which values are valid. */
const ANNOTATIONS = new Set([
  '$comment',
  '$defs',
  '$schema',
  'default',
  'definitions',
  'deprecated',
  'description',
  'discriminator',
  'example',
  'examples',
  'nullable',
  'readOnly',
  'title',
  'writeOnly',
]);

/** What each type's keywords are. */
const KEYWORDS_OF_TYPE: Readonly<Record<string, readonly string[]>> = {
  object: ['properties', 'required', 'additionalProperties', 'unevaluatedProperties', 'minProperties', 'maxProperties'],
  array: ['items', 'prefixItems', 'unevaluatedItems', 'uniqueItems', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength', 'pattern', 'format'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
};
const COMPOSITIONS = ['$ref', 'allOf', 'anyOf', 'oneOf'];
const KNOWN = new Set([...Object.values(KEYWORDS_OF_TYPE).flat(), ...COMPOSITIONS, 'type', 'enum', 'const']);
const TYPES = new Set(['null', 'boolean', 'object', 'array', 'number', 'integer', 'string']);

class SchemaReader {
  readonly #root: unknown;
  readonly #param: string;
  readonly #scope: string;
  readonly #definitions = new Map<string, JsonShape>();
  readonly #pending: string[] = [];
  readonly #budget = { steps: AUTOMATON_STEPS_MAX };
  readonly #looks = { left: JSON_SCHEMA_LOOKS_MAX };
  #nodes = 0;

  constructor(root: unknown, param: string, scope: string) {
    this.#root = root;
    this.#param = param;
    this.#scope = scope;
  }

  read(): JsonShapes {
    const root = this.#read(this.#root, 0);
    for (let pointer = this.#pending.pop(); pointer !== undefined; pointer = this.#pending.pop()) {
      this.#definitions.set(this.#scope + pointer, this.#read(this.#resolve(pointer), 0));
    }
    this.#refuseLoops();
    if (!finiteShapes(this.#definitions)(root)) throw this.#bad('allows no value of finite size');
    const shapes = { root, definitions: this.#definitions };
    const conflict = lengthsConflict(shapes);
    if (conflict === 'places') throw this.#bad('has too many alternatives');
    if (conflict !== undefined) {
      const what = conflict === 'pattern' ? 'a pattern or format' : 'another length';
      throw this.#unsupported('maxLength', `or "minLength" where the same value may have ${what} instead`);
    }
    return shapes;
  }

  #read(schema: unknown, depth: number): JsonShape {
    if (++this.#nodes > JSON_SCHEMA_NODES_MAX) throw this.#bad(`has more than ${JSON_SCHEMA_NODES_MAX} parts`);
    if (depth > JSON_SCHEMA_DEPTH_MAX) throw this.#bad(`is nested more than ${JSON_SCHEMA_DEPTH_MAX} deep`);
    if (schema === true) return { kind: 'any' };
    if (schema === false) return NEVER;
    const own = this.#keywords(schema);
    const { $ref, allOf, anyOf, oneOf, ...rest } = own;
    if ($ref !== undefined) {
      return Object.keys(own).length === 1 ? this.#reference($ref) : this.#read(this.#expanded(own, depth), depth + 1);
    }
    if (allOf !== undefined) return this.#allOf(allOf, own, depth);
    if (anyOf !== undefined || oneOf !== undefined) {
      if (anyOf !== undefined && oneOf !== undefined) throw this.#unsupported('oneOf', 'beside "anyOf"');
      return this.#options(anyOf === undefined ? 'oneOf' : 'anyOf', anyOf ?? oneOf, rest, depth);
    }
    if (Object.hasOwn(rest, 'const') || rest.enum !== undefined) return this.#literals(rest);
    const types = this.#types(rest);
    if (types === undefined) return { kind: 'any' };
    return unionOf(types.map((type) => this.#ofType(type, rest, depth)));
  }

  /** What of a schema decides about values. @throws WeftError for a keyword that can't be kept to */
  #keywords(schema: unknown): Schema {
    if (!isSchema(schema)) throw this.#bad('has a part that is neither an object nor true or false');
    const entries = Object.entries(schema).filter(([keyword, value]) => {
      if (ANNOTATIONS.has(keyword) || keyword.startsWith('x-')) return false;
      // Where references start from: only those to the schema itself are followed.
      if (keyword === '$id' && schema === this.#root) return false;
      if (!KNOWN.has(keyword)) throw this.#unsupported(keyword);
      if (keyword === 'uniqueItems' && value !== false) throw this.#unsupported(keyword);
      return keyword !== 'uniqueItems';
    });
    return Object.fromEntries(entries);
  }

  #reference(pointer: unknown): JsonShape {
    if (typeof pointer !== 'string') throw this.#bad('has a "$ref" that is no text');
    const scoped = this.#scope + pointer;
    if (!this.#definitions.has(scoped)) {
      this.#resolve(pointer);
      this.#definitions.set(scoped, NEVER);
      this.#pending.push(pointer);
    }
    return { kind: 'ref', pointer: scoped };
  }

  #resolve(pointer: string): unknown {
    if (pointer !== '#' && !pointer.startsWith('#/')) throw this.#unsupported('$ref', 'to another document');
    let found: unknown = this.#root;
    for (const part of pointer.split('/').slice(1)) {
      const key = decodePointer(part);
      const inside = typeof found === 'object' && found !== null && Object.hasOwn(found, key);
      if (!inside) throw this.#bad(`has a "$ref" to what it does not contain`);
      found = (found as Record<string, unknown>)[key];
    }
    return found;
  }

  /** A reference with keywords beside it, or several references, as one schema. */
  #expanded(schema: Schema, depth: number): Schema {
    let result = schema;
    for (let steps = depth; result.$ref !== undefined; steps++) {
      if (steps > JSON_SCHEMA_DEPTH_MAX) throw this.#bad('has a "$ref" that leads back to itself');
      const { $ref, ...rest } = result;
      if (typeof $ref !== 'string') throw this.#bad('has a "$ref" that is no text');
      const target = this.#resolve($ref);
      result = target === true ? rest : this.#merged(rest, target === false ? NOTHING : this.#keywords(target));
    }
    return result;
  }

  #merged(a: Schema, b: Schema): Schema {
    // What is put together is read again each time, with all its properties; values that both list are compared.
    this.#nodes += partsOf(a) + partsOf(b);
    if (this.#nodes > JSON_SCHEMA_NODES_MAX) throw this.#bad(`has more than ${JSON_SCHEMA_NODES_MAX} parts`);
    try {
      return mergeSchemas(a, b);
    } catch (error) {
      if (error instanceof MergeRefusal) throw this.#unsupported(error.keyword, 'in two schemas that both hold');
      throw error;
    }
  }

  #allOf(list: unknown, own: Schema, depth: number): JsonShape {
    const parts = this.#list('allOf', list);
    const { allOf: _, ...rest } = own;
    const [only] = parts;
    if (parts.length === 1 && Object.keys(rest).length === 0) return this.#read(only, depth + 1);
    if (parts.includes(false)) return NEVER;
    let merged: Schema = rest;
    for (const part of parts) {
      if (part !== true) merged = this.#merged(merged, this.#expanded(this.#keywords(part), depth));
    }
    return this.#read(merged, depth + 1);
  }

  #options(keyword: 'anyOf' | 'oneOf', list: unknown, rest: Schema, depth: number): JsonShape {
    const alone = Object.keys(rest).length === 0;
    const options = this.#list(keyword, list).map((option) => {
      if (alone || option === false) return option;
      return option === true ? rest : this.#merged(rest, this.#expanded(this.#keywords(option), depth));
    });
    if (options.length > JSON_SCHEMA_OPTIONS_MAX && keyword === 'oneOf') {
      throw this.#bad(`has a "oneOf" of more than ${JSON_SCHEMA_OPTIONS_MAX}`);
    }
    if (keyword === 'oneOf') {
      const resolve = (pointer: string): unknown => this.#resolve(pointer);
      for (const [index, option] of options.entries()) {
        if (options.some((other, at) => at !== index && !excludes(option, other, resolve, this.#looks))) {
          throw this.#unsupported('oneOf', 'whose options may hold at once; use "anyOf"');
        }
      }
    }
    return unionOf(options.map((option) => this.#read(option, depth + 1)));
  }

  #literals(schema: Schema): JsonShape {
    const { type, enum: list, const: only, ...others } = schema;
    const beside = Object.keys(others)[0];
    if (beside !== undefined) throw this.#unsupported(beside, 'beside "enum" or "const"');
    const values = list === undefined ? [only] : this.#list('enum', list);
    const types = type === undefined ? undefined : this.#types(schema);
    const kept = values.filter((value) => {
      if (Object.hasOwn(schema, 'const') && canonical(value) !== canonical(only)) return false;
      const is = typeOf(value);
      return types === undefined || types.includes(is) || (is === 'integer' && types.includes('number'));
    });
    return { kind: 'literals', texts: [...new Set(kept.map(jsonText))] };
  }

  /** The types stated, or those that the keywords speak of; undefined = every type. */
  #types(schema: Schema): readonly string[] | undefined {
    if (schema.type === undefined) {
      const meant = Object.keys(KEYWORDS_OF_TYPE).filter((type) =>
        KEYWORDS_OF_TYPE[type]?.some((keyword) => schema[keyword] !== undefined),
      );
      return meant.length === 0 ? undefined : meant;
    }
    const types = [...new Set([schema.type].flat())];
    if (!types.every((type): type is string => typeof type === 'string' && TYPES.has(type))) {
      throw this.#bad('has a "type" that JSON does not have');
    }
    return types.includes('number') ? types.filter((type) => type !== 'integer') : types;
  }

  #ofType(type: string, schema: Schema, depth: number): JsonShape {
    if (type === 'null') return { kind: 'null' };
    if (type === 'boolean') return { kind: 'boolean' };
    if (type === 'string') return this.#string(schema);
    if (type === 'array') return this.#array(schema, depth);
    if (type === 'object') return this.#object(schema, depth);
    return this.#number(type, schema);
  }

  #number(type: string, schema: Schema): JsonShape {
    const bounds: Record<string, number> = {};
    for (const keyword of KEYWORDS_OF_TYPE.number ?? []) {
      const value = schema[keyword];
      if (value === undefined) continue;
      if (typeof value !== 'number' || !Number.isFinite(value)) throw this.#bad(`has a "${keyword}" that is no number`);
      bounds[keyword] = value;
    }
    const pattern = type === 'integer' ? integerPattern(bounds) : numberPattern(bounds as NumberBounds);
    if (pattern === 'digits') throw this.#bad('has bounds of a number with too many digits');
    return pattern === undefined ? NEVER : { kind: 'number', automaton: this.#automaton(pattern) };
  }

  #string(schema: Schema): JsonShape {
    const min = this.#count(schema, 'minLength') ?? 0;
    const max = this.#count(schema, 'maxLength');
    if (max !== undefined && min > max) return NEVER;
    const { pattern, format } = schema;
    if (pattern === undefined && format === undefined) return { kind: 'string', min, max };
    if (pattern !== undefined && format !== undefined) throw this.#unsupported('format', 'beside "pattern"');
    const keyword = pattern === undefined ? 'format' : 'pattern';
    const read = this.#pattern(keyword, schema[keyword]);
    const lengths = patternLengths(read);
    if (lengths.min < min) throw this.#unsupported('minLength', `beside a "${keyword}" that allows shorter texts`);
    if (max !== undefined && (lengths.max === undefined || lengths.max > max)) {
      throw this.#unsupported('maxLength', `beside a "${keyword}" that allows longer texts`);
    }
    return { kind: 'text', automaton: this.#automaton(read) };
  }

  #pattern(keyword: 'pattern' | 'format', value: unknown): Pattern {
    if (typeof value !== 'string') throw this.#bad(`has a "${keyword}" that is no text`);
    if (keyword === 'format' && !Object.hasOwn(JSON_FORMATS, value)) {
      throw this.#unsupported('format', `${JSON.stringify(value.slice(0, 40))}`);
    }
    try {
      const source = keyword === 'format' ? (JSON_FORMATS[value] as string) : value;
      return readPattern(source, JSON_SCHEMA_REPEAT_MAX);
    } catch (error) {
      if (error instanceof PatternRefusal) throw this.#unsupported('pattern', `that ${error.message}`);
      throw error;
    }
  }

  #automaton(pattern: Pattern): Automaton {
    try {
      return automatonOf(pattern, this.#budget);
    } catch (error) {
      if (error instanceof PatternRefusal) throw this.#unsupported('pattern', `that ${error.message}`);
      throw error;
    }
  }

  #array(schema: Schema, depth: number): JsonShape {
    const { items, prefixItems, unevaluatedItems } = schema;
    if (Array.isArray(items)) throw this.#unsupported('items', 'as a list; use "prefixItems"');
    const min = this.#count(schema, 'minItems') ?? 0;
    const max = this.#count(schema, 'maxItems');
    if (max !== undefined && min > max) return NEVER;
    const listed = prefixItems === undefined ? [] : this.#list('prefixItems', prefixItems);
    const prefix = listed.map((item) => this.#read(item, depth + 1));
    // Items that nothing is said of are written only where there must be some.
    const free = listed.length === 0 || min > listed.length ? true : undefined;
    const further = items ?? unevaluatedItems ?? free;
    const rest = further === undefined || further === false ? undefined : this.#read(further, depth + 1);
    return { kind: 'array', prefix, rest, min, max: this.#repeats(min, max) };
  }

  #object(schema: Schema, depth: number): JsonShape {
    const { properties = {}, required = [], additionalProperties: additional, unevaluatedProperties } = schema;
    if (!isSchema(properties)) throw this.#bad('has "properties" that are no object');
    const names = this.#list('required', required);
    if (!names.every((name) => typeof name === 'string')) throw this.#bad('has a "required" that is no list of names');
    const others = additional ?? unevaluatedProperties;
    const rest = others === undefined || others === true ? undefined : this.#read(others, depth + 1);
    const stated: ObjectProperty[] = Object.entries(properties).map(([name, value]) => ({
      name,
      shape: this.#read(value, depth + 1),
      required: names.includes(name),
    }));
    for (const name of new Set(names)) {
      if (!Object.hasOwn(properties, name)) stated.push({ name, shape: rest ?? { kind: 'any' }, required: true });
    }
    const open = others !== undefined && others !== true ? (others === false ? undefined : rest) : undefined;
    // An object of which no property is named may have any, unless none is allowed.
    const shape = stated.length === 0 && open === undefined && others !== false ? ({ kind: 'any' } as const) : open;
    return this.#counted(schema, stated, shape);
  }

  /** Keeps to minProperties and maxProperties by what must be written and what is left out. */
  #counted(schema: Schema, stated: readonly ObjectProperty[], rest: JsonShape | undefined): JsonShape {
    const min = this.#count(schema, 'minProperties') ?? 0;
    const max = this.#count(schema, 'maxProperties');
    const must = stated.filter(({ required }) => required).length;
    // Names that are free may repeat: how many properties there are is then not known.
    if (max !== undefined && rest !== undefined)
      throw this.#unsupported('maxProperties', 'beside properties of any name');
    if (min > stated.length && rest !== undefined) {
      throw this.#unsupported('minProperties', 'beside properties of any name');
    }
    if (min > stated.length || (max !== undefined && (min > max || must > max))) return NEVER;
    let optional = Math.max(min, must) - must;
    let left = max === undefined ? stated.length : max - must;
    const properties = stated.flatMap((property): readonly ObjectProperty[] => {
      if (property.required) return [property];
      if (left-- <= 0) return [];
      return [optional-- > 0 ? { ...property, required: true } : property];
    });
    return { kind: 'object', properties, rest };
  }

  #count(schema: Schema, keyword: string): number | undefined {
    const value = schema[keyword];
    if (value === undefined) return undefined;
    if (!Number.isInteger(value) || (value as number) < 0) throw this.#bad(`has a "${keyword}" that is no count`);
    return value as number;
  }

  /** The largest count that is written. */
  #repeats(min: number, max: number | undefined): number | undefined {
    if (min > JSON_SCHEMA_REPEAT_MAX) throw this.#bad(`asks for more than ${JSON_SCHEMA_REPEAT_MAX} of something`);
    return max === undefined ? undefined : Math.min(max, JSON_SCHEMA_REPEAT_MAX);
  }

  #list(keyword: string, value: unknown): readonly unknown[] {
    if (!Array.isArray(value)) throw this.#bad(`has "${keyword}" that is no list`);
    return value;
  }

  /** A value that is itself, or one of several of which one is itself: no grammar is made of that. */
  #refuseLoops(): void {
    const state = new Map<string, 'open' | 'done'>();
    const visit = (shape: JsonShape): void => {
      if (shape.kind === 'union') shape.options.forEach(visit);
      if (shape.kind !== 'ref' || state.get(shape.pointer) === 'done') return;
      if (state.get(shape.pointer) === 'open') throw this.#bad('has a "$ref" that leads back to itself');
      state.set(shape.pointer, 'open');
      visit(this.#definitions.get(shape.pointer) ?? NEVER);
      state.set(shape.pointer, 'done');
    };
    for (const pointer of this.#definitions.keys()) visit({ kind: 'ref', pointer });
  }

  #bad(why: string): WeftError {
    return new WeftError({
      code: 'bad_request',
      message: `The JSON schema of "${this.#param}" ${why}.`,
      facts: { param: this.#param },
    });
  }

  #unsupported(keyword: string, how?: string): WeftError {
    const named = JSON.stringify(keyword.slice(0, 64));
    return new WeftError({
      code: 'unsupported',
      message: `Answers can't be held to ${named}${how === undefined ? '' : ` ${how}`} in the JSON schema of "${this.#param}".`,
      remedy: 'Leave the named keyword out of the schema, and check it in your own code.',
      facts: { param: this.#param, keyword: keyword.slice(0, 64) },
    });
  }
}

/** Values in a list that take as long to compare as a part to read. */
const VALUES_PER_PART = 16;

const partsOf = ({ properties = {}, enum: list }: Schema): number =>
  Object.keys(properties as object).length + (Array.isArray(list) ? Math.ceil(list.length / VALUES_PER_PART) : 0);

/** A schema that no value fits. */
const NOTHING: Schema = { enum: [] };

function unionOf(options: readonly JsonShape[]): JsonShape {
  return options.length === 1 ? (options[0] as JsonShape) : { kind: 'union', options };
}

/** The text of a value as it is written: separators with a space, as everywhere. */
function jsonText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(jsonText).join(', ')}]`;
  if (!isSchema(value)) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, inner]) => `${JSON.stringify(key)}: ${jsonText(inner)}`)
    .join(', ')}}`;
}

/** A part of a JSON pointer in a URI (RFC 6901). */
function decodePointer(part: string): string {
  try {
    return decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
  } catch {
    return part;
  }
}
