// Readers of the service files, written from the formats' own descriptions and not from the code that writes them.

/** Sections of a unit file: every assignment in order (systemd.syntax(7)); comments and empty lines are left out. */
export function parseUnit(text: string): ReadonlyMap<string, readonly (readonly [string, string])[]> {
  const sections = new Map<string, [string, string][]>();
  let current: [string, string][] | undefined;
  for (const line of text.split('\n')) {
    if (line === '' || /^[#;]/.test(line)) continue;
    const section = /^\[(\w+)\]$/.exec(line)?.[1];
    if (section !== undefined) {
      current = [];
      sections.set(section, current);
      continue;
    }
    const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined || current === undefined || value.endsWith('\\')) {
      throw new Error(`not a line of a unit file: ${JSON.stringify(line)}`);
    }
    current.push([name, value]);
  }
  return sections;
}

/** Words of a value: quotes group, a backslash escapes, `%%` is a percent sign (systemd.syntax(7), systemd.unit(5)). */
export function parseWords(value: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let at = 0; at < value.length; at++) {
    const character = value.charAt(at);
    if (character === '\\') {
      at++;
      const escaped = value.charAt(at);
      if (!'\\"\' '.includes(escaped) || escaped === '')
        throw new Error(`an escape that the test does not know: ${escaped}`);
      word = (word ?? '') + escaped;
    } else if (quote !== undefined) {
      if (character === quote) quote = undefined;
      else word = (word ?? '') + character;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= '';
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + character;
    }
  }
  if (quote !== undefined) throw new Error('a quote that does not end');
  if (word !== undefined) words.push(word);
  return words.map(expandSpecifiers);
}

/** Doubled percent signs become one; a single one would be replaced by something else. */
export function expandSpecifiers(value: string): string {
  return value.replace(/%(.?)/g, (_, next: string) => {
    if (next !== '%') throw new Error(`a specifier: %${next}`);
    return '%';
  });
}

/** An element of an XML file. */
export interface Element {
  readonly name: string;
  readonly children: readonly Element[];
  /** Text inside, entities resolved; empty for one that has elements. */
  readonly text: string;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** A well-formed XML document without attributes that matter. @throws Error where it isn't well-formed */
export function parseXml(xml: string): Element {
  const stack: { name: string; children: Element[]; text: string }[] = [{ name: '', children: [], text: '' }];
  const token =
    /<\?xml [^?]*\?>|<!DOCTYPE [^>]*>|<!--(?:(?!--)[\s\S])*-->|<\/(\w+)>|<(\w+)((?:\s+\w+="[^"<]*")*)\s*(\/?)>|([^<]+)/gy;
  while (token.lastIndex < xml.length) {
    const at = token.lastIndex;
    const found = token.exec(xml);
    if (found === null) throw new Error(`not XML: ${JSON.stringify(xml.slice(at, at + 40))}`);
    const [, closed, opened, , empty, text] = found;
    const top = stack.at(-1);
    if (top === undefined) throw new Error('more is closed than was opened');
    if (opened !== undefined) {
      const element = { name: opened, children: [], text: '' };
      top.children.push(element);
      if (empty === '') stack.push(element);
    } else if (closed !== undefined) {
      if (top.name !== closed) throw new Error(`<${top.name}> is closed by </${closed}>`);
      stack.pop();
    } else if (text !== undefined) {
      top.text += text.replace(/&(?:(\w+);)?/g, (_, name?: string) => {
        const character = name === undefined ? undefined : ENTITIES[name];
        if (character === undefined) throw new Error('a bare ampersand');
        return character;
      });
    }
  }
  const [root, ...more] = stack[0]?.children ?? [];
  if (stack.length !== 1 || root === undefined || more.length > 0) throw new Error('not one whole document');
  return root;
}

/** A property list as JavaScript values. */
export function parsePlist(xml: string): unknown {
  const root = parseXml(xml);
  const [value] = root.children;
  if (root.name !== 'plist' || value === undefined) throw new Error('no property list');
  return plistValue(value);
}

function plistValue({ name, children, text }: Element): unknown {
  switch (name) {
    case 'dict': {
      const entries: [string, unknown][] = [];
      for (let at = 0; at < children.length; at += 2) {
        const [key, value] = [children[at], children[at + 1]];
        if (key?.name !== 'key' || value === undefined) throw new Error('a dict is keys and values');
        entries.push([key.text, plistValue(value)]);
      }
      return Object.fromEntries(entries);
    }
    case 'array':
      return children.map(plistValue);
    case 'string':
      return text;
    case 'integer':
      return Number(text);
    case 'true':
      return true;
    case 'false':
      return false;
    default:
      throw new Error(`<${name}> in a property list`);
  }
}

/** The element on a way of names. */
export function find(root: Element, ...names: readonly string[]): Element {
  return names.reduce((element, name) => {
    const child = element.children.find((one) => one.name === name);
    if (child === undefined) throw new Error(`there is no <${name}> in <${element.name}>`);
    return child;
  }, root);
}

/** A command line, taken apart as Windows programs do (CommandLineToArgvW, for what follows the program's name). */
export function parseWindowsArguments(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quoted = false;
  for (let at = 0; at < line.length; ) {
    const slashes = /^\\*/.exec(line.slice(at))?.[0].length ?? 0;
    if (line.charAt(at + slashes) === '"') {
      word = (word ?? '') + '\\'.repeat(Math.floor(slashes / 2));
      if (slashes % 2 === 1) word += '"';
      else quoted = !quoted;
      at += slashes + 1;
    } else if (slashes > 0) {
      word = (word ?? '') + '\\'.repeat(slashes);
      at += slashes;
    } else {
      const character = line.charAt(at);
      if (/[ \t]/.test(character) && !quoted) {
        if (word !== undefined) words.push(word);
        word = undefined;
      } else {
        word = (word ?? '') + character;
      }
      at += 1;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}
