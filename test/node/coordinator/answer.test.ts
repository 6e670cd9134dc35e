import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TextGenerationTask } from '../../../models/tasks/text-generation.ts';
import { Answer } from '../../../node/coordinator/answer.ts';
import type { AnswerDelta } from '../../../node/core/coordinator.ts';
import { answerOf, answerText, type Item, joined, NAMES, stopStrings } from '../../models/tasks/answers.ts';
import { runs } from '../../support/property.ts';
import { bundledStore, logprobOf, smollm2 } from './fakes.ts';

const EOS = 2;
let store: Awaited<ReturnType<typeof bundledStore>>;
let task: TextGenerationTask;
/** Tokens of a single byte, by it. */
const byteIds = new Map<number, number>();
beforeAll(async () => {
  store = await bundledStore();
  task = await smollm2(store);
  for (let id = task.vocabularySize - 1; id >= 0; id--) {
    const { bytes, special } = task.piece(id);
    const [byte] = bytes;
    if (bytes.length === 1 && byte !== undefined && !special) byteIds.set(byte, id);
  }
});
afterAll(() => store[Symbol.asyncDispose]());

interface Drawn {
  readonly items: readonly Item[];
  readonly deltas: readonly Omit<AnswerDelta, 'choice'>[];
  readonly answer: Answer;
}

function answered(
  ids: readonly number[],
  init: { readonly stops?: readonly string[]; readonly tools?: readonly string[]; readonly group?: number } = {},
): Drawn {
  const { stops = [], tools = [], group = 1 } = init;
  const deltas: Omit<AnswerDelta, 'choice'>[] = [];
  const onDelta = (delta: Omit<AnswerDelta, 'choice'>): unknown => deltas.push(delta);
  const answer = new Answer({ task, stops, tools, logprobs: true, newCallId: () => 'call_x', onDelta });
  for (let start = 0; start < ids.length; start += group) {
    const some = ids.slice(start, start + group);
    answer.take(some, some.map(logprobOf));
  }
  answer.end();
  const items = joined(
    deltas.map(({ text, toolCall }) =>
      toolCall === undefined
        ? text
        : { name: toolCall.name, arguments: JSON.stringify(JSON.parse(toolCall.arguments)) },
    ),
  );
  return { items, deltas, answer };
}

/** Ids of a text whose tokens end where the numbers say: 0 = each byte a token of its own, else pieces of so many characters. */
function idsOf(text: string, sizes: readonly number[]): number[] {
  const characters = [...text];
  const ids: number[] = [];
  for (let start = 0, turn = 0; start < characters.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    const piece = characters.slice(start, start + Math.max(1, size)).join('');
    if (size > 0) ids.push(...task.encode(piece));
    else ids.push(...[...Buffer.from(piece)].map((byte) => byteIds.get(byte) ?? -1));
    start += Math.max(1, size);
  }
  return ids;
}

const borders = fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 6 });

