// ECMAScript regular expressions → patterns: the regular part of them, with the meaning of the `u` flag. Used for the
// `pattern` and `format` of JSON schemas.
import { PATTERN_DEPTH_MAX } from '../limits.ts';
import { outsidePoints, PatternRefusal, unitePoints, writtenPoints } from './json-points.ts';
import type { CodePoints, Pattern } from './json-shape.ts';

const DIGITS: CodePoints = [[0x30, 0x39]];
const WORD: CodePoints = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
const SPACE: CodePoints = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];
const LINE_ENDS: CodePoints = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
];
const CONTROLS: Readonly<Record<string, number>> = { t: 0x09, n: 0x0a, v: 0x0b, f: 0x0c, r: 0x0d, 0: 0 };
const CLASSES: Readonly<Record<string, CodePoints>> = {
  d: DIGITS,
  D: outsidePoints(DIGITS),
  w: WORD,
  W: outsidePoints(WORD),
  s: SPACE,
  S: outsidePoints(SPACE),
};
/** Around a pattern without anchors: any characters. */
const ANY_TEXT: Pattern = {
  kind: 'repeat',
  part: { kind: 'set', points: writtenPoints([[0, 0x10ffff]]) },
  min: 0,
  max: undefined,
};
const EMPTY: Pattern = { kind: 'sequence', parts: [] };

/**
 * The strings that contain a match.
 * @param repeatMax largest count of a quantifier
 * @throws PatternRefusal for what is no regular expression, and for look-around, back-references, word boundaries,
 *   property classes and anchors elsewhere than at the ends
 */
export function readPattern(source: string, repeatMax: number): Pattern {
  try {
    new RegExp(source, 'u');
  } catch {
    throw new PatternRefusal('is no regular expression');
  }
  return new PatternReader(source, repeatMax).read();
}

/** Reads what `new RegExp(…, 'u')` has taken: syntax errors need no attention here. */
class PatternReader {
  readonly #characters: readonly string[];
  readonly #repeatMax: number;
  #at = 0;
  #depth = 0;

  constructor(source: string, repeatMax: number) {
    this.#characters = Array.from(source);
    this.#repeatMax = repeatMax;
  }

