// How calls end before their answer: acknowledgements that don't come, deadlines, cancellations, lost links.
import { describe, expect, it } from 'vitest';
import { WeftError } from '../../../protocol/errors.ts';
import { FRAME_BODY_BYTES_MAX } from '../../../protocol/limits.ts';
import { callPair } from '../../support/memory-link.ts';
import { ECHO, echo, gate, message, options, Table, tensorOfBytes, textOf, turns } from './calls-support.ts';
import { ManualClock } from './manual-clock.ts';

const withCode = (code: string): unknown => expect.objectContaining({ name: 'WeftError', code });
const LARGE = 6 * FRAME_BODY_BYTES_MAX;

/** A handler that works until its test lets it, and says why it was told to stop. */
function patientTable() {
  const done = gate();
  const begun = gate<AbortSignal>();
  const table = new Table(async (request, { signal }) => {
    begun.resolve(signal);
    await done.promise;
    return request;
  });
  return { table, begun: begun.promise, finish: () => done.resolve() };
}

describe('the acknowledgement', () => {
  it('comes while the work goes on', async () => {
    const { table, finish } = patientTable();
    const { client } = callPair({ lookup: table.lookup });
    const acknowledged = gate();
    const { response } = client.call(ECHO, message(''), options({ onAck: () => acknowledged.resolve() }));
    await acknowledged.promise;
    expect(client.open).toBe(1);
    finish();
    await response;
  });

  it('that does not come in time ends the call at both ends, and the link goes on', async () => {
    const clock = new ManualClock();
    const { table, begun, finish } = patientTable();
    const { client, link } = callPair({ lookup: table.lookup, clock });
    link.b.pause();
    const { response, settled } = client.call(ECHO, message(''), options({ ackTimeoutMs: 200 }));
    const signal = await begun;
    clock.advance(199);
    await turns();
    expect(client.open).toBe(1);
    clock.advance(1);
    await expect(response).rejects.toThrow(withCode('peer_timeout'));
    await turns();
    expect(signal.reason).toEqual(withCode('cancelled'));
    finish();
    link.b.resume();
    await settled;
    const next = client.call(ECHO, message('next'), options({ ackTimeoutMs: 200 }));
    expect(textOf(await next.response)).toBe('next');
  });

  it('is awaited from when the request is written, not from when the call began', async () => {
    const clock = new ManualClock();
    const { client, link } = callPair({ lookup: new Table(echo).lookup, clock, highWaterBytes: 0 });
    link.a.pause();
    const call = client.call(ECHO, message('', tensorOfBytes(LARGE)), options({ ackTimeoutMs: 200 }));
    clock.advance(10_000);
    await turns();
    expect(client.open).toBe(1);
    link.a.resume();
    expect((await call.response).tensors[0]?.data).toHaveLength(LARGE);
  });

  it('in time stops the wait for it', async () => {
    const clock = new ManualClock();
    const { table, finish } = patientTable();
    const { client } = callPair({ lookup: table.lookup, clock });
    const acknowledged = gate();
    const call = client.call(ECHO, message(''), options({ ackTimeoutMs: 200, onAck: () => acknowledged.resolve() }));
    await acknowledged.promise;
    clock.advance(30_000);
    finish();
    await call.response;
  });

  it('is not sent where the callee was told so', async () => {
    const { client } = callPair({ lookup: new Table(echo).lookup, acknowledge: false });
    let acknowledgements = 0;
    await client.call(ECHO, message(''), options({ onAck: () => acknowledgements++ })).response;
    expect(acknowledgements).toBe(0);
  });
});

describe('the budget', () => {
  it('ends the call at the caller, who tells the callee', async () => {
    const clock = new ManualClock();
    const { table, begun, finish } = patientTable();
    const { client, link } = callPair({ lookup: table.lookup, clock: clock });
    const { response, settled } = client.call(ECHO, message(''), options({ budgetMs: 500 }));
    const signal = await begun;
    link.a.pause();
    clock.advance(500);
    await expect(response).rejects.toThrow(withCode('deadline_exceeded'));
    // The callee has a clock of its own: no word of the caller's has reached it.
    expect(signal.reason).toEqual(withCode('deadline_exceeded'));
    finish();
    link.a.resume();
    await settled;
    expect(table.released).toBe(1);
  });

  it.each([
    ['none is named', undefined],
    ['more is asked for', 1e12],
  ])('is the method’s own where %s', async (_what, budgetMs) => {
    const clock = new ManualClock();
    const { table, begun, finish } = patientTable();
    const { client } = callPair({ lookup: table.lookup, clock });
    const { response } = client.call(ECHO, message(''), options({ budgetMs }));
    const signal = await begun;
    clock.advance(ECHO.timeouts.totalMs - 1);
    expect(signal.aborted).toBe(false);
    clock.advance(1);
    await expect(response).rejects.toThrow(withCode('deadline_exceeded'));
    finish();
  });
});

