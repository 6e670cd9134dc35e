// TCP and yamux as the host uses them: writes of one turn of the event loop leave in one system call, bytes that arrive
// are noted for the heartbeat, and every write buffer has a bound.
import type { Socket } from 'node:net';
import {
  type Connection,
  type MultiaddrConnection,
  type StreamMuxerFactory,
  serviceCapabilities,
  type Transport,
  type Upgrader,
  type UpgraderOptions,
} from '@libp2p/interface';
import { type TCPComponents, tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { assert } from '../core/assert.ts';
import type { Clock } from '../core/clock.ts';
import type { MeshLimits } from './limits.ts';
import { overriding } from './overriding.ts';

/** What libp2p's TCP connections are beneath their interface. */
interface SocketConnection extends MultiaddrConnection {
  readonly socket: Socket;
  sendData(data: Iterable<Uint8Array>): { readonly sentBytes: number; readonly canSendMore: boolean };
}

function hasSocket(connection: MultiaddrConnection): connection is SocketConnection {
  return 'socket' in connection && 'sendData' in connection;
}

export interface HearingComponents {
  readonly clock: Clock;
  /** Bytes that came in on a connection, or went out. */
  readonly onBytes?: (direction: 'in' | 'out', bytes: number) => void;
}

/** When bytes last came in on a connection: the proof of life that costs nothing. */
export class Hearing {
  readonly #clock: Clock;
  readonly #onBytes: HearingComponents['onBytes'];
  // A connection and its socket share their timeline object, which is all that ties them together in libp2p's interface.
  readonly #heardMs = new WeakMap<object, number>();

  constructor(components: HearingComponents) {
    this.#clock = components.clock;
    this.#onBytes = components.onBytes;
  }

  /** Listens to the socket: a listener on the connection itself would swallow what comes between two of its handshakes. */
  listen(connection: SocketConnection): void {
    const { timeline, socket } = connection;
    this.#heardMs.set(timeline, this.#clock.now());
    socket.on('data', (chunk: Buffer) => {
      this.#heardMs.set(timeline, this.#clock.now());
      this.#onBytes?.('in', chunk.byteLength);
    });
    const sendData = connection.sendData.bind(connection);
    connection.sendData = (data) => {
      const result = sendData(data);
      this.#onBytes?.('out', result.sentBytes);
      return result;
    };
  }

  /** The clock's time of the last byte; that of the first call for a connection that was never heard. */
  lastMs(connection: Connection): number {
    let heardMs = this.#heardMs.get(connection.timeline);
    if (heardMs === undefined) {
      heardMs = this.#clock.now();
      this.#heardMs.set(connection.timeline, heardMs);
    }
    return heardMs;
  }
}

/**
 * Gathers what a connection writes until the end of this turn of the event loop. A call's frame, its muxer header, its
 * cipher lengths and the window updates around it are ten buffers, and each would be a system call (about 68 µs here).
 */
function cork(connection: SocketConnection): void {
  const { socket } = connection;
  const sendData = connection.sendData.bind(connection);
  let corked = false;
  const uncork = (): void => {
    if (!corked) return;
    corked = false;
    socket.uncork();
  };
  connection.sendData = (data) => {
    if (!corked) {
      corked = true;
      socket.cork();
      setImmediate(uncork);
    }
    const result = sendData(data);
    // A full socket has to be written at once, or nobody would be told when it has drained.
    if (!result.canSendMore) uncork();
    return result;
  };
}

export interface TransportInit {
  readonly limits: MeshLimits;
  /** @default true */
  readonly cork?: boolean;
}

/** TCP whose connections are corked, bounded and listened to before anything is read from them. */
export function meshTcp(
  hearing: Hearing,
  { limits, cork: corks = true }: TransportInit,
): (components: TCPComponents) => Transport {
  const { maxConnections, backlog, socketInactivityMs, writeBufferBytesMax } = limits.tcp;
  const options = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000, allowHalfOpen: false };
  const prepare = (maConn: MultiaddrConnection): void => {
    assert(hasSocket(maConn), 'a TCP connection has a socket');
    maConn.maxWriteBufferLength = writeBufferBytesMax;
    hearing.listen(maConn);
    if (corks) cork(maConn);
  };
  const prepared = (upgrader: Upgrader): Upgrader =>
    overriding(upgrader, {
      upgradeInbound(maConn: MultiaddrConnection, init: UpgraderOptions) {
        prepare(maConn);
        return upgrader.upgradeInbound(maConn, init);
      },
      upgradeOutbound(maConn: MultiaddrConnection, init: UpgraderOptions) {
        prepare(maConn);
        return upgrader.upgradeOutbound(maConn, init);
      },
    });
  const create = tcp({
    maxConnections,
    backlog,
    inboundSocketInactivityTimeout: socketInactivityMs,
    outboundSocketInactivityTimeout: socketInactivityMs,
    dialOpts: options,
    listenOpts: options,
  });
  return (components) => {
    const transport = create(components);
    const dial = transport.dial.bind(transport);
    const createListener = transport.createListener.bind(transport);
    transport.dial = (address, init) => dial(address, { ...init, upgrader: prepared(init.upgrader) });
    transport.createListener = (init) => createListener({ ...init, upgrader: prepared(init.upgrader) });
    return transport;
  };
}

/** yamux with every window and buffer set, over a secured connection whose write buffer is bounded too. */
export function meshYamux({ limits }: TransportInit): () => StreamMuxerFactory {
  const { muxer, tcp: socket } = limits;
  const create = yamux({
    enableKeepAlive: true,
    keepAliveInterval: muxer.keepAliveIntervalMs,
    maxInboundStreams: muxer.maxInboundStreams,
    maxOutboundStreams: muxer.maxOutboundStreams,
    maxEarlyStreams: muxer.maxEarlyStreams,
    streamOptions: {
      initialStreamWindowSize: muxer.initialStreamWindowBytes,
      maxStreamWindowSize: muxer.maxStreamWindowBytes,
      maxReadBufferLength: muxer.readBufferBytesMax,
      maxWriteBufferLength: muxer.writeBufferBytesMax,
      inactivityTimeout: socket.socketInactivityMs,
    },
  });
  return () => {
    const factory = create();
    return {
      protocol: factory.protocol,
      [Symbol.toStringTag]: '@libp2p/yamux',
      [serviceCapabilities]: ['@libp2p/stream-multiplexing'],
      createStreamMuxer(secured) {
        // Answers to pings and window updates gather here while the socket is full.
        secured.maxWriteBufferLength = socket.writeBufferBytesMax;
        return factory.createStreamMuxer(secured);
      },
    };
  };
}
