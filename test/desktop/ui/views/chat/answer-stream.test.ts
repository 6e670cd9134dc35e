// An answer is followed by offset: over breaks, pieces that come twice, and to its end.
import { expect, test } from 'vitest';
import { AnswerStream } from '../../../../../desktop/ui/views/chat/answer-stream.ts';
import type { ConversationMessage } from '../../../../../protocol/api/control.ts';

interface Opened {
  readonly from: number;
  readonly signal: AbortSignal;
  piece(at: number, text: string): void;
  done(content: string): void;
  /** The connection ends. */
  end(status?: number): Promise<void>;
}

function fixture(text = '') {
  const opened: Opened[] = [];
  const waits: { readonly ms: number; readonly callback: () => void; cancelled: boolean }[] = [];
  let frames: (() => void)[] = [];
  let changes = 0;
  const ended: ConversationMessage[] = [];
  const stream = new AnswerStream(
    {
      open: ({ from, signal, onEvent }) =>
        new Promise((resolve, reject) => {
          opened.push({
            from,
            signal,
            piece: (at, piece) => onEvent({ event: 'delta', data: JSON.stringify({ at, text: piece }) }),
            done: (content) => onEvent({ event: 'done', data: JSON.stringify({ id: 'm', content, state: 'done' }) }),
            async end(status) {
              if (status === undefined) resolve();
              else reject(Object.assign(new Error('broken'), { status }));
              // What follows the end runs in microtasks.
              await new Promise((next) => setImmediate(next));
            },
          });
        }),
      after(ms, callback) {
        const wait = { ms, callback, cancelled: false };
        waits.push(wait);
        return () => {
          wait.cancelled = true;
        };
      },
      frame: (callback) => frames.push(callback),
    },
    { text, onChange: () => (changes += 1), onDone: (message) => ended.push(message) },
  );
  const paint = (): void => {
    const due = frames;
    frames = [];
    for (const callback of due) callback();
  };
  const at = (index: number): Opened => {
    const one = opened[index];
    if (one === undefined) throw new Error(`The stream was not opened ${index + 1} times.`);
    return one;
  };
  return { stream, opened, at, waits, paint, ended, changes: () => changes };
}

test('begins behind what is here, and tells of many pieces once per frame', () => {
  const { stream, at, paint, changes } = fixture('Hello');
  stream.start();
  expect(at(0).from).toBe(5);
  at(0).piece(5, ', wor');
  at(0).piece(10, 'ld');
  expect(changes()).toBe(0);
  paint();
  expect(changes()).toBe(1);
  expect(stream.text).toBe('Hello, world');
});

test('joins again behind what has come when the connection breaks, later each time', async () => {
  const { stream, at, opened, waits, paint } = fixture();
  stream.start();
  at(0).piece(0, 'abc');
  await at(0).end(0);
  paint();
  expect(stream.state).toBe('broken');
  waits[0]?.callback();
  expect(at(1).from).toBe(3);
  await at(1).end(0);
  waits[1]?.callback();
  await at(2).end(503);
  expect(waits.map(({ ms }) => ms)).toEqual([500, 1_000, 2_000]);
  waits[2]?.callback();
  // The node may send again what was under way.
  at(3).piece(2, 'cd');
  expect(stream.text).toBe('abcd');
  expect(stream.state).toBe('following');
  await at(3).end();
  expect(waits.at(-1)?.ms).toBe(500);
  expect(opened).toHaveLength(4);
});

test('joins at once when the node is back', async () => {
  const { stream, at, opened, waits } = fixture();
  stream.start();
  stream.retryNow();
  expect(opened).toHaveLength(1);
  await at(0).end(0);
  stream.retryNow();
  expect(waits[0]?.cancelled).toBe(true);
  expect(opened).toHaveLength(2);
});

test('ends with the whole message, and does not come back', async () => {
  const { stream, at, waits, ended } = fixture();
  stream.start();
  at(0).piece(0, 'ab');
  at(0).done('abc');
  await at(0).end();
  expect(ended.map(({ content }) => content)).toEqual(['abc']);
  expect([stream.text, stream.state]).toEqual(['abc', 'ended']);
  expect(waits).toHaveLength(0);
});

test('gives up what the node does not know', async () => {
  const { stream, at, waits } = fixture();
  stream.start();
  await at(0).end(404);
  expect(stream.state).toBe('gone');
  expect(waits).toHaveLength(0);
});

test('a piece that would leave a gap is not taken', () => {
  const { stream, at } = fixture();
  stream.start();
  at(0).piece(10, 'late');
  expect(stream.text).toBe('');
});

test('says nothing once it is stopped', async () => {
  const { stream, at, waits, paint, changes } = fixture();
  stream.start();
  stream.stop();
  expect(at(0).signal.aborted).toBe(true);
  at(0).piece(0, 'x');
  await at(0).end(0);
  paint();
  expect([stream.text, changes(), waits.length]).toEqual(['', 0, 0]);
});
