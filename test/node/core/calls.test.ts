import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Load } from '../../../protocol/capability.ts';
import { WeftError } from '../../../protocol/errors.ts';
import { cutBytes, cuts } from '../../protocol/arbitraries.ts';
import { callPair } from '../../support/memory-link.ts';
import { runs } from '../../support/property.ts';
import { ECHO, echo, gate, message, options, Table, tensorOfBytes, textOf, turns } from './calls-support.ts';
import { ManualClock } from './manual-clock.ts';

const DAY_MS = 86_400_000;

const withCode = (code: string): unknown => expect.objectContaining({ name: 'WeftError', code });

describe('a call', () => {
  it('brings the request there and the answer back, in chunks of any size', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string(), fc.nat({ max: 2_000 }), cuts, async (text, length, lengths) => {
        const { client, server } = callPair({
          lookup: new Table(echo).lookup,
          cut: (bytes) => cutBytes(bytes, lengths),
        });
        const { response, settled } = client.call(ECHO, message(`-${text}`, tensorOfBytes(length)), options());
        const answer = await response;
        await settled;
        expect(textOf(answer)).toBe(`-${text}`.toWellFormed());
        expect(answer.tensors).toEqual([tensorOfBytes(length)]);
        await turns(1);
        expect([client.open, server.open]).toEqual([0, 0]);
      }),
      runs(50),
    );
  });

  it('tells the handler who calls, for which request, and for how long', async () => {
    const seen: unknown[] = [];
    const table = new Table(async (request, { requestId, budgetMs, caller, signal }) => {
      seen.push({ requestId, budgetMs, caller, aborted: signal.aborted });
      return request;
    });
    const { client } = callPair({ lookup: table.lookup, caller: 'peer-a' });
    await client.call(ECHO, message(''), options({ requestId: 'req_5', budgetMs: 1_234.5 })).response;
    await client.call(ECHO, message(''), options()).response;
    expect(seen).toEqual([
      { requestId: 'req_5', budgetMs: 1_235, caller: 'peer-a', aborted: false },
      { requestId: 'req_test', budgetMs: ECHO.timeouts.totalMs, caller: 'peer-a', aborted: false },
    ]);
  });

  it('carries the trace of the caller, and none where there is none', async () => {
    const seen: unknown[] = [];
    const table = new Table(async (request, context) => {
      seen.push('traceParent' in context ? context.traceParent : 'none');
      return request;
    });
    const { client } = callPair({ lookup: table.lookup });
    const traceParent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    for (const trace of [traceParent, undefined, '', 'x'.repeat(65)]) {
      await client.call(ECHO, message(''), options({ traceParent: trace })).response;
    }
    expect(seen).toEqual([traceParent, 'none', 'none', 'none']);
  });

  it('carries the condition and the class', async () => {
    const seen: unknown[] = [];
    const table = new Table(async (request, { withinMs, priority }) => {
      seen.push([withinMs, priority]);
      return request;
    });
    const { client } = callPair({ lookup: table.lookup });
    for (const withinMs of [undefined, 0.2, 250, 4_294_967_295, 5_000_000_000, Number.POSITIVE_INFINITY, Number.NaN]) {
      await client.call(ECHO, message(''), options({ withinMs, priority: 'batch' })).response;
    }
    await client.call(ECHO, message(''), options({ withinMs: -5, priority: 'interactive' })).response;
    await client.call(ECHO, message(''), options()).response;
    expect(seen).toEqual([
      ...[undefined, 1, 250, 4_294_967_295, undefined, undefined, undefined].map((within) => [within, 'batch']),
      // What is over already is no condition that anyone keeps.
      [1, 'interactive'],
      [undefined, 'interactive'],
    ]);
  });

  it('means the same times on machines whose clocks differ by a day', async () => {
    for (const aheadMs of [DAY_MS, -DAY_MS]) {
      const [ours, theirs] = [new ManualClock(), new ManualClock(aheadMs)];
      const seen: unknown[] = [];
      const table = new Table(async (_request, { budgetMs, withinMs, signal }) => {
        seen.push({ budgetMs, withinMs, aborted: signal.aborted });
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
        seen.push(signal.reason.code);
        throw signal.reason;
      });
      const { client } = callPair({ lookup: table.lookup, clock: ours, serverClock: theirs });
      const { response } = client.call(ECHO, message(''), options({ budgetMs: 500, withinMs: 300, ackTimeoutMs: 100 }));
      await turns();
      for (const clock of [ours, theirs]) clock.advance(499);
      await turns();
      expect(seen).toEqual([{ budgetMs: 500, withinMs: 300, aborted: false }]);
      theirs.advance(1);
      await expect(response).rejects.toEqual(withCode('deadline_exceeded'));
      expect(seen.at(-1)).toBe('deadline_exceeded');
    }
  });

  it('streams items in order, all before the answer', async () => {
    const table = new Table(async (_request, { item }) => {
      for (let index = 0; index < 50; index++) {
        item(message(`${index}`));
        if (index % 7 === 0) await turns(1);
      }
      return message('done');
    });
    const { client } = callPair({ lookup: table.lookup });
    const seen: string[] = [];
    const { response } = client.call(ECHO, message(''), options({ onItem: (item) => seen.push(textOf(item)) }));
    seen.push(textOf(await response));
    expect(seen).toEqual([...Array.from({ length: 50 }, (_, index) => `${index}`), 'done']);
  });

  it('streams items with tensors of several frames', async () => {
    const table = new Table(async (request, { item }) => {
      for (let index = 0; index < 3; index++) await item(message('', tensorOfBytes(2_500_000, index)));
      return request;
    });
    const { client } = callPair({ lookup: table.lookup, highWaterBytes: 1 });
    const seen: boolean[] = [];
    const onItem = (item: { readonly tensors: readonly { readonly data: Uint8Array }[] }): void => {
      const expected = tensorOfBytes(2_500_000, seen.length).data;
      seen.push(Buffer.compare(item.tensors[0]?.data ?? new Uint8Array(0), expected) === 0);
    };
    await client.call(ECHO, message(''), options({ onItem })).response;
    expect(seen).toEqual([true, true, true]);
  });

  it('shares its link with others: large requests and answers cross frame by frame', async () => {
    const lengths = [3_000_001, 10, 2_097_152, 5_000_003, 0];
    for (const highWaterBytes of [Number.POSITIVE_INFINITY, 1 << 20, 1]) {
      const { client } = callPair({
        lookup: new Table(echo).lookup,
        highWaterBytes,
        cut: (bytes) => cutBytes(bytes, [70_001]),
      });
      const answers = await Promise.all(
        lengths.map((length, seed) => client.call(ECHO, message('', tensorOfBytes(length, seed)), options()).response),
      );
      for (const [seed, length] of lengths.entries()) {
        const data = answers[seed]?.tensors[0]?.data ?? new Uint8Array(1);
        expect(Buffer.compare(data, tensorOfBytes(length, seed).data)).toBe(0);
      }
    }
  });

  it('does not wait for a slower one on the same link', async () => {
    const slow = gate();
    const table = new Table(async (request) => {
      if (textOf(request) === 'slow') await slow.promise;
      return request;
    });
    const { client, server } = callPair({ lookup: table.lookup });
    const first = client.call(ECHO, message('slow'), options());
    expect(textOf(await client.call(ECHO, message('quick'), options()).response)).toBe('quick');
    expect([client.open, server.open]).toEqual([1, 1]);
    slow.resolve();
    expect(textOf(await first.response)).toBe('slow');
  });

  it('carries the load of the callee with each answer', async () => {
    let requestsInFlight = 0;
    const load = (): Load => ({ requestsInFlight: ++requestsInFlight, queuedMs: 2, latencyMs: 3, memoryFreeBytes: 4 });
    const table = new Table(async (request) => {
      if (textOf(request) === 'fail') throw new Error('a defect');
      return request;
    });
    const { client } = callPair({ lookup: table.lookup, load });
    const seen: [string, number | undefined][] = [];
    const listening = options({
      onAck: (told) => seen.push(['ack', told?.requestsInFlight]),
      onLoad: (told) => seen.push(['answer', told.requestsInFlight]),
    });
    await client.call(ECHO, message(''), listening).response;
    await expect(client.call(ECHO, message('fail'), listening).response).rejects.toThrow(withCode('internal'));
    expect(seen).toEqual([
      ['ack', 1],
      ['answer', 2],
      ['ack', 3],
      ['answer', 4],
    ]);
  });

  it('leaves no timer behind', async () => {
    const clock = new ManualClock();
    const { client } = callPair({ lookup: new Table(echo).lookup, clock });
    await client.call(ECHO, message(''), options({ ackTimeoutMs: 100 })).response;
    await turns();
    expect(clock.waiting).toBe(0);
  });
});

