// Every small change that can be made to a JSON value, one at a time: what a test of a signed format tampers with.

/** A changed text, and where it was changed: `a.b[0]: removed`. */
export interface Change {
  readonly what: string;
  readonly text: string;
}

type Path = readonly (string | number)[];

/** Each leaf altered and of another type, each member removed, renamed, twice, each element removed, twice; and additions. */
export function* changesOf(root: unknown): Generator<Change> {
  for (const [path, value] of nodes(root, [])) {
    const at = name(path);
    for (const [how, other] of replacements(value)) {
      yield { what: `${at}: ${how}`, text: JSON.stringify(replaced(root, path, other)) };
    }
    const last = path.at(-1);
    if (typeof last === 'string') {
      const parent = path.slice(0, -1);
      const members = Object.entries(nodeAt(root, parent) as object);
      const without = members.filter(([key]) => key !== last);
      const changed = (entries: [string, unknown][]) =>
        JSON.stringify(replaced(root, parent, Object.fromEntries(entries)));
      yield { what: `${at}: removed`, text: changed(without) };
      yield { what: `${at}: renamed`, text: changed([...without, [`${last}X`, value]]) };
      // Written as text, as no value has a member twice.
      const twice = (first: unknown, second: unknown) =>
        withMarker(root, parent, `{${[...without, [last, first], [last, second]].map(member).join(',')}}`);
      yield { what: `${at}: twice`, text: twice(value, value) };
      yield { what: `${at}: twice, the first empty`, text: twice(null, value) };
      yield { what: `${at}: twice, the second empty`, text: twice(value, null) };
    }
  }
}

const member = ([key, value]: unknown[]): string => `${JSON.stringify(key)}:${JSON.stringify(value)}`;

function replacements(value: unknown): [string, unknown][] {
  const types: [string, unknown][] = [
    ['null', null],
    ['a number', 7],
    ['a list', []],
    ['an object', {}],
    ['a text', 'x'],
    ['true', true],
    ['in a list', [value]],
  ];
  if (Array.isArray(value)) {
    return [
      ...types.filter(([how]) => how !== 'a list' || value.length > 0),
      ...value.map((_, index): [string, unknown] => [`without [${index}]`, value.toSpliced(index, 1)]),
      ...value.map((one, index): [string, unknown] => [`[${index}] twice`, value.toSpliced(index, 0, one)]),
      ['one more', [...value, 'x']],
    ];
  }
  if (value !== null && typeof value === 'object') return [...types, ['one more', { ...value, more: 'x' }]];
  const fits = types.filter(([, other]) => JSON.stringify(other) !== JSON.stringify(value));
  return [...fits, ...altered(value)];
}

function altered(value: unknown): [string, unknown][] {
  if (typeof value === 'number') return [-1, 1, -value, 0.5].map((by) => [`${by} more`, value + by]);
  if (typeof value === 'boolean') return [['the other', !value]];
  if (typeof value !== 'string' || value === '') return [['not empty', 'y']];
  const middle = value.length >> 1;
  const flip = (at: number): string => value.slice(0, at) + (value[at] === 'a' ? 'b' : 'a') + value.slice(at + 1);
  return [
    ['empty', ''],
    ['longer', `${value}a`],
    ['longer in front', `a${value}`],
    ['shorter', value.slice(0, -1)],
    ['with a space', `${value} `],
    ['in capitals', value.toUpperCase()],
    ['in the beginning', flip(0)],
    ['in the middle', flip(middle)],
    ['in the end', flip(value.length - 1)],
  ].filter(([, other]) => other !== value) as [string, unknown][];
}

function* nodes(value: unknown, path: Path): Generator<[Path, unknown]> {
  yield [path, value];
  if (Array.isArray(value)) for (const [index, one] of value.entries()) yield* nodes(one, [...path, index]);
  else if (value !== null && typeof value === 'object')
    for (const [key, one] of Object.entries(value)) yield* nodes(one, [...path, key]);
}

const nodeAt = (root: unknown, path: Path): unknown =>
  path.reduce((value, key) => (value as Record<string | number, unknown>)[key], root);

function replaced(root: unknown, path: Path, by: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return by;
  if (Array.isArray(root)) return root.map((one, index) => (index === key ? replaced(one, rest, by) : one));
  return Object.fromEntries(
    Object.entries(root as object).map(([name, one]) => [name, name === key ? replaced(one, rest, by) : one]),
  );
}

const withMarker = (root: unknown, path: Path, text: string): string =>
  JSON.stringify(replaced(root, path, '\u0001marker')).replace(JSON.stringify('\u0001marker'), () => text);

const name = (path: Path): string =>
  path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`))
    .join('')
    .replace(/^\./, '') || 'all';