describe('a cancellation', () => {
  it('rejects at once, reaches the handler, and settles when the handler has ended', async () => {
    const { table, begun, finish } = patientTable();
    const { client, server } = callPair({ lookup: table.lookup });
    const abort = new AbortController();
    const { response, settled } = client.call(ECHO, message(''), options({ signal: abort.signal }));
    const signal = await begun;
    abort.abort();
    await expect(response).rejects.toThrow(withCode('cancelled'));
    await turns();
    expect(signal.reason).toEqual(withCode('cancelled'));
    expect([client.open, server.open, table.released]).toEqual([1, 1, 0]);
    finish();
    await settled;
    await turns(1);
    expect([client.open, server.open, table.released]).toEqual([0, 0, 1]);
  });

  it.each([
    ['a WeftError', new WeftError({ code: 'stopping', message: 'The node is stopping.' }), 'stopping'],
    ['a timeout', new DOMException('late', 'TimeoutError'), 'deadline_exceeded'],
    ['anything else', 'a whim', 'cancelled'],
  ])('by %s is told as such', async (_what, reason, code) => {
    const { client, link } = callPair({ lookup: new Table(echo).lookup });
    const abort = new AbortController();
    const { response } = client.call(ECHO, message(''), options({ signal: abort.signal }));
    abort.abort(reason);
    await expect(response).rejects.toThrow(withCode(code));
    const written = link.a.writtenBytes;
    await expect(client.call(ECHO, message(''), options({ signal: abort.signal })).response).rejects.toThrow(
      withCode(code),
    );
    expect(link.a.writtenBytes).toBe(written);
  });

  it('stops a request in the middle: no handler sees it, and its place is free', async () => {
    let handled = 0;
    const table = new Table(async (request) => {
      handled++;
      return request;
    });
    const { client, server, link } = callPair({ lookup: table.lookup, highWaterBytes: 0 });
    const abort = new AbortController();
    const call = client.call(ECHO, message('', tensorOfBytes(LARGE)), options({ signal: abort.signal }));
    await turns(1);
    expect(server.open).toBe(1);
    abort.abort();
    await expect(call.response).rejects.toThrow(withCode('cancelled'));
    await call.settled;
    await turns();
    expect(link.a.writtenBytes).toBeLessThan(LARGE / 2);
    expect([handled, server.open, table.admitted, table.released]).toEqual([0, 0, 1, 1]);
    expect(textOf(await client.call(ECHO, message('next'), options()).response)).toBe('next');
  });

  it('stops an answer in the middle', async () => {
    const table = new Table(async (request) =>
      textOf(request) === 'next' ? request : message('', tensorOfBytes(LARGE)),
    );
    const { client, server, link } = callPair({ lookup: table.lookup, highWaterBytes: 0 });
    const abort = new AbortController();
    const call = client.call(ECHO, message(''), options({ signal: abort.signal }));
    while (link.b.writtenBytes < FRAME_BODY_BYTES_MAX) await turns(1);
    abort.abort();
    await expect(call.response).rejects.toThrow(withCode('cancelled'));
    await call.settled;
    await turns();
    expect(link.b.writtenBytes).toBeLessThan(LARGE - FRAME_BODY_BYTES_MAX);
    expect([server.open, table.released]).toEqual([0, 1]);
    expect(textOf(await client.call(ECHO, message('next'), options()).response)).toBe('next');
  });

  it('stops an item in the middle, and the handler at the next', async () => {
    const stopped = gate<unknown>();
    const table = new Table(async (request, { item }) => {
      if (textOf(request) === 'next') return request;
      try {
        for (;;) await item(message('', tensorOfBytes(LARGE)));
      } catch (error) {
        stopped.resolve(error);
        throw error;
      }
    });
    const { client, link } = callPair({ lookup: table.lookup, highWaterBytes: 0 });
    const abort = new AbortController();
    let items = 0;
    const call = client.call(ECHO, message(''), options({ signal: abort.signal, onItem: () => items++ }));
    while (link.b.writtenBytes < 2 * FRAME_BODY_BYTES_MAX) await turns(1);
    abort.abort();
    await expect(call.response).rejects.toThrow(withCode('cancelled'));
    expect(await stopped.promise).toEqual(withCode('cancelled'));
    await call.settled;
    expect(items).toBe(0);
    expect(textOf(await client.call(ECHO, message('next'), options()).response)).toBe('next');
  });

  it('that crosses the answer is nothing', async () => {
    const { client, link } = callPair({ lookup: new Table(echo).lookup });
    const abort = new AbortController();
    link.b.pause();
    const call = client.call(ECHO, message('crossed'), options({ signal: abort.signal }));
    await turns();
    abort.abort();
    await expect(call.response).rejects.toThrow(withCode('cancelled'));
    await turns();
    link.b.resume();
    await call.settled;
    abort.abort();
    expect(textOf(await client.call(ECHO, message('next'), options()).response)).toBe('next');
    expect(link.lost).toBeUndefined();
  });

  it('hides what still comes: no item, no acknowledgement', async () => {
    const { client, link } = callPair({
      lookup: new Table(async (request, { item }) => {
        for (let index = 0; index < 5; index++) item(message('late', tensorOfBytes(10)));
        return request;
      }).lookup,
    });
    link.b.pause();
    const abort = new AbortController();
    const seen: string[] = [];
    const call = client.call(
      ECHO,
      message(''),
      options({ signal: abort.signal, onItem: () => seen.push('item'), onAck: () => seen.push('ack') }),
    );
    await turns();
    abort.abort();
    await expect(call.response).rejects.toThrow(withCode('cancelled'));
    link.b.resume();
    await call.settled;
    expect(seen).toEqual([]);
  });
});

