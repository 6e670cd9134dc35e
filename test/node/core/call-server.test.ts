// The callee against callers of every kind, played by hand frame by frame.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CallServer } from '../../../node/core/calls.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { CALLS_PER_LINK_MAX, FRAME_BODY_BYTES_MAX, REFUSALS_UNREAD_MAX } from '../../../protocol/limits.ts';
import { runs } from '../../support/property.ts';
import {
  callKind,
  chunksOf,
  ECHO,
  type EchoHandler,
  echo,
  gate,
  kind,
  message,
  RecordingWriter,
  Table,
  tensorOfBytes,
  turns,
} from './calls-support.ts';
import { ManualClock } from './manual-clock.ts';

const withCode = (code: string): unknown => expect.objectContaining({ name: 'WeftError', code });
const lost = new WeftError({ code: 'peer_lost', message: 'Gone.' });
const never: EchoHandler = () => gate<never>().promise;
const THREE_FRAMES = 2 * FRAME_BODY_BYTES_MAX + 8;

function started(handler: EchoHandler = echo) {
  const writer = new RecordingWriter();
  const clock = new ManualClock();
  const table = new Table(handler);
  const server = new CallServer({ writer, clock, lookup: table.lookup }, { caller: 'test' });
  const push = (...chunks: (Uint8Array | undefined)[]): void => {
    for (const chunk of chunks) if (chunk !== undefined) server.push(chunk);
  };
  return { writer, clock, table, server, push };
}

describe('a handler', () => {
  it('hears once that its answer has left, or never will', async () => {
    for (const ends of ['answered', 'cancelled', 'lost'] as const) {
      const left: string[] = [];
      const work = gate();
      const { writer, server, push } = started(async (request, { afterwards, signal }) => {
        afterwards(() => left.push(ends));
        await work.promise;
        signal.throwIfAborted();
        return request;
      });
      push(...chunksOf(1, callKind()));
      await turns();
      const room = gate();
      writer.full = room.promise;
      if (ends === 'cancelled') push(...chunksOf(1, kind('cancel')));
      if (ends === 'lost') server.close(lost);
      work.resolve();
      await turns();
      // An answer that waits for room on the link hasn't left.
      if (ends === 'answered') expect(left).toEqual([]);
      room.resolve();
      await turns();
      expect(left).toEqual([ends]);
    }
  });
});

describe('a request', () => {
  it('is acknowledged when it is here in full, and not before', async () => {
    const { writer, push } = started(never);
    const [first, second, third] = chunksOf(1, callKind(), [tensorOfBytes(THREE_FRAMES)]);
    push(first, second);
    await turns();
    expect(writer.kinds).toEqual([]);
    push(third);
    await turns();
    expect(writer.kinds).toEqual(['ack']);
  });

  it('is partial from its first byte to its last, and so is any frame', () => {
    const { server, push } = started(never);
    const [first, second, third] = chunksOf(1, callKind(), [tensorOfBytes(THREE_FRAMES)]);
    const seen = [server.partial];
    for (const chunk of [first?.subarray(0, 1), first?.subarray(1), second, third]) {
      push(chunk);
      seen.push(server.partial);
    }
    push(chunksOf(9, kind('cancel'))[0]?.subarray(0, 5));
    seen.push(server.partial);
    expect(seen).toEqual([false, true, true, true, false, true]);
  });

  it('that stalls is given up at its deadline: place and memory are free, what still comes is passed over', async () => {
    for (const budgetMs of [500, 0]) {
      const { writer, clock, table, server, push } = started();
      const [first, second, third] = chunksOf(1, callKind({ budgetMs }), [tensorOfBytes(THREE_FRAMES)]);
      push(first);
      clock.advance(budgetMs === 0 ? ECHO.timeouts.totalMs : budgetMs);
      await turns();
      expect(writer.faults).toEqual(['deadline_exceeded']);
      expect([server.open, table.admitted, table.released, clock.waiting]).toEqual([0, 1, 1, 0]);
      push(second, third, ...chunksOf(2, callKind()));
      await turns();
      expect(writer.kinds).toEqual(['fault', 'ack', 'end']);
    }
  });

  it('may name no budget beyond the method’s', async () => {
    const budgets: number[] = [];
    const { clock, push } = started(async (request, { budgetMs, signal }) => {
      budgets.push(budgetMs);
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      return request;
    });
    push(...chunksOf(1, callKind({ budgetMs: 0xffff_ffff })));
    clock.advance(ECHO.timeouts.totalMs);
    await turns();
    expect(budgets).toEqual([ECHO.timeouts.totalMs]);
    expect(clock.waiting).toBe(0);
  });

  it('of a class that only a later version knows waits like batch work', async () => {
    const classes: unknown[] = [];
    const { push } = started(async (request, { priority }) => {
      classes.push(priority);
      return request;
    });
    for (const [index, priority] of [0, 1, 2, 0xffff_ffff].entries())
      push(...chunksOf(index + 1, callKind({ priority })));
    await turns();
    expect(classes).toEqual(['interactive', 'batch', 'batch', 'batch']);
  });

  it('that is refused may go on coming: it is passed over', async () => {
    const { writer, table, push } = started();
    const [first, ...rest] = chunksOf(1, callKind({ method: 99 }), [tensorOfBytes(THREE_FRAMES)]);
    push(first);
    await turns();
    expect(writer.faults).toEqual(['method_unknown']);
    push(...rest, ...chunksOf(2, callKind()));
    await turns();
    expect(writer.kinds).toEqual(['fault', 'ack', 'end']);
    expect([table.admitted, table.released]).toEqual([1, 1]);
  });

  it('with more than the method allows is refused before memory is taken', async () => {
    const { writer, table, push } = started();
    const before = process.memoryUsage().arrayBuffers;
    push(chunksOf(1, callKind(), [tensorOfBytes(ECHO.quota.requestBytesMax + 8)])[0]?.subarray(0, 200));
    await turns();
    expect(writer.faults).toEqual(['tensor_invalid']);
    expect(table.admitted).toBe(0);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 << 20);
  });
});

