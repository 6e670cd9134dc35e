// What an answer must look like → a grammar in XGrammar's EBNF. JSON comes in one form, `{"a": 1, "b": [2, 3]}`: white
// space that may be left out is where small models get lost, and a form of its own needs fewer tokens.
import { automatonOf } from '../../../../models/tasks/json-automaton.ts';
import { ALL_BEYOND_ASCII, intersectPoints, outsidePoints, unitePoints } from '../../../../models/tasks/json-points.ts';
import {
  type Automaton,
  type AutomatonEdge,
  type AutomatonState,
  type CodePoints,
  finiteShapes,
  type JsonShape,
  type JsonShapes,
  textPattern,
} from '../../../../models/tasks/json-shape.ts';

/** How JSON is written in the tokens of a vocabulary. */
export interface Spelling {
  /** JSON text, or a part of it, in which characters that no tokens make up are escaped. */
  spell(json: string): string;
}

/** Every character as it is. */
export const PLAINLY: Spelling = { spell: (json) => json };

/** Key of the rule for any string: no rule has such a body. */
const STRING = '';

/** Rules under construction. The rule that everything begins with is added last, by {@link EbnfWriter.text}. */
export class EbnfWriter {
  readonly #rules: string[] = [];
  /** Body → name, so that what is the same is written, and compiled, once. */
  readonly #names = new Map<string, string>();
  readonly #spelling: Spelling;
  #count = 0;

  constructor(spelling: Spelling) {
    this.#spelling = spelling;
  }

