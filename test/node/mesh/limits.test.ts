// Each bound of node/mesh/limits.ts that libp2p enforces, set low and exceeded. Those that our own code enforces are
// tested with it: calls, gate, directory, adverts, dialer, links, transfer and join.
import { connect, type Socket } from 'node:net';
import type { GossipSub } from '@libp2p/gossipsub';
import type { Identify } from '@libp2p/identify';
import type { Connection, Stream } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MESH_LIMITS, type MeshLimits } from '../../../node/mesh/limits.ts';
import { meshYamux } from '../../../node/mesh/transport.ts';
import type { RunRequest, RunResult } from '../../../protocol/infer.ts';
import { type MethodSpec, PEER_METHODS, protocolId } from '../../../protocol/methods.ts';
import { tensorOf } from '../../../protocol/tensor.ts';
import { SilentProxy } from '../../support/silent-proxy.ts';
import { dial, linkOver, linkPair, startTestHost, stopHosts, type TestHost } from './link-pair.ts';
import { makeKey, SOON } from './support.ts';

const MIB = 1 << 20;
type Group = keyof MeshLimits;

/** The limits with some numbers of one group replaced. */
function withLimits<G extends Group>(group: G, numbers: Partial<MeshLimits[G]>): MeshLimits {
  return { ...MESH_LIMITS, [group]: { ...MESH_LIMITS[group], ...numbers } };
}

const timing = { queueMs: 0, loadMs: 0, computeMs: 0, prefillMs: 0 };
const ECHO: MethodSpec<RunRequest, void, RunResult> = { ...PEER_METHODS.run, id: 900, name: 'echo' };
const echo = async ({ inputs }: RunRequest): Promise<RunResult> => ({ outputs: inputs, node: 'n', timing });
const requestOf = (bytes: number): RunRequest => ({
  model: { id: 'test/model', digest: `sha256:${'0'.repeat(64)}` },
  outputs: [],
  inputs: [tensorOf('x', 'uint8', [bytes], new Uint8Array(bytes))],
});
const options = () => ({ signal: new AbortController().signal, requestId: 'req_test' });

const sockets: Socket[] = [];
const proxies: SilentProxy[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await stopHosts();
  await Promise.all(proxies.splice(0).map((proxy) => proxy.stop()));
});

function portOf(host: TestHost): number {
  return Number(/\/tcp\/(\d+)/.exec(host.host.addresses()[0] ?? '')?.[1]);
}

/** A TCP connection that says nothing. */
async function mute(host: TestHost): Promise<Socket> {
  const socket = connect(portOf(host), '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => socket.destroy());
  socket.resume();
  await new Promise<void>((resolve) => {
    socket.on('connect', resolve);
    socket.on('close', () => resolve());
  });
  return socket;
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve();
    socket.on('close', () => resolve());
  });
}

async function proxyTo(host: TestHost): Promise<SilentProxy> {
  const proxy = await SilentProxy.start({ target: { host: '127.0.0.1', port: portOf(host) } });
  proxies.push(proxy);
  return proxy;
}

const through = (proxy: SilentProxy, to: TestHost) => multiaddr(`/ip4/127.0.0.1/tcp/${proxy.port}/p2p/${to.key.node}`);

/** Addresses of a peer that accepts connections and never speaks. */
async function silentPeer(count: number): Promise<{ readonly addresses: ReturnType<typeof multiaddr>[] }> {
  const { node } = await makeKey();
  const addresses = [];
  for (let index = 0; index < count; index++) {
    const proxy = await SilentProxy.start({ target: { host: '127.0.0.1', port: 9 } });
    proxies.push(proxy);
    proxy.silence();
    addresses.push(multiaddr(`/ip4/127.0.0.1/tcp/${proxy.port}/p2p/${node}`));
  }
  return { addresses };
}

async function elapsedMs(work: Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work.catch(() => undefined);
  return performance.now() - startMs;
}

function endOf(stream: Stream): Promise<Error | undefined> {
  return new Promise((resolve) => {
    if (stream.status !== 'open') resolve(new Error(`The stream is ${stream.status}.`));
    stream.addEventListener('close', ({ error }) => resolve(error));
  });
}

