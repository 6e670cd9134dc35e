// The caller against callees of every kind, played by hand frame by frame.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CallClient } from '../../../node/core/calls.ts';
import type { Load } from '../../../protocol/capability.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { CALLS_PER_LINK_MAX, FRAME_BODY_BYTES_MAX } from '../../../protocol/limits.ts';
import { runs } from '../../support/property.ts';
import {
  chunksOf,
  ECHO,
  gate,
  kind,
  message,
  options,
  RecordingWriter,
  tensorOfBytes,
  textOf,
  turns,
} from './calls-support.ts';
import { ManualClock } from './manual-clock.ts';

const withCode = (code: string): unknown => expect.objectContaining({ name: 'WeftError', code });
const lost = new WeftError({ code: 'peer_lost', message: 'Gone.' });
const THREE_FRAMES = 2 * FRAME_BODY_BYTES_MAX + 8;
const text = (words: string) => ({ payload: new TextEncoder().encode(words) });

function started() {
  const writer = new RecordingWriter();
  const clock = new ManualClock();
  const client = new CallClient({ writer, clock });
  const push = (...chunks: (Uint8Array | undefined)[]): void => {
    for (const chunk of chunks) if (chunk !== undefined) client.push(chunk);
  };
  return { writer, clock, client, push };
}

describe('a callee', () => {
  it('may answer without acknowledging, and before the request is written', async () => {
    const { writer, client, push } = started();
    const room = gate();
    writer.full = room.promise;
    const call = client.call(ECHO, message('', tensorOfBytes(THREE_FRAMES)), options({ ackTimeoutMs: 10 }));
    push(...chunksOf(1, kind('end', text('early'))));
    expect(textOf(await call.response)).toBe('early');
    room.resolve();
    await turns();
    // The rest of the request is of no use.
    expect(writer.kinds).toEqual(['call']);
  });

  it('may refuse before the request is written', async () => {
    const { writer, clock, client, push } = started();
    const room = gate();
    writer.full = room.promise;
    const call = client.call(ECHO, message('', tensorOfBytes(THREE_FRAMES)), options({ ackTimeoutMs: 10 }));
    push(...chunksOf(1, kind('fault', { error: { code: 'quota_exceeded', message: 'Full.' } })));
    await expect(call.response).rejects.toThrow(withCode('quota_exceeded'));
    await call.settled;
    room.resolve();
    await turns();
    expect(writer.kinds).toEqual(['call']);
    expect([client.open, clock.waiting]).toEqual([0, 0]);
  });

  it('may fail in the middle of an item or answer', async () => {
    for (const begun of ['item', 'end'] as const) {
      const { client, push } = started();
      const call = client.call(ECHO, message(''), options());
      push(chunksOf(1, kind(begun), [tensorOfBytes(THREE_FRAMES)])[0]);
      push(...chunksOf(1, kind('fault', { error: { code: 'out_of_memory', message: 'No more.' } })));
      await expect(call.response).rejects.toThrow(withCode('out_of_memory'));
      const next = client.call(ECHO, message(''), options());
      push(...chunksOf(2, kind('end', text('fine'))));
      expect(textOf(await next.response)).toBe('fine');
    }
  });

  it('acknowledges once, however often it says so', async () => {
    const { client, push } = started();
    let acknowledged = 0;
    const call = client.call(ECHO, message(''), options({ onAck: () => acknowledged++ }));
    push(...chunksOf(1, kind('ack')), ...chunksOf(1, kind('ack')), ...chunksOf(1, kind('end')));
    await call.response;
    expect(acknowledged).toBe(1);
  });

  it('that leaves an item out, or sends one twice, fails the call, and is told once', async () => {
    for (const sequence of [0, 2]) {
      const { writer, client, push } = started();
      const seen: string[] = [];
      const call = client.call(ECHO, message(''), options({ onItem: (item) => seen.push(textOf(item)) }));
      push(...chunksOf(1, kind('item', { sequence: 0, ...text('a') })));
      for (let late = 0; late < 5; late++) push(...chunksOf(1, kind('item', { sequence, ...text('b') })));
      await expect(call.response).rejects.toThrow(withCode('frame_invalid'));
      expect(seen).toEqual(['a']);
      expect(writer.kinds).toEqual(['call', 'cancel']);
      push(...chunksOf(1, kind('end')));
      await call.settled;
    }
  });

  it('whose tensors are too large or lie fails that call only', async () => {
    const { writer, client, push } = started();
    const large = client.call(ECHO, message(''), options());
    const other = client.call(ECHO, message(''), options());
    push(...chunksOf(1, kind('end'), [tensorOfBytes(ECHO.quota.answerBytesMax + 8)]));
    await expect(large.response).rejects.toThrow(withCode('tensor_invalid'));
    await large.settled;
    push(...chunksOf(2, kind('end', text('fine'))));
    expect(textOf(await other.response)).toBe('fine');
    expect(writer.kinds).toEqual(['call', 'call', 'cancel']);
  });

  it('whose answer cannot be read fails that call only', async () => {
    const { client, push } = started();
    const call = client.call(ECHO, message(''), options());
    push(...chunksOf(1, kind('end', { payload: new Uint8Array([0xff]) })));
    // Not as the codec says it: the request is not at fault.
    await expect(call.response).rejects.toThrow(withCode('frame_invalid'));
    await call.settled;
  });

  it('of a later version may fail with a code that is not known here', async () => {
    const { client, push } = started();
    const call = client.call(ECHO, message(''), options());
    push(...chunksOf(1, kind('fault', { error: { code: '__proto__', message: 'New.', remedy: 'Update.' } })));
    await expect(call.response).rejects.toMatchObject({
      code: 'internal',
      message: 'New.',
      facts: { code: '__proto__' },
    });
  });
});

