// What the grammar can't say of an answer, or only at a price: how long its strings are, and that no character is written
// which the library's classes let through. Takes tokens out of the masks that the library made. Used by the worker.
import { allows } from './mask.ts';
import { type TextForm, TextState } from './text-state.ts';

/** What is known of a vocabulary's tokens, once for all answers. */
export interface TokenTable {
  readonly bytes: readonly Uint8Array[];
  /** Code points that begin in each token. */
  readonly points: Uint8Array;
  readonly longest: number;
  /** Tokens that may begin or end a string, or hold an escape. */
  readonly structural: Int32Array;
  /** Bits of the tokens that contain what is never written. */
  readonly denied: Int32Array;
}

export function tokenTable(bytes: readonly Uint8Array[]): TokenTable {
  const points = Uint8Array.from(bytes, (token) =>
    token.reduce((sum, byte) => sum + ((byte & 0xc0) !== 0x80 ? 1 : 0), 0),
  );
  const structural: number[] = [];
  const denied = new Int32Array(Math.ceil(bytes.length / 32));
  for (const [id, token] of bytes.entries()) {
    if (token.includes(0x22) || token.includes(0x5c)) structural.push(id);
    if (!new Utf8State().pushAll(token)) denied[id >> 5] = (denied[id >> 5] as number) | (1 << (id & 31));
  }
  return {
    bytes,
    points,
    longest: points.reduce((most, count) => Math.max(most, count), 0),
    structural: Int32Array.from(structural),
    denied,
  };
}

/**
 * Refuses what the library's classes let through: line separators (U+2028, U+2029), which `.` in a pattern excludes, halves
 * of surrogate pairs, and bytes that are no character (RFC 3629: too long a form, or beyond U+10FFFF).
 */
class Utf8State {
  /** 0xe280 or a first byte behind which not every second one makes a character, else 0. */
  #begun = 0;

  get open(): boolean {
    return this.#begun !== 0;
  }

  push(byte: number): boolean {
    const begun = this.#begun;
    if (begun === 0xe2 && byte === 0x80) this.#begun = 0xe280;
    else this.#begun = NARROW_LEADS.has(byte) ? byte : 0;
    if (byte === 0xc0 || byte === 0xc1 || byte >= 0xf5) return false;
    switch (begun) {
      case 0xe280:
        return byte !== 0xa8 && byte !== 0xa9;
      case 0xe0:
        return byte >= 0xa0;
      case 0xed:
        return byte < 0xa0;
      case 0xf0:
        return byte >= 0x90;
      case 0xf4:
        return byte < 0x90;
      default:
        return true;
    }
  }

  pushAll(bytes: Uint8Array): boolean {
    return bytes.every((byte) => this.push(byte));
  }

  copy(): Utf8State {
    const copy = new Utf8State();
    copy.#begun = this.#begun;
    return copy;
  }
}

/** Follows one answer. */
export class AnswerGuard {
  readonly #table: TokenTable;
  readonly #utf8 = new Utf8State();
  readonly #text: TextState | undefined;

  /** @param form what strings are held to; undefined when none is bounded */
  constructor(table: TokenTable, form: TextForm | undefined) {
    this.#table = table;
    this.#text = form === undefined ? undefined : new TextState(form);
  }

  /** @returns false when the token breaks the form */
  accept(id: number): boolean {
    const bytes = this.#table.bytes[id] ?? new Uint8Array();
    return this.#utf8.pushAll(bytes) && bytes.every((byte) => this.#text?.push(byte) ?? true);
  }

  /** Takes tokens out of a mask. */
  restrict(mask: Int32Array): void {
    const { bytes, points, longest, structural, denied } = this.#table;
    for (let word = 0; word < denied.length; word++) mask[word] = (mask[word] as number) & ~(denied[word] as number);
    if (this.#utf8.open) this.#remove(mask, (id) => !this.#utf8.copy().pushAll(bytes[id] as Uint8Array));
    const text = this.#text;
    if (text === undefined) return;
    const { left } = text;
    // Structural tokens are tried whole: what stands before their quote is not all that counts.
    if (left !== undefined && left < longest) this.#remove(mask, (id) => (points[id] as number) > left, structural);
    const breaks = (id: number): boolean => {
      const tried = text.copy();
      return !(bytes[id] as Uint8Array).every((byte) => tried.push(byte));
    };
    if (text.unclear) this.#remove(mask, breaks);
    else for (const id of structural) if (allows(mask, id) && breaks(id)) clear(mask, id);
  }

  /** @param except ids in rising order */
  #remove(mask: Int32Array, unfit: (id: number) => boolean, except: Int32Array = NONE): void {
    let at = 0;
    for (let word = 0; word < mask.length; word++) {
      const bits = mask[word] as number;
      if (bits === 0) continue;
      for (let bit = 0; bit < 32; bit++) {
        if (((bits >>> bit) & 1) === 0) continue;
        const id = (word << 5) + bit;
        while (at < except.length && (except[at] as number) < id) at++;
        if (except[at] !== id && unfit(id)) clear(mask, id);
      }
    }
  }
}

/** First bytes behind which not every second one makes a character; behind 0xe2 may come a line separator. */
const NARROW_LEADS: ReadonlySet<number> = new Set([0xe0, 0xe2, 0xed, 0xf0, 0xf4]);

const NONE = new Int32Array(0);

function clear(mask: Int32Array, id: number): void {
  mask[id >> 5] = (mask[id >> 5] as number) & ~(1 << (id & 31));
}