describe('connection limits', () => {
  it('maxConnections: refuses one more peer', async () => {
    const host = await startTestHost({ limits: withLimits('connections', { maxConnections: 1 }) });
    await dial(await startTestHost(), host);
    await vi.waitFor(() => expect(host.connections).toHaveLength(1), SOON);
    const extra = await dial(await startTestHost(), host).catch(() => undefined);
    await vi.waitFor(() => expect(extra?.status ?? 'closed').not.toBe('open'), SOON);
    expect(host.connections).toHaveLength(1);
  });

  it('maxIncomingPendingConnections: refuses one more handshake', async () => {
    const host = await startTestHost({ limits: withLimits('connections', { maxIncomingPendingConnections: 2 }) });
    const [first, second] = [await mute(host), await mute(host)];
    await closed(await mute(host));
    expect([first.destroyed, second.destroyed]).toEqual([false, false]);
  });

  it('inboundConnectionThreshold: refuses a host that comes too often', async () => {
    const host = await startTestHost({ limits: withLimits('connections', { inboundConnectionThreshold: 3 }) });
    const tried = await Promise.all([1, 2, 3, 4, 5, 6].map(() => mute(host)));
    await vi.waitFor(() => expect(tried.filter(({ destroyed }) => destroyed).length).toBeGreaterThanOrEqual(3), SOON);
  });

  it('inboundUpgradeTimeout: ends a handshake that does not come', async () => {
    const host = await startTestHost({ limits: withLimits('connections', { inboundUpgradeTimeout: 100 }) });
    await closed(await mute(host));
  });

  it('addressDialTimeout: leaves a silent address for the next one', async () => {
    const limits = withLimits('connections', { addressDialTimeout: 100, dialTimeout: 60_000 });
    const [host, caller] = [await startTestHost(), await startTestHost({ limits })];
    const proxy = await proxyTo(host);
    proxy.silence();
    const connection = await caller.host.libp2p.dial([
      through(proxy, host),
      ...host.host.addresses().map((address) => multiaddr(address)),
    ]);
    expect(connection.status).toBe('open');
  });

  it('dialTimeout: gives up a peer with all its addresses', async () => {
    const limits = withLimits('connections', { addressDialTimeout: 60_000, dialTimeout: 100 });
    const caller = await startTestHost({ limits });
    const { addresses } = await silentPeer(2);
    expect(await elapsedMs(caller.host.libp2p.dial(addresses))).toBeLessThan(10_000);
  });

  it('maxParallelDials: lets a dial wait for another', async () => {
    const caller = await startTestHost({ limits: withLimits('connections', { maxParallelDials: 1 }) });
    const abort = new AbortController();
    const dials = [await silentPeer(1), await silentPeer(1)].map(({ addresses }) =>
      caller.host.libp2p.dial(addresses, { signal: abort.signal }).catch(() => undefined),
    );
    await vi.waitFor(() => {
      const states = caller.host.libp2p.getDialQueue().map(({ status }) => status);
      expect(states.toSorted()).toEqual(['active', 'queued']);
    }, SOON);
    abort.abort();
    await Promise.all(dials);
  });

  it('maxDialQueueLength: refuses one more dial', async () => {
    const caller = await startTestHost({ limits: withLimits('connections', { maxDialQueueLength: 1 }) });
    const abort = new AbortController();
    const first = caller.host.libp2p
      .dial((await silentPeer(1)).addresses, { signal: abort.signal })
      .catch(() => undefined);
    await vi.waitFor(() => expect(caller.host.libp2p.getDialQueue()).toHaveLength(1), SOON);
    await expect(caller.host.libp2p.dial((await silentPeer(1)).addresses)).rejects.toThrow(/queue is full/i);
    abort.abort();
    await first;
  });

  it('maxPeerAddrsToDial: tries no further address', async () => {
    const limits = withLimits('connections', { maxPeerAddrsToDial: 1, addressDialTimeout: 50 });
    const caller = await startTestHost({ limits });
    await expect(caller.host.libp2p.dial((await silentPeer(2)).addresses)).rejects.toThrow(/maxPeerAddrsToDial/);
  });

  it('inboundStreamProtocolNegotiationTimeout: resets a stream that names no protocol', async () => {
    const limits = withLimits('connections', { inboundStreamProtocolNegotiationTimeout: 100 });
    const { connection } = await linkPair({ callee: { limits } });
    const stream = await rawStream(connection);
    await expect(endOf(stream)).resolves.toBeDefined();
  });

  it('outboundStreamProtocolNegotiationTimeout: gives up a stream that is not answered', async () => {
    const limits = withLimits('connections', { outboundStreamProtocolNegotiationTimeout: 100 });
    const [host, caller] = [await startTestHost(), await startTestHost({ limits })];
    const proxy = await proxyTo(host);
    const connection = await caller.host.libp2p.dial(through(proxy, host));
    proxy.silence();
    const link = linkOver(connection, { limits });
    await expect(link.call(ECHO, requestOf(0), options())).rejects.toMatchObject({ code: 'peer_timeout' });
  });

  it('connectionCloseTimeout: does not wait for a silent peer when stopping', async () => {
    const [host, caller] = [await startTestHost(), await startTestHost()];
    const proxy = await proxyTo(host);
    await caller.host.libp2p.dial(through(proxy, host));
    proxy.silence();
    expect(await elapsedMs(caller.host.stop())).toBeLessThan(2_000);
  });
});

