// Lengths of strings are no matter of the grammar: counting is too dear there. Whoever draws tokens counts along
// (node/engine/runner/grammar/guard.ts), and must know at every place what the string there is held to. This says
// beforehand whether it will. Used by json-schema.ts.
import { JSON_SCHEMA_PLACES_MAX } from '../limits.ts';
import {
  alternativesOf,
  itemShapes,
  type JsonShape,
  type JsonShapes,
  propertyShapes,
  stringLengths,
} from './json-shape.ts';

/**
 * Why lengths can't be kept to; undefined when they can. `pattern`: at one place a string may be of some length, or
 * follow a pattern. `range`: two lengths at one place exclude one another. `places`: too many to look at.
 */
export function lengthsConflict({ root, definitions }: JsonShapes): 'pattern' | 'range' | 'places' | undefined {
  const numbers = new Map<JsonShape, number>();
  const numberOf = (shape: JsonShape): number => {
    const known = numbers.get(shape) ?? numbers.size;
    numbers.set(shape, known);
    return known;
  };
  const seen = new Set<string>();
  const pending: (readonly JsonShape[])[] = [[root]];
  for (let shapes = pending.pop(); shapes !== undefined; shapes = pending.pop()) {
    const alternatives = alternativesOf(shapes, definitions);
    const key = alternatives
      .map(numberOf)
      .sort((a, b) => a - b)
      .join();
    if (seen.has(key)) continue;
    seen.add(key);
    if (seen.size > JSON_SCHEMA_PLACES_MAX) return 'places';
    const { min, max } = stringLengths(alternatives);
    if (min > max) return 'range';
    const bounded = min > 0 || max < Number.POSITIVE_INFINITY;
    if (bounded && alternatives.some(({ kind }) => kind === 'text')) return 'pattern';
    for (const group of discriminated(alternatives)) pending.push(...inside(group));
  }
  return undefined;
}

/** Whether the length of any string matters. */
export function hasLengths({ root, definitions }: JsonShapes): boolean {
  const has = (shape: JsonShape): boolean => {
    switch (shape.kind) {
      case 'string':
        return shape.min > 0 || shape.max !== undefined;
      case 'array':
        return [...shape.prefix, ...(shape.rest === undefined ? [] : [shape.rest])].some(has);
      case 'object':
        return shape.properties.some(({ shape: value }) => has(value)) || (shape.rest !== undefined && has(shape.rest));
      case 'union':
        return shape.options.some(has);
      default:
        return false;
    }
  };
  return has(root) || [...definitions.values()].some(has);
}

/** What may stand at each place within values of these shapes. */
function inside(alternatives: readonly JsonShape[]): (readonly JsonShape[])[] {
  const names = new Set<string>();
  let items = 0;
  let others = false;
  for (const shape of alternatives) {
    if (shape.kind === 'object') {
      for (const { name } of shape.properties) names.add(name);
      others ||= shape.rest !== undefined;
    } else if (shape.kind === 'array') items = Math.max(items, shape.prefix.length + 1);
  }
  const places = [...names].map((name) => propertyShapes(alternatives, name));
  if (others) places.push(alternatives.flatMap((shape) => (shape.kind === 'object' ? (shape.rest ?? []) : [])));
  for (let index = 0; index < items; index++) places.push(itemShapes(alternatives, index));
  return places;
}

/**
 * Shapes that are told apart by the first thing that is written: the same required property, which has one of a few
 * texts. Objects without it are one group with all.
 */
function discriminated(alternatives: readonly JsonShape[]): (readonly JsonShape[])[] {
  const objects = alternatives.filter((shape) => shape.kind === 'object');
  const [name, ...otherNames] = new Set(objects.map(({ properties }) => properties[0]?.name));
  const firsts = objects.map(({ properties }) => properties[0]);
  const told = firsts.every(
    (first) =>
      first?.required === true &&
      first.shape.kind === 'literals' &&
      first.shape.texts.every((text) => text.startsWith('"')),
  );
  if (objects.length < 2 || name === undefined || otherNames.length > 0 || !told) return [alternatives];
  const texts = new Set(firsts.flatMap((first) => (first?.shape.kind === 'literals' ? first.shape.texts : [])));
  return [...texts].map((text) =>
    alternatives.filter((shape) => {
      const first = shape.kind === 'object' ? shape.properties[0]?.shape : undefined;
      return first?.kind !== 'literals' || first.texts.includes(text);
    }),
  );
}