describe('a failure', () => {
  it('of the handler arrives with code, words and facts', async () => {
    const error = new WeftError({
      code: 'out_of_memory',
      message: 'Too big.',
      remedy: 'Shrink.',
      facts: { model: 'm' },
    });
    const { client } = callPair({ lookup: new Table(() => Promise.reject(error)).lookup });
    const { response, settled } = client.call(ECHO, message(''), options());
    await expect(response).rejects.toMatchObject({
      code: 'out_of_memory',
      message: 'Too big.',
      remedy: 'Shrink.',
      facts: { model: 'm' },
    });
    await settled;
  });

  it.each([
    ['rejects with a defect', () => Promise.reject(new Error('/secret/path'))],
    [
      'throws before it returns a promise',
      () => {
        throw new Error('/secret/path');
      },
    ],
  ])('of a handler that %s tells nothing', async (_what, handler) => {
    const { client } = callPair({ lookup: new Table(handler).lookup });
    const failure = await client.call(ECHO, message(''), options()).response.catch((error: unknown) => error);
    expect(failure).toEqual(withCode('internal'));
    expect(JSON.stringify(failure) + String(failure)).not.toContain('secret');
  });

  it('to read the request, to lay out the answer, or to know the method is the callee’s fault, and ends that call only', async () => {
    const broken = { name: 'x', type: 'float32', dims: [2], data: new Uint8Array(3) } as const;
    const table = new Table(async (request) => (textOf(request) === 'broken' ? message('', broken) : request));
    const { client, link } = callPair({ lookup: table.lookup });
    const codeOf = async (call: { readonly response: Promise<unknown> }): Promise<unknown> =>
      call.response.then(
        () => 'answered',
        (error: WeftError) => error.code,
      );
    const unreadable = { payload: new Uint8Array([0xff]), tensors: [] };
    expect(await codeOf(client.call(ECHO, unreadable, options()))).toBe('bad_request');
    expect(await codeOf(client.call(ECHO, message('broken'), options()))).toBe('tensor_invalid');
    expect(await codeOf(client.call({ ...ECHO, id: 8 }, message(''), options()))).toBe('method_unknown');
    expect(await codeOf(client.call({ ...ECHO, version: 2 }, message(''), options()))).toBe('method_unknown');
    expect(await codeOf(client.call(ECHO, message('fine'), options()))).toBe('answered');
    expect(link.lost).toBeUndefined();
    expect(table.released).toBe(table.admitted);
  });

  it('to lay out the request is noticed before anything is written', async () => {
    const { client, link } = callPair({ lookup: new Table(echo).lookup });
    const broken = { name: 'x', type: 'float32', dims: [2], data: new Uint8Array(3) } as const;
    const tooLarge = tensorOfBytes(ECHO.quota.requestBytesMax + 1);
    for (const tensor of [broken, tooLarge]) {
      const { response, settled } = client.call(ECHO, message('', tensor), options());
      await expect(response).rejects.toThrow(withCode('tensor_invalid'));
      await settled;
    }
    expect(link.a.writtenBytes).toBe(0);
    expect(client.open).toBe(0);
  });

  it('of an answer that is larger than the method allows stays with its call', async () => {
    const table = new Table(async () => message('', tensorOfBytes(ECHO.quota.answerBytesMax + 1)));
    const { client, link } = callPair({ lookup: table.lookup });
    await expect(client.call(ECHO, message(''), options()).response).rejects.toThrow(withCode('tensor_invalid'));
    expect(link.lost).toBeUndefined();
  });

  it.each(['onItem', 'onAck', 'onLoad'] as const)('of the caller’s own %s ends that call only', async (callback) => {
    const table = new Table(async (request, { item }) => {
      item(message('1'));
      item(message('2'));
      return request;
    });
    const load = (): Load => ({ requestsInFlight: 1, queuedMs: 0, latencyMs: 0, memoryFreeBytes: 0 });
    const { client, link } = callPair({ lookup: table.lookup, load });
    let called = 0;
    const fail = (): void => {
      called++;
      throw new Error('a defect of the caller');
    };
    const failing = client.call(ECHO, message(''), options({ [callback]: fail }));
    const other = client.call(ECHO, message('other'), options());
    await expect(failing.response).rejects.toThrow(withCode('internal'));
    expect(textOf(await other.response)).toBe('other');
    await failing.settled;
    expect(called).toBe(1);
    expect(link.lost).toBeUndefined();
  });
});

describe('settled', () => {
  it('comes with the answer, and with a fault', async () => {
    const { client } = callPair({ lookup: new Table(echo).lookup });
    await client.call(ECHO, message(''), options()).settled;
    await client.call({ ...ECHO, id: 8 }, message(''), options()).settled;
    expect(client.open).toBe(0);
  });

  it('may be awaited first: a failure that nobody looks at yet is not unhandled', async () => {
    const { client, link } = callPair({ lookup: new Table(echo).lookup });
    const refused = client.call({ ...ECHO, id: 8 }, message(''), options());
    const aborted = client.call(ECHO, message(''), options({ signal: AbortSignal.abort() }));
    await refused.settled;
    await aborted.settled;
    await turns();
    await expect(refused.response).rejects.toThrow(withCode('method_unknown'));
    await expect(aborted.response).rejects.toThrow(withCode('cancelled'));
    link.lose();
    const late = client.call(ECHO, message(''), options());
    await late.settled;
    await turns();
    await expect(late.response).rejects.toThrow(withCode('peer_lost'));
  });
});
