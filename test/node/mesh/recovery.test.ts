// What the mesh does when peers and links fail: silent, reset, stopped, restarted, twice connected.
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { CallContext } from '../../../node/core/calls.ts';
import type { Libp2pMesh } from '../../../node/mesh/mesh.ts';
import type { TokenRun } from '../../../protocol/codec.ts';
import { WeftError } from '../../../protocol/errors.ts';
import type { GenerateRequest, GenerateResult } from '../../../protocol/infer.ts';
import { PEER_METHODS } from '../../../protocol/methods.ts';
import { SilentProxy } from '../../support/silent-proxy.ts';
import { connected, makeKey, SOON, startNode, startPair, stateOf, stopAll, type TestNode } from './support.ts';

const LIVENESS = { intervalMs: 100, timeoutMs: 400 };
const sampling = { temperature: 0, topP: 1, topK: 0, seed: 0n };
const request: GenerateRequest = {
  model: { id: 'owner/model', digest: `sha256:${'0'.repeat(64)}` },
  ids: Int32Array.of(1),
  promptLength: 1,
  maxNewTokens: 10,
  stopIds: [],
  sampling,
};

const proxies: SilentProxy[] = [];
afterEach(async () => {
  await stopAll();
  await Promise.all(proxies.splice(0).map((proxy) => proxy.stop()));
});

/** Answers `generate` with one token and then nothing until the caller's signal aborts, with the reason that it saw. */
function hangs() {
  const reason = Promise.withResolvers<WeftError>();
  const handler = (_request: GenerateRequest, context: CallContext<TokenRun>): Promise<GenerateResult> =>
    new Promise((_resolve, reject) => {
      context.item({ firstIndex: 0, ids: [1] });
      context.signal.addEventListener('abort', () => {
        reason.resolve(context.signal.reason);
        reject(context.signal.reason);
      });
    });
  return { reason: reason.promise, prepare: (mesh: Libp2pMesh) => mesh.handle(PEER_METHODS.generate, handler) };
}

/** A call that has had its first token. */
async function streaming(from: TestNode, to: TestNode): Promise<{ readonly call: Promise<GenerateResult> }> {
  const token = Promise.withResolvers<void>();
  const call = from.mesh.call(to.key.node, PEER_METHODS.generate, request, {
    signal: new AbortController().signal,
    requestId: 'req_test',
    onItem: () => token.resolve(),
  });
  call.catch(() => undefined);
  await token.promise;
  return { call };
}

/** A member behind a proxy that is its only address, and another that is connected to it through that. */
async function proxiedPair(
  prepare?: (mesh: Libp2pMesh) => void,
): Promise<{ readonly a: TestNode; readonly b: TestNode; readonly proxy: SilentProxy }> {
  const [keyA, keyB] = [await makeKey(), await makeKey()];
  const probe = await SilentProxy.start({ target: { host: '127.0.0.1', port: 9 } });
  const { port } = probe;
  await probe.stop();
  const proxy = await SilentProxy.start({ target: { host: '127.0.0.1', port } });
  proxies.push(proxy);
  const announced = `/ip4/127.0.0.1/tcp/${proxy.port}`;
  const a = await startNode({
    key: keyA,
    members: [keyB.node],
    liveness: LIVENESS,
    init: { listen: [`/ip4/127.0.0.1/tcp/${port}`], announce: [announced] },
    ...(prepare === undefined ? {} : { prepare }),
  });
  const b = await startNode({
    key: keyB,
    members: [keyA.node],
    liveness: LIVENESS,
    // Only dials, so that every connection goes through the proxy.
    init: { listen: [] },
    bootstrap: () => a.mesh.addresses(),
  });
  expect(a.mesh.addresses()).toEqual([`${announced}/p2p/${keyA.node}`]);
  await connected(a, b);
  return { a, b, proxy };
}

