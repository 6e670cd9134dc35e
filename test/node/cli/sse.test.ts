import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SSE_EVENT_CHARS_MAX } from '../../../node/cli/limits.ts';
import { readSse, type SseEvent } from '../../../node/cli/sse.ts';

async function parse(chunks: readonly (string | Uint8Array)[]): Promise<SseEvent[]> {
  async function* bytes() {
    for (const chunk of chunks) yield typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk;
  }
  return Array.fromAsync(readSse(bytes()));
}

const message = (data: string): SseEvent => ({ event: 'message', data });

describe('readSse', () => {
  it('reads one event per empty line', async () => {
    expect(await parse(['data: {"a":1}\n\ndata: [DONE]\n\n'])).toEqual([message('{"a":1}'), message('[DONE]')]);
  });

  it('joins data lines, takes event names, drops comments and unknown fields', async () => {
    const text = ': alive\nevent: error\nid: 7\nretry: 10\ndata: one\ndata:two\ndata\n\n';
    expect(await parse([text])).toEqual([{ event: 'error', id: '7', data: 'one\ntwo\n' }]);
  });

  it('keeps the id of the last event that had one', async () => {
    const text = 'data: none\n\nid: 7\ndata: first\n\ndata: same\n\nid: 8\ndata: next\n\n';
    expect((await parse([text])).map(({ id }) => id)).toEqual([undefined, '7', '7', '8']);
  });

  it('removes one space behind the colon, and no more', async () => {
    expect(await parse(['data:  two\n\n'])).toEqual([message(' two')]);
  });

  it('gives no event for an empty line without data', async () => {
    expect(await parse(['event: ping\n\n\n: comment\n\ndata: x\n\n'])).toEqual([message('x')]);
  });

  it('drops an event that was not closed', async () => {
    expect(await parse(['data: whole\n\ndata: half\n'])).toEqual([message('whole')]);
  });

  it('closes an event by a carriage return at the very end', async () => {
    expect(await parse(['data: x\r\r'])).toEqual([message('x')]);
  });

  it('drops a byte order mark', async () => {
    expect(await parse(['\u{feff}data: x\n\n'])).toEqual([message('x')]);
  });

  it('refuses a line past the bound, and many lines past it', async () => {
    const long = 'x'.repeat(SSE_EVENT_CHARS_MAX + 1);
    await expect(parse([`data: ${long}`])).rejects.toMatchObject({ code: 'frame_invalid' });
    const lines = `data: ${'x'.repeat(1_000)}\n`.repeat(SSE_EVENT_CHARS_MAX / 1_000);
    await expect(parse([lines])).rejects.toMatchObject({ code: 'frame_invalid' });
  });

  it('gives the same events wherever the bytes are cut, whatever ends the lines', async () => {
    const events = fc.array(
      fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => text.replace(/[\r\n]/g, '')),
      {
        minLength: 1,
        maxLength: 5,
      },
    );
    const lineEnd = fc.constantFrom('\n', '\r\n', '\r');
    await fc.assert(
      fc.asyncProperty(events, lineEnd, fc.array(fc.nat({ max: 200 }), { maxLength: 8 }), async (data, end, cuts) => {
        const bytes = new TextEncoder().encode(data.map((text) => `data: ${text}${end}${end}`).join(''));
        const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
        const chunks = at.slice(1).map((to, index) => bytes.subarray(at[index], to));
        expect(await parse(chunks)).toEqual(data.map(message));
      }),
    );
  });
});