  /** A literal of JSON. */
  json(text: string): string {
    return literal(this.#spelling.spell(text));
  }

  /** The grammar, with the body of its root rule. */
  text(root: string): string {
    return [`root ::= ${root}`, ...this.#rules].join('\n');
  }

  /** Name of the rule with this body. */
  rule(body: string): string {
    const known = this.#names.get(body);
    if (known !== undefined) return known;
    const name = this.reserve();
    this.#names.set(body, name);
    this.define(name, body);
    return name;
  }

  /** A name whose rule follows, so that it can refer to itself. */
  reserve(): string {
    return `r${this.#count++}`;
  }

  define(name: string, body: string): void {
    this.#rules.push(`${name} ::= ${body}`);
  }

  /**
   * A string. What follows its first quote is one rule that refers to itself: a token within it is then decided for all
   * strings at once, before any is generated, and the look-ahead decides those that reach beyond its end. A rule for each
   * character, repeated, takes 25 ms a token instead of 0.01 (SmolLM2's 49,152 tokens).
   */
  string(): string {
    const known = this.#names.get(STRING);
    if (known !== undefined) return known;
    const hex = '[0-9a-fA-F]';
    // Two halves of a surrogate pair, never one alone. Each next character decides, as everywhere.
    const pair = `[89abAB] ${hex} ${hex} "\\\\u" [dD] [c-fC-F] ${hex} ${hex}`;
    const unit = `[0-9a-cA-CeEfF] ${hex} ${hex} ${hex} | [dD] ([0-7] ${hex} ${hex} | ${pair})`;
    const escaped = this.rule(`["\\\\/bfnrt] | "u" (${unit})`);
    const rest = this.reserve();
    this.define(rest, `("\\"" | ${charClass(PLAIN)} ${rest} | "\\\\" ${escaped} ${rest}) (= [,}\\]:])`);
    const name = this.rule(`"\\"" ${rest}`);
    this.#names.set(STRING, name);
    return name;
  }

  /** Any JSON value. */
  any(): string {
    const name = this.#names.get('any') ?? this.reserve();
    if (this.#names.has('any')) return name;
    this.#names.set('any', name);
    const number = this.rule('"-"? ("0" | [1-9] [0-9]{0,14}) ("." [0-9]{1,15})? ([eE] [+\\-]? [0-9]{1,2})?');
    const array = this.rule(`"[" (${name} (", " ${name})*)? "]"`);
    this.define(name, [this.string(), number, this.object(), array, '"true"', '"false"', '"null"'].join(' | '));
    return name;
  }

  /** Any JSON object. */
  object(): string {
    const member = `${this.string()} ": " ${this.any()}`;
    return this.rule(`"{" (${member} (", " ${member})*)? "}"`);
  }

  /**
   * Name of the rule for an automaton: a rule for each state, but for those that only lead on from one other.
   * @param json its text stands within a JSON string
   */
  automaton(automaton: Automaton, json: boolean): string {
    const entries = new Array<number>(automaton.length).fill(0);
    for (const { edges } of automaton) for (const { to } of edges) entries[to] = (entries[to] as number) + 1;
    const inline = (state: number): boolean => {
      const { accepts, edges } = automaton[state] as AutomatonState;
      return state !== 0 && entries[state] === 1 && edges.length < 2 && !(accepts && edges.length > 0);
    };
    const names = automaton.map((_, state) => (inline(state) ? '' : this.reserve()));
    const behind = (from: number): string => {
      const parts: string[] = [];
      let text = '';
      let state: number | undefined = from;
      while (state !== undefined && inline(state)) {
        const [edge]: readonly AutomatonEdge[] = (automaton[state] as AutomatonState).edges;
        const only = edge === undefined ? undefined : singlePoint(edge.points);
        if (edge !== undefined && only === undefined) {
          if (text !== '') parts.push(this.#text(text, json));
          text = '';
          parts.push(this.#either(edge.points, json));
        } else if (only !== undefined) text += String.fromCodePoint(only);
        state = edge?.to;
      }
      if (text !== '') parts.push(this.#text(text, json));
      if (state !== undefined) parts.push(names[state] as string);
      return parts.length === 0 ? '""' : parts.join(' ');
    };
    const body = (state: number): string => {
      const { accepts, edges } = automaton[state] as AutomatonState;
      // A loop within the rule: a rule that refers to itself at its end takes longer with every character.
      const loop = edges.find(({ to, points }) => to === state && this.#written(points, json).escaped.length === 0);
      const options = this.#edges(
        edges.filter((edge) => edge !== loop),
        json,
        behind,
      );
      if (accepts) options.push('""');
      const written = options.length === 1 ? (options[0] as string) : `(${options.join(' | ')})`;
      return loop === undefined ? written : `${this.#class(loop.points, json)}* ${written}`;
    };
    for (const [state, name] of names.entries()) if (name !== '') this.define(name, body(state));
    return names[0] as string;
  }

  /** Neighbouring characters as one literal. */
  #text(text: string, json: boolean): string {
    return json ? this.json(JSON.stringify(text).slice(1, -1)) : literal(text);
  }

  /** One character of a set. */
  #either(points: CodePoints, json: boolean): string {
    const { plain, escaped } = this.#written(points, json);
    const options = plain.length === 0 ? [] : [this.#class(plain, json)];
    if (escaped.length > 0) options.push(`"\\\\" ${charClass(escaped)}`);
    return options.length === 1 ? (options[0] as string) : `(${options.join(' | ')})`;
  }

  /** Each edge with what is behind it. Escapes share their backslash, so that the next character decides. */
  #edges(edges: readonly AutomatonEdge[], json: boolean, behind: (state: number) => string): string[] {
    const options: string[] = [];
    const escapes: string[] = [];
    for (const { points, to } of edges) {
      const { plain, escaped } = this.#written(points, json);
      const next = behind(to);
      if (plain.length > 0) options.push(`${this.#class(plain, json)} ${next}`);
      if (escaped.length > 0) escapes.push(`${charClass(escaped)} ${next}`);
    }
    if (escapes.length > 0) options.push(`"\\\\" (${escapes.join(' | ')})`);
    return options;
  }

  /** What of a set stands for itself, and the letters of the escapes of the rest. */
  #written(points: CodePoints, json: boolean): { readonly plain: CodePoints; readonly escaped: CodePoints } {
    if (!json) return { plain: points, escaped: [] };
    const letters = Object.entries(ESCAPES).filter(([letter]) => within(points, ESCAPES[letter] as number));
    return {
      plain: intersectPoints(points, PLAIN),
      escaped: unitePoints(letters.map(([letter]) => [letter.charCodeAt(0), letter.charCodeAt(0)])),
    };
  }

  #class(points: CodePoints, json: boolean): string {
    return charClass(points, json ? this.#spelling : PLAINLY);
  }

  /**
   * Texts that tell what follows them, none of them the beginning of another. What they share is written once, so that
   * the next character always decides.
   */
  branches(options: readonly { readonly text: string; readonly next: string }[]): string {
    const [first, ...others] = options;
    if (first === undefined) return '""';
    let shared = first.text.length;
    for (const { text } of others) while (!text.startsWith(first.text.slice(0, shared))) shared--;
    // Not within a character of two units.
    if (others.length > 0 && /[\ud800-\udbff]$/.test(first.text.slice(0, shared))) shared--;
    const prefix = this.json(first.text.slice(0, shared));
    if (others.length === 0) return `${prefix} ${first.next}`;
    const groups = new Map<string, { readonly text: string; readonly next: string }[]>();
    for (const { text, next } of options) {
      const rest = { text: text.slice(shared), next };
      const letter = String.fromCodePoint(rest.text.codePointAt(0) as number);
      groups.set(letter, [...(groups.get(letter) ?? []), rest]);
    }
    return `${prefix} (${[...groups.values()].map((group) => this.branches(group)).join(' | ')})`;
  }

  /** Texts of JSON, one of them. */
  literals(texts: readonly string[]): string {
    const options = texts.map((text) => textPattern(this.#spelling.spell(text)));
    const automaton = automatonOf({ kind: 'choice', options }, { steps: Number.POSITIVE_INFINITY });
    return this.automaton(automaton, false);
  }
}

/**
 * Writes a schema's rules.
 * @returns name of the rule for its values
 */
export function writeShapes(writer: EbnfWriter, shapes: JsonShapes): string {
  return new ShapeWriter(writer, shapes).write(shapes.root);
}

class ShapeWriter {
  readonly #writer: EbnfWriter;
  readonly #finite: (shape: JsonShape) => boolean;
  readonly #names = new Map<string, string>();

  constructor(writer: EbnfWriter, shapes: JsonShapes) {
    this.#writer = writer;
    this.#finite = finiteShapes(shapes.definitions);
    const definitions = [...shapes.definitions].filter(([, shape]) => this.#finite(shape));
    for (const [pointer] of definitions) this.#names.set(pointer, writer.reserve());
    for (const [pointer, shape] of definitions) writer.define(this.#names.get(pointer) as string, this.write(shape));
  }

  /** Name of the rule for a shape that has a finite value. */
  write(shape: JsonShape): string {
    const writer = this.#writer;
    switch (shape.kind) {
      case 'any':
        return writer.any();
      case 'null':
        return writer.rule('"null"');
      case 'boolean':
        return writer.rule('"true" | "false"');
      case 'number':
        return writer.automaton(shape.automaton, false);
      case 'string':
        // How long it is, the guard sees to.
        return writer.string();
      case 'text':
        return writer.rule(`"\\"" ${writer.automaton(shape.automaton, true)} "\\""`);
      case 'literals':
        return writer.literals(shape.texts);
      case 'union':
        return writer.rule(
          shape.options
            .filter(this.#finite)
            .map((option) => this.write(option))
            .join(' | '),
        );
      case 'ref':
        return this.#names.get(shape.pointer) as string;
      case 'array':
        return this.#array(shape);
      case 'object':
        return this.#object(shape);
    }
  }

  #array(shape: JsonShape & { readonly kind: 'array' }): string {
    const { min, max } = shape;
    const impossible = shape.prefix.findIndex((item) => !this.#finite(item));
    const most = Math.min(max ?? Number.POSITIVE_INFINITY, impossible < 0 ? Number.POSITIVE_INFINITY : impossible);
    const prefix = shape.prefix.slice(0, most).map((item) => this.write(item));
    const further = impossible < 0 && shape.rest !== undefined && this.#finite(shape.rest) ? shape.rest : undefined;
    // From the last item to the first: each may be followed by the next.
    let tail = '';
    const left = max === undefined ? undefined : max - prefix.length;
    if (further !== undefined && left !== 0) {
      const item = this.write(further);
      if (prefix.length === 0) {
        const more = repeated(
          this.#writer.rule(`", " ${item}`),
          Math.max(0, min - 1),
          max === undefined ? max : max - 1,
        );
        tail = min === 0 ? `(${item} ${more})?` : `${item} ${more}`;
      } else {
        tail = repeated(this.#writer.rule(`", " ${item}`), Math.max(0, min - prefix.length), left);
      }
    }
    for (let index = prefix.length - 1; index >= 0; index--) {
      const item = `${index === 0 ? '' : '", " '}${prefix[index]} ${tail}`;
      tail = index < min ? item : `(${item})?`;
      // A rule of its own keeps the text short, however many items there are.
      tail = this.#writer.rule(tail);
    }
    return this.#writer.rule(`"[" ${tail} "]"`);
  }

  /** Properties in their order; each but the first follows a comma, which of them is the first depends on what is left out. */
  #object(shape: JsonShape & { readonly kind: 'object' }): string {
    const writer = this.#writer;
    const properties = shape.properties.filter(({ shape: value }) => this.#finite(value));
    const names = shape.properties.map(({ name }) => name);
    const free = shape.rest === undefined || !this.#finite(shape.rest) ? undefined : this.#free(names, shape.rest);
    let first = free === undefined ? '' : `(${free} (", " ${free})*)?`;
    let later = free === undefined ? '' : `(", " ${free})*`;
    for (const property of properties.toReversed()) {
      const written = `${writer.json(`${JSON.stringify(property.name)}: `)} ${this.write(property.shape)}`;
      const or = (with_: string, without: string): string =>
        property.required ? writer.rule(with_) : writer.rule(`${with_} | ${without === '' ? '""' : without}`);
      first = or(`${written} ${later}`, first);
      later = or(`", " ${written} ${later}`, later);
    }
    return writer.rule(`"{" ${first} "}"`);
  }

  /** A property of any other name. Names that were stated are left out letter by letter; none is escaped. */
  #free(names: readonly string[], shape: JsonShape): string {
    const value = this.write(shape);
    const texts = names.map((name) => Array.from(name));
    return this.#writer.rule(`"\\"" ${this.#other(texts, 0)} "\\": " ${value}`);
  }

  /** Names that are none of these from here on. */
  #other(names: readonly (readonly string[])[], at: number): string {
    const followers = new Map<number, (readonly string[])[]>();
    for (const name of names) {
      const point = name[at]?.codePointAt(0);
      if (point !== undefined) followers.set(point, [...(followers.get(point) ?? []), name]);
    }
    const taken = [...followers.keys()].sort((a, b) => a - b).map((point) => [point, point] as const);
    // A letter beyond ASCII that begins a stated name keeps the others out here: they can't be written without it.
    const ascii = taken.every(([point]) => point < 0x80);
    const others = intersectPoints(outsidePoints(taken), ascii ? PLAIN : intersectPoints(PLAIN, ASCII));
    const options = [`${charClass(others)} ${this.#writer.rule(`${charClass(PLAIN)}*`)}`];
    for (const [point, same] of followers) {
      if (within(PLAIN, point)) options.push(`${literal(String.fromCodePoint(point))} ${this.#other(same, at + 1)}`);
    }
    if (!names.some((name) => name.length === at)) options.push('""');
    return this.#writer.rule(options.join(' | '));
  }
}

/** Characters that stand for themselves within a JSON string. */
const PLAIN: CodePoints = [[0x20, 0x21], [0x23, 0x5b], [0x5d, 0x7f], ...ALL_BEYOND_ASCII];
const ASCII: CodePoints = [[0, 0x7f]];
const BEYOND_ASCII: CodePoints = [[0x80, 0x10ffff]];
/** The only member of a set; undefined where there are more. */
function singlePoint(points: CodePoints): number | undefined {
  const [range, further] = points;
  return range !== undefined && further === undefined && range[0] === range[1] ? range[0] : undefined;
}

/** Letter of an escape → what it stands for. */
const ESCAPES: Readonly<Record<string, number>> = {
  '"': 0x22,
  '\\': 0x5c,
  b: 0x08,
  f: 0x0c,
  n: 0x0a,
  r: 0x0d,
  t: 0x09,
};

/** A part so many times. */
function repeated(part: string, min: number, max: number | undefined): string {
  if (min === 0 && max === 1) return `${part}?`;
  if (min === 1 && max === 1) return part;
  if (max === undefined && min < 2) return `${part}${min === 0 ? '*' : '+'}`;
  if (max === 0) return '""';
  return `${part}{${min},${max ?? ''}}`;
}

/** A literal: plain letters, everything else by number or with a backslash, so that no text means anything to the grammar. */
export function literal(text: string): string {
  const escaped = Array.from(text, (character) =>
    /^[A-Za-z0-9 _:,.{}[\]<>/-]$/.test(character) ? character : numbered(character.codePointAt(0) as number),
  );
  return `"${escaped.join('')}"`;
}

/**
 * One character of a set. The library reads ranges beyond ASCII wrongly (as bytes of UTF-8, not as code points), so that
 * they are written as all of them, by what of ASCII is excluded, or one by one. The line separators that "all" has too
 * many are kept out by the worker (guard.ts).
 */
function charClass(points: CodePoints, spelling: Spelling = PLAINLY): string {
  const inside = ranges(intersectPoints(points, ASCII));
  const beyond = intersectPoints(points, BEYOND_ASCII);
  if (beyond.length === 0) return `[${inside}]`;
  if (JSON.stringify(beyond) === JSON.stringify(ALL_BEYOND_ASCII)) {
    return `[^${ranges(intersectPoints(outsidePoints(points), ASCII))}]`;
  }
  const named = beyond.flatMap(([from, to]) =>
    Array.from({ length: to - from + 1 }, (_, index) => literal(spelling.spell(String.fromCodePoint(from + index)))),
  );
  return `(${[...(inside === '' ? [] : [`[${inside}]`]), ...named].join(' | ')})`;
}

const ranges = (points: CodePoints): string =>
  points.map(([from, to]) => (from === to ? numbered(from) : `${numbered(from)}-${numbered(to)}`)).join('');

const numbered = (point: number): string =>
  point > 0xffff ? `\\U${point.toString(16).padStart(8, '0')}` : `\\u${point.toString(16).padStart(4, '0')}`;

const within = (points: CodePoints, point: number): boolean =>
  points.some(([from, to]) => from <= point && point <= to);