describe('socket limits', () => {
  it('maxConnections: drops one more socket', async () => {
    const host = await startTestHost({ limits: withLimits('tcp', { maxConnections: 1 }) });
    const first = await mute(host);
    await closed(await mute(host));
    expect(first.destroyed).toBe(false);
  });

  it('socketInactivityMs: closes a connection without traffic', async () => {
    const { connection } = await linkPair({ callee: { limits: withLimits('tcp', { socketInactivityMs: 200 }) } });
    await vi.waitFor(() => expect(connection.status).not.toBe('open'), SOON);
  });

  it('writeBufferBytesMax: cuts off a peer that has stopped reading', async () => {
    const callee = await startTestHost({ prepare: (server) => server.handle(ECHO, echo) });
    const flood = async (limits: MeshLimits): Promise<Connection> => {
      const caller = await startTestHost({ limits });
      const proxy = await proxyTo(callee);
      const connection = await caller.host.libp2p.dial(through(proxy, callee));
      const link = linkOver(connection, { limits });
      await Promise.all(Array.from({ length: 24 }, () => link.call(ECHO, requestOf(0), options())));
      proxy.silence();
      for (let index = 0; index < 24; index++) link.call(ECHO, requestOf(MIB), options()).catch(() => undefined);
      return connection;
    };
    const bounded = await flood(withLimits('tcp', { writeBufferBytesMax: 64 << 10 }));
    await vi.waitFor(() => expect(bounded.status).not.toBe('open'), SOON);
    expect((await flood(MESH_LIMITS)).status).toBe('open');
  });
});