describe('the quota', () => {
  it.each<[string, EchoHandler, (test: ReturnType<typeof started>) => void]>([
    ['an answer', echo, ({ push }) => push(...chunksOf(1, callKind()))],
    ['a failure', () => Promise.reject(new Error('x')), ({ push }) => push(...chunksOf(1, callKind()))],
    ['an unreadable request', echo, ({ push }) => push(...chunksOf(1, callKind({ payload: new Uint8Array([0xff]) })))],
    [
      'a cancellation in the middle of the request, twice',
      echo,
      ({ push }) => {
        const [first, ...rest] = chunksOf(1, callKind(), [tensorOfBytes(THREE_FRAMES)]);
        push(first, ...chunksOf(1, kind('cancel')), ...chunksOf(1, kind('cancel')), ...rest);
      },
    ],
    [
      'a cancellation of a handler that stops',
      (_request, { signal }) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      ({ push }) => push(...chunksOf(1, callKind()), ...chunksOf(1, kind('cancel'))),
    ],
    [
      'a lost link in the middle of the request',
      echo,
      ({ push, server }) => {
        push(chunksOf(1, callKind(), [tensorOfBytes(THREE_FRAMES)])[0]);
        server.close(lost);
      },
    ],
    [
      'a lost link while the handler works',
      () => turns(2).then(() => message('')),
      ({ push, server }) => {
        push(...chunksOf(1, callKind()));
        server.close(lost);
      },
    ],
    [
      'a deadline, a cancellation and a lost link at once',
      () => turns(2).then(() => message('')),
      ({ push, server, clock }) => {
        push(...chunksOf(1, callKind({ budgetMs: 5 })));
        clock.advance(5);
        push(...chunksOf(1, kind('cancel')));
        server.close(lost);
      },
    ],
  ])('gets a place back once after %s', async (_what, handler, play) => {
    const test = started(handler);
    play(test);
    await turns();
    expect([test.table.admitted, test.table.released]).toEqual([1, 1]);
    expect([test.server.open, test.clock.waiting]).toEqual([0, 0]);
  });

  it('refuses a call for which there is no place, without its handler', async () => {
    let handled = 0;
    const { writer, table, push } = started(async () => {
      handled++;
      return gate<never>().promise;
    });
    table.placesMax = 1;
    push(...chunksOf(1, callKind()), ...chunksOf(2, callKind()));
    await turns();
    expect(writer.faults).toEqual(['quota_exceeded']);
    expect(handled).toBe(1);
  });

  it('holds a place until the answer has left: who does not read gets no more work done', async () => {
    const { writer, table, push } = started(async () => message('', tensorOfBytes(1_000_000)));
    const drained = gate();
    writer.full = drained.promise;
    push(...chunksOf(1, callKind()));
    await turns();
    expect([writer.kinds.at(-1), table.released]).toEqual(['end', 0]);
    drained.resolve();
    await turns();
    expect(table.released).toBe(1);
  });

  it('of a link is a number of calls, whatever the methods allow', async () => {
    const { writer, server, push } = started(never);
    for (let id = 1; id <= CALLS_PER_LINK_MAX + 1; id++) push(...chunksOf(id, callKind()));
    await turns();
    expect(server.open).toBe(CALLS_PER_LINK_MAX);
    expect(writer.faults).toEqual(['quota_exceeded']);
  });

  it('of refusals ends a link whose caller never reads them', async () => {
    const { writer, push } = started();
    writer.full = gate().promise;
    for (let id = 1; id <= REFUSALS_UNREAD_MAX; id++) push(...chunksOf(id, callKind({ method: 99 })));
    await turns();
    expect(() => push(...chunksOf(1_000, callKind()))).toThrow(withCode('frame_invalid'));
    // Twin: a caller that reads is refused as often as it likes.
    const other = started();
    for (let id = 1; id <= 3 * REFUSALS_UNREAD_MAX; id++) {
      other.push(...chunksOf(id, callKind({ method: 99 })));
      await Promise.resolve();
      await Promise.resolve();
      await Promise.resolve();
    }
    expect(other.writer.faults).toHaveLength(3 * REFUSALS_UNREAD_MAX);
  });
});

