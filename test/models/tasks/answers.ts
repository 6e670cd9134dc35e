// What becomes of an answer's text, worked out from the whole of it: the reference for everything that streams.
import fc from 'fast-check';
import type { ParsedCall } from '../../../models/tasks/tool-calls.ts';

/** A stretch of text, or a call of a tool. No two texts follow each other, and none is empty. */
export type Item = string | ParsedCall;

const CALL = /<tool_call>((?:[^"]|"(?:[^"\\]|\\.)*")*?)<\/tool_call>/sy;

function callOf(json: string, names: readonly string[]): ParsedCall | undefined {
  try {
    const { name, arguments: given } = JSON.parse(json) as { name: string; arguments: unknown };
    if (!names.includes(name) || typeof given !== 'object' || given === null || Array.isArray(given)) return undefined;
    return { name, arguments: JSON.stringify(given) };
  } catch {
    return undefined;
  }
}

/** Text and calls of an answer; white space alone is left out beside a call. */
export function itemsOf(text: string, names: readonly string[]): Item[] {
  const items: Item[] = [];
  const add = (more: string): void => {
    const last = items.at(-1);
    if (typeof last === 'string') items[items.length - 1] = last + more;
    else if (more !== '') items.push(more);
  };
  let at = 0;
  while (at < text.length) {
    const open = text.indexOf('<tool_call>', at);
    CALL.lastIndex = open;
    const match = open < 0 ? null : CALL.exec(text);
    if (match === null) {
      add(text.slice(at));
      break;
    }
    add(text.slice(at, open));
    at = CALL.lastIndex;
    const call = callOf(match[1] ?? '', names);
    if (call === undefined) add(match[0]);
    else items.push(call);
  }
  const beside = (index: number): boolean =>
    [items[index - 1], items[index + 1]].some((one) => typeof one === 'object');
  return items.filter((item, index) => typeof item !== 'string' || item.trim() !== '' || !beside(index));
}

/** The text before the stop string that ends first; of several that end together, the longest. */
export function stoppedText(
  text: string,
  stops: readonly string[],
): { readonly text: string; readonly stopped: boolean } {
  for (let end = 1; end <= text.length; end++) {
    const lengths = stops.filter((stop) => stop !== '' && text.slice(0, end).endsWith(stop)).map((stop) => stop.length);
    if (lengths.length > 0) return { text: text.slice(0, end - Math.max(...lengths)), stopped: true };
  }
  return { text, stopped: false };
}

/** What goes out of an answer with tools and stop strings. */
export function answerOf(text: string, names: readonly string[], stops: readonly string[]) {
  const items: Item[] = [];
  for (const item of names.length > 0 ? itemsOf(text, names) : text === '' ? [] : [text]) {
    if (typeof item !== 'string') {
      items.push(item);
      continue;
    }
    const cut = stoppedText(item, stops);
    if (cut.text !== '') items.push(cut.text);
    if (cut.stopped) return { items, stopped: true };
  }
  return { items, stopped: false };
}

/** Of texts and calls in the order in which they came. */
export function joined(parts: readonly Item[]): Item[] {
  const items: Item[] = [];
  for (const part of parts) {
    const last = items.at(-1);
    if (typeof part === 'string' && typeof last === 'string') items[items.length - 1] = last + part;
    else if (part !== '') items.push(part);
  }
  return items;
}

export const NAMES = ['look', 'add'];

const json = fc.constantFrom(
  '{"name":"look","arguments":{"at":"</tool_call>"}}',
  '{"name":"add","arguments":{"a":1,"b":[2,{"c":"}\\\\"}]}}',
  '{"arguments":{"x":"\\"👋🏽\\u00e9"},"name":"look","more":null}',
  '\n{"name":"add","arguments":{}}\n',
  '{"name":"other","arguments":{}}',
  '{"name":"look","arguments":[]}',
  '{"name":"look"}',
  'look',
  '"',
  '',
);

/** Answers with calls that are whole, wrong or cut, beginnings of tags, white space and emoji. */
export const answerText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: json.map((text) => `<tool_call>${text}</tool_call>`) },
      { weight: 4, arbitrary: fc.constantFrom('ab', 'a', 'b', 'STOP', 'é', '👋🏽', '日本', '😀', '\ufeff') },
      { weight: 3, arbitrary: fc.constantFrom(' ', '\n', '  \n', '\u00a0') },
      fc.constantFrom('<', '<tool_c', '</tool_call>', '<tool_call>', '"', '\\', '<<tool_call>'),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));

/** Few characters, so that they come often, alone and across the borders of everything else. */
export const stopStrings: fc.Arbitrary<readonly string[]> = fc.array(
  fc.constantFrom('STOP', 'ab', 'b', '😀', '本', '\n', 'a👋', '</', '', 'é '),
  { maxLength: 2 },
);