describe('what goes out of an answer', () => {
  it('is what its whole text says, wherever tokens end: calls, stop strings, emoji', () => {
    fc.assert(
      fc.property(
        answerText,
        stopStrings,
        borders,
        fc.boolean(),
        fc.integer({ min: 1, max: 4 }),
        (text, stops, sizes, tools, group) => {
          const names = tools ? NAMES : [];
          const { items, answer, deltas } = answered(idsOf(text, sizes), { stops, tools: names, group });
          const expected = answerOf(text, names, stops);
          expect(items).toEqual(expected.items);
          expect(answer.stopped).toBe(expected.stopped);
          expect(answer.calls).toBe(expected.items.filter((item) => typeof item !== 'string').length);
          for (const { text: piece } of deltas) expect(piece.isWellFormed() && !piece.includes('\ufffd')).toBe(true);
        },
      ),
      runs(400),
    );
  });

  it('comes with a report of every token that has text in it: once, in order, none too late', () => {
    fc.assert(
      fc.property(answerText, stopStrings, borders, fc.boolean(), (text, stops, sizes, tools) => {
        const ids = idsOf(text, sizes);
        const { deltas, answer } = answered(ids, { stops, tools: tools ? NAMES : [] });
        const reports = deltas.flatMap(({ logprobs = [] }) => logprobs);
        // In order, each at most once: they are some of the tokens that were drawn.
        const drawn = ids.slice(0, answer.tokens);
        let at = 0;
        for (const { logprob } of reports) {
          while (at < drawn.length && logprobOf(drawn[at] ?? 0).logprob !== logprob) at++;
          expect(at++).toBeLessThan(drawn.length);
        }
        // The bytes of what went out are in the reports that went out until then.
        let textBytes = 0;
        let reportBytes = 0;
        for (const { text: piece, logprobs = [], toolCall } of deltas) {
          textBytes += Buffer.byteLength(piece);
          reportBytes += logprobs.reduce((sum, { bytes }) => sum + bytes.length, 0);
          expect(reportBytes).toBeGreaterThanOrEqual(textBytes);
          if (toolCall !== undefined) expect(logprobs).toEqual([]);
        }
        if (!answer.stopped && answer.calls === 0) {
          expect(Buffer.from(reports.flatMap(({ bytes }) => [...bytes])).toString()).toBe(text);
          expect(reports.length).toBe(ids.length);
        }
      }),
      runs(400),
    );
  });

  it('has reports with the text and bytes of tokens, and of the likeliest beside them', () => {
    const ids = [...task.encode('Hi'), ...idsOf('👋', [0]), EOS];
    const { deltas } = answered(ids);
    const reports = deltas.flatMap(({ logprobs = [] }) => logprobs);
    expect(reports.length).toBe(ids.length - 1);
    expect(reports[0]).toEqual({
      token: 'Hi',
      bytes: [72, 105],
      logprob: -(ids[0] ?? 0) / 1000,
      top: [
        { token: 'Hi', bytes: [72, 105], logprob: -(ids[0] ?? 0) / 1000 },
        expect.objectContaining({ logprob: -(ids[0] ?? 0) / 1000 }),
      ],
    });
    // All tokens of the emoji come with it.
    const withEmoji = deltas.find(({ text }) => text.includes('👋'));
    expect(Buffer.from((withEmoji?.logprobs ?? []).flatMap(({ bytes }) => [...bytes])).toString()).toBe('👋');
  });

  it('has no report of tokens that a stop string or a call cuts off, and none where none was given', () => {
    const cut = answered(idsOf('ab, cd STOP', [2]), { stops: [' S'] });
    expect(cut.items).toEqual(['ab, cd']);
    expect(cut.deltas.flatMap(({ logprobs = [] }) => logprobs.map(({ token }) => token))).toEqual([
      'ab',
      ',',
      ' ',
      'cd',
    ]);

    const call = '<tool_call>{"name":"add","arguments":{}}</tool_call>';
    const mixed = answered(idsOf(`no${call}ok`, [2]), { tools: NAMES });
    expect(mixed.deltas.map(({ text, logprobs }) => [text, logprobs?.map(({ token }) => token)])).toEqual([
      ['no', ['no']],
      ['', undefined],
      ['ok', ['ok']],
    ]);

    const pieces: object[] = [];
    const onDelta = (delta: object): unknown => pieces.push(delta);
    const bare = new Answer({ task, stops: [], tools: [], logprobs: false, newCallId: () => '', onDelta });
    bare.take(idsOf('ab', [2]), [logprobOf(1)]);
    expect(pieces).toEqual([{ text: 'ab' }]);
  });

  it('shows a character that never became whole as one replacement, with its tokens', () => {
    const half = idsOf('👋', [0]).slice(0, 2);
    const { deltas } = answered([...idsOf('a', [1]), ...half]);
    expect(deltas.map(({ text }) => text)).toEqual(['a', '\ufffd']);
    expect(deltas[1]?.logprobs?.flatMap(({ bytes }) => [...bytes])).toEqual([0xf0, 0x9f]);
  });

  it('looks for stop strings in the text alone: none ends a call half-way, none reaches across one', () => {
    const call = '<tool_call>{"name":"add","arguments":{"a":"STOP"}}</tool_call>';
    const { items, answer } = answered(idsOf(`a${call}b STOP c`, [3]), { stops: ['STOP', '{', 'ab'], tools: NAMES });
    expect(items).toEqual(['a', { name: 'add', arguments: '{"a":"STOP"}' }, 'b ']);
    expect(answer.stopped).toBe(true);
  });
});
