// Where in an answer its bytes have led to: within which string of the JSON, how long it is, and what it is held to.
// Follows what the grammar allows, so that it needs no errors of its own. Used by guard.ts.

import {
  alternativesOf,
  itemShapes,
  type JsonShape,
  propertyShapes,
  stringLengths,
} from '../../../../models/tasks/json-shape.ts';
import type { Spelling } from './ebnf.ts';

/** What a whole answer is held to. */
export interface TextForm {
  readonly root: JsonShape;
  readonly definitions: ReadonlyMap<string, JsonShape>;
  /** JSON stands behind each of these, in other text; undefined = the answer is JSON. */
  readonly opens: string | undefined;
  readonly spelling: Spelling;
}

/** The object or array around a place. */
interface Frame {
  readonly kind: 'object' | 'array';
  readonly alternatives: readonly JsonShape[];
  /** Of the property that is written, or was last. */
  readonly name: string;
  /** Of the item that is written. */
  readonly index: number;
  readonly parent: Frame | undefined;
}

const [QUOTE, BACKSLASH, LETTER_U] = [0x22, 0x5c, 0x75];
const [COMMA, COLON, SPACE, LINE] = [0x2c, 0x3a, 0x20, 0x0a];
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

export class TextState {
  readonly #form: TextForm;
  #mode: 'text' | 'value' | 'name' | 'colon' | 'behind' | 'string' | 'scalar';
  /** How much of `opens` the text before here is. */
  #opened = 0;
  #frame: Frame | undefined;
  #alternatives: readonly JsonShape[];
  /** Whether the string is the name of a property. */
  #naming = false;
  /** Bytes of a name, or of a string that may be one of a few, as Latin-1. */
  #raw = '';
  #escape = '';
  #highSurrogate = false;
  #count = 0;
  #min = 0;
  #max = Number.POSITIVE_INFINITY;
  /** JSON texts that the string may still become, as Latin-1. */
  #literals: readonly string[] = [];

  constructor(form: TextForm) {
    this.#form = form;
    this.#mode = form.opens === undefined ? 'value' : 'text';
    this.#alternatives = alternativesOf([form.root], form.definitions);
  }

  /** The same place, to try something from. */
  copy(): TextState {
    const copy = new TextState(this.#form);
    copy.#mode = this.#mode;
    copy.#opened = this.#opened;
    copy.#frame = this.#frame;
    copy.#alternatives = this.#alternatives;
    copy.#naming = this.#naming;
    copy.#raw = this.#raw;
    copy.#escape = this.#escape;
    copy.#highSurrogate = this.#highSurrogate;
    copy.#count = this.#count;
    copy.#min = this.#min;
    copy.#max = this.#max;
    copy.#literals = this.#literals;
    return copy;
  }

  /** Code points that may follow within the string here; undefined when nothing bounds them, or they don't tell. */
  get left(): number | undefined {
    return this.#bounded && !this.unclear ? this.#max - this.#count : undefined;
  }

  /** Whether a token's characters do not tell how much longer the string gets: within an escape, or what may be a text. */
  get unclear(): boolean {
    return this.#bounded && (this.#escape !== '' || this.#literals.length > 0);
  }

  get #bounded(): boolean {
    return this.#mode === 'string' && !this.#naming && this.#max < Number.POSITIVE_INFINITY;
  }

  /** Takes a byte. @returns false when a string has become too long, or ends too early */
  push(byte: number): boolean {
    switch (this.#mode) {
      case 'text':
        this.#text(byte);
        return true;
      case 'string':
        return this.#string(byte);
      case 'value':
        this.#value(byte);
        return true;
      case 'name':
        if (byte === QUOTE) this.#beginString(true);
        else if (byte === CLOSE_OBJECT) this.#leave();
        return true;
      case 'colon':
        if (byte === COLON) this.#mode = 'value';
        return true;
      case 'behind':
      case 'scalar':
        this.#behind(byte);
        return true;
    }
  }