  read(): Pattern {
    // Anchors belong to a branch of the outermost choice: /^a|b$/ is "begins with a, or ends with b".
    const options: Pattern[] = [];
    do {
      const begins = this.#take('^');
      const parts = this.#branch();
      const ends = this.#take('$');
      options.push({ kind: 'sequence', parts: [...(begins ? [] : [ANY_TEXT]), ...parts, ...(ends ? [] : [ANY_TEXT])] });
      if (!this.#done() && this.#peek() !== '|') throw new PatternRefusal('has an anchor inside');
    } while (this.#take('|'));
    return options.length === 1 ? (options[0] as Pattern) : { kind: 'choice', options };
  }

  #choice(): Pattern {
    if (++this.#depth > PATTERN_DEPTH_MAX) throw new PatternRefusal('has too many groups within groups');
    const options: Pattern[] = [];
    do {
      options.push({ kind: 'sequence', parts: this.#branch() });
      const next = this.#peek();
      if (next !== '|' && next !== ')') throw new PatternRefusal('has an anchor inside');
    } while (this.#take('|'));
    this.#depth--;
    return options.length === 1 ? (options[0] as Pattern) : { kind: 'choice', options };
  }

  /** Up to an anchor, `|`, `)` or the end. */
  #branch(): Pattern[] {
    const parts: Pattern[] = [];
    for (let next = this.#peek(); next !== undefined && !'|)$^'.includes(next); next = this.#peek()) {
      parts.push(this.#quantified(this.#atom()));
    }
    return parts;
  }

  #atom(): Pattern {
    const character = this.#next();
    if (character === '(') {
      if (this.#take('?')) this.#groupKind();
      const inside = this.#choice();
      this.#next();
      return inside;
    }
    if (character === '[') return { kind: 'set', points: writtenPoints(this.#class()) };
    if (character === '.') return { kind: 'set', points: writtenPoints(outsidePoints(LINE_ENDS)) };
    if (character === '\\') return { kind: 'set', points: writtenPoints(this.#escape(false)) };
    return { kind: 'set', points: writtenPoints(pointsOf(character)) };
  }

  /** Behind `(?`. */
  #groupKind(): void {
    if (this.#take(':')) return;
    if (this.#take('<') && this.#peek() !== '=' && this.#peek() !== '!') {
      while (this.#next() !== '>');
      return;
    }
    throw new PatternRefusal('looks ahead or behind');
  }

  #class(): CodePoints {
    const negated = this.#take('^');
    const points: (readonly [number, number])[] = [];
    while (!this.#take(']')) {
      const low = this.#member();
      const [first] = low;
      if (first !== undefined && low.length === 1 && this.#peek() === '-' && this.#peek(1) !== ']') {
        this.#next();
        const high = this.#member();
        points.push([first[0], (high[0] as readonly [number, number])[1]]);
      } else points.push(...low);
    }
    return negated ? outsidePoints(points) : unitePoints(points);
  }

  #member(): CodePoints {
    const character = this.#next();
    return character === '\\' ? this.#escape(true) : pointsOf(character);
  }

  /** Behind a backslash. */
  #escape(inClass: boolean): CodePoints {
    const character = this.#next();
    const known = CLASSES[character];
    if (known !== undefined) return known;
    const control = CONTROLS[character];
    if (control !== undefined) return [[control, control]];
    if (character === 'x') return this.#hex(2);
    if (character === 'u') return this.#unicode();
    if (character === 'c') return pointsOf(String.fromCharCode(this.#next().charCodeAt(0) % 32));
    if (inClass && character === 'b') return [[8, 8]];
    if (character === 'b' || character === 'B') throw new PatternRefusal('has a word boundary');
    if (character === 'p' || character === 'P') throw new PatternRefusal('has a Unicode property class');
    if (character === 'k' || /[1-9]/.test(character)) throw new PatternRefusal('refers back to a group');
    return pointsOf(character);
  }

  #unicode(): CodePoints {
    if (this.#take('{')) {
      let digits = '';
      for (let digit = this.#next(); digit !== '}'; digit = this.#next()) digits += digit;
      const point = Number.parseInt(digits, 16);
      return [[point, point]];
    }
    const first = this.#hex(4);
    const high = (first[0] as readonly [number, number])[0];
    if (high < 0xd800 || high > 0xdbff || this.#peek() !== '\\' || this.#peek(1) !== 'u') return first;
    this.#at += 2;
    const low = (this.#hex(4)[0] as readonly [number, number])[0];
    const point = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    return [[point, point]];
  }

  #hex(length: number): CodePoints {
    let digits = '';
    while (digits.length < length) digits += this.#next();
    const point = Number.parseInt(digits, 16);
    return [[point, point]];
  }

  #quantified(part: Pattern): Pattern {
    const [min, max] = this.#quantifier();
    // Lazy or greedy: the language is the same.
    if (min !== 1 || max !== 1) this.#take('?');
    if (min === 1 && max === 1) return part;
    if (max === 0) return EMPTY;
    if (Math.max(min, max ?? 0) > this.#repeatMax) {
      throw new PatternRefusal(`repeats something more than ${this.#repeatMax} times`);
    }
    return { kind: 'repeat', part, min, max };
  }

  #quantifier(): readonly [number, number | undefined] {
    if (this.#take('*')) return [0, undefined];
    if (this.#take('+')) return [1, undefined];
    if (this.#take('?')) return [0, 1];
    if (!this.#take('{')) return [1, 1];
    let text = '';
    for (let character = this.#next(); character !== '}'; character = this.#next()) text += character;
    const [low, high] = text.split(',');
    const min = Number(low);
    return [min, high === undefined ? min : high === '' ? undefined : Number(high)];
  }

  #peek(ahead = 0): string | undefined {
    return this.#characters[this.#at + ahead];
  }

  #next(): string {
    return this.#characters[this.#at++] ?? '';
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #done(): boolean {
    return this.#at >= this.#characters.length;
  }
}

function pointsOf(character: string): CodePoints {
  const point = character.codePointAt(0) ?? 0;
  return [[point, point]];
}

/** How many code points the shortest and the longest text of a pattern have; no longest where it goes on for ever. */
export function patternLengths(pattern: Pattern): { readonly min: number; readonly max: number | undefined } {
  const sum = (a: number | undefined, b: number | undefined): number | undefined =>
    a === undefined || b === undefined ? undefined : a + b;
  switch (pattern.kind) {
    case 'set':
      return { min: 1, max: 1 };
    case 'sequence': {
      const lengths = pattern.parts.map(patternLengths);
      return {
        min: lengths.reduce((total, { min }) => total + min, 0),
        max: lengths.reduce<number | undefined>((total, { max }) => sum(total, max), 0),
      };
    }
    case 'choice': {
      const lengths = pattern.options.map(patternLengths);
      return {
        min: Math.min(...lengths.map(({ min }) => min)),
        max: lengths.some(({ max }) => max === undefined) ? undefined : Math.max(...lengths.map(({ max }) => max ?? 0)),
      };
    }
    case 'repeat': {
      const { min, max } = patternLengths(pattern.part);
      const most = max === 0 ? 0 : max === undefined || pattern.max === undefined ? undefined : max * pattern.max;
      return { min: min * pattern.min, max: most };
    }
  }
}