describe('muxer limits', () => {
  it('maxInboundStreams: resets one more stream', async () => {
    const { connection } = await linkPair({ callee: { limits: withLimits('muxer', { maxInboundStreams: 4 }) } });
    let reset = 0;
    for (let index = 0; index < 10; index++) void endOf(await rawStream(connection)).then(() => reset++);
    await vi.waitFor(() => expect(reset).toBeGreaterThanOrEqual(6), SOON);
  });

  it('maxOutboundStreams: opens no more', async () => {
    const { connection } = await linkPair({ caller: { limits: withLimits('muxer', { maxOutboundStreams: 4 }) } });
    const opened = await Promise.allSettled(Array.from({ length: 10 }, () => rawStream(connection)));
    expect(opened.filter(({ status }) => status === 'rejected').length).toBeGreaterThanOrEqual(6);
  });

  it('maxEarlyStreams: ends a connection that opens streams before it is handed over', () => {
    const socket = new FakeSocket();
    const muxer = meshYamux({ limits: withLimits('muxer', { maxEarlyStreams: 3 }) })().createStreamMuxer(
      socket as never,
    );
    const open = (id: number): void => socket.receive(Uint8Array.of(0, 1, 0, 1, 0, 0, 0, id, 0, 0, 0, 0));
    for (const id of [1, 3, 5]) open(id);
    expect(muxer.status).toBe('open');
    open(7);
    expect(muxer.status).toBe('closed');
    expect(socket.maxWriteBufferLength).toBe(MESH_LIMITS.tcp.writeBufferBytesMax);
  });

  it('initialStreamWindowBytes: holds a sender back at once', async () => {
    const limits = withLimits('muxer', { initialStreamWindowBytes: 256 << 10, maxStreamWindowBytes: 256 << 10 });
    const { sender, reader } = await streamPair(limits, { paused: true });
    sender.send(new Uint8Array(2 * MIB));
    await vi.waitFor(() => expect(reader.readBufferLength).toBe(256 << 10), SOON);
    expect(sender.writeBufferLength).toBe(2 * MIB - (256 << 10));
  });

  it('maxStreamWindowBytes: lets no more than that gather unread, however fast the stream was before', async () => {
    const limits = withLimits('muxer', { initialStreamWindowBytes: 256 << 10, maxStreamWindowBytes: 512 << 10 });
    const { sender, reader } = await streamPair(limits, { paused: false });
    let read = 0;
    reader.addEventListener('message', ({ data }) => {
      read += data.byteLength;
      if (read > 2 * MIB && reader.readStatus === 'readable') reader.pause();
    });
    for (let sent = 0; sent < 4; sent++) sender.send(new Uint8Array(MIB));
    await vi.waitFor(() => expect(reader.readStatus).toBe('paused'), SOON);
    await vi.waitFor(() => expect(reader.readBufferLength + read).toBeGreaterThan(2 * MIB), SOON);
    expect(reader.readBufferLength).toBeLessThanOrEqual(512 << 10);
  });

  it('readBufferBytesMax: resets a stream that overruns its reader', async () => {
    const limits = withLimits('muxer', { readBufferBytesMax: 64 << 10 });
    const { sender } = await streamPair(limits, { paused: true });
    const end = endOf(sender);
    sender.send(new Uint8Array(MIB));
    await expect(end).resolves.toBeDefined();
  });

  it('writeBufferBytesMax: resets a stream whose writer does not wait', async () => {
    const { sender } = await streamPair(withLimits('muxer', { writeBufferBytesMax: MIB }), { paused: true });
    const end = endOf(sender);
    const write = (): void => {
      for (let sent = 0; sent < 4; sent++) sender.send(new Uint8Array(MIB));
    };
    expect(write).toThrow();
    await expect(end).resolves.toMatchObject({ message: expect.stringMatching(/Write buffer/) });
  });
});

describe('identify limits', () => {
  const identifyOf = (host: TestHost) =>
    (host.host.libp2p.services as unknown as { readonly identify: Identify }).identify;

  it('maxInboundStreams: resets one more question', async () => {
    const { connection } = await linkPair({ callee: { limits: withLimits('identify', { maxInboundStreams: 1 }) } });
    const ends = await resetsOf(connection, '/ipfs/id/1.0.0', 5);
    await vi.waitFor(() => expect(ends.count).toBeGreaterThanOrEqual(3), SOON);
  });

  it('maxOutboundStreams: asks no more at a time', async () => {
    const { connection, caller } = await linkPair({
      caller: { limits: withLimits('identify', { maxOutboundStreams: 1 }) },
    });
    const asked = await Promise.allSettled([1, 2, 3, 4].map(() => identifyOf(caller).identify(connection)));
    expect(asked.some(({ status }) => status === 'rejected')).toBe(true);
  });

  it('maxMessageSize: refuses a longer answer', async () => {
    const { connection, caller } = await linkPair({
      caller: { limits: withLimits('identify', { maxMessageSize: 32 }) },
    });
    await expect(identifyOf(caller).identify(connection)).rejects.toThrow();
  });

  it('timeout: gives up a silent peer', async () => {
    const host = await startTestHost();
    const caller = await startTestHost({ limits: withLimits('identify', { timeout: 100 }) });
    const proxy = await proxyTo(host);
    const connection = await caller.host.libp2p.dial(through(proxy, host));
    proxy.silence();
    await expect(identifyOf(caller).identify(connection)).rejects.toThrow();
  });
});

