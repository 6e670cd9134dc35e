// Calls to one peer over one connection. Each method has a pool of long-lived streams: a call takes one and gives it back
// once it is settled. Opening a stream costs a negotiation (2.4 to 6 ms); a pooled one costs nothing.
import type { Connection, Stream } from '@libp2p/interface';
import type { Load } from '../../protocol/capability.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import { type AnyMethod, type MethodSpec, protocolId } from '../../protocol/methods.ts';
import { CallClient, toAbortError } from '../core/calls.ts';
import type { Clock } from '../core/clock.ts';
import type { PeerCallOptions } from '../core/mesh.ts';
import { closeStream, readFrames, StreamWriter } from './frame-stream.ts';
import type { MeshLimits } from './limits.ts';
import type { LinkEstimator } from './links.ts';

/** Round trips that an acknowledgement may take beyond the method's own bound. */
const ACK_ROUND_TRIPS = 4;
/** Larger requests measure the link's rate, not its round trip. */
const SMALL_REQUEST_BYTES = 64 << 10;

export interface PeerLinkComponents {
  readonly clock: Clock;
  readonly connection: Connection;
  readonly estimator: LinkEstimator;
  /** Load that came with an acknowledgement or an answer. */
  readonly onLoad: (load: Load) => void;
}

interface CallerStream {
  readonly stream: Stream;
  readonly writer: StreamWriter;
  readonly client: CallClient;
  /** Of the answer that is coming in. */
  received: { bytes: number; readonly fromMs: number } | undefined;
}

/** Streams of one method. `live` counts the idle, the busy, and those being opened or closed. */
interface Pool {
  readonly idle: CallerStream[];
  live: number;
}

export class PeerLink {
  readonly node: NodeId;
  readonly connection: Connection;
  readonly #components: PeerLinkComponents;
  readonly #limits: MeshLimits;
  readonly #pools = new Map<number, Pool>();
  readonly #streams = new Set<CallerStream>();
  #closed: WeftError | undefined;
  #inFlight = 0;

  constructor(components: PeerLinkComponents, init: { readonly limits: MeshLimits }) {
    this.#components = components;
    this.#limits = init.limits;
    this.connection = components.connection;
    this.node = components.connection.remotePeer.toString();
  }

  /** Calls that are not answered yet. */
  get callsInFlight(): number {
    return this.#inFlight;
  }

  /** Whether something large has crossed already, on this connection or an earlier one of the same path. */
  get isMeasured(): boolean {
    return this.#components.estimator.estimate().goodputBytesPerSecond !== undefined;
  }