describe('a long answer', () => {
  it('is told of as it comes, until nobody wants it', async () => {
    for (const isWanted of [true, false]) {
      const { client, push } = started();
      const abort = new AbortController();
      let arrived = 0;
      const onBytes = (bytes: number): void => {
        arrived += bytes;
      };
      const call = client.call(ECHO, message(''), options({ signal: abort.signal, onBytes }));
      const [first, second, third] = chunksOf(1, kind('end'), [tensorOfBytes(THREE_FRAMES)]);
      push(first);
      expect(arrived).toBe(FRAME_BODY_BYTES_MAX);
      if (!isWanted) abort.abort();
      push(second, third);
      await call.settled;
      expect(arrived).toBe(isWanted ? THREE_FRAMES : FRAME_BODY_BYTES_MAX);
      await call.response.catch(() => undefined);
    }
  });
});

describe('an abandoned call', () => {
  it('takes no memory for what still comes, and settles with its last byte', async () => {
    const { client, push } = started();
    const abort = new AbortController();
    const call = client.call(ECHO, message(''), options({ signal: abort.signal }));
    const [first, second, third] = chunksOf(1, kind('end'), [tensorOfBytes(THREE_FRAMES)]);
    abort.abort();
    await expect(call.response).rejects.toThrow(withCode('cancelled'));
    const before = process.memoryUsage().arrayBuffers;
    push(first, second);
    expect(client.open).toBe(1);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(FRAME_BODY_BYTES_MAX);
    push(third);
    await call.settled;
    expect(client.open).toBe(0);
  });

  it('still tells the callee’s load', async () => {
    const { client, push } = started();
    const loads: Load[] = [];
    const call = client.call(ECHO, message(''), options({ budgetMs: 5, onLoad: (load) => loads.push(load) }));
    push(
      ...chunksOf(1, kind('end', { load: { requestsInFlight: 3, memoryFreeBytes: 0n, queuedMs: 1, latencyMs: 2 } })),
    );
    await call.settled;
    expect(loads).toEqual([{ requestsInFlight: 3, memoryFreeBytes: 0, queuedMs: 1, latencyMs: 2 }]);
  });

  it('is passed over once it has settled', async () => {
    const { client, push } = started();
    const call = client.call(ECHO, message(''), options());
    push(...chunksOf(1, kind('end')));
    await call.response;
    push(
      ...chunksOf(1, kind('item', { sequence: 0 }), [tensorOfBytes(THREE_FRAMES)]),
      ...chunksOf(1, kind('end'), [tensorOfBytes(100)]),
      ...chunksOf(1, kind('fault')),
      ...chunksOf(55, kind('ack')),
    );
    const next = client.call(ECHO, message(''), options());
    push(...chunksOf(2, kind('end', text('next'))));
    expect(textOf(await next.response)).toBe('next');
  });

  it('counts as open until the callee is done with it, and the link has a bound on these', async () => {
    const { client, push } = started();
    const abort = new AbortController();
    const calls = Array.from({ length: CALLS_PER_LINK_MAX }, () =>
      client.call(ECHO, message(''), options({ signal: abort.signal })),
    );
    abort.abort();
    await Promise.allSettled(calls.map(({ response }) => response));
    expect(client.open).toBe(CALLS_PER_LINK_MAX);
    await expect(client.call(ECHO, message(''), options()).response).rejects.toThrow(withCode('overloaded'));
    push(...chunksOf(3, kind('fault', { error: { code: 'cancelled', message: '' } })));
    await calls[2]?.settled;
    expect(client.open).toBe(CALLS_PER_LINK_MAX - 1);
    client.close(lost);
    for (const { settled } of calls) await settled;
  });
});

