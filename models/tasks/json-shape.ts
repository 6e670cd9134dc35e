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

/** Where the code points of a set lead. */
export interface AutomatonEdge {
  readonly points: CodePoints;
  readonly to: number;
}
export interface AutomatonState {
  /** The text may end here. */
  readonly accepts: boolean;
  /** Their sets do not overlap, and none is empty. */
  readonly edges: readonly AutomatonEdge[];
}
/** A regular language, deterministic: begins at the first state, and from every state there is a way to an end. */
export type Automaton = readonly AutomatonState[];

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
  /** Numbers without bounds have one too: as many digits as a double keeps. */
  | { readonly kind: 'number'; readonly automaton: Automaton }
  /** A string of so many code points. */
  | { readonly kind: 'string'; readonly min: number; readonly max: number | undefined }
  /** A string of a pattern or format: what it describes is not escaped yet. */
  | { readonly kind: 'text'; readonly automaton: Automaton }
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

/** The shapes that a value may have: unions and references followed, each shape once. */
export function alternativesOf(
  shapes: readonly JsonShape[],
  definitions: ReadonlyMap<string, JsonShape>,
): readonly JsonShape[] {
  const found = new Set<JsonShape>();
  const followed = new Set<JsonShape>();
  const follow = (shape: JsonShape): void => {
    if (followed.has(shape)) return;
    followed.add(shape);
    if (shape.kind === 'union') shape.options.forEach(follow);
    else if (shape.kind === 'ref') follow(definitions.get(shape.pointer) ?? NEVER);
    else found.add(shape);
  };
  shapes.forEach(follow);
  return [...found];
}

/** What a property of this name may be, in objects of any of these shapes. */
export function propertyShapes(alternatives: readonly JsonShape[], name: string): readonly JsonShape[] {
  return alternatives.flatMap((shape) => {
    if (shape.kind === 'any') return [shape];
    if (shape.kind !== 'object') return [];
    const stated = shape.properties.find((property) => property.name === name)?.shape ?? shape.rest;
    return stated === undefined ? [] : [stated];
  });
}

/** What the item at this place may be, in arrays of any of these shapes. */
export function itemShapes(alternatives: readonly JsonShape[], index: number): readonly JsonShape[] {
  return alternatives.flatMap((shape) => {
    if (shape.kind === 'any') return [shape];
    if (shape.kind !== 'array') return [];
    const item = shape.prefix[index] ?? shape.rest;
    return item === undefined ? [] : [item];
  });
}

/** Code points that a string may have, whichever of the alternatives it is meant to be: the narrowest of all bounds. */
export function stringLengths(alternatives: readonly JsonShape[]): { readonly min: number; readonly max: number } {
  let [min, max] = [0, Number.POSITIVE_INFINITY];
  for (const shape of alternatives) {
    if (shape.kind !== 'string') continue;
    min = Math.max(min, shape.min);
    max = Math.min(max, shape.max ?? Number.POSITIVE_INFINITY);
  }
  return { min, max };
}
