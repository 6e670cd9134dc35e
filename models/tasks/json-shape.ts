// What a JSON schema comes to once it is read: shapes of which every value that fits validates. json-schema.ts makes
// them, the grammar part of the runner writes them down as a grammar.

/** A set of code points: ranges [from, to], both included, in order, without overlap. */
export type CodePoints = readonly (readonly [number, number])[];

/** A regular language over code points. */
export type Pattern =
  | { readonly kind: 'set'; readonly points: CodePoints }
  | { readonly kind: 'sequence'; readonly parts: readonly Pattern[] }
  | { readonly kind: 'choice'; readonly options: readonly Pattern[] }
  /** `max` undefined = any number of times. */
  | { readonly kind: 'repeat'; readonly part: Pattern; readonly min: number; readonly max: number | undefined };

export interface ObjectProperty {
  readonly name: string;
  readonly shape: JsonShape;
  readonly required: boolean;
}

/** A set of JSON values. */
export type JsonShape =
  | { readonly kind: 'any' }
  | { readonly kind: 'boolean' }
  | { readonly kind: 'null' }
  /** Numbers without bounds have a pattern too: as many digits as a double keeps. */
  | { readonly kind: 'number'; readonly pattern: Pattern }
  /** A string of so many code points. */
  | { readonly kind: 'string'; readonly min: number; readonly max: number | undefined }
  /** A string that the pattern describes, before it is escaped. */
  | { readonly kind: 'text'; readonly pattern: Pattern }
  /** These JSON texts. None: no value at all. */
  | { readonly kind: 'literals'; readonly texts: readonly string[] }
  | {
      readonly kind: 'array';
      readonly prefix: readonly JsonShape[];
      /** Items behind the prefix; undefined = none. */
      readonly rest: JsonShape | undefined;
      readonly min: number;
      readonly max: number | undefined;
    }
  | {
      readonly kind: 'object';
      /** Written in this order. */
      readonly properties: readonly ObjectProperty[];
      /** Properties of any other name; undefined = none. */
      readonly rest: JsonShape | undefined;
    }
  | { readonly kind: 'union'; readonly options: readonly JsonShape[] }
  /** A key of {@link JsonShapes.definitions}. */
  | { readonly kind: 'ref'; readonly pointer: string };

/** A schema that has been read. */
export interface JsonShapes {
  readonly root: JsonShape;
  readonly definitions: ReadonlyMap<string, JsonShape>;
}

/** No value. */
export const NEVER: JsonShape = { kind: 'literals', texts: [] };

/** The pattern of one text. */
export function textPattern(text: string): Pattern {
  return {
    kind: 'sequence',
    parts: Array.from(text, (character) => {
      const point = character.codePointAt(0) as number;
      return { kind: 'set', points: [[point, point]] };
    }),
  };
}

/**
 * Which shapes have a value of finite size, the definitions taken together.
 * @returns a test for shapes of this schema
 */
export function finiteShapes(definitions: ReadonlyMap<string, JsonShape>): (shape: JsonShape) => boolean {
  const finite = new Set<string>();
  const has = (shape: JsonShape): boolean => {
    switch (shape.kind) {
      case 'literals':
        return shape.texts.length > 0;
      case 'union':
        return shape.options.some(has);
      case 'ref':
        return finite.has(shape.pointer);
      case 'object':
        return shape.properties.every(({ required, shape: value }) => !required || has(value));
      case 'array':
        return (
          shape.prefix.slice(0, shape.min).every(has) &&
          (shape.min <= shape.prefix.length || (shape.rest !== undefined && has(shape.rest)))
        );
      default:
        return true;
    }
  };
  for (let before = -1; before < finite.size; ) {
    before = finite.size;
    for (const [pointer, shape] of definitions) if (has(shape)) finite.add(pointer);
  }
  return has;
}