describe('the order on the link', () => {
  it('waits for room between the frames of a message', async () => {
    const { writer, push } = started(async () => message('', tensorOfBytes(THREE_FRAMES)));
    let room = gate();
    writer.full = room.promise;
    push(...chunksOf(1, callKind()));
    const seen: number[] = [];
    for (let step = 0; step < 3; step++) {
      await turns();
      seen.push(writer.headers.length);
      const now = room;
      room = gate();
      writer.full = room.promise;
      now.resolve();
    }
    expect(seen).toEqual([2, 3, 4]);
    expect(writer.kinds).toEqual(['ack', 'end', 'more', 'more']);
  });

  it('keeps an item in several frames whole before the answer', async () => {
    const { writer, push } = started(async (_request, { item }) => {
      item(message('', tensorOfBytes(THREE_FRAMES)));
      return message('');
    });
    const room = gate();
    writer.full = room.promise;
    push(...chunksOf(1, callKind()));
    await turns();
    writer.full = undefined;
    room.resolve();
    await turns();
    expect(writer.kinds).toEqual(['item', 'ack', 'more', 'more', 'end']);
  });

  it('ends an item in the middle when the handler fails', async () => {
    const { writer, push } = started(async (_request, { item }) => {
      item(message('', tensorOfBytes(THREE_FRAMES)));
      throw new WeftError({ code: 'out_of_memory', message: 'No more.' });
    });
    const room = gate();
    writer.full = room.promise;
    push(...chunksOf(1, callKind()));
    await turns();
    writer.full = undefined;
    room.resolve();
    await turns();
    expect(writer.kinds).toEqual(['item', 'ack', 'fault']);
    expect(writer.faults).toEqual(['out_of_memory']);
  });

  it('allows no item beside one in several frames, and none after the answer', async () => {
    const beside = started(async (request, { item }) => {
      item(message('', tensorOfBytes(THREE_FRAMES)));
      item(message('too early'));
      return request;
    });
    beside.writer.full = gate().promise;
    beside.push(...chunksOf(1, callKind()));
    await turns();
    expect(beside.writer.faults).toEqual(['internal']);

    let send: (() => void) | undefined;
    const after = started(async (request, { item }) => {
      send = () => item(message('too late'));
      return request;
    });
    after.push(...chunksOf(1, callKind()));
    await turns();
    expect(() => send?.()).toThrow('no item follows the answer');
    expect(after.writer.kinds).toEqual(['ack', 'end']);
  });

  it('numbers items without a gap, also past one that could not be laid out', async () => {
    const broken = { name: 'x', type: 'float32', dims: [2], data: new Uint8Array(3) } as const;
    const { writer, push } = started(async (request, { item }) => {
      item(message('0'));
      expect(() => item(message('', broken))).toThrow(withCode('tensor_invalid'));
      item(message('1'));
      return request;
    });
    push(...chunksOf(1, callKind()));
    await turns();
    const numbers = writer.headers.flatMap(({ kind: sent }) => (sent.case === 'item' ? [sent.value.sequence] : []));
    expect(numbers).toEqual([0, 1]);
  });

  it('goes on nowhere once the link is gone', async () => {
    const { writer, table, push } = started();
    writer.gone = lost;
    push(...chunksOf(1, callKind()), ...chunksOf(2, callKind({ method: 99 })));
    await turns();
    expect([table.admitted, table.released]).toEqual([1, 1]);
  });
});

