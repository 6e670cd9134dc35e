import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EVENT_CHARS_MAX } from '../../../../desktop/ui/data/limits.ts';
import { SseParser } from '../../../../desktop/ui/data/sse.ts';

const STREAM =
  'retry: 1000\nid: a-1\n\nid: a-2\nevent: request\ndata: {"x":1}\n\n: comment\ndata: one\ndata: two\n\nid: a-3\n\n';

describe('SseParser', () => {
  it('gives whole events, joins their lines, and knows the last id of blocks without data', () => {
    const parser = new SseParser();
    expect(parser.push(STREAM)).toEqual([
      { event: 'request', data: '{"x":1}', id: 'a-2' },
      { event: 'message', data: 'one\ntwo', id: 'a-2' },
    ]);
    expect(parser.lastId).toBe('a-3');
    expect(parser.retryMs).toBe(1_000);
  });

  it('gives the same however the text is cut, with any of the three line ends', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(STREAM.length * 2), { maxLength: 12 }),
        fc.constantFrom('\n', '\r\n', '\r'),
        (cuts, lineEnd) => {
          // A stream that ends in CR might go on with LF: the next line shows that it doesn't.
          const text = `${STREAM.replaceAll('\n', lineEnd)}: end${lineEnd}:`;
          const parser = new SseParser();
          const at = [...new Set([0, ...cuts.filter((cut) => cut < text.length), text.length])].sort((a, b) => a - b);
          const events = at.slice(1).flatMap((end, index) => parser.push(text.slice(at[index], end)));
          expect(events.map(({ data }) => data)).toEqual(['{"x":1}', 'one\ntwo']);
          expect(parser.lastId).toBe('a-3');
        },
      ),
    );
  });

  it('refuses an event that has no end', () => {
    const parser = new SseParser();
    const piece = `data: ${'x'.repeat(EVENT_CHARS_MAX / 4)}\n`;
    expect(() => {
      for (let at = 0; at < 5; at += 1) parser.push(piece);
    }).toThrow(RangeError);
    expect(() => new SseParser().push('x'.repeat(EVENT_CHARS_MAX + 1))).toThrow(RangeError);
  });
});