describe('a link that fails while it is written to', () => {
  it('ends the call whose request did not leave', async () => {
    const { writer, clock, client } = started();
    writer.gone = lost;
    const thrown = client.call(ECHO, message(''), options());
    await expect(thrown.response).rejects.toBe(lost);
    await thrown.settled;
    const later = started();
    later.writer.full = Promise.reject(lost);
    const rejected = later.client.call(ECHO, message(''), options());
    await expect(rejected.response).rejects.toBe(lost);
    await rejected.settled;
    expect([client.open, later.client.open, clock.waiting, later.clock.waiting]).toEqual([0, 0, 0, 0]);
  });

  it('settles a call that could not be cancelled', async () => {
    for (const lateness of ['at once', 'later']) {
      const { writer, clock, client } = started();
      const call = client.call(ECHO, message(''), options({ budgetMs: 10 }));
      if (lateness === 'at once') writer.gone = lost;
      else writer.full = Promise.reject(lost);
      clock.advance(10);
      await expect(call.response).rejects.toThrow(withCode('deadline_exceeded'));
      await call.settled;
      expect(client.open).toBe(0);
    }
  });
});

describe('a callee that breaks the rules', () => {
  const item = chunksOf(1, kind('item', { sequence: 0 }), [tensorOfBytes(THREE_FRAMES)]);
  const withBody = (name: 'ack' | 'fault' | 'more') => chunksOf(1, kind(name), [tensorOfBytes(8)])[0];

  it.each<[string, (Uint8Array | undefined)[]]>([
    ['calls', chunksOf(1, kind('call'))],
    ['cancels', chunksOf(1, kind('cancel'))],
    ['begins a message inside another', [item[0], ...chunksOf(1, kind('end'))]],
    ['continues what has not begun', [item[1]]],
    ['continues without bytes', [item[0], ...chunksOf(1, kind('more'))]],
    ['sends more than it declared', [item[0], item[1], item[1]]],
    ['gives an acknowledgement a body', [withBody('ack')]],
    ['gives a fault a body', [withBody('fault')]],
    ['speaks another protocol', [new TextEncoder().encode('HTTP/1.1 400 Bad Request')]],
  ])('is cut off when it %s', async (_what, chunks) => {
    const { client, push } = started();
    const call = client.call(ECHO, message(''), options());
    expect(() => push(...chunks)).toThrow(withCode('frame_invalid'));
    expect(() => push(...chunksOf(1, kind('end')))).toThrow(withCode('frame_invalid'));
    client.close(lost);
    await expect(call.response).rejects.toThrow(withCode('peer_lost'));
    await call.settled;
  });

  it('breaks nothing but its own link, whatever it sends', async () => {
    const frame = fc.tuple(
      fc.integer({ min: 1, max: 4 }),
      fc.constantFrom('ack', 'item', 'end', 'fault', 'more', 'cancel'),
      fc.constantFrom(0, 3, 8, 40),
      fc.nat({ max: 3 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 14 }), async (frames) => {
        const { client, clock, push } = started();
        const ended = new Set<number>();
        const calls = [1, 2, 3].map((id) => {
          const onItem = (): void => expect(ended).not.toContain(id);
          const call = client.call(ECHO, message(''), options({ onItem, budgetMs: 10 * id, ackTimeoutMs: 15 }));
          call.response.then(
            () => ended.add(id),
            () => ended.add(id),
          );
          return call;
        });
        let broken = false;
        try {
          for (const [id, name, bytes, sequence] of frames) {
            push(...chunksOf(id, kind(name, { sequence }), bytes === 0 ? [] : [tensorOfBytes(bytes)]));
            if (sequence === 3) clock.advance(4);
            await Promise.resolve();
          }
        } catch (error) {
          broken = true;
          expect(error).toEqual(withCode('frame_invalid'));
        }
        clock.advance(1_000);
        await Promise.allSettled(calls.map(({ response }) => response));
        expect(clock.waiting).toBe(0);
        if (!broken) expect(client.open).toBeLessThanOrEqual(3);
        client.close(lost);
        await Promise.all(calls.map(({ settled }) => settled));
        expect(client.open).toBe(0);
      }),
      runs(300),
    );
  });
});