describe('a caller that breaks the rules', () => {
  const [whole] = chunksOf(1, callKind());
  const [partial, middle] = chunksOf(1, callKind(), [tensorOfBytes(THREE_FRAMES)]);
  const withBody = (name: 'cancel' | 'more', bytes: number) => chunksOf(1, kind(name), [tensorOfBytes(bytes)])[0];

  it.each<[string, (Uint8Array | undefined)[]]>([
    ['sends an acknowledgement', chunksOf(1, kind('ack'))],
    ['sends an item', chunksOf(1, kind('item'))],
    ['sends an answer', chunksOf(1, kind('end'))],
    ['sends a fault', chunksOf(1, kind('fault'))],
    ['sends a kind that does not exist', [new Uint8Array(Buffer.from('570100000200000000000000' + '0801', 'hex'))]],
    ['opens a call twice', [whole, whole]],
    ['opens a call inside itself', [partial, whole]],
    ['continues without bytes', [partial, ...chunksOf(1, kind('more'))]],
    ['continues a request that is whole', [whole, withBody('more', 8)]],
    ['sends more than it declared', [partial, middle, middle]],
    ['cancels with a body', [partial, withBody('cancel', 8)]],
    ['speaks another protocol', [new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n')]],
  ])('is cut off when it %s', async (_what, chunks) => {
    const { table, server, push } = started(never);
    expect(() => push(...chunks)).toThrow(withCode('frame_invalid'));
    expect(() => push(...chunksOf(9, callKind()))).toThrow(withCode('frame_invalid'));
    server.close(lost);
    await turns();
    expect(table.admitted - table.released).toBe(server.open);
  });

  it('begins no work by a cancellation that carries the missing bytes', async () => {
    let handled = 0;
    const { push, table } = started(async (request) => {
      handled++;
      return request;
    });
    const [opening] = chunksOf(1, callKind(), [tensorOfBytes(FRAME_BODY_BYTES_MAX + 8)]);
    push(opening);
    expect(() => push(withBody('cancel', 8))).toThrow(withCode('frame_invalid'));
    expect([handled, table.admitted]).toEqual([0, 1]);
  });

  it('may cancel what it never called', async () => {
    const { writer, push } = started();
    push(...chunksOf(77, kind('cancel')), ...chunksOf(1, callKind()));
    await turns();
    expect(writer.kinds).toEqual(['ack', 'end']);
  });

  it('breaks nothing but its own link, whatever it sends', async () => {
    const frame = fc.tuple(
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom('call', 'more', 'cancel', 'item', 'ack'),
      fc.constantFrom(0, 3, 8, 40),
      fc.nat({ max: 8 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 12 }), async (frames) => {
        const { table, server, clock, push } = started(async (request, { item }) => {
          await item(message('x'));
          return request;
        });
        try {
          for (const [id, name, bytes, method] of frames) {
            const what = name === 'call' ? callKind({ method: method === 0 ? 99 : ECHO.id, budgetMs: 50 }) : kind(name);
            push(...chunksOf(id, what, bytes === 0 ? [] : [tensorOfBytes(bytes)]));
            if (method === 1) await Promise.resolve();
          }
        } catch (error) {
          expect(error).toEqual(withCode('frame_invalid'));
          server.close(lost);
        }
        await turns(2);
        clock.advance(100);
        await turns(1);
        expect([server.open, clock.waiting]).toEqual([0, 0]);
        expect(table.released).toBe(table.admitted);
      }),
      runs(200),
    );
  });
});