  #text(byte: number): void {
    const { opens = '' } = this.#form;
    // The tag's first letter stands nowhere else in it.
    if (byte === opens.charCodeAt(this.#opened)) this.#opened++;
    else this.#opened = byte === opens.charCodeAt(0) ? 1 : 0;
    if (this.#opened < opens.length) return;
    this.#opened = 0;
    this.#expect([this.#form.root]);
  }

  #expect(shapes: readonly JsonShape[]): void {
    this.#alternatives = alternativesOf(shapes, this.#form.definitions);
    this.#mode = 'value';
  }

  #value(byte: number): void {
    if (byte === SPACE || byte === LINE) return;
    if (byte === QUOTE) this.#beginString(false);
    else if (byte === OPEN_OBJECT) {
      this.#frame = { kind: 'object', alternatives: this.#alternatives, name: '', index: 0, parent: this.#frame };
      this.#mode = 'name';
    } else if (byte === OPEN_ARRAY) {
      this.#frame = { kind: 'array', alternatives: this.#alternatives, name: '', index: 0, parent: this.#frame };
      this.#expect(itemShapes(this.#alternatives, 0));
    } else if (byte === CLOSE_ARRAY) this.#leave();
    else this.#mode = 'scalar';
  }

  #behind(byte: number): void {
    if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) this.#leave();
    else if (byte === COMMA && this.#frame !== undefined) {
      if (this.#frame.kind === 'object') this.#mode = 'name';
      else {
        this.#frame = { ...this.#frame, index: this.#frame.index + 1 };
        this.#expect(itemShapes(this.#frame.alternatives, this.#frame.index));
      }
    }
  }

  #leave(): void {
    this.#frame = this.#frame?.parent;
    this.#mode = this.#frame === undefined && this.#form.opens !== undefined ? 'text' : 'behind';
  }

  #beginString(naming: boolean): void {
    this.#mode = 'string';
    this.#naming = naming;
    this.#raw = '';
    this.#escape = '';
    this.#highSurrogate = false;
    this.#count = 0;
    const { min, max } = naming ? { min: 0, max: Number.POSITIVE_INFINITY } : stringLengths(this.#alternatives);
    this.#min = min;
    this.#max = max;
    this.#literals = naming
      ? []
      : this.#alternatives.flatMap((shape) =>
          shape.kind === 'literals'
            ? shape.texts.filter((text) => text.startsWith('"')).map((text) => this.#latin1(text))
            : [],
        );
  }

  #string(byte: number): boolean {
    if (this.#escape === '' && byte === QUOTE) return this.#endString();
    const keep = this.#naming || this.#literals.length > 0;
    if (keep) this.#raw += String.fromCharCode(byte);
    if (this.#literals.length > 0) {
      const at = this.#raw.length;
      this.#literals = this.#literals.filter((text) => text.charCodeAt(at) === byte && at < text.length - 1);
    }
    if (this.#escape !== '') this.#escaped(byte);
    else if (byte === BACKSLASH) {
      this.#escape = '\\';
      // The second half of a pair belongs to the first, which nothing else follows.
      if (!this.#highSurrogate) this.#count++;
    }
    // Bytes that go on with a character are not counted.
    else if ((byte & 0xc0) !== 0x80) this.#count++;
    return this.#count <= this.#max || this.#literals.length > 0;
  }

  #escaped(byte: number): void {
    this.#escape += String.fromCharCode(byte);
    if (this.#escape.length === 2 && byte !== LETTER_U) this.#escape = '';
    else if (this.#escape.length === 6) {
      const unit = Number.parseInt(this.#escape.slice(2), 16);
      this.#escape = '';
      this.#highSurrogate = unit >= 0xd800 && unit <= 0xdbff;
    }
  }

  #endString(): boolean {
    if (this.#naming) {
      const name = JSON.parse(`"${Buffer.from(this.#raw, 'latin1').toString('utf8')}"`) as string;
      const frame = this.#frame as Frame;
      this.#frame = { ...frame, name };
      this.#alternatives = alternativesOf(propertyShapes(frame.alternatives, name), this.#form.definitions);
      this.#mode = 'colon';
      return true;
    }
    const literal = this.#literals.find((text) => text.length === this.#raw.length + 2);
    this.#mode = 'behind';
    if (literal !== undefined) this.#narrow(literal);
    return literal !== undefined || (this.#count >= this.#min && this.#count <= this.#max);
  }

  /** A property that is one of a few texts tells the shapes of its object apart. */
  #narrow(literal: string): void {
    const frame = this.#frame;
    if (frame?.kind !== 'object') return;
    const alternatives = frame.alternatives.filter((shape) => {
      const stated = propertyShapes([shape], frame.name);
      return alternativesOf(stated, this.#form.definitions).some(
        (value) => value.kind !== 'literals' || value.texts.some((text) => this.#latin1(text) === literal),
      );
    });
    this.#frame = { ...frame, alternatives };
  }

  #latin1(json: string): string {
    return Buffer.from(this.#form.spelling.spell(json), 'utf8').toString('latin1');
  }
}
