import { describe, expect, it } from 'vitest';
import {
  append,
  EMPTY_LOG,
  filterLines,
  type LogLine,
  lineText,
  visible,
} from '../../../../../desktop/ui/views/logs/log-model.ts';

const line = (atMs: number, message: string, rest: Partial<LogLine> = {}): LogLine => ({
  atMs,
  level: 'info',
  message,
  fields: {},
  ...rest,
});
const messages = (log: typeof EMPTY_LOG): string[] => log.lines.map(({ message }) => message);

describe('a kept log', () => {
  it('passes over what it has been told already, but not what was written twice', () => {
    const first = append(EMPTY_LOG, [line(1, 'a'), line(2, 'b'), line(2, 'b')]);
    expect(messages(first)).toEqual(['a', 'b', 'b']);
    const second = append(first, [line(2, 'b'), line(2, 'b'), line(2, 'b'), line(3, 'c')]);
    expect(messages(second)).toEqual(['a', 'b', 'b', 'b', 'c']);
    expect(new Set(second.lines.map(({ key }) => key)).size).toBe(5);
    expect(append(second, [line(3, 'c')])).toBe(second);
  });

  it('puts lines that are read late where they belong', () => {
    const told = append(EMPTY_LOG, [line(5, 'told')]);
    const read = append(told, [line(1, 'before'), line(5, 'told'), line(5, 'beside')]);
    expect(messages(read)).toEqual(['before', 'told', 'beside']);
  });

  it('lets the oldest go when it is full, and counts them', () => {
    const log = append(EMPTY_LOG, [line(1, 'a'), line(2, 'b'), line(3, 'c')], 2);
    expect(messages(log)).toEqual(['b', 'c']);
    expect(log.dropped).toBe(1);
  });
});

describe('a filter', () => {
  const lines = [
    line(1, 'quiet', { level: 'debug' }),
    line(2, 'A model was loaded', { fields: { model: 'smollm2' } }),
    line(3, 'failed', { level: 'error' }),
  ];

  it('takes lines by level, and by words in message and fields', () => {
    expect(filterLines(lines, { level: 'debug', words: '' })).toBe(lines);
    expect(filterLines(lines, { level: 'info', words: '' })).toHaveLength(2);
    expect(filterLines(lines, { level: 'debug', words: 'MODEL smol' })).toEqual([lines[1]]);
    expect(filterLines(lines, { level: 'error', words: 'model' })).toEqual([]);
  });
});

describe('text', () => {
  it('hides nothing of what somebody put into it', () => {
    expect(visible('\u{1B}[31m\u{202E}gnp\u{200B}\u{7F}\n\tend')).toBe('⟨U+001B⟩[31m⟨U+202E⟩gnp⟨U+200B⟩⟨U+007F⟩↵→end');
    expect(visible('naïve 日本 🙂 <b>')).toBe('naïve 日本 🙂 <b>');
  });

  it('of a line is one line, however many it was written in', () => {
    expect(lineText(line(0, 'two\nlines', { level: 'warn', fields: { a: 1, b: 'x\ny' } }))).toBe(
      '1970-01-01T00:00:00.000Z warn  two↵lines a=1 b=x↵y',
    );
  });
});
