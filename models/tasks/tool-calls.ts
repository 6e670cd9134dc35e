// Calls of tools in an answer's text: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, taken out while the text
// streams. The coordinator puts one behind the detokenizer when a request has tools.
//
// A tag that closes counts only outside of JSON's strings, so that an argument may hold one. What is no call of a known
// tool stays text, tags and all. White space alone that adjoins a call is no text.

export const TOOL_CALL_OPEN = '<tool_call>';
export const TOOL_CALL_CLOSE = '</tool_call>';

export interface ParsedCall {
  readonly name: string;
  /** JSON text of an object, as the model wrote it. */
  readonly arguments: string;
}

/** What becomes of a stretch of the answer. Lengths in UTF-16 units; all stretches together are the answer. */
export type AnswerPiece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'call'; readonly call: ParsedCall; readonly length: number }
  /** White space that is left out. */
  | { readonly kind: 'blank'; readonly length: number };

export class ToolCallParser {
  readonly #names: ReadonlySet<string>;
  /** `gap`: nothing but white space since the beginning or since a call. */
  #state: 'gap' | 'text' | 'call' = 'gap';
  /** Pieces of text that aren't decided yet. Never joined before they are, so that a long call costs what it is long. */
  #held: string[] = [];
  /** Units of the tag that is looked for which the text ends with: `<` stands at its beginning only. */
  #matched = 0;
  /** Units of white space held before the call's tag. */
  #blank = 0;
  /** Within a string of the call's JSON: `escaped` behind a backslash. */
  #string: 'outside' | 'inside' | 'escaped' = 'outside';
  #called = false;

  /** @param names of the tools that there are: a call of another one stays text */
  constructor(names: Iterable<string>) {
    this.#names = new Set(names);
  }

  /** What this text decides, in order. Text that may be the beginning of a call is held back. */
  push(text: string): AnswerPiece[] {
    const pieces: AnswerPiece[] = [];
    let start = 0;
    for (let index = 0; index < text.length; index++) {
      const tagged =
        this.#state === 'call' ? this.#advanceInCall(text.charAt(index)) : this.#advance(text.charAt(index));
      if (!tagged) continue;
      this.#held.push(text.slice(start, index + 1));
      start = index + 1;
      if (this.#state === 'call') this.#closed(pieces);
      else this.#opened(pieces);
    }
    this.#held.push(text.slice(start));
    if (this.#state === 'text') {
      const held = this.#take();
      emit(pieces, held.slice(0, held.length - this.#matched));
      this.#held = [held.slice(held.length - this.#matched)];
    }
    return pieces;
  }

  /** What was held back: a call that was cut is text. Call it once, at the end. */
  end(): AnswerPiece[] {
    const pieces: AnswerPiece[] = [];
    const held = this.#take();
    if (this.#state === 'gap' && this.#matched === 0 && this.#called) blank(pieces, held.length);
    else emit(pieces, held);
    return pieces;
  }

  /** Takes one unit outside of calls. Returns true when it completes the tag that opens one. */
  #advance(unit: string): boolean {
    const before = this.#matched;
    this.#matched = unit === TOOL_CALL_OPEN[before] ? before + 1 : unit === TOOL_CALL_OPEN[0] ? 1 : 0;
    const brokeOff = before > 0 && this.#matched !== before + 1;
    if (this.#state === 'gap' && (brokeOff || (this.#matched === 0 && !/\s/.test(unit)))) this.#state = 'text';
    return this.#matched === TOOL_CALL_OPEN.length;
  }

  /** Takes one unit within a call. Returns true when it completes the tag that closes it. */
  #advanceInCall(unit: string): boolean {
    if (this.#string === 'outside') {
      const before = this.#matched;
      this.#matched = unit === TOOL_CALL_CLOSE[before] ? before + 1 : unit === TOOL_CALL_CLOSE[0] ? 1 : 0;
      if (unit === '"') this.#string = 'inside';
      return this.#matched === TOOL_CALL_CLOSE.length;
    }
    if (this.#string === 'escaped') this.#string = 'inside';
    else if (unit === '\\') this.#string = 'escaped';
    else if (unit === '"') this.#string = 'outside';
    return false;
  }

  #opened(pieces: AnswerPiece[]): void {
    const held = this.#take();
    const before = held.slice(0, held.length - TOOL_CALL_OPEN.length);
    // White space waits for what becomes of the call; text doesn't.
    this.#blank = this.#state === 'gap' ? before.length : 0;
    if (this.#state === 'text') emit(pieces, before);
    this.#held = [held.slice(this.#state === 'text' ? before.length : 0)];
    this.#state = 'call';
    this.#matched = 0;
    this.#string = 'outside';
  }

  #closed(pieces: AnswerPiece[]): void {
    const held = this.#take();
    const json = held.slice(this.#blank + TOOL_CALL_OPEN.length, held.length - TOOL_CALL_CLOSE.length);
    const call = parseCall(json, this.#names);
    this.#matched = 0;
    if (call === undefined) {
      this.#state = 'text';
      emit(pieces, held);
      return;
    }
    blank(pieces, this.#blank);
    pieces.push({ kind: 'call', call, length: held.length - this.#blank });
    this.#state = 'gap';
    this.#called = true;
  }

  #take(): string {
    const held = this.#held.join('');
    this.#held = [];
    return held;
  }
}

function emit(pieces: AnswerPiece[], text: string): void {
  if (text !== '') pieces.push({ kind: 'text', text });
}

function blank(pieces: AnswerPiece[], length: number): void {
  if (length > 0) pieces.push({ kind: 'blank', length });
}

function parseCall(json: string, names: ReadonlySet<string>): ParsedCall | undefined {
  try {
    const value: unknown = JSON.parse(json);
    if (!isObject(value) || !Object.hasOwn(value, 'name') || !Object.hasOwn(value, 'arguments')) return undefined;
    const { name } = value;
    if (typeof name !== 'string' || !names.has(name) || !isObject(value.arguments)) return undefined;
    return { name, arguments: memberText(json, 'arguments') };
  } catch {
    // Not JSON: then it is text.
    return undefined;
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * The text of an object's member, as it stands: parsing and writing it anew would round long numbers.
 * @param json valid, an object; of members with the same name the last one counts, as it does for JSON.parse
 */
function memberText(json: string, name: string): string {
  let depth = 0;
  let key: unknown;
  let start = -1;
  let text = '';
  for (const { 0: token, index } of json.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]/g)) {
    const ends = (token === ',' && depth === 1) || (token === '}' && depth === 1);
    if (ends) {
      if (key === name) text = json.slice(start, index).trim();
      start = -1;
    }
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    else if (depth === 1 && token === ':') start = index + 1;
    else if (depth === 1 && start < 0 && token !== ',') key = JSON.parse(token);
  }
  return text;
}
