import { Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { CallContext } from '../../../node/core/calls.ts';
import { MESH_LIMITS } from '../../../node/mesh/limits.ts';
import type { TokenRun } from '../../../protocol/codec.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { GenerateRequest, GenerateResult, RunRequest, RunResult } from '../../../protocol/infer.ts';
import { type MethodSpec, PEER_METHODS } from '../../../protocol/methods.ts';
import { tensorOf } from '../../../protocol/tensor.ts';
import { callStreams, linkOver, linkPair, stopHosts } from './link-pair.ts';
import { LOAD, SOON } from './support.ts';

const model = { id: 'test/model', digest: `sha256:${'0'.repeat(64)}` };
const timing = { queueMs: 0, loadMs: 0, computeMs: 0, prefillMs: 0 };
const options = () => ({ signal: new AbortController().signal, requestId: 'req_test' });

/** A method of the tests' own: two streams are kept, four calls are allowed. */
const ECHO: MethodSpec<RunRequest, void, RunResult> = {
  ...PEER_METHODS.run,
  id: 900,
  name: 'echo',
  pooledStreams: 2,
  quota: { ...PEER_METHODS.run.quota, callsPerPeer: 4 },
};
/** The same, from a caller that doesn't keep to the quota. */
const GREEDY = { ...ECHO, quota: { ...ECHO.quota, callsPerPeer: 20 } };

const requestOf = (bytes: number): RunRequest => ({
  model,
  outputs: [],
  inputs: [tensorOf('x', 'uint8', [bytes], new Uint8Array(bytes).fill(7))],
});
const echo = async ({ inputs }: RunRequest): Promise<RunResult> => ({ outputs: inputs, node: 'n', timing });

function generateRequest(): GenerateRequest {
  const sampling = { temperature: 0, topP: 1, topK: 0, seed: 0n };
  return { model, ids: Int32Array.of(1), promptLength: 1, maxNewTokens: 1_000_000, stopIds: [], sampling };
}

/** A handler that waits until it is told to go on. */
function held(): { readonly handler: () => Promise<RunResult>; release(): void; readonly running: () => number } {
  const gate = Promise.withResolvers<void>();
  let running = 0;
  return {
    handler: async () => {
      running++;
      await gate.promise;
      running--;
      return { outputs: [], node: 'n', timing };
    },
    release: () => gate.resolve(),
    running: () => running,
  };
}

afterEach(stopHosts);

describe('calls between peers', () => {
  it('carry tensors of any size both ways on one stream that is kept', async () => {
    const { link, connection } = await linkPair({ callee: { prepare: (server) => server.handle(ECHO, echo) } });
    for (const bytes of [0, 100, 70_000, 5_000_000]) {
      const { outputs } = await link.call(ECHO, requestOf(bytes), options());
      expect(outputs[0]?.data.byteLength).toBe(bytes);
      expect(outputs[0]?.data.every((byte) => byte === 7)).toBe(true);
      expect(callStreams(connection)).toHaveLength(1);
    }
    expect(link.callsInFlight).toBe(0);
  });

  it('open streams as calls need them, and close those beyond the pool', async () => {
    const { handler, release, running } = held();
    const { link, connection } = await linkPair({ callee: { prepare: (server) => server.handle(ECHO, handler) } });
    const calls = [1, 2, 3, 4].map(() => link.call(ECHO, requestOf(0), options()));
    await vi.waitFor(() => expect(running()).toBe(4), SOON);
    expect(callStreams(connection)).toHaveLength(4);
    release();
    await Promise.all(calls);
    await vi.waitFor(() => expect(callStreams(connection)).toHaveLength(2), SOON);
  });

  it('are refused beyond the quota by the caller, and by the callee of one that does not count', async () => {
    const { handler, release, running } = held();
    const { link, callee } = await linkPair({ callee: { prepare: (server) => server.handle(ECHO, handler) } });
    const calls = [1, 2, 3, 4].map(() => link.call(GREEDY, requestOf(0), options()));
    await vi.waitFor(() => expect(running()).toBe(4), SOON);
    await expect(link.call(GREEDY, requestOf(0), options())).rejects.toMatchObject({ code: 'quota_exceeded' });
    expect(callee.rejected).toEqual(['quota']);
    release();
    await Promise.all(calls);
    // Places are given back.
    await link.call(ECHO, requestOf(0), options());

    const again = held();
    const second = await linkPair({ callee: { prepare: (server) => server.handle(ECHO, again.handler) } });
    const more = [1, 2, 3, 4].map(() => second.link.call(ECHO, requestOf(0), options()));
    await expect(second.link.call(ECHO, requestOf(0), options())).rejects.toMatchObject({ code: 'quota_exceeded' });
    expect(second.callee.rejected).toEqual([]);
    again.release();
    await Promise.all(more);
  });

  it('count as long as their work goes on, even when their stream is gone', async () => {
    const { handler, release, running } = held();
    const { link, connection } = await linkPair({ callee: { prepare: (server) => server.handle(ECHO, handler) } });
    const calls = [1, 2, 3, 4].map(() => link.call(ECHO, requestOf(0), options()));
    await vi.waitFor(() => expect(running()).toBe(4), SOON);
    link.close(new WeftError({ code: 'peer_lost', message: 'Gone.' }));
    await Promise.allSettled(calls);
    const again = linkOver(connection);
    await expect(again.call(ECHO, requestOf(0), options())).rejects.toMatchObject({ code: 'quota_exceeded' });
    release();
    await vi.waitFor(() => expect(running()).toBe(0), SOON);
    await again.call(ECHO, requestOf(0), options());
  });

  it('leave in few writes: what one turn of the event loop sends goes together', async () => {
    const { link } = await linkPair({ callee: { prepare: (server) => server.handle(ECHO, echo) } });
    await link.call(ECHO, requestOf(100), options());
    const writes = [vi.spyOn(Socket.prototype, '_write'), vi.spyOn(Socket.prototype, '_writev' as '_write')];
    await link.call(ECHO, requestOf(100), options());
    await new Promise((resolve) => setImmediate(resolve));
    const written = writes.reduce((sum, { mock }) => sum + mock.calls.length, 0);
    for (const spy of writes) spy.mockRestore();
    // Request, acknowledgement and answer, and the window updates for both: ten buffers and more.
    expect(written).toBeGreaterThan(0);
    expect(written).toBeLessThanOrEqual(5);
  });

  it('give the callee a signal that a cancellation reaches, and keep the stream afterwards', async () => {
    const aborted = Promise.withResolvers<WeftError>();
    const started = Promise.withResolvers<void>();
    const handler = (_request: RunRequest, { signal }: CallContext<void>): Promise<RunResult> =>
      new Promise((_resolve, reject) => {
        started.resolve();
        signal.addEventListener('abort', () => {
          aborted.resolve(signal.reason);
          reject(signal.reason);
        });
      });
    const { link, connection } = await linkPair({ callee: { prepare: (server) => server.handle(ECHO, handler) } });
    const abort = new AbortController();
    const call = link.call(ECHO, requestOf(0), { ...options(), signal: abort.signal });
    await started.promise;
    abort.abort();
    await expect(call).rejects.toMatchObject({ code: 'cancelled' });
    expect((await aborted.promise).code).toBe('cancelled');
    await new Promise((resolve) => setImmediate(resolve));
    expect(callStreams(connection)).toHaveLength(1);
    const next = new AbortController();
    const second = link.call(ECHO, requestOf(0), { ...options(), signal: next.signal });
    next.abort();
    await expect(second).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('reset the stream of a cancelled call that the peer does not finish', async () => {
    const limits = { ...MESH_LIMITS, streams: { ...MESH_LIMITS.streams, settleMs: 50 } };
    const started = Promise.withResolvers<void>();
    const handler = (): Promise<RunResult> =>
      new Promise(() => {
        started.resolve();
      });
    const { link, connection } = await linkPair({
      callee: { prepare: (server) => server.handle(ECHO, handler) },
      caller: { limits },
    });
    const abort = new AbortController();
    const call = link.call(ECHO, requestOf(0), { ...options(), signal: abort.signal });
    await started.promise;
    abort.abort();
    await expect(call).rejects.toMatchObject({ code: 'cancelled' });
    await vi.waitFor(() => expect(callStreams(connection)).toHaveLength(0), SOON);
  });

  it('pass on errors of the callee with code, remedy and facts', async () => {
    const failure = new WeftError({
      code: 'model_not_found',
      message: 'No such model.',
      remedy: 'Pull it.',
      facts: { model: 'm' },
    });
    const { link } = await linkPair({
      callee: {
        prepare: (server) =>
          server.handle(ECHO, async () => {
            throw failure;
          }),
      },
    });
    await expect(link.call(ECHO, requestOf(0), options())).rejects.toMatchObject({
      code: 'model_not_found',
      message: 'No such model.',
      remedy: 'Pull it.',
      facts: { model: 'm' },
    });
  });

  it('are refused for a method that the peer does not answer', async () => {
    const { link } = await linkPair();
    await expect(link.call(ECHO, requestOf(0), options())).rejects.toMatchObject({ code: 'method_unknown' });
  });

  it('are refused when a stream of one method is used for another', async () => {
    const { link } = await linkPair({ callee: { prepare: (server) => server.handle(ECHO, echo) } });
    const disguised = { ...ECHO, id: PEER_METHODS.generate.id };
    await expect(link.call(disguised, requestOf(0), options())).rejects.toMatchObject({ code: 'method_unknown' });
  });

  it('are authorised one by one', async () => {
    const authorize = vi.fn(() => {
      throw new WeftError({ code: 'forbidden', message: 'Not you.' });
    });
    const { link, callee, caller } = await linkPair({
      callee: { policy: { authorize }, prepare: (server) => server.handle(ECHO, echo) },
    });
    await expect(link.call(ECHO, requestOf(0), options())).rejects.toMatchObject({ code: 'forbidden' });
    expect(authorize).toHaveBeenCalledWith(caller.key.node, { method: 'echo' });
    expect(callee.rejected).toEqual(['forbidden']);
  });

  it('are refused to a peer that is no member any more, on a stream that it has open', async () => {
    let member = true;
    const { link } = await linkPair({
      callee: { membership: { isMember: () => member }, prepare: (server) => server.handle(ECHO, echo) },
    });
    await link.call(ECHO, requestOf(0), options());
    member = false;
    await expect(link.call(ECHO, requestOf(0), options())).rejects.toMatchObject({ code: 'not_a_member' });
  });

  it('end as lost when the connection goes, and the callee hears of it', async () => {
    const reason = Promise.withResolvers<WeftError>();
    const started = Promise.withResolvers<void>();
    const handler = (_request: RunRequest, { signal }: CallContext<void>): Promise<RunResult> =>
      new Promise(() => {
        started.resolve();
        signal.addEventListener('abort', () => reason.resolve(signal.reason));
      });
    const { link, connection } = await linkPair({ callee: { prepare: (server) => server.handle(ECHO, handler) } });
    const call = link.call(ECHO, requestOf(0), options());
    await started.promise;
    connection.abort(new Error('cut'));
    await expect(call).rejects.toMatchObject({ code: 'peer_lost' });
    expect((await reason.promise).code).toBe('peer_lost');
  });

  it('measure the round trip, the goodput and the load', async () => {
    const { link, estimator, loads } = await linkPair({ callee: { prepare: (server) => server.handle(ECHO, echo) } });
    await link.call(ECHO, requestOf(16), options());
    expect(estimator.estimate().rttMs).toBeGreaterThan(0);
    expect(estimator.estimate().goodputBytesPerSecond).toBeUndefined();
    await link.call(ECHO, requestOf(8 << 20), options());
    expect(estimator.estimate().goodputBytesPerSecond).toBeGreaterThan(1e6);
    expect(loads[0]).toEqual(LOAD);
  });
});

describe('a reader that does not read', () => {
  const STREAMED: MethodSpec<GenerateRequest, TokenRun, GenerateResult> = {
    ...PEER_METHODS.generate,
    id: 901,
    name: 'streamed',
  };
  const limits = { ...MESH_LIMITS, streams: { ...MESH_LIMITS.streams, stallMs: 300 } };

  it('stops the writer after a bounded number of bytes, and is given up in the end', async () => {
    let waits = 0;
    const failed = Promise.withResolvers<unknown>();
    const handler = async (_request: GenerateRequest, context: CallContext<TokenRun>): Promise<GenerateResult> => {
      const ids = Array.from({ length: 10_000 }, (_, index) => index);
      try {
        for (let firstIndex = 0; ; firstIndex += ids.length) {
          const room = context.item({ firstIndex, ids });
          if (room !== undefined) waits++;
          await room;
        }
      } catch (error) {
        failed.resolve(error);
        throw error;
      }
    };
    const { link, connection, callee } = await linkPair({
      callee: { limits, prepare: (server) => server.handle(STREAMED, handler) },
    });
    const call = link.call(STREAMED, generateRequest(), { ...options(), onItem: () => stream?.pause() });
    let stream: ReturnType<typeof callStreams>[number] | undefined;
    await vi.waitFor(() => {
      stream = callStreams(connection)[0];
      expect(stream).toBeDefined();
    }, SOON);
    const [peerSide] = callee.connections.flatMap(callStreams);
    await expect(failed.promise).resolves.toMatchObject({ code: 'peer_lost' });
    expect(waits).toBeGreaterThan(0);
    expect(peerSide?.writeBufferLength).toBeLessThanOrEqual(MESH_LIMITS.muxer.writeBufferBytesMax);
    expect(stream?.readBufferLength).toBeLessThanOrEqual(MESH_LIMITS.muxer.maxStreamWindowBytes);
    await expect(call).rejects.toMatchObject({ code: 'peer_lost' });
  });

  it('is waited for as long as it reads a little', async () => {
    const total = 24 << 20;
    const handler = async (): Promise<RunResult> => ({ ...(await echo(requestOf(total))), node: 'n' });
    const { link, connection } = await linkPair({
      callee: { limits, prepare: (server) => server.handle(ECHO, handler) },
    });
    const call = link.call(ECHO, requestOf(0), options());
    await vi.waitFor(() => expect(callStreams(connection)).toHaveLength(1), SOON);
    const stream = callStreams(connection)[0];
    const turns = setInterval(() => {
      if (stream?.readStatus === 'readable') stream.pause();
      else if (stream?.readStatus === 'paused') stream.resume();
    }, 40);
    const { outputs } = await call.finally(() => clearInterval(turns));
    expect(outputs[0]?.data.byteLength).toBe(total);
  });
});
