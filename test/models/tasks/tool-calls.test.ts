import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AnswerPiece, ToolCallParser } from '../../../models/tasks/tool-calls.ts';
import { runs } from '../../support/property.ts';
import { answerText, type Item, itemsOf, joined, NAMES } from './answers.ts';

function parse(parts: readonly string[], names = NAMES): AnswerPiece[] {
  const parser = new ToolCallParser(names);
  return [...parts.flatMap((part) => parser.push(part)), ...parser.end()];
}

const compact = (call: { name: string; arguments: string }): Item => ({
  name: call.name,
  arguments: JSON.stringify(JSON.parse(call.arguments)),
});

const items = (pieces: readonly AnswerPiece[]): Item[] =>
  joined(
    pieces.flatMap((piece) =>
      piece.kind === 'text' ? [piece.text] : piece.kind === 'call' ? [compact(piece.call)] : [],
    ),
  );

const call = (name: string, json: string): string => `<tool_call>{"name": "${name}", "arguments": ${json}}</tool_call>`;

describe('calls of tools in a text', () => {
  it('are those of the whole text, however it is parted', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(answerText, sizes, (text, lengths) => {
        const parts: string[] = [];
        for (let start = 0, turn = 0; start < text.length; turn++) {
          const end = start + (lengths[turn % lengths.length] ?? 1);
          parts.push(text.slice(start, end));
          start = end;
        }
        const pieces = parse(parts);
        expect(items(pieces)).toEqual(itemsOf(text, NAMES));
        const length = pieces.reduce((sum, piece) => sum + (piece.kind === 'text' ? piece.text : piece).length, 0);
        expect(length).toBe(text.length);
      }),
      runs(2_000),
    );
  });

  it('come whole, each as soon as its tag closes, with the text around them', () => {
    const parser = new ToolCallParser(NAMES);
    expect(parser.push('Let me see.\n<tool_call>{"name": "look", "argu')).toEqual([
      { kind: 'text', text: 'Let me see.\n' },
    ]);
    expect(parser.push('ments": {"at": 1}}</tool_cal')).toEqual([]);
    const [piece] = parser.push('l>\n');
    expect(piece).toEqual({ kind: 'call', call: { name: 'look', arguments: '{"at": 1}' }, length: 63 });
    expect(parser.push(call('add', '{}'))).toMatchObject([
      { kind: 'blank', length: 1 },
      { kind: 'call', call: { name: 'add' } },
    ]);
    expect(parser.end()).toEqual([]);
  });

  it('hold text back only while it may be the beginning of a tag', () => {
    const parser = new ToolCallParser(NAMES);
    expect(parser.push('a <tool_c')).toEqual([{ kind: 'text', text: 'a ' }]);
    expect(parser.push('')).toEqual([]);
    expect(parser.push('at')).toEqual([{ kind: 'text', text: '<tool_cat' }]);
    expect(parser.push('<<too')).toEqual([{ kind: 'text', text: '<' }]);
    expect(parser.end()).toEqual([{ kind: 'text', text: '<too' }]);
  });

  it('keep their arguments as the model wrote them', () => {
    const json = '{"big": 12345678901234567890, "e": 1e400, "text": "}, \\"arguments\\": 1", "__proto__": {"a": 1}}';
    expect(parse([call('look', json)])).toMatchObject([{ call: { arguments: json } }]);
    const twice =
      '<tool_call>{"arguments":{"a":1},"x":[{"arguments":{}}],"name":"add","arguments": {"a":2} }</tool_call>';
    expect(parse([twice])).toMatchObject([{ call: { name: 'add', arguments: '{"a":2}' } }]);
  });

  it('may hold the closing tag in a string', () => {
    const json = '{"at": "</tool_call>\\"</tool_call>"}';
    expect(parse([`${call('look', json)}!`])).toMatchObject([
      { call: { arguments: json } },
      { kind: 'text', text: '!' },
    ]);
  });

  it('stay text when they are cut, not JSON, or of a tool that there is not', () => {
    const deep = `<tool_call>${'['.repeat(100_000)}</tool_call>`;
    const wrong = [call('other', '{}'), call('look', '[]'), call('look', 'null'), '<tool_call></tool_call>', deep];
    for (const text of [...wrong, ' <tool_call>{"name": "look", "arguments": {"at": ', '<tool_call>"</tool_call>']) {
      expect(items(parse([text]))).toEqual([text]);
    }
    expect(items(parse([call('constructor', '{}')], ['look']))).toEqual([call('constructor', '{}')]);
  });

  it('have no white space around them that is text of its own, but text keeps its own', () => {
    expect(items(parse([`\n ${call('add', '{}')}\n\n${call('add', '{}')} \n`])).length).toBe(2);
    expect(items(parse([' \n ']))).toEqual([' \n ']);
    expect(items(parse([`  Hi \n${call('add', '{}')} done `]))).toEqual([
      '  Hi \n',
      { name: 'add', arguments: '{}' },
      ' done ',
    ]);
  });

  it('take time in proportion to the text', () => {
    // Looking at everything again at each unit would take minutes.
    const units = [...`${' '.repeat(200_000)}${call('look', `{"at": "${'x<'.repeat(200_000)}"}`)}`];
    expect(parse(units)).toMatchObject([{ kind: 'blank' }, { kind: 'call' }]);
  });
});
