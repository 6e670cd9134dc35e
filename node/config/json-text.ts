// Where the names of a JSON object stand in its text, and where a text stops being JSON. JSON.parse tells neither in a
// form to rely on, and whoever edits a file by hand needs the line.

/** Counted from 1, as editors do. */
export interface TextPosition {
  readonly line: number;
  readonly column: number;
}

/** Where the text stops being JSON, and what is wrong there. */
export interface JsonFault {
  readonly position: TextPosition;
  readonly problem: string;
}

/** What a text holds: the names of its outermost object with their places, in order, or the first fault. */
export type JsonScan = { readonly names: readonly (readonly [string, TextPosition])[] } | { readonly fault: JsonFault };

/** Deeper than any setting; bounds the recursion. */
const DEPTH_MAX = 32;

const SPACE = /[\t\n\r ]*/y;
const STRING = /"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy;
const PLAIN = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y;

/** Looks through the text of a small file. Its names are empty where it holds JSON, but no object. */
export function scanJson(text: string): JsonScan {
  const scanner = new Scanner(text);
  try {
    scanner.all();
    return { names: scanner.names };
  } catch (error) {
    if (error instanceof Fault) {
      return { fault: { position: positionAt(text, error.offset), problem: error.message } };
    }
    throw error;
  }
}

/** The line and column of an offset. */
function positionAt(text: string, offset: number): TextPosition {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

class Fault extends Error {
  readonly offset: number;

  constructor(offset: number, problem: string) {
    super(problem);
    this.offset = offset;
  }
}

class Scanner {
  readonly names: [string, TextPosition][] = [];
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  all(): void {
    this.#value(0);
    if (this.#peek() !== undefined) throw this.#fault('nothing may follow here');
  }

  #value(depth: number): void {
    if (depth > DEPTH_MAX) throw this.#fault('brackets are nested too deeply');
    const next = this.#peek();
    if (next === '{') this.#list('}', () => this.#entry(depth + 1));
    else if (next === '[') this.#list(']', () => this.#value(depth + 1));
    else if (!this.#takes(STRING) && !this.#takes(PLAIN)) throw this.#fault('a value is missing');
  }

  /** From the opening bracket to the closing one. */
  #list(end: string, element: () => void): void {
    this.#at++;
    if (this.#peek() === end) {
      this.#at++;
      return;
    }
    for (;;) {
      element();
      const next = this.#peek();
      if (next !== end && next !== ',') throw this.#fault(`a comma or ${end} is missing`);
      this.#at++;
      if (next === end) return;
      if (this.#peek() === end) throw this.#fault('a comma may not stand before the end');
    }
  }

  #entry(depth: number): void {
    this.#peek();
    const start = this.#at;
    if (!this.#takes(STRING)) throw this.#fault('a name in double quotes is missing');
    const name = JSON.parse(this.#text.slice(start, this.#at)) as string;
    if (depth === 1) this.names.push([name, positionAt(this.#text, start)]);
    if (this.#peek() !== ':') throw this.#fault('a colon is missing');
    this.#at++;
    this.#value(depth);
  }

  /** The next character that means something; undefined at the end. */
  #peek(): string | undefined {
    this.#takes(SPACE);
    return this.#text[this.#at];
  }

  #takes(token: RegExp): boolean {
    token.lastIndex = this.#at;
    if (!token.test(this.#text)) return false;
    this.#at = token.lastIndex;
    return true;
  }

  #fault(problem: string): Fault {
    const found = this.#text[this.#at];
    if (found === undefined) return new Fault(this.#at, `${problem}: the text ends`);
    if (found === '/' || found === '#') return new Fault(this.#at, 'JSON has no comments');
    return new Fault(this.#at, `${problem} before ${JSON.stringify(found)}`);
  }
}
