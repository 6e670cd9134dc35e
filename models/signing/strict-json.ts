// JSON that has one meaning only. Parsers differ in what they make of a name that stands twice in an object; what one
// program has checked must not be something else to the next.

/**
 * Reads JSON.
 * @throws SyntaxError when it isn't JSON, an object has a name twice, or it is deeper than `depthMax`
 */
export function parseStrictJson(text: string, depthMax: number): unknown {
  const members = countMembers(text, depthMax);
  const value: unknown = JSON.parse(text);
  if (membersOf(value) !== members) throw new SyntaxError('A name stands twice in one object.');
  return value;
}

/** Colons outside strings: one for each member that is written down. */
function countMembers(text: string, depthMax: number): number {
  let members = 0;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '"') at = endOfString(text, at);
    else if (character === ':') members++;
    else if (character === '{' || character === '[') depth++;
    else if (character === '}' || character === ']') depth--;
    if (depth > depthMax) throw new SyntaxError('It is too deep.');
  }
  return members;
}

/** Where the string that begins here ends; the text's end when it doesn't. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end !== -1) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === '\\') backslashes++;
    if (backslashes % 2 === 0) return end;
    end = text.indexOf('"', end + 1);
  }
  return text.length;
}

/** Members that were kept: of a name that stands twice, one. */
function membersOf(value: unknown): number {
  if (value === null || typeof value !== 'object') return 0;
  const inner = Object.values(value);
  return inner.reduce<number>((sum, one) => sum + membersOf(one), Array.isArray(value) ? 0 : inner.length);
}
