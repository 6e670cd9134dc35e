// Answers the calls of peers: one CallServer per stream, membership and policy asked again for every call, and each
// peer's share of every method counted over all its streams.
import type { Connection, Stream, StreamHandler } from '@libp2p/interface';
import type { Load } from '../../protocol/capability.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import type { AnyMethod, MethodSpec } from '../../protocol/methods.ts';
import { assert } from '../core/assert.ts';
import { type CallHandler, CallServer, type Registered } from '../core/calls.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Policy } from '../core/policy.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { Membership } from '../core/trust.ts';
import { readFrames, StreamWriter } from './frame-stream.ts';
import type { MeshLimits } from './limits.ts';

export interface ServerComponents {
  readonly clock: Clock;
  readonly membership: Pick<Membership, 'isMember'>;
  readonly policy: Policy;
  readonly telemetry: Pick<Telemetry, 'count'>;
  readonly load: () => Load;
}

interface Handled {
  readonly method: AnyMethod;
  // biome-ignore lint/suspicious/noExplicitAny: as in AnyMethod
  readonly handler: CallHandler<any, any, any>;
}

/** What one peer has under way here. */
interface Share {
  readonly calls: Map<number, number>;
  /** Request bytes on streams whose calls are not answered yet. */
  bytes: number;
  streams: number;
}

interface OpenStream {
  readonly caller: NodeId;
  readonly server: CallServer;
  /** Cancels its work, and resets it. */
  readonly close: (error: WeftError) => void;
}

export class Server {
  readonly #components: ServerComponents;
  readonly #limits: MeshLimits;
  readonly #handled = new Map<number, Handled>();
  readonly #shares = new Map<NodeId, Share>();
  readonly #open = new Set<OpenStream>();

  constructor(components: ServerComponents, init: { readonly limits: MeshLimits }) {
    this.#components = components;
    this.#limits = init.limits;
  }

  /** As {@link Mesh.handle}. */
  handle<Request, Item, Response>(
    method: MethodSpec<Request, Item, Response>,
    handler: CallHandler<Request, Item, Response>,
  ): void {
    assert(!this.#handled.has(method.id), `"${method.name}" has one handler`);
    this.#handled.set(method.id, { method, handler });
  }

  /** Every method that is answered, with what takes its streams. */
  *streamHandlers(): Iterable<{ readonly method: AnyMethod; readonly handler: StreamHandler }> {
    for (const handled of this.#handled.values()) {
      yield { method: handled.method, handler: (stream, connection) => this.#accept(handled, stream, connection) };
    }
  }

  #accept(handled: Handled, stream: Stream, connection: Connection): void {
    const { clock, membership, load } = this.#components;
    const caller = connection.remotePeer.toString();
    const share = this.#share(caller);
    const writer = new StreamWriter({ stream, clock }, { limits: this.#limits });
    const admit = (): (() => void) => {
      const release = this.#admit(handled.method, share, caller);
      return () => {
        release();
        if (server.open === 0) answered();
        this.#tidy(caller, share);
      };
    };
    const server = new CallServer(
      {
        writer,
        clock,
        lookup: (id, version) => lookup(handled, id, version, admit),
        // What this node has to do is no stranger's business.
        ...(membership.isMember(caller) ? { load } : {}),
      },
      { caller },
    );
    let bytes = 0;
    let stall: Timer | undefined;
    const answered = (): void => {
      share.bytes -= bytes;
      bytes = 0;
    };
    const close = (error: WeftError): void => {
      stall?.cancel();
      answered();
      server.close(error);
      stream.abort(error);
    };
    const open: OpenStream = { caller, server, close };
    this.#open.add(open);
    readFrames(stream, {
      bytes: (piece) => {
        bytes += piece.byteLength;
        share.bytes += piece.byteLength;
        if (share.bytes > this.#limits.streams.inboundBytesPerPeerMax) {
          this.#reject('bytes');
          throw new WeftError({ code: 'quota_exceeded', message: 'Too many bytes of requests are under way here.' });
        }
        server.push(piece);
        if (server.open === 0) answered();
        stall?.cancel();
        stall = server.partial
          ? clock.after(this.#limits.streams.stallMs, () =>
              close(new WeftError({ code: 'peer_timeout', message: 'The rest of a request did not come.' })),
            )
          : undefined;
      },
      closed: (error) => {
        stall?.cancel();
        answered();
        server.close(error);
        this.#open.delete(open);
        share.streams--;
        this.#tidy(caller, share);
      },
    });
  }

  #share(caller: NodeId): Share {
    let share = this.#shares.get(caller);
    if (share === undefined) {
      share = { calls: new Map(), bytes: 0, streams: 0 };
      this.#shares.set(caller, share);
    }
    share.streams++;
    return share;
  }

  /** Forgets a peer that has nothing under way: work that outlives its stream still counts. */
  #tidy(caller: NodeId, share: Share): void {
    if (share.streams === 0 && share.calls.size === 0) this.#shares.delete(caller);
  }

  #admit(method: AnyMethod, share: Share, caller: NodeId): () => void {
    if (method.access === 'member') {
      try {
        if (!this.#components.membership.isMember(caller)) {
          throw new WeftError({ code: 'not_a_member', message: 'The caller is not a member of this mesh.' });
        }
        this.#components.policy.authorize(caller, { method: method.name });
      } catch (error) {
        this.#reject('forbidden');
        throw error;
      }
    }
    const calls = share.calls.get(method.id) ?? 0;
    if (calls >= method.quota.callsPerPeer) {
      this.#reject('quota');
      throw new WeftError({
        code: 'quota_exceeded',
        message: `${calls} calls of "${method.name}" from this peer are under way; no more are taken at a time.`,
        facts: { method: method.name },
      });
    }
    share.calls.set(method.id, calls + 1);
    return () => {
      const left = (share.calls.get(method.id) ?? 1) - 1;
      if (left > 0) share.calls.set(method.id, left);
      else share.calls.delete(method.id);
    };
  }

  #reject(reason: string): void {
    this.#components.telemetry.count('weft_calls_rejected_total', { reason });
  }

  /** Cancels all work for peers, with this as the reason, and resets their streams. */
  close(error: WeftError): void {
    for (const { close } of [...this.#open]) close(error);
  }

  /** Cancels all work for one peer, and tells it this as the reason. */
  dismiss(peer: NodeId, error: WeftError): void {
    for (const { caller, server } of [...this.#open]) if (caller === peer) server.cancel(error);
  }
}

/** A stream was admitted for one method: none may be reached by another's protocol. */
function lookup({ method, handler }: Handled, id: number, version: number, admit: Registered['admit']): Registered {
  if (id !== method.id || version !== method.version) {
    throw new WeftError({ code: 'method_unknown', message: `This stream is for "${method.name}" only.` });
  }
  return { method, handler, admit };
}