  /** As {@link Mesh.call}. */
  async call<Request, Item, Response>(
    method: MethodSpec<Request, Item, Response>,
    request: Request,
    options: PeerCallOptions<Item>,
  ): Promise<Response> {
    this.#inFlight++;
    try {
      const pool = this.#pool(method);
      const taken = pool.idle.pop() ?? (await this.#open(method, pool, options.signal));
      return await this.#callOn(taken, pool, method, request, options);
    } finally {
      this.#inFlight--;
    }
  }

  #pool(method: AnyMethod): Pool {
    if (this.#closed !== undefined) throw this.#closed;
    let pool = this.#pools.get(method.id);
    if (pool === undefined) {
      pool = { idle: [], live: 0 };
      this.#pools.set(method.id, pool);
    }
    return pool;
  }

  async #open(method: AnyMethod, pool: Pool, signal: AbortSignal): Promise<CallerStream> {
    if (signal.aborted) throw toAbortError(signal);
    const { callsPerPeer } = method.quota;
    if (pool.live >= callsPerPeer) {
      throw new WeftError({
        code: 'quota_exceeded',
        message: `${callsPerPeer} calls of "${method.name}" to this peer are under way; it takes no more at a time.`,
        facts: { method: method.name },
      });
    }
    pool.live++;
    const timeoutMs = this.#limits.connections.outboundStreamProtocolNegotiationTimeout;
    try {
      const stream = await this.connection.newStream(protocolId(method), {
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        maxOutboundStreams: callsPerPeer + this.#limits.streams.closingSlack,
      });
      return this.#adopt(stream, pool);
    } catch (cause) {
      pool.live--;
      if (signal.aborted) throw toAbortError(signal);
      if (this.#closed !== undefined) throw this.#closed;
      throw openError(cause, method);
    }
  }

  #adopt(stream: Stream, pool: Pool): CallerStream {
    const { clock } = this.#components;
    const writer = new StreamWriter({ stream, clock }, { limits: this.#limits });
    const client = new CallClient({ writer, clock });
    const adopted: CallerStream = { stream, writer, client, received: undefined };
    this.#streams.add(adopted);
    readFrames(stream, {
      bytes: (piece) => {
        adopted.received ??= { bytes: -piece.byteLength, fromMs: clock.now() };
        adopted.received.bytes += piece.byteLength;
        client.push(piece);
      },
      closed: (error) => {
        this.#streams.delete(adopted);
        pool.live--;
        const index = pool.idle.indexOf(adopted);
        if (index !== -1) pool.idle.splice(index, 1);
        client.close(this.#closed ?? error);
      },
    });
    if (this.#closed !== undefined) stream.abort(this.#closed);
    return adopted;
  }

  #callOn<Request, Item, Response>(
    taken: CallerStream,
    pool: Pool,
    method: MethodSpec<Request, Item, Response>,
    request: Request,
    options: PeerCallOptions<Item>,
  ): Promise<Response> {
    const { clock, estimator, onLoad } = this.#components;
    const { writer, client, stream } = taken;
    const startMs = clock.now();
    const startBytes = writer.bytesWritten;
    taken.received = undefined;
    const { response, settled } = client.call(method, request, {
      signal: options.signal,
      requestId: options.requestId,
      budgetMs: options.budgetMs,
      traceParent: options.traceParent,
      priority: options.priority,
      withinMs: options.withinMs,
      ackTimeoutMs: method.timeouts.ackMs + ACK_ROUND_TRIPS * (estimator.rttMs ?? 0),
      onBytes: options.onBytes,
      onItem: options.onItem,
      onLoad,
      onAck: (load) => {
        const elapsedMs = clock.now() - startMs;
        const sentBytes = writer.bytesWritten - startBytes;
        if (sentBytes <= SMALL_REQUEST_BYTES) estimator.sawRoundTrip(elapsedMs);
        else estimator.sawTransfer(sentBytes, elapsedMs - (estimator.rttMs ?? 0));
        // The work comes between this and the answer: only the bytes behind it tell how fast the link is.
        taken.received = undefined;
        if (load !== undefined) onLoad(load);
        options.onAck?.();
      },
    });
    // A call that has failed here holds its stream until the peer is done with it as well; not for ever, though.
    response.catch(() => {
      const timer = clock.after(this.#limits.streams.settleMs, () =>
        stream.abort(new Error('The peer did not finish a call that was given up.')),
      );
      void settled.then(() => timer.cancel());
    });
    void settled.then(() => {
      const { received } = taken;
      if (received !== undefined) estimator.sawTransfer(received.bytes, clock.now() - received.fromMs);
      this.#giveBack(taken, pool, method);
    });
    return response;
  }

  #giveBack(taken: CallerStream, pool: Pool, method: AnyMethod): void {
    if (!this.#streams.has(taken)) return;
    if (pool.idle.length < method.pooledStreams) pool.idle.push(taken);
    else closeStream(taken.stream);
  }

  /** The connection is gone or given up: every call on it fails with this. */
  close(error: WeftError): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    for (const { stream, client } of [...this.#streams]) {
      client.close(error);
      stream.abort(error);
    }
  }
}

function openError(cause: unknown, method: AnyMethod): WeftError {
  const name = cause instanceof Error ? cause.name : '';
  if (name === 'UnsupportedProtocolError') {
    return new WeftError({ code: 'method_unknown', message: `The peer does not know "${method.name}".` }, { cause });
  }
  if (name === 'TimeoutError' || name === 'AbortError') {
    return new WeftError({ code: 'peer_timeout', message: 'The peer did not open a stream in time.' }, { cause });
  }
  return new WeftError({ code: 'peer_lost', message: 'No stream to the peer could be opened.' }, { cause });
}