describe('a lost link', () => {
  it('fails every open call with its reason, and every later one', async () => {
    const { table, begun } = patientTable();
    const { client, link } = callPair({ lookup: table.lookup });
    const calls = [1, 2, 3].map(() => client.call(ECHO, message(''), options()));
    await begun;
    link.lose(new WeftError({ code: 'runner_lost', message: 'The runner ended.' }));
    for (const { response, settled } of calls) {
      await expect(response).rejects.toThrow(withCode('runner_lost'));
      await settled;
    }
    await expect(client.call(ECHO, message(''), options()).response).rejects.toThrow(withCode('runner_lost'));
    expect(client.open).toBe(0);
  });

  it('tells the handlers, whose places are free when they end', async () => {
    const { table, begun, finish } = patientTable();
    const { client, server, link } = callPair({ lookup: table.lookup });
    const call = client.call(ECHO, message(''), options());
    const signal = await begun;
    link.lose();
    expect(signal.reason).toEqual(withCode('peer_lost'));
    expect(table.released).toBe(0);
    finish();
    await turns();
    expect([server.open, table.released]).toEqual([0, 1]);
    await expect(call.response).rejects.toThrow(withCode('peer_lost'));
  });

  it('in the middle of a request gives its place back at once', async () => {
    const table = new Table(echo);
    const { client, server, link } = callPair({ lookup: table.lookup, highWaterBytes: 0 });
    const call = client.call(ECHO, message('', tensorOfBytes(LARGE)), options());
    await turns(1);
    expect(server.open).toBe(1);
    link.lose();
    await expect(call.response).rejects.toThrow(withCode('peer_lost'));
    expect([server.open, table.admitted, table.released]).toEqual([0, 1, 1]);
  });

  it('in the middle of an answer is no answer', async () => {
    const table = new Table(async () => message('', tensorOfBytes(LARGE)));
    const { client, server, link } = callPair({ lookup: table.lookup, highWaterBytes: 0 });
    const call = client.call(ECHO, message(''), options());
    while (link.b.writtenBytes < FRAME_BODY_BYTES_MAX) await turns(1);
    link.lose();
    await expect(call.response).rejects.toThrow(withCode('peer_lost'));
    await turns();
    expect([server.open, table.released]).toEqual([0, 1]);
  });

  it('that is heard of by a write ends the call', async () => {
    const { client, link } = callPair({ lookup: new Table(echo).lookup });
    link.lose();
    expect(client.open).toBe(0);
    await expect(client.call(ECHO, message(''), options()).response).rejects.toThrow(withCode('peer_lost'));
  });

  it('is taken in once', async () => {
    const { client, server } = callPair({ lookup: new Table(echo).lookup });
    const first = new WeftError({ code: 'peer_lost', message: 'First.' });
    for (const end of [client, server]) {
      end.close(first);
      end.close(new WeftError({ code: 'internal', message: 'Second.' }));
      end.push(new TextEncoder().encode('no frame at all'));
    }
    await expect(client.call(ECHO, message(''), options()).response).rejects.toBe(first);
  });

  it('is no unhandled rejection for a handler that did not wait for its items', async () => {
    const begun = gate();
    const table = new Table(async (request, { item, signal }) => {
      for (let index = 0; index < 10; index++) item(message('x'.repeat(1_000)));
      begun.resolve();
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      return request;
    });
    const { client, link } = callPair({ lookup: table.lookup, highWaterBytes: 0 });
    link.b.pause();
    const call = client.call(ECHO, message(''), options());
    await begun.promise;
    link.lose();
    await expect(call.response).rejects.toThrow(withCode('peer_lost'));
    await turns();
    expect(table.released).toBe(1);
  });
});