describe('a peer that stops', () => {
  it('loses its calls at once, and shows as gone', async () => {
    const { prepare, reason } = hangs();
    const { a, b } = await startPair({ prepare });
    const { call } = await streaming(b, a);
    expect(b.mesh.peer(a.key.node)?.callsInFlight).toBe(1);
    const changed = vi.fn();
    b.mesh.onPeers(changed);
    await a.mesh.stop();
    await expect(call).rejects.toMatchObject({ code: 'peer_lost' });
    expect((await reason).code).toBe('stopping');
    await vi.waitFor(() => expect(stateOf(b, a)).toBe('gone'), SOON);
    expect(changed).toHaveBeenCalled();
    const options = { signal: new AbortController().signal, requestId: '' };
    await expect(b.mesh.call(a.key.node, PEER_METHODS.generate, request, options)).rejects.toMatchObject({
      code: 'peer_unreachable',
    });
  });

  it('is connected again soon after it comes back on the same port', async () => {
    const { a, b } = await startPair({ prepare: hangs().prepare });
    const listen = a.mesh.addresses().map((address) => address.split('/p2p/')[0] ?? '');
    await a.mesh.stop();
    await vi.waitFor(() => expect(stateOf(b, a)).toBe('gone'), SOON);
    const startMs = performance.now();
    const back = await startNode({ key: a.key, members: [b.key.node], init: { listen } });
    await connected(back, b);
    expect(performance.now() - startMs).toBeLessThan(3_000);
    expect(b.mesh.peer(a.key.node)?.advert.incarnation).toBeGreaterThan(0);
  });

  it('fails its own calls with the reason', async () => {
    const { a, b } = await startPair({ prepare: hangs().prepare });
    const { call } = await streaming(b, a);
    await b.mesh.stop();
    await expect(call).rejects.toMatchObject({ code: 'stopping' });
  });
});

describe('a link that goes silent', () => {
  it('fails its calls within the timeout, on both sides, and serves again when it is back', async () => {
    const { prepare, reason } = hangs();
    const { a, b, proxy } = await proxiedPair(prepare);
    const { call } = await streaming(b, a);
    const states: string[] = [];
    b.mesh.onPeers(() => states.push(stateOf(b, a)));
    const startMs = performance.now();
    proxy.silence();
    await expect(call).rejects.toMatchObject({ code: 'peer_timeout' });
    expect(performance.now() - startMs).toBeLessThan(5_000);
    expect((await reason).code).toBe('peer_timeout');
    await vi.waitFor(() => expect(stateOf(b, a)).toBe('gone'), SOON);
    expect(states[0]).toBe('suspect');
    proxy.resume();
    await connected(a, b);
    await streaming(b, a);
  });

  it('is not given up while a large answer keeps the line busy', async () => {
    const big = new Float32Array(3 << 20);
    const timing = { queueMs: 0, loadMs: 0, computeMs: 0, prefillMs: 0 };
    const { a, b, proxy } = await proxiedPair((mesh) =>
      mesh.handle(PEER_METHODS.encode, async () => ({ embeddings: big, dimensions: big.length, node: 'a', timing })),
    );
    proxy.delay(150);
    const encode = { model: request.model, ids: Int32Array.of(1), lengths: Int32Array.of(1) };
    const { embeddings } = await b.mesh.call(
      a.key.node,
      PEER_METHODS.encode,
      { ...encode, pooling: 'mean', normalize: false },
      { signal: new AbortController().signal, requestId: '' },
    );
    expect(embeddings.length).toBe(big.length);
    expect(b.mesh.peer(a.key.node)?.link.rttFloorMs).toBeGreaterThan(0);
  });
});

describe('a link that is reset', () => {
  it('loses its calls, and is dialled again', async () => {
    const { prepare, reason } = hangs();
    const { a, b, proxy } = await proxiedPair(prepare);
    const { call } = await streaming(b, a);
    proxy.reset();
    await expect(call).rejects.toMatchObject({ code: 'peer_lost' });
    expect((await reason).code).toBe('peer_lost');
    await connected(a, b);
    await streaming(b, a);
  });
});

describe('two nodes that dial each other', () => {
  it('are connected, and each knows where the other was reached', async () => {
    const [keyA, keyB] = [await makeKey(), await makeKey()];
    let addressesOfB: readonly string[] = [];
    const a = await startNode({ key: keyA, members: [keyB.node], bootstrap: () => addressesOfB, start: false });
    const b = await startNode({ key: keyB, members: [keyA.node], bootstrap: () => a.mesh.addresses(), start: false });
    await b.mesh.start();
    addressesOfB = b.mesh.addresses();
    await a.mesh.start();
    await connected(a, b);
    expect(a.mesh.knownAddresses()).toEqual(b.mesh.addresses());
    await vi.waitFor(() => expect(b.mesh.knownAddresses()).toEqual(a.mesh.addresses()), SOON);
  });
});

describe('a node that has stopped', () => {
  it('leaves nothing behind that would keep the process alive', async () => {
    const { a, b } = await startPair({ prepare: hangs().prepare });
    const { call } = await streaming(b, a);
    await Promise.all([a.mesh.stop(), b.mesh.stop()]);
    await expect(call).rejects.toBeInstanceOf(WeftError);
    expect([a.mesh.peers(), a.mesh.addresses(), a.mesh.knownAddresses()]).toEqual([[], [], []]);
    const kept = (): string[] => process.getActiveResourcesInfo().filter((kind) => /TCP|UDP/.test(kind));
    await vi.waitFor(() => expect(kept()).toEqual([]), SOON);
  });
});
