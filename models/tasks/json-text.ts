// JSON as it is written. Used where the names in it are somebody else's choice.

/** A string of JSON. */
const STRING = /"(?:[^"\\]|\\[\s\S])*"/g;
const ESCAPE = /\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))|[\ue000-\ue07f]/g;
/** Stands before a character of this range that was there before. */
const KEPT = '\ue07f';
const MARKED = /\ue07f([\ue000-\ue07f])|[\ue000-\ue07e]/g;
const LETTERS: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

/**
 * `JSON.parse` for names with escapes. V8 14.6 (Node 26.10) reads a name that ends with an escape as another such name that
 * stood in its place in an object before: `{"": 1, "\\": 2}`, then `{"": 1, "\"": 2}`. So it gets a text without escapes,
 * in which characters of the private use area stand for what can't be written plainly.
 * @throws SyntaxError
 */
export function parseJson(text: string): unknown {
  if (!text.includes('\\')) return JSON.parse(text);
  return restored(JSON.parse(text.replaceAll(STRING, (string) => string.replaceAll(ESCAPE, plain))));
}

function plain(escaped: string, hex: string | undefined, letter: string | undefined): string {
  if (hex === undefined && letter === undefined) return KEPT + escaped;
  const character = hex === undefined ? (LETTERS[letter as string] ?? (letter as string)) : fromHex(hex);
  const code = character.charCodeAt(0);
  if (code < 0x20 || character === '"' || character === '\\') return String.fromCharCode(0xe000 + code);
  return code >= 0xe000 && code <= 0xe07f ? KEPT + character : character;
}

const fromHex = (hex: string): string => String.fromCharCode(Number.parseInt(hex, 16));

function restored(value: unknown): unknown {
  if (typeof value === 'string') return restoredText(value);
  if (Array.isArray(value)) return value.map(restored);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [restoredText(name), restored(inner)]));
}

const restoredText = (text: string): string =>
  text.replaceAll(MARKED, (marked, kept: string | undefined) =>
    kept === undefined ? String.fromCharCode(marked.charCodeAt(0) - 0xe000) : kept,
  );