describe('gossip limits', () => {
  const meshId = 'ab'.repeat(32);
  const topic = `weft/${meshId}/adverts`;
  const gossipOf = (host: TestHost) => (host.host.libp2p.services as unknown as { readonly gossip: GossipSub }).gossip;
  const subscribers = (host: TestHost, of: string) => gossipOf(host).getSubscribers(of).length;

  /** A raw gossip stream to a host, beside those that gossipsub opens. */
  async function rawGossip(limits: MeshLimits): Promise<{ readonly callee: TestHost; readonly stream: Stream }> {
    const callee = await startTestHost({ limits, meshId });
    // Its own gossip is another mesh's, so that only what is written here subscribes.
    const caller = await startTestHost({ meshId: 'cd'.repeat(32) });
    const connection = await dial(caller, callee);
    // gossipsub reads a peer's newest stream only: this one has to be opened after its own.
    const isGossip = ({ direction, protocol }: Stream): boolean =>
      direction === 'outbound' && protocol.startsWith('/meshsub/');
    await vi.waitFor(() => expect(connection.streams.some(isGossip)).toBe(true), SOON);
    return { callee, stream: await connection.newStream('/meshsub/1.1.0') };
  }

  const field = (number: number, bytes: Uint8Array): Uint8Array =>
    Buffer.concat([Uint8Array.of((number << 3) | 2, bytes.byteLength), bytes]);
  const subscription = (to: string) => field(1, Buffer.concat([Uint8Array.of(8, 1), field(2, Buffer.from(to))]));
  const prefixed = (bytes: Uint8Array) =>
    Buffer.concat([Uint8Array.of((bytes.byteLength & 0x7f) | 0x80, bytes.byteLength >> 7), bytes]);

  it('allowedTopics: takes subscriptions to the one topic and no other', async () => {
    const { callee, stream } = await rawGossip(MESH_LIMITS);
    stream.send(prefixed(Buffer.concat([subscription('another topic'), subscription(topic), subscription(topic)])));
    await vi.waitFor(() => expect(subscribers(callee, topic)).toBe(1), SOON);
    expect(subscribers(callee, 'another topic')).toBe(0);
  });

  it('maxSubscriptions: refuses a message with more', async () => {
    const { callee, stream } = await rawGossip(withLimits('gossip', { decode: { ...DECODE, maxSubscriptions: 2 } }));
    const end = endOf(stream);
    stream.send(prefixed(Buffer.concat([subscription(topic), subscription(topic), subscription(topic)])));
    await Promise.race([end, new Promise((resolve) => setTimeout(resolve, 200))]);
    expect(subscribers(callee, topic)).toBe(0);
  });

  it('topicBytesPerPeerMax: keeps no subscription beyond it', async () => {
    const { callee, stream } = await rawGossip(withLimits('gossip', { topicBytesPerPeerMax: 10 }));
    stream.send(prefixed(subscription(topic)));
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(subscribers(callee, topic)).toBe(0);
  });

  it('inboundBytesMax: reads no longer message', async () => {
    const { callee, stream } = await rawGossip(withLimits('gossip', { inboundBytesMax: 64 }));
    stream.send(prefixed(Buffer.concat([subscription(topic), subscription(topic)])));
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(subscribers(callee, topic)).toBe(0);
  });

  it('maxInboundStreams and maxOutboundStreams: resets one more stream', async () => {
    const callee = await startTestHost({
      limits: withLimits('gossip', { maxInboundStreams: 1, maxOutboundStreams: 1 }),
    });
    const connection = await dial(await startTestHost(), callee);
    const ends = await resetsOf(connection, '/meshsub/1.1.0', 5);
    await vi.waitFor(() => expect(ends.count).toBeGreaterThanOrEqual(3), SOON);
  });

  it('messageBytesMax: passes a larger message over', async () => {
    const callee = await startTestHost({ limits: withLimits('gossip', { messageBytesMax: 1_000 }) });
    const caller = await startTestHost();
    const received: number[] = [];
    callee.host.gossip.onMessage((_author, data) => received.push(data.byteLength));
    await dial(caller, callee);
    await vi.waitFor(() => expect(subscribers(caller, topic)).toBe(1), SOON);
    caller.host.gossip.publish(new Uint8Array(1_001));
    await vi.waitFor(() => {
      caller.host.gossip.publish(new Uint8Array(1_000).fill(received.length));
      expect(received).toContain(1_000);
    }, SOON);
    expect(received).not.toContain(1_001);
  });
});

describe('stream limits', () => {
  it('closingSlack: resets streams beyond the quota and it', async () => {
    const limits = withLimits('streams', { closingSlack: 1 });
    const method = { ...ECHO, quota: { ...ECHO.quota, callsPerPeer: 2 } };
    const { connection } = await linkPair({ callee: { limits, prepare: (server) => server.handle(method, echo) } });
    const ends = await resetsOf(connection, protocolId(method), 6);
    await vi.waitFor(() => expect(ends.count).toBe(3), SOON);
  });

  it('stallMs: resets a stream whose request does not go on', async () => {
    const limits = withLimits('streams', { stallMs: 100 });
    const { connection } = await linkPair({ callee: { limits, prepare: (server) => server.handle(ECHO, echo) } });
    const [idle, partial] = [
      await connection.newStream(protocolId(ECHO)),
      await connection.newStream(protocolId(ECHO)),
    ];
    const end = endOf(partial);
    partial.send(Uint8Array.of(0x57, 1, 0));
    await expect(end).resolves.toBeDefined();
    expect(idle.status).toBe('open');
  });

  it('inboundBytesPerPeerMax: resets a stream that brings more', async () => {
    const limits = withLimits('streams', { inboundBytesPerPeerMax: MIB });
    const { link, callee } = await linkPair({ callee: { limits, prepare: (server) => server.handle(ECHO, echo) } });
    // What has been answered counts no longer, on whatever stream it came.
    for (let round = 0; round < 3; round++) {
      await Promise.all([1, 2, 3].map(() => link.call(ECHO, requestOf(MIB / 4), options())));
    }
    await expect(link.call(ECHO, requestOf(2 * MIB), options())).rejects.toMatchObject({ code: 'peer_lost' });
    expect(callee.rejected).toEqual(['bytes']);
  });
});

const DECODE = MESH_LIMITS.gossip.decode;

/** Opens streams and counts those that the other side resets. */
async function resetsOf(connection: Connection, protocol: string, streams: number): Promise<{ count: number }> {
  const ends = { count: 0 };
  for (let index = 0; index < streams; index++) {
    const stream = await connection.newStream(protocol, { maxOutboundStreams: 99 }).catch(() => undefined);
    if (stream === undefined) ends.count++;
    else void endOf(stream).then(() => ends.count++);
  }
  return ends;
}

/** A stream between two hosts with these limits. */
async function streamPair(
  limits: MeshLimits,
  init: { readonly paused: boolean },
): Promise<{ readonly sender: Stream; readonly reader: Stream }> {
  const { connection, callee } = await linkPair({ callee: { limits }, caller: { limits } });
  const reader = Promise.withResolvers<Stream>();
  await callee.host.libp2p.handle('/test/1', (stream) => {
    if (init.paused) stream.pause();
    reader.resolve(stream);
  });
  return { sender: await connection.newStream('/test/1'), reader: await reader.promise };
}

/** What a muxer needs of a connection. */
class FakeSocket extends EventTarget {
  readonly direction = 'inbound';
  readonly log = Object.assign(() => undefined, {
    error: () => undefined,
    trace: () => undefined,
    newScope: () => this.log,
  });
  maxWriteBufferLength: number | undefined;
  send(): boolean {
    return true;
  }
  abort(): void {
    this.dispatchEvent(new Event('close'));
  }
  receive(data: Uint8Array): void {
    this.dispatchEvent(Object.assign(new Event('message'), { data }));
  }
}

/** A stream without a negotiated protocol. */
async function rawStream(connection: Connection): Promise<Stream> {
  const { muxer } = connection as unknown as { readonly muxer: { createStream(): Promise<Stream> } };
  return muxer.createStream();
}
